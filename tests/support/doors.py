"""Control sockets of a test: a folder that no other test's processes are in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def places() -> Iterator[dict[str, str]]:
    """Environment variables that put control sockets into a folder of the test's own. Its path is
    short, whatever the test is called: a socket's path has 100 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="rt"))
    try:
        (folder / "run").mkdir()
        (folder / "tmp").mkdir()
        yield {"XDG_RUNTIME_DIR": str(folder / "run"), "TMPDIR": str(folder / "tmp")}
    finally:
        shutil.rmtree(folder)
