"""The tools of a deployment in a Worker: HTTP requests by ``fetch``, Python, and built-in ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runner.errors import ToolError
from runner.guardrails import Guardrail, guardrail_of
from runner.model.deployment import Deployment, HttpSpec, ToolSpec
from runner.tools.address import OWN, kind_of, literal
from runner.tools.answer import MAX_OUTPUT, Answer, output, refusal
from runner.tools.base import Tool, ToolContext, ToolPolicy, ToolServer, read_arguments, timed_out
from runner.tools.builtin import BUILT_IN, hosted_tool
from runner.tools.python import load
from runner.tools.request import FRAMING, Server, request_of, server_of
from runner.worker.javascript import entries, ffi, js

#: Names that lead into networks of one's own wherever they are looked up.
_INSIDE = ("localhost", ".localhost", ".internal", ".local", ".lan", ".home.arpa")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Tools:
    """``tools`` by name; a Worker has no ``servers``."""

    tools: Mapping[str, Tool]
    guardrails: tuple[Guardrail, ...]
    servers: Mapping[str, ToolServer] = field(default_factory=dict)


def tools_of(deployment: Deployment) -> Tools:
    """ToolError when one cannot be had."""
    tools: dict[str, Tool] = dict(BUILT_IN)
    tools |= {name: _tool(spec) for name, spec in deployment.tools.items()}
    return Tools(tools, tuple(guardrail_of(spec) for spec in deployment.guardrails))


def _tool(spec: ToolSpec) -> Tool:
    if spec.hosted_mcp is not None:
        return hosted_tool(spec)
    policy = ToolPolicy(spec.approval, spec.while_waiting, spec.respond)
    if spec.http is not None:
        return FetchTool(spec, spec.http, server_of(spec.http.url), policy)
    if spec.python:
        return replace(load(spec), policy=policy)
    raise ToolError(f"the tool '{spec.name}' cannot run in a Worker")


@dataclass(frozen=True, slots=True)
class FetchTool:
    """A declarative request, sent by the Worker's ``fetch``.

    The address behind a name cannot be seen here, nor pinned to what was looked at: names and
    addresses of inner networks are refused as they are written, and Cloudflare's own network
    leads to public addresses alone. Nothing is followed.
    """

    spec: ToolSpec = field(repr=False)
    request: HttpSpec = field(repr=False)
    server: Server
    policy: ToolPolicy

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def timeout(self) -> float:
        return self.spec.timeout

    def wire(self) -> dict[str, Any]:
        tool: dict[str, Any] = {"type": "function", "name": self.name}
        if self.spec.description:
            tool["description"] = self.spec.description
        tool["parameters"] = dict(self.spec.parameters or {"type": "object", "properties": {}})
        return tool

    async def run(self, arguments: str, context: ToolContext) -> str:
        """ToolError when the arguments do not fit, or the server does not answer well in time."""
        parameters = self.spec.parameters or {}
        given = fitting(arguments, parameters)
        _require_public(self.server, self.request.hosts)
        known = frozenset(parameters.get("properties", {})) | frozenset(given)
        request = request_of(self.request, self.server, known, given)
        headers = {key: value for key, value in request.headers if key.lower() not in FRAMING}
        try:
            async with asyncio.timeout(self.timeout):
                answer = await _fetched(
                    self.server, request.method, request.target, headers, request.body
                )
        except TimeoutError:
            raise timed_out(self.name, self.timeout) from None
        if not answer.good:
            raise ToolError(refusal(self.server.name, answer, self.request))
        return output(self.server.name, answer)


def fitting(text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The model's arguments, with the defaults for what it left out. Names, types and choices of
    the first level are looked at; what lies deeper is for the server to judge."""
    given = read_arguments(text, parameters)
    about = parameters.get("properties", {})
    for name, value in given.items():
        wanted = about.get(name, {})
        kinds = wanted.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds or []
        allowed = tuple(kind for name in kinds for kind in _TYPES.get(name, (object,)))
        odd = isinstance(value, bool) and bool not in allowed and object not in allowed
        if allowed and (odd or not isinstance(value, allowed)):
            raise ToolError(f"argument {name}: {' or '.join(kinds)} is wanted")
        if "enum" in wanted and value not in wanted["enum"]:
            raise ToolError(f"argument {name}: one of {', '.join(map(str, wanted['enum']))}")
    defaults = {key: part["default"] for key, part in about.items() if "default" in part}
    return defaults | given


def _require_public(server: Server, hosts: tuple[str, ...]) -> None:
    opened = {server.name, f"{server.name}:{server.port}", f"[{server.name}]:{server.port}"}
    if opened & {host.lower() for host in hosts}:
        return
    address = literal(server.name)
    kind = "public" if address is None else kind_of(address)
    inner = server.name == "localhost" or server.name.endswith(_INSIDE)
    if kind != "public" or inner:
        where = f"a {kind} address" if kind != "public" else "a network of its own"
        hint = f"add {server.name} to its hosts" if inner or kind in OWN else ""
        raise ToolError(f"{server.name} is in {where}, where this tool may not go", hint)


async def _fetched(
    server: Server, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    """The answer, cut at what a tool may say. Cancelled when its time is over."""
    stop = js().AbortController.new()
    asked: dict[str, Any] = {"method": method, "headers": headers, "redirect": "manual"}
    init = ffi().to_js(asked, dict_converter=js().Object.fromEntries)
    init.signal = stop.signal
    if body:
        init.body = ffi().to_js(body)
    whole = False
    try:
        found = await js().fetch(f"{server.scheme}://{server.authority}{target}", init)
        told = {name.lower(): value for name, value in entries(found.headers)}
        # fetch has undone it already, whoever did it.
        told.pop("content-encoding", None)
        length = told.get("content-length", "")
        if length.isdigit() and int(length) > MAX_OUTPUT:
            return Answer(int(found.status), str(found.statusText), told, b"", cut=True)
        data, cut = await _read(found)
        whole = not cut
        return Answer(int(found.status), str(found.statusText), told, data, cut)
    except ffi().JsException as error:
        raise ToolError(f"{server.name} cannot be reached: {type(error).__name__}") from None
    finally:
        if not whole:
            stop.abort()


async def _read(found: Any) -> tuple[bytes, bool]:
    """The body, and whether there was more than a tool may say."""
    if not found.body:
        return b"", False
    reader, data = found.body.getReader(), bytearray()
    while True:
        piece = await reader.read()
        if piece.done:
            return bytes(data), False
        data += piece.value.to_bytes()
        if len(data) > MAX_OUTPUT:
            return bytes(data[:MAX_OUTPUT]), True
