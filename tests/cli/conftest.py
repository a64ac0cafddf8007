"""Every test of the command has a place for control sockets of its own: it sees no processes but
its own, and no other test sees those."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
from support.doors import places


@pytest.fixture(autouse=True)
def runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    tmp_path_factory.getbasetemp()  # where pytest's own folders are is settled by now
    with places() as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield
