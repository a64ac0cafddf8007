"""A declarative HTTP request as a tool."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from runner.errors import ToolError, UserError
from runner.model.deployment import HttpSpec, ToolSpec
from runner.model.secret import Secret
from runner.tasks import in_thread
from runner.tools.address import Resolver, literal, may_reach, resolve
from runner.tools.base import in_own_thread
from runner.tools.declared import MAX_OUTPUT, DeclaredTool, common, hidden
from runner.tools.exchange import Answer, exchange, usual_tls
from runner.tools.mcp_result import EMPTY
from runner.tools.request import FRAMING, Server, request_of, server_of

#: Of an answer that is no success, in characters: enough to tell the caller why.
_TOLD = 300
# Kinds of content that are texts beside text/*, by the end of their names.
_TEXTS = ("json", "xml", "yaml", "javascript", "csv", "x-www-form-urlencoded")
# A server names the charset, and Python has codecs that take minutes over a long text.
_CHARSETS = re.compile(r"utf|iso|windows|cp\d|latin|(us-)?ascii|koi8|gb|big5|euc|shift|sjis|mac")
_BINARY = ("image/", "audio/", "video/", "font/")
_KEY = re.compile(r"key|token|secret|sig|pass|auth|code", re.IGNORECASE)
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})


@dataclass(frozen=True, slots=True)
class HttpTool(DeclaredTool):
    """``request`` with the model's arguments filled in, sent to ``server``. What comes back is
    the output: text as it is. Nothing is followed, kept between calls or taken from the
    environment. ``resolver`` and ``tls`` are the system's; a test has its own."""

    request: HttpSpec = field(kw_only=True, repr=False)
    server: Server = field(kw_only=True)
    resolver: Resolver = field(default=resolve, kw_only=True, repr=False)
    tls: Callable[[], ssl.SSLContext] = field(default=usual_tls, kw_only=True, repr=False)

    async def call(self, given: Mapping[str, Any]) -> str:
        """Send it. ToolError when the server may not be reached or does not answer well."""
        known = frozenset(self.parameters.get("properties", {})) | frozenset(given)
        request = request_of(self.request, self.server, known, given)
        server = self.server
        addresses = may_reach(server.name, server.port, await self._addresses(), self.request.hosts)
        tls = await in_thread(self.tls) if server.scheme == "https" else None
        patience = self.timeout / (len(addresses) + 1)
        answer = await exchange(server, addresses, request, tls, patience)
        if not answer.good:
            raise ToolError(self._refused(answer))
        return _output(server.name, answer)

    async def _addresses(self) -> list[str]:
        """Asked for once; what is connected to is what was looked at."""
        if literal(self.server.name) is not None:
            return [self.server.name]
        where = {"name": self.server.name, "port": self.server.port}
        try:
            return list(await in_own_thread(self.resolver, where, self.name, by_position=True))
        except (OSError, UnicodeError):
            raise ToolError(f"no server is called {self.server.name}") from None

    def _refused(self, answer: Answer) -> str:
        words = f"{self.server.name} answered {answer.status} {answer.reason}".rstrip()
        if 300 <= answer.status < 400:
            place = _without_query(answer.headers.get("location", ""))
            words += ", which is not followed" + (f"; it points to {place}" if place else "")
        elif why := _reason(answer):
            words += f": {why}"
        return hidden(words, _keys(self.request))


def http_tool(spec: ToolSpec) -> HttpTool:
    """The tool behind ``spec.http``. ToolError when its URL or its headers cannot be used."""
    if spec.http is None:
        raise UserError(f"the tool '{spec.name}' has no http")
    for name in spec.http.headers:
        if name.lower() in FRAMING:
            raise ToolError(f"the header {name} of the tool '{spec.name}' is not for you to set")
    server = server_of(spec.http.url)
    return HttpTool(**common(spec), request=spec.http, server=server)


def _keys(spec: HttpSpec) -> list[Secret]:
    """What a server that repeats its request might give away."""
    query = (*parse_qsl(urlsplit(spec.url).query), *spec.query.items())
    return [
        *(value for name, value in spec.headers.items() if name.lower() not in _HARMLESS),
        *(Secret(value) for name, value in query if _KEY.search(name)),
    ]


def _output(name: str, answer: Answer) -> str:
    if answer.cut:
        raise ToolError(f"the answer of {name} is longer than {MAX_OUTPUT // 1024} kB")
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise ToolError(f"the answer of {name} is compressed ({coding[:20]}), unasked")
    text = _decoded(answer)
    if text is None:
        kind = _content_type(answer) or "data"
        raise ToolError(f"the answer of {name} is no text ({kind[:60]})")
    return text.strip() or EMPTY


def _content_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _decoded(answer: Answer) -> str | None:
    """The body by its charset, UTF-8 when it names none; None when it is no text."""
    kind = _content_type(answer)
    if not answer.body:
        return ""
    if kind.startswith(_BINARY):
        return None
    charset = re.search(
        r"charset\s*=\s*\"?([\w.:-]+)", answer.headers.get("content-type", ""), re.IGNORECASE
    )
    textual = kind.startswith("text/") or kind.endswith(_TEXTS)
    try:
        if charset and _CHARSETS.match(charset[1].lower()):
            text = answer.body.decode(charset[1], "replace")
        else:
            text = answer.body.decode("utf-8", "replace" if textual else "strict")
    except LookupError:  # a charset that nobody knows
        text = answer.body.decode("utf-8", "replace")
    except ValueError:
        return None
    return None if "\0" in text else text.removeprefix("\ufeff")


def _reason(answer: Answer) -> str:
    """The beginning of what a server says about its failure, on one line."""
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return ""
    text = _decoded(answer) or ""
    if _content_type(answer) == "text/html":
        text = re.sub(r"<(style|script)\b.*?(</\1>|$)|<[^>]*>", " ", text, flags=re.S | re.I)
    text = " ".join(text.split())
    return text if len(text) <= _TOLD else text[: _TOLD - 1] + "…"


def _without_query(location: str) -> str:
    """A redirect may carry a key in its query."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return ""
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    return (place + parts.path)[:200]
