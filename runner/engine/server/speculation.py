"""What was heard and thought at one pause, before anybody knows whether the caller has finished."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from runner.engine.server.answer import Answer


@dataclass(slots=True)
class HeardTimes:
    """time.monotonic() of one turn's steps, 0.0 where one did not happen. For the benchmark."""

    paused: float = 0.0
    recognised: float = 0.0
    stopped: float = 0.0


@dataclass(slots=True)
class Speculation:
    """``words`` gets the whole utterance's text, or the error of recognition.

    ``answer`` is held at its first clause until the turn is over.
    """

    revision: int
    item_id: str
    end_ms: int
    words: asyncio.Future[str]
    answer: Answer | None = None
    times: HeardTimes = field(default_factory=lambda: HeardTimes(paused=time.monotonic()))
    task: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """The caller went on: nothing of this was ever visible."""
        if self.task is not None:
            self.task.cancel()
        if self.answer is not None:
            self.answer.drop()
            self.answer = None
        if not self.words.done():
            self.words.cancel()
