"""Where a process keeps what the next one needs: calls on the line, messages not delivered yet."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def state_folder(env: Mapping[str, str]) -> Path:
    """``RTRUN_STATE``, else where the system keeps the state of programs."""
    given = env.get("RTRUN_STATE")
    if given:
        return Path(given)
    base = env.get("XDG_STATE_HOME") or env.get("LOCALAPPDATA")
    home = env.get("HOME")
    return Path(base) / "rtrun" if base else Path(home or ".") / ".local" / "state" / "rtrun"


def own_name(file: Path) -> str:
    """A name for what belongs to a deployment file, wherever it stands."""
    digest = hashlib.sha256(os.fsencode(file.absolute())).hexdigest()[:16]
    return f"{file.stem[:40]}-{digest}"


def write_whole(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner alone, or leave it as it was. OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    try:
        with os.fdopen(number, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
