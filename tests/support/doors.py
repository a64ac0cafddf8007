"""Control sockets of a test: a folder that no other test's processes are in."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.serve.sockets import own_folder, socket_of


@contextmanager
def door(answer: Callable[[socket.socket], object], pid: int | None = None) -> Iterator[Path]:
    """A control socket where somebody answers in words of its own, one connection after the
    other. ``pid``: of the process that it says it is of, ours when left out."""
    path = socket_of(own_folder(), pid or os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            while True:
                try:
                    came, _ = listening.accept()
                except OSError:
                    return
                with came:
                    answer(came)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield path
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(20)


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
