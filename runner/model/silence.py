"""What happens when the caller says nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Silence:
    """The caller says nothing: after ``ask_after`` seconds ``say`` is spoken, after
    ``hang_up_after`` the call ends. Both count from the end of what was played; None is off."""

    ask_after: float | None = None
    say: str = "Are you still there?"
    hang_up_after: float | None = None
