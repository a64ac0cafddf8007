"""A declarative request filled in: ``{argument}`` by the model's own, each place in its own way.

An argument is data. It cannot choose the server, climb out of its place in the path, add a second
parameter to a query or a line to the headers, or end a text that stands around it in a body.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from runner.codec import dumps
from runner.errors import ToolError
from runner.model.deployment import HttpSpec, arguments_in
from runner.tools.address import literal

#: Headers that frame a message or name the server: they are not for a file to set.
FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_PORTS = {"http": 80, "https": 443}
# What may stand unencoded in a path or a query as its author wrote it (RFC 3986, pchar).
_WRITTEN = "%!$&'()*+,;=:@-._~"
_STEP = re.compile(r"(^|[/\\;])\.\.?($|[/\\;])")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Server:
    """Where a URL leads. ``name`` is a host name as DNS takes it, or an address."""

    scheme: str
    name: str
    port: int

    @property
    def authority(self) -> str:
        """As it stands in the Host header."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. Keys stand in it in the clear: it is never printed."""

    method: str
    target: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


def server_of(url: str) -> Server:
    """The server of a URL. ToolError when there is none, or when an argument would choose it."""
    try:
        parts = urlsplit(url)
        port = parts.port
        name = (parts.hostname or "").removesuffix(".")
        if literal(name) is None:
            name = name.encode("idna").decode()
    except ValueError:
        raise ToolError("the URL of the tool names no server") from None
    if parts.scheme not in _PORTS or not name:
        raise ToolError("the URL of the tool names no server", "it begins with https://")
    if arguments_in(parts.netloc):
        raise ToolError("an argument cannot choose the server")
    if "@" in parts.netloc:
        raise ToolError(
            f"the URL to {name} holds a password", "write it as a header: Authorization"
        )
    return Server(parts.scheme, name, port or _PORTS[parts.scheme])


def request_of(
    spec: HttpSpec, server: Server, known: frozenset[str], given: Mapping[str, Any]
) -> Request:
    """``spec`` with ``given`` filled in; braces around a name that is not ``known`` are only
    braces. An argument that was not given leaves out the parameter, header or entry that is
    nothing else, and is an empty text inside another. ToolError when a value does not go where
    it would stand."""
    fill = _Fill(known, given)
    parts = urlsplit(spec.url)
    target = "/".join(fill.segment(segment) for segment in (parts.path or "/").split("/"))
    query = [fill.url(parts.query)] if parts.query else []
    for name, value in spec.query.items():
        if not fill.absent(value):
            query.append(f"{quote(name, safe='')}={fill.text(value, _encoded, _encoded)}")
    if query:
        target += "?" + "&".join(query)
    headers = {
        "Host": server.authority,
        "User-Agent": "rtrun",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    kind = ""
    for name, secret in spec.headers.items():
        if not fill.absent(secret.reveal()):
            written = name.title()
            headers[written] = fill.header(name, secret.reveal())
            kind = headers[written] if written == "Content-Type" else kind
    body = _body(spec.body, fill, kind, headers)
    if body or spec.method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Request(spec.method, target, tuple(headers.items()), body)


def _body(body: Any, fill: _Fill, kind: str, headers: dict[str, str]) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return fill.text(body, _escape(kind)).encode()
    headers.setdefault("Content-Type", "application/json")
    return dumps(fill.json(body)).encode()


@dataclass(frozen=True, slots=True)
class _Fill:
    known: frozenset[str]
    given: Mapping[str, Any] = field(repr=False)

    def names(self, template: str) -> list[str]:
        return [name for name in arguments_in(template) if name in self.known]

    def absent(self, template: str) -> bool:
        """Is it one argument, and not given?"""
        return any(template == f"{{{n}}}" and n not in self.given for n in self.names(template))

    def text(
        self,
        template: str,
        encode: Callable[[str], str] = str,
        written: Callable[[str], str] = str,
    ) -> str:
        """``encode`` holds for the arguments, ``written`` for what stands around them. In one
        pass: braces in an argument are not looked at again."""
        names = self.names(template)
        if not names:
            return written(template)
        pattern = "|".join(re.escape(f"{{{name}}}") for name in names)
        parts = re.split(f"({pattern})", template)
        return "".join(
            encode(_text(self.given.get(part[1:-1]))) if i % 2 else written(part)
            for i, part in enumerate(parts)
        )

    def url(self, template: str) -> str:
        return self.text(template, _encoded, lambda part: quote(part, safe=_WRITTEN + "/?"))

    def segment(self, template: str) -> str:
        """One segment of a path. Servers decode it before they look at it, some of them also
        what would be a separator then, so that no part of it may be a step up."""
        names = self.names(template)
        for name in names:
            if _STEP.search(_text(self.given.get(name))):
                raise ToolError(f"argument {name}: . and .. are no part of an address")
        filled = self.url(template)
        if names and not filled:
            raise ToolError(f"argument {names[0]} is empty, and the address needs it")
        if names and unquote(filled) in (".", ".."):
            raise ToolError(f"argument {names[0]}: . and .. are no part of an address")
        return filled

    def header(self, name: str, template: str) -> str:
        value = self.text(template).strip()
        if any(unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in value):
            culprits = self.names(template)
            who = f"argument {culprits[0]}" if culprits else f"the header {name}"
            raise ToolError(f"{who}: one line of text is wanted, without control characters")
        return value

    def json(self, value: Any) -> Any:
        """A body: a text that is exactly ``{argument}`` becomes its value, of whatever type."""
        if isinstance(value, str):
            if self.absent(value):
                return _ABSENT
            names = self.names(value)
            whole = bool(names) and value == f"{{{names[0]}}}"
            return self.given[names[0]] if whole else self.text(value)
        if isinstance(value, Mapping):
            filled = {key: self.json(item) for key, item in value.items()}
            return {key: item for key, item in filled.items() if item is not _ABSENT}
        if isinstance(value, (list, tuple)):
            return [item for item in map(self.json, value) if item is not _ABSENT]
        return value


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _text(value: Any) -> str:
    """A text as it is, nothing for what is not there, the rest as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value)


def _escape(kind: str) -> Callable[[str], str]:
    """What keeps an argument in its place inside a body that is written as a text."""
    kind = kind.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return lambda text: dumps(text)[1:-1]
    if kind.endswith("xml") or kind == "text/html":
        return html.escape
    if kind == "application/x-www-form-urlencoded":
        return quote_plus
    return str
