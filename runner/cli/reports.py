"""What a run tells its screen and its log besides the events of its sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.errors import Problem
from runner.model.deployment import Change


@dataclass(frozen=True, slots=True)
class Ready:
    """The deployment can take calls. ``urls`` names its addresses (``engine`` and so on);
    ``engine`` is openai, local or the host of another one."""

    urls: Mapping[str, str]
    engine: str
    deployment: str
    #: The agent that answers first, when there is one call to show.
    agent: str = ""
    #: Where calls come in when nobody calls from here: an address, or in words.
    waits: str = ""


@dataclass(frozen=True, slots=True)
class SessionStart:
    session: str
    #: The agent that answers.
    agent: str = ""
    #: Who calls, when it is not the caller of this machine: "a browser", "a phone".
    who: str = ""


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """``usage`` is the sum of events.Usage, None when no response told of any; ``cost`` in US
    dollars, None when it is not known or there is no price. ``sound`` counts what slipped between
    us and the devices: ``underruns`` of the speaker, ``overruns`` of the microphone, and
    ``dropped_ms`` of the microphone that we had no time for."""

    session: str
    reason: str
    usage: Mapping[str, int] | None = None
    cost: float | None = None
    sound: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigPending:
    """``revision`` waits for the end of the turn of ``session``."""

    revision: int
    session: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigApplied:
    """``revision`` is in force: ``applied`` of ``total`` sessions have it, ``pending`` ones take
    it when their turn is over. ``ms`` from the first file event. ``session`` is set when it is
    one session that took it later, and the numbers are of that one."""

    revision: int
    changes: tuple[Change, ...]
    applied: int = 0
    pending: int = 0
    total: int = 0
    ms: float = 0.0
    session: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigRejected:
    """A saved file changed nothing; why, with places. ``runs``: a version before it is in force.
    ``session`` is the call that refused it, None when it was the file."""

    problems: tuple[Problem, ...] = field(default=())
    runs: bool = True
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Warn:
    """Something a person should know, in one line or two; the run goes on."""

    message: str


Report = Ready | SessionStart | SessionEnd | ConfigPending | ConfigApplied | ConfigRejected | Warn
