"""A browser that speaks the Realtime protocol, relayed to the model: the Worker holds the key.

The page sends audio and typed messages and hears what the server says, as over a WebSocket of
its own. The deployment stays the Worker's: instructions and tools never reach the page, nor what
tools were asked and answered, and ``session.update`` is not the page's to send.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runner.codec import b64decode, dumps, loads
from runner.errors import NotConnectedError, RtrunError
from runner.session import RealtimeSession
from runner.transports.cloudflare import CloudflareRealtimeTransport
from runner.transports.wire import AUDIO_TYPE
from runner.worker.javascript import ServerSocket

#: What a page may ask of its own answer; the rest is the deployment's to say.
_RESPONSE = frozenset({"metadata", "output_modalities", "conversation"})
_HIDDEN = ("instructions", "tools", "tool_choice", "tracing", "prompt")
_OF_TOOLS = ("response.function_call_arguments.", "response.mcp_call", "mcp_list_tools.")


class PageLine(CloudflareRealtimeTransport):
    """The line to the model, everything that it says told to ``page`` as well."""

    def __init__(self, page: ServerSocket) -> None:
        super().__init__()
        self._page = page

    def message(self, data: bytes) -> None:
        if self._early is None:
            shown = data if data.find(AUDIO_TYPE, 0, 400) >= 0 else for_the_page(data)
            if shown is not None:
                self._page.send_now(shown.decode("utf-8", "replace"))
        super().message(data)


def for_the_page(data: bytes) -> bytes | None:
    """A server event without what is the deployment's own; None when nothing of it is left."""
    try:
        event = loads(data)
    except ValueError:
        return None
    kind = event.get("type") if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind.startswith(_OF_TOOLS):
        return None
    item = event.get("item")
    if isinstance(item, Mapping) and item.get("type", "message") != "message":
        return None
    if isinstance(session := event.get("session"), dict):
        event["session"] = {key: value for key, value in session.items() if key not in _HIDDEN}
    if isinstance(response := event.get("response"), dict) and "output" in response:
        said = [part for part in response["output"] or () if part.get("type") == "message"]
        event["response"] = {**response, "output": said}
    return dumps(event).encode("utf-8", "replace")


class Page:
    """What the page sends, done to the session."""

    def __init__(self, socket: ServerSocket, session: RealtimeSession) -> None:
        self._socket = socket
        self._session = session
        self._does: dict[str, Callable[[dict[str, Any]], None]] = {
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": lambda event: self._audio(b"", commit=True),
            "input_audio_buffer.clear": self._pass_on,
            "conversation.item.create": self._create,
            # Where it was cut, the Worker knows: it counts what has sounded by the clock.
            "conversation.item.truncate": lambda event: None,
            "response.create": self._respond,
            "response.cancel": lambda event: session.interrupt(),
            "output_audio_buffer.clear": lambda event: session.interrupt(),
        }

    async def run(self) -> None:
        """Until the page has gone."""
        while True:
            try:
                text = await self._socket.receive()
            except EOFError:
                return
            self.received(text)

    def received(self, text: str) -> None:
        event: Any = None
        try:
            event = loads(text)
            does = self._does.get(event.get("type"))
            if does is None:
                kind = str(event.get("type"))[:60]
                return self._refuse(event, "not_allowed", f"{kind} is not for a page to send")
            does(event)
        except NotConnectedError:
            self._refuse(event, "not_connected", "the line to the model is closed")
        except (ValueError, TypeError, AttributeError, KeyError, RtrunError) as error:
            words = error.message if isinstance(error, RtrunError) else "this is no event"
            self._refuse(event, "invalid_event", words)
        return None

    def _append(self, event: dict[str, Any]) -> None:
        self._audio(b64decode(event["audio"]))

    def _audio(self, data: bytes, *, commit: bool = False) -> None:
        self._session.send_audio(data, commit=commit)

    def _pass_on(self, event: dict[str, Any]) -> None:
        self._session.transport.send_event({"type": event["type"]})

    def _create(self, event: dict[str, Any]) -> None:
        item = event["item"]
        if item.get("type", "message") != "message" or item.get("role", "user") != "user":
            raise ValueError("only a message of the user")
        self._session.send_message(item["content"], respond=False)

    def _respond(self, event: dict[str, Any]) -> None:
        wanted = event.get("response") or {}
        extra = sorted(key for key in wanted if key not in _RESPONSE)
        if extra:
            words = f"{', '.join(extra)[:80]}: that is the deployment's to say"
            return self._refuse(event, "not_allowed", words)
        return self._session.respond(wanted or None)

    def _refuse(self, event: Any, code: str, words: str) -> None:
        told = event.get("event_id") if isinstance(event, dict) else None
        error = {"type": "invalid_request_error", "code": code, "message": words, "event_id": told}
        self._socket.send_now(dumps({"type": "error", "error": error}))
