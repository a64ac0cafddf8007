"""Messages that wait to be delivered, on disk: a restart loses none of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner.codec import dumps, loads
from runner.serve.state import write_whole

#: Of one deployment; older ones make room.
MOST = 1000
#: Seconds after which a message is given up (OpenAI sends its own webhooks for as long).
OLDEST = 72 * 3600.0
#: The longest pause between two tries.
LONGEST_PAUSE = 3600.0


@dataclass(frozen=True, slots=True)
class Message:
    """``body`` is sent as it is, with ``id`` each time; ``created`` and ``due`` are time.time()."""

    id: str
    body: str
    created: float
    due: float
    tries: int = 0

    def later(self, now: float) -> Message:
        """After a try that failed: a second, two, four, an hour at the most."""
        pause = min(LONGEST_PAUSE, 2.0 ** min(self.tries, 12))
        return replace(self, tries=self.tries + 1, due=now + pause)


class Outbox:
    """The messages of one deployment, in ``folder``. What the disk does not take is kept in memory
    alone, and :meth:`put` says so by False."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._messages = {message.id: message for message in _found(folder)}
        self._unkept: set[str] = set()

    def __len__(self) -> int:
        """How many are on disk."""
        return len(self._messages) - len(self._unkept)

    def next(self) -> Message | None:
        """The one that is due first."""
        return min(self._messages.values(), key=lambda m: m.due, default=None)

    def put(self, message: Message) -> bool:
        self._messages[message.id] = message
        try:
            write_whole(self._file(message.id), dumps(asdict(message)))
        except OSError:
            self._unkept.add(message.id)
            return False
        self._unkept.discard(message.id)
        return True

    def drop(self, message: Message) -> None:
        self._messages.pop(message.id, None)
        self._unkept.discard(message.id)
        with contextlib.suppress(OSError):
            self._file(message.id).unlink(missing_ok=True)

    def overdue(self, now: float) -> list[Message]:
        """Those that are too old, and the oldest of too many."""
        by_age = sorted(self._messages.values(), key=lambda m: m.created)
        many = by_age[: max(0, len(by_age) - MOST)]
        return [*many, *(m for m in by_age[len(many) :] if now - m.created > OLDEST)]

    def _file(self, id: str) -> Path:
        return self._folder / f"{id}.json"


def _found(folder: Path) -> Iterator[Message]:
    with contextlib.suppress(OSError):
        for file in sorted(folder.glob("evt_*.json")):
            try:
                fields: Any = loads(file.read_bytes())
                message = Message(**fields)
            except (OSError, ValueError, TypeError):
                continue  # half of one, or none of ours
            if message.id == file.stem:
                yield message
