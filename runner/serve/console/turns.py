"""The time that each turn took, from the end of the caller's words to the last sound of the answer.

All milliseconds count from that end: ``begun`` the service began to answer, ``first_text``,
``first_audio``, ``end``; ``tools`` are those that ran in between. A greeting was not asked for: its
times count from its own beginning (``asked`` False).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runner.core.events import (
    AgentEnd,
    AgentStart,
    AudioStart,
    HistoryAdded,
    Interrupted,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    ToolEnd,
    ToolStart,
    TranscriptDelta,
    TurnEnd,
)

#: Turns of a call that are kept.
MOST_TURNS = 200


class Turns:
    """``tell(row)`` hears of each turn that is over."""

    def __init__(self, tell: Callable[[dict[str, Any]], None], clock: Callable[[], float]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._tell = tell
        self._clock = clock
        self._count = 0
        self._asked: float | None = None
        self._clear()

    def _clear(self) -> None:
        """What was seen since the caller's last words."""
        self._begun: float | None = None
        self._text: float | None = None
        self._audio: dict[str, float] = {}
        self._tools: list[dict[str, Any]] = []
        self._cut = False
        self._spoken = False

    def hear(self, event: SessionEvent) -> None:
        now = self._clock()
        match event:
            case SpeechStarted():
                self._spoken = True
            case SpeechStopped():
                self._ask(now)
                self._spoken = True
            case HistoryAdded() if event.item.role == "user" and not self._spoken:
                self._ask(now)  # typed
            case AgentStart():
                self._begun = now if self._begun is None else self._begun
            case TranscriptDelta() if event.role == "assistant" and self._text is None:
                self._text = now
            case AudioStart():
                self._audio.setdefault(event.response_id, now)
            case ToolStart():
                self._tools.append({"call_id": event.call_id, "name": event.name, "from": now})
            case ToolEnd():
                for tool in self._tools:
                    if tool["call_id"] == event.call_id:
                        tool["to"] = now
            case Interrupted():
                self._cut = True
            case TurnEnd():
                self._over(event, now)
            case AgentEnd() if not event.text:
                self._text = None  # a call without words: the answer is still to come

    def _ask(self, now: float) -> None:
        self._clear()
        self._asked = now

    def _over(self, event: TurnEnd, now: float) -> None:
        heard, asked = self._audio.get(event.response_id), self._asked
        if heard is not None and event.first_audio_ms is not None:
            asked = heard - event.first_audio_ms / 1000  # the core knows it best
        since = asked if asked is not None else self._begun
        if since is None:
            return
        self._count += 1
        row = {
            "id": f"turn:{self._count}",
            "response_id": event.response_id,
            "asked": asked is not None,
            "begun": _ms(self._begun, since),
            "first_text": _ms(self._text, since),
            "first_audio": _ms(heard, since),
            "end": _ms(now, since),
            "played": round(event.played_ms),
            "cut": self._cut,
            "tools": [
                {"name": t["name"], "from": _ms(t["from"], since), "to": _ms(t["to"], since)}
                for t in self._tools
                if "to" in t
            ],
        }
        self._asked = None
        self._clear()
        self.rows.append(row)
        del self.rows[:-MOST_TURNS]
        self._tell(row)


def _ms(at: float | None, since: float) -> int | None:
    return None if at is None else max(0, round((at - since) * 1000))
