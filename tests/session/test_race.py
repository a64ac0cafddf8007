"""No answer that was asked for is lost in a race, and none comes twice: a tenth of the seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from support import race
from support.engine import Serving, serving, speech_models


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving(race.Slow(), speech_models()) as running:
        yield running


def test_every_answer_comes_though_others_ask_too(server: Serving) -> None:
    """Defect 1: the SDK takes another's response.created for its own, and loses its request."""

    async def main() -> int:
        return sum([await race.typed(seed, server) for seed in range(100)])

    assert asyncio.run(main()) > 10, "the requests did not collide"


def test_every_answer_comes_though_the_caller_ends_a_sentence(server: Serving) -> None:
    async def main() -> None:
        for seed in range(4):  # whether they collide is up to the machine
            await race.aloud(seed, server)

    asyncio.run(main())
