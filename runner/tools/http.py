"""A declarative HTTP request as a tool."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.errors import ToolError, UserError
from runner.model.deployment import HttpSpec, ToolSpec
from runner.tasks import in_thread
from runner.tools.address import Resolver, literal, may_reach, resolve
from runner.tools.answer import output, refusal
from runner.tools.base import in_own_thread
from runner.tools.declared import DeclaredTool, common
from runner.tools.exchange import exchange, usual_tls
from runner.tools.request import FRAMING, Server, request_of, server_of


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
            raise ToolError(refusal(server.name, answer, self.request))
        return output(server.name, answer)

    async def _addresses(self) -> list[str]:
        """Asked for once; what is connected to is what was looked at."""
        if literal(self.server.name) is not None:
            return [self.server.name]
        where = {"name": self.server.name, "port": self.server.port}
        try:
            return list(await in_own_thread(self.resolver, where, self.name, by_position=True))
        except (OSError, UnicodeError):
            raise ToolError(f"no server is called {self.server.name}") from None


def http_tool(spec: ToolSpec) -> HttpTool:
    """The tool behind ``spec.http``. ToolError when its URL or its headers cannot be used."""
    if spec.http is None:
        raise UserError(f"the tool '{spec.name}' has no http")
    for name in spec.http.headers:
        if name.lower() in FRAMING:
            raise ToolError(f"the header {name} of the tool '{spec.name}' is not for you to set")
    server = server_of(spec.http.url)
    return HttpTool(**common(spec), request=spec.http, server=server)
