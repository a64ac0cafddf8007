"""What the user agent wants done, and what it has to tell."""

from __future__ import annotations

from dataclasses import dataclass

from runner.engine.sip.dialog import Dialog, Flow


@dataclass(frozen=True, slots=True)
class Send:
    flow: Flow
    data: bytes


@dataclass(frozen=True, slots=True)
class Ring:
    """A new call, to be decided: ``ring``, ``answer`` or ``refuse`` it."""

    dialog: Dialog


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The caller knows of the 200; ``body`` is its answer when the offer was ours."""

    dialog: Dialog
    body: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """A new session description is in force."""

    dialog: Dialog


@dataclass(frozen=True, slots=True)
class Pressed:
    dialog: Dialog
    key: str


@dataclass(frozen=True, slots=True)
class Referred:
    """How a REFER goes: 202 taken, then what the new call answered; else why not."""

    dialog: Dialog
    status: int


@dataclass(frozen=True, slots=True)
class Gone:
    dialog: Dialog
    reason: str


Effect = Send | Ring | Confirmed | Changed | Pressed | Referred | Gone
