"""One call of a deployment: its session, and what is known of it outside of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from runner.audio.formats import PCM16, AudioFormat
from runner.core.events import SessionEvent
from runner.model.settings import SessionSettings
from runner.session import RealtimeSession
from runner.transports.base import AudioSink

Listener = Callable[["Call", SessionEvent], None]
#: Makes of a deployment's session block what one call can have.
Fit = Callable[[SessionSettings], SessionSettings]


def as_is(settings: SessionSettings) -> SessionSettings:
    """What fits every call."""
    return settings


@dataclass(eq=False, slots=True)
class Call:
    """One live session and what its agents were told of the call."""

    id: str
    session: RealtimeSession
    about: Mapping[str, str]
    started: datetime
    #: The revision whose settings it has; the desk's own may be ahead while a turn runs.
    revision: int = 0
    #: How the call ended, None while it goes on; ``lost``: by itself, nobody meant it.
    reason: str | None = None
    lost: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    #: It is on the line; before, it is being connected.
    opened: bool = False
    #: The engine held it before we came: its line cannot be another one.
    attached: bool = False
    #: time.monotonic() of the newest event.
    active: float = field(default_factory=time.monotonic)
    #: The newest revision that waits for the end of a turn.
    waits_for: int = 0
    #: Its server has not answered an edit yet.
    asked: bool = False
    #: Why it could not be given back what it had, empty when it has what it is to have.
    degraded: str = ""
    #: What it has of the deployment's session block.
    fit: Fit = field(default=as_is, repr=False)
    #: Who plays what the caller hears, when that is known here, and in which format.
    sink: AudioSink | None = field(default=None, repr=False)
    ear: AudioFormat = PCM16
    #: Where it is recorded, None for nowhere.
    recording: Path | None = None
    #: Answers in a row that the service failed to make.
    failed: int = 0
    #: It is without a line; ``excused``: the caller was told so.
    away: bool = False
    excused: bool = False
