"""A call survives the loss of its line: all seeds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import reconnect
from support.engine import Serving, serving, speech_models

from runner.engine.brain.rehearsal import Rehearsal


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving(Rehearsal(), speech_models()) as running:
        yield running


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("scene", reconnect.SCENES)
def test_the_call_goes_on_and_remembers(scene: str, seed: int, server: Serving) -> None:
    reconnect.run(scene, seed, server)
