"""Tools that a test answers for: nothing of them is run, and the model sees no difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner.desk import Address, Desk, Listener
from runner.errors import ToolError
from runner.model.calltest import StubSpec
from runner.model.deployment import Deployment
from runner.toolbox import Toolbox
from runner.tools.base import (
    BackgroundResult,
    Tool,
    ToolContext,
    ToolPolicy,
    ToolServer,
    as_output,
    timed_out,
)
from runner.tools.builtin import BUILT_IN, HostedMcpTool


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """What a call gave when it was recorded, ``seconds`` after it began."""

    output: str
    seconds: float
    respond: bool = True


@dataclass(frozen=True, slots=True)
class Stubbed:
    """A tool as the model knows it, with another inside: ``stub``, or what was ``recorded`` of
    each call, by its id."""

    tool: Tool
    stub: StubSpec | None = None
    recorded: Mapping[str, RecordedOutput] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.tool.name

    @property
    def timeout(self) -> float:
        return self.tool.timeout

    @property
    def policy(self) -> ToolPolicy:
        policy = getattr(self.tool, "policy", None)
        return policy if isinstance(policy, ToolPolicy) else ToolPolicy()

    def wire(self) -> dict[str, object]:
        return self.tool.wire()

    async def run(self, arguments: str, context: ToolContext) -> str | BackgroundResult:
        if self.stub is None:
            return await self._recorded(context.call_id)
        try:
            async with asyncio.timeout(self.timeout):
                await asyncio.sleep(self.stub.delay)
        except TimeoutError:
            raise timed_out(self.name, self.timeout) from None
        if self.stub.error:
            raise ToolError(self.stub.error)
        return as_output(self.stub.output)

    async def _recorded(self, call_id: str) -> str | BackgroundResult:
        known = self.recorded.get(call_id)
        if known is None:
            raise ToolError(f"the record has no output of {self.name} for the call {call_id}")
        await asyncio.sleep(known.seconds)
        return known.output if known.respond else BackgroundResult(known.output)


class StubbedServer:
    """A server of tools some of which are stubbed. It is started all the same: it alone knows
    what its tools take."""

    def __init__(self, server: ToolServer, stubbed: Callable[[Tool], Tool]) -> None:
        self._server = server
        self._stubbed = stubbed

    @property
    def name(self) -> str:
        return self._server.name

    async def tools(self) -> Sequence[Tool]:
        return [self._stubbed(tool) for tool in await self._server.tools()]

    async def close(self) -> None:
        await self._server.close()


class StubbedDesk(Desk):
    """A desk whose tools are stubbed, also those of an edited deployment. With ``recorded``, every
    tool gives what it gave then."""

    def __init__(
        self,
        deployment: Deployment,
        tools: Toolbox,
        address: Address,
        listener: Listener,
        *,
        stubs: Mapping[str, StubSpec],
        recorded: Mapping[str, RecordedOutput] | None = None,
    ) -> None:
        self._stubs = stubs
        self._recorded = recorded
        super().__init__(deployment, tools, address, listener)

    async def _tape(self, *_: Any, **__: Any) -> None:
        """A test is no call that is kept."""

    @property
    def tools(self) -> Toolbox:
        return self._toolbox

    @tools.setter
    def tools(self, tools: Toolbox) -> None:
        servers: dict[str, ToolServer] = {}
        for name, server in tools.servers.items():
            known = isinstance(server, StubbedServer)
            servers[name] = server if known else StubbedServer(server, self._stubbed)
        made = {name: self._stubbed(tool) for name, tool in tools.tools.items()}
        self._toolbox = replace(tools, tools=made, servers=servers)

    def _stubbed(self, tool: Tool) -> Tool:
        if isinstance(tool, (Stubbed, HostedMcpTool)) or tool.name in BUILT_IN:
            return tool
        if self._recorded is not None:
            return Stubbed(tool, recorded=self._recorded)
        stub = self._stubs.get(tool.name)
        return tool if stub is None else Stubbed(tool, stub)
