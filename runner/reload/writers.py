"""Has somebody a file open for writing? Linux gives a read lease of those alone that nobody has."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterable
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def written(files: Iterable[Path]) -> bool | None:
    """True when one of ``files`` is being written, False when none is; None where that cannot be
    told: another system or file system, another user's file, a file that is gone."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    found = {_written(file) for file in files}
    if True in found:
        return True
    return False if found == {False} else None


def _written(file: Path) -> bool | None:
    try:
        lease = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Whoever opens it for writing just now waits until the lease is given back, and we get a
        # signal: one that does nothing, where the usual SIGIO would end the process.
        fcntl.fcntl(lease, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(lease)
    return False
