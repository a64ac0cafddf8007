"""Phone calls on the line, kept in a file: the next process takes them over by their ids.

A call lives at the service; the process that steers it may die. What it needs to go on stands in
one small file of each deployment, readable by its owner alone, since it holds callers' numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.codec import dumps, loads

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
        name = hashlib.sha256(os.fsencode(file.absolute())).hexdigest()[:16]
        self._path = state_folder(env) / "calls" / f"{file.stem[:40]}-{name}.json"

    def write(self, calls: Iterable[KeptCall]) -> None:
        """Replace the file whole; without calls there is none. OSError."""
        rows = [asdict(call) for call in calls]
        if not rows:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=self._path.parent)  # 0600
        try:
            with os.fdopen(number, "w", encoding="utf-8") as out:
                out.write(dumps({"pid": os.getpid(), "calls": rows}))
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

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


def state_folder(env: Mapping[str, str]) -> Path:
    """``RTRUN_STATE``, else where the system keeps the state of programs."""
    given = env.get("RTRUN_STATE")
    if given:
        return Path(given)
    base = env.get("XDG_STATE_HOME") or env.get("LOCALAPPDATA")
    home = env.get("HOME")
    return Path(base) / "rtrun" if base else Path(home or ".") / ".local" / "state" / "rtrun"


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
