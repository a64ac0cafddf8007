"""What a line needs of the session that it belongs to, and the audio that a session is given."""

from __future__ import annotations

from typing import Any, Protocol

from runner.agent import RealtimeAgent, ResolvedAgent
from runner.audio.formats import PCM16, AudioFormat
from runner.core.events import SessionEvent
from runner.errors import UserError
from runner.model.settings import SessionSettings
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

    async def resolve(self, agent: RealtimeAgent) -> ResolvedAgent: ...

    async def close(self, reason: str = ...) -> None: ...

    async def target(self, settings: SessionSettings) -> ConnectOptions: ...

    def agent_named(self, name: str) -> RealtimeAgent | None: ...


def audio_format(settings: SessionSettings, side: str) -> AudioFormat:
    wire = settings.get(f"audio.{side}.format")
    try:
        return PCM16 if wire is None else AudioFormat.from_wire(wire)
    except ValueError as error:
        raise UserError(f"audio.{side}.format: {error}") from None
