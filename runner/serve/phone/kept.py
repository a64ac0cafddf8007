"""Phone calls on the line, kept in a file: the next process takes them over by their ids.

A call lives at the service; the process that steers it may die. What it needs to go on stands in
one small file of each deployment, readable by its owner alone, since it holds callers' numbers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.codec import dumps, loads
from runner.serve.state import own_name, state_folder, write_whole

#: A call at OpenAI ends after an hour by itself.
OLDEST = 2 * 3600.0


@dataclass(frozen=True, slots=True)
class KeptCall:
    """``agent`` has the line; ``started`` is time.time(); ``sender`` and ``called`` as the caller's
    side told them."""

    call_id: str
    agent: str
    revision: int
    started: float
    sender: str = ""
    called: str = ""


class Kept:
    """The calls of one deployment file."""

    def __init__(self, file: Path, env: Mapping[str, str]) -> None:
        self._path = state_folder(env) / "calls" / f"{own_name(file)}.json"

    def write(self, calls: Iterable[KeptCall]) -> None:
        """Replace the file whole; without calls there is none. OSError."""
        rows = [asdict(call) for call in calls]
        if not rows:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            return
        write_whole(self._path, dumps({"pid": os.getpid(), "calls": rows}))

    def read(self, now: float) -> list[KeptCall]:
        """The calls of a process that is gone; none of one that still runs."""
        try:
            found: Any = loads(self._path.read_bytes())
            if _runs(found["pid"]):
                return []
            calls = [KeptCall(**row) for row in found["calls"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return [call for call in calls if now - call.started < OLDEST]


def _runs(pid: Any) -> bool:
    if not isinstance(pid, int) or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
