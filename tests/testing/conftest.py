"""The engine that conversations are held with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.engine import Serving, serving, speech_models

from runner.desk import Address
from runner.engine.brain import make_brain
from runner.engines import Engine


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving(make_brain(), speech_models()) as running:
        yield running


@pytest.fixture
def engine(server: Serving) -> Engine:
    return Engine("local", Address(url=server.url, api_key="test"))
