"""What a person at the microphone sees and presses: levels, mute, push to talk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Panel:
    """Made by whoever talks, shown by a screen. ``heard`` and ``played`` give loudness from 0 to
    1. ``press`` and ``mute`` are what the keys do."""

    press: Callable[[], None]
    mute: Callable[[], None]
    heard: Callable[[], float] = field(default=lambda: 0.0)
    played: Callable[[], float] = field(default=lambda: 0.0)
    muted: bool = False
    #: No turn detection: a turn begins and ends with a key.
    push_to_talk: bool = False
    #: In push to talk: the caller has the word.
    talking: bool = False
    #: Closed just now because the agent speaks (half duplex).
    closed: bool = False

    def key(self, key: str) -> None:
        """One key, as the terminal gives it; others than ours do nothing."""
        if key in ("m", "M"):
            self.mute()
        elif key in " \r\n" and self.push_to_talk:
            self.press()

    @property
    def state(self) -> str:
        """The microphone in a word or two."""
        if self.muted:
            return "muted"
        if self.push_to_talk:
            return "you speak" if self.talking else "waits"
        return "closed" if self.closed else "open"

    @property
    def keys(self) -> str:
        """The keys that do something, in one line."""
        push = "space ends your turn" if self.talking else "space to talk"
        mute = f"m {'unmutes' if self.muted else 'mutes'}"
        return f"{push} · {mute}" if self.push_to_talk else mute
