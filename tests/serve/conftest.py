"""Every test here has a place for control sockets of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.doors import places


@pytest.fixture(autouse=True)
def runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """XDG_RUNTIME_DIR."""
    tmp_path_factory.getbasetemp()  # where pytest's own folders are is settled by now
    with places() as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tempfile, "tempdir", None)  # asked once, and remembered
        yield Path(env["XDG_RUNTIME_DIR"])
