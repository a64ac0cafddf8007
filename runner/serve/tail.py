"""What happens, line by line, for readers outside. Each has a queue of its own, and the queue has a
bound: who reads slowly loses lines and is told how many, and a call waits for nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Literal

from runner.codec import dumps

#: Lines that wait for a reader, and their characters in all; older ones make room.
MAX_LINES = 1000
MAX_TEXT = 4 * 1024 * 1024

#: The lines of the JSON log; events of the wire with sounds told by their size; the same whole.
Kind = Literal["log", "wire", "audio"]
Row = Mapping[str, Any]

#: JSON need not escape these, but what reads line by line may take them for the end of one.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Reader:
    """``lines()`` are JSON texts without line ends, until ``close()``. Of one deployment or
    session, or of all."""

    def __init__(
        self,
        kind: Kind,
        deployment: str | None,
        session: str | None,
        leave: Callable[[Reader], None],
    ) -> None:
        self.kind = kind
        self.deployment = deployment
        self.session = session
        self._leave = leave
        self._lines: deque[str] = deque()
        self._size = 0
        self._lost = 0
        self._wake = asyncio.Event()
        self._closed = False

    def wants(self, deployment: str, session: str | None) -> bool:
        """What concerns a whole deployment is for the readers of its sessions too."""
        return self.deployment in (None, deployment) and (
            self.session in (None, session) or session is None
        )

    def put(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)
        while len(self._lines) > MAX_LINES or (self._size > MAX_TEXT and len(self._lines) > 1):
            self._size -= len(self._lines.popleft())
            self._lost += 1
        self._wake.set()

    async def lines(self) -> AsyncGenerator[str, None]:
        while True:
            while self._lines:
                if self._lost:
                    lost, self._lost = self._lost, 0
                    yield dumps({"event": "lost", "lines": lost})
                else:
                    line = self._lines.popleft()
                    self._size -= len(line)
                    yield line
            if self._closed:
                return
            await self._wake.wait()
            self._wake.clear()

    def close(self) -> None:
        """What was put is still read."""
        if not self._closed:
            self._closed = True
            self._leave(self)
            self._wake.set()


class Tails:
    """All readers of one process. ``masked(deployment, value)`` takes secrets out of a value."""

    def __init__(self) -> None:
        self.masked: Callable[[str, Any], Any] = lambda deployment, value: value
        self._readers: list[Reader] = []

    def __len__(self) -> int:
        return len(self._readers)

    def open(self, kind: Kind, deployment: str | None = None, session: str | None = None) -> Reader:
        """A reader from now on."""
        reader = Reader(kind, deployment, session, self._readers.remove)
        self._readers.append(reader)
        return reader

    def wanted(self, kind: Kind, deployment: str, session: str | None) -> bool:
        return any(r.kind == kind and r.wants(deployment, session) for r in self._readers)

    def put(self, kind: Kind, row: Row) -> None:
        """``row`` has ``deployment``, and ``session`` when it belongs to a call."""
        name, session = str(row.get("deployment", "")), row.get("session")
        readers = [r for r in self._readers if r.kind == kind and r.wants(name, session)]
        if readers:
            # Written now: what an event holds may be changed by whoever gets it next.
            line = dumps(self.masked(name, row)).translate(_LINE_ENDS)
            for reader in readers:
                reader.put(line)

    def close(self) -> None:
        for reader in tuple(self._readers):
            reader.close()
