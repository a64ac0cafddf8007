"""Guardrails, the part that decides: when words are looked at, and what a trip does, once."""

from __future__ import annotations

#: How many responses that tripped are remembered.
_REMEMBERED = 64


class Guard:
    """Counts what an answer has said. Touched for each transcript delta, so plain and small."""

    __slots__ = ("_checked", "_said", "_tripped")

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {}
        #: Debounce steps that were looked at, by item.
        self._checked: dict[str, tuple[int, int]] = {}
        self._tripped: dict[str, None] = {}

    def delta(self, item_id: str, text: str, debounce: int) -> str | None:
        """More of an answer: the text so far when it is time to look at it. Each time ``debounce``
        characters more are known; with 0 once, at the first."""
        pieces = self._said.setdefault(item_id, [])
        pieces.append(text)
        step, length = self._checked.get(item_id, (0, 0))
        length += len(text)
        if debounce < 0:
            now = step
        elif debounce == 0:
            now = 1
        else:
            now = length // debounce
        self._checked[item_id] = (now, length)
        if now <= step:
            return None
        if len(pieces) > 1:
            pieces[:] = ["".join(pieces)]
        return pieces[0]

    def forget(self, item_id: str) -> None:
        self._said.pop(item_id, None)
        self._checked.pop(item_id, None)

    def trip(self, response_id: str) -> bool:
        """False when this response tripped before."""
        if response_id in self._tripped:
            return False
        self._tripped[response_id] = None
        if len(self._tripped) > _REMEMBERED:
            del self._tripped[next(iter(self._tripped))]
        return True

    def tripped(self, response_id: str) -> bool:
        return response_id in self._tripped
