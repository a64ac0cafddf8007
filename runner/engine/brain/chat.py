"""A language model behind any OpenAI-compatible ``/chat/completions`` (Ollama, llama.cpp, vLLM)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.codec import loads
from runner.engine.brain import messages
from runner.engine.ports import BrainError, Call, Prompt, Say
from runner.errors import UsageError

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

FIRST_TOKEN = 8.0
SPOKEN = "I am sorry, I have a technical problem and cannot answer right now."
SPOKEN_SLOW = "I am sorry, this is taking too long on my side. Please ask me again."
_FIELDS = frozenset({"url", "model", "api_key", "timeout"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Chat:
    """Implements :class:`runner.engine.ports.Brain`.

    ``url`` is the base of the API (``http://127.0.0.1:11434/v1``). ``timeout`` in seconds bounds
    the wait for the first token and for each one after it. No retries: a caller is waiting.
    """

    name = "chat"

    def __init__(
        self, url: str, model: str, api_key: str | None = None, timeout: float = FIRST_TOKEN
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/chat/completions")
        self.model = model
        self.timeout = timeout
        self._key = api_key
        self._client: AsyncOpenAI | None = None

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Chat:
        """From a deployment's ``brain`` without its ``type``. UsageError when a field is bad."""
        unknown = sorted(set(map(str, spec)) - _FIELDS)
        if unknown:
            raise UsageError(
                f"brain chat has no field {unknown[0]!r}", f"it has: {', '.join(sorted(_FIELDS))}"
            )
        for name in ("url", "model"):
            if not isinstance(spec.get(name), str) or not spec[name].strip():
                raise UsageError(
                    f"brain chat needs {name}",
                    "such as { type: chat, url: http://127.0.0.1:11434/v1, model: llama3.2 }",
                )
        parts = urlsplit(spec["url"])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"brain chat: {spec['url']!r} is no http or https URL")
        timeout = spec.get("timeout", FIRST_TOKEN)
        if (
            isinstance(timeout, bool)
            or not isinstance(timeout, int | float)
            or not 0 < timeout <= 120
        ):
            raise UsageError(f"brain chat: timeout {timeout!r} is not between 0 and 120 seconds")
        key = spec.get("api_key")
        if key is not None and not isinstance(key, str):
            raise UsageError("brain chat: api_key is not a string")
        return cls(spec["url"], spec["model"], key, float(timeout))

    def _connect(self) -> AsyncOpenAI:
        if self._client is None:
            # Half a second of import, and only for those who use this brain.
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient

            local = urlsplit(self.url).hostname in _LOOPBACK
            client = AsyncOpenAI(
                base_url=self.url,
                # Never the key in the environment: that one belongs to OpenAI alone.
                api_key=self._key or "none",
                max_retries=0,
                timeout=None,
                http_client=DefaultAsyncHttpxClient(trust_env=False) if local else None,
            )
            client.organization = client.project = None
            self._client = client
        return self._client

    async def think(self, prompt: Prompt) -> AsyncIterator[Say | Call]:
        """Text as it comes, then the calls. BrainError when the endpoint is dead, refuses, is slow
        or sends what is no stream of chat chunks. Closing the iterator closes the stream."""
        # The endpoint's failures come as whatever its transport raises; all mean the same here.
        stream: AsyncStream[ChatCompletionChunk] | None = None
        calls: list[_Fragments] = []
        silent = True
        hidden = _Thoughts()
        try:
            async with asyncio.timeout(self.timeout):
                stream = await self._open(prompt)
            chunks = aiter(stream)
            while True:
                async with asyncio.timeout(self.timeout):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                if not getattr(chunk, "choices", None):
                    continue  # usage, or a comment of the server
                delta = chunk.choices[0].delta
                if delta is None:
                    continue
                text = hidden.without(delta.content or "")
                if text:
                    silent = False
                    yield Say(text)
                for part in delta.tool_calls or ():
                    _add(calls, part)
            rest = hidden.rest()
            if rest:
                silent = False
                yield Say(rest)
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except Exception as error:
            raise self._failed(error) from error
        finally:
            if stream is not None:
                await stream.close()
        if silent and not calls:
            raise BrainError("brain_empty", f"{self.model} at {self.url} answered nothing", SPOKEN)
        for call in calls:
            yield call.whole(self.model)

    async def _open(self, prompt: Prompt) -> AsyncStream[ChatCompletionChunk]:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": messages.messages(prompt),
            "stream": True,
        }
        offered = messages.tools(prompt.tools) if prompt.tool_choice != "none" else []
        if offered:
            request["tools"] = offered
            choice = messages.tool_choice(prompt.tool_choice)
            if choice is not None:
                request["tool_choice"] = choice
        stream: AsyncStream[ChatCompletionChunk] = await self._connect().chat.completions.create(
            **request
        )
        return stream

    def _failed(self, error: Exception) -> BrainError:
        """What went wrong, for the log and for the caller's ear."""
        import openai

        where = f"{self.model} at {self.url}"
        if isinstance(error, BrainError):
            return error
        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return BrainError(
                "brain_timeout", f"{where}: nothing for {self.timeout:g} s", SPOKEN_SLOW
            )
        if isinstance(error, openai.APIStatusError):
            said = str(error.message)[:200]
            return BrainError("brain_refused", f"{where}: HTTP {error.status_code}: {said}", SPOKEN)
        if isinstance(error, openai.APIConnectionError):
            return BrainError("brain_unreachable", f"{where}: {error.__cause__ or error}", SPOKEN)
        if isinstance(error, openai.APIError):
            return BrainError("brain_refused", f"{where}: {str(error.message)[:200]}", SPOKEN)
        return BrainError("brain_garbled", f"{where}: not a chat stream: {error!r:.200}", SPOKEN)

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


@dataclass(slots=True)
class _Fragments:
    """One function call as it arrives: the name first, the arguments in pieces."""

    index: int
    call_id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def whole(self, model: str) -> Call:
        text = "".join(self.arguments).strip() or "{}"
        try:
            value = loads(text)
        except ValueError:
            value = None
        if not self.name or not isinstance(value, dict):
            raise BrainError(
                "brain_garbled",
                f"{model}: a call of {self.name or 'nothing'} with {text[:100]!r}",
                SPOKEN,
            )
        return Call(self.name, text)


def _add(calls: list[_Fragments], part: Any) -> None:
    function = part.function
    # Some servers send every call whole, with index 0 and an id of its own.
    last = next((one for one in reversed(calls) if one.index == part.index), None)
    if last is None or (part.id and last.call_id and part.id != last.call_id):
        last = _Fragments(part.index, part.id or "")
        calls.append(last)
    if function is not None:
        last.name = last.name or function.name or ""
        if function.arguments:
            last.arguments.append(function.arguments)


class _Thoughts:
    """Takes ``<think>...</think>``, which some models stream as text, out of what is spoken."""

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def without(self, text: str) -> str:
        self._held += text
        said = ""
        while True:
            mark = self._CLOSE if self._inside else self._OPEN
            before, found, after = self._held.partition(mark)
            if found:
                said += "" if self._inside else before
                self._inside = not self._inside
                self._held = after.lstrip() if not self._inside else after
                continue
            # What may be the beginning of a mark waits for the next piece.
            keep = next(
                (size for size in range(len(mark) - 1, 0, -1) if self._held.endswith(mark[:size])),
                0,
            )
            cut = len(self._held) - keep
            said += "" if self._inside else self._held[:cut]
            self._held = self._held[cut:]
            return said

    def rest(self) -> str:
        held, self._held = self._held, ""
        return "" if self._inside else held
