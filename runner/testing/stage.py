"""Where a test is played: an engine, or what stands for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from runner.desk import Address, Call, Desk
from runner.model.calltest import CallTest
from runner.testing.caller import Speaks
from runner.testing.judge import Judge
from runner.testing.stubs import RecordedOutput
from runner.testing.voice import Say
from runner.transports.base import RealtimeTransportLayer


class Phone(Speaks, Protocol):
    """A caller who comes by telephone."""

    async def ring(self) -> Call:
        """Until the call is taken. RtrunError."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a test is played. ``address`` is the engine's; ``voice`` speaks for callers who say
    something, None when the engine hears nothing, ``why_no_voice`` says why. ``record``: write the
    call there. ``transport`` and ``recorded`` stand for an engine and for tools (a replay)."""

    address: Address
    voice: Callable[[], Say] | None = None
    why_no_voice: str = ""
    judge: Judge | None = None
    strict: bool = False
    record: Path | None = None
    warn: Callable[[str], None] = lambda words: None
    transport: RealtimeTransportLayer | None = None
    recorded: Mapping[str, RecordedOutput] | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    started: datetime | None = None
    #: Whether the recorded call was one with sound.
    sounded: bool | None = None
    #: ``telephone(desk, number of the caller)``: callers come by it, and not by a line of ours.
    telephone: Callable[[Desk, str], Phone] | None = None

    def sounds(self, test: CallTest) -> bool:
        """Whether ``test`` is played with sound here."""
        if self.telephone is not None:
            return True
        if self.sounded is not None:
            return self.sounded
        return test.spoken or (test.sounds and self.voice is not None)
