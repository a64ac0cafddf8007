"""What a line needs of the session that it belongs to."""

from __future__ import annotations

from typing import Any, Protocol

from runner.agent import RealtimeAgent, ResolvedAgent
from runner.core.events import SessionEvent
from runner.model.settings import SessionSettings
from runner.moving import Way
from runner.transports.base import ConnectOptions, RealtimeTransportLayer


class Host(Protocol):
    """What a line needs of its session."""

    transport: RealtimeTransportLayer
    context: Any
    reconnect: bool
    store_audio: bool
    approval_checks_first: bool
    tool_error_formatter: Any

    def emit(self, event: SessionEvent) -> None: ...

    def wants(self, name: str) -> bool: ...

    def overhear(self, data: bytes) -> None: ...

    async def resolve(self, agent: RealtimeAgent) -> ResolvedAgent: ...

    async def close(self, reason: str = ...) -> None: ...

    model: str

    def onto(self, way: Way) -> Way: ...

    async def end(self, reason: str = ...) -> None: ...

    async def target(self, settings: SessionSettings) -> ConnectOptions: ...

    def agent_named(self, name: str) -> RealtimeAgent | None: ...
