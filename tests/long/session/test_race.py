"""No answer that was asked for is lost in a race, and none comes twice: all seeds."""

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
    async def main() -> int:
        return sum([await race.typed(seed, server) for seed in range(1000)])

    assert asyncio.run(main()) > 20, "the requests did not collide"


def test_every_answer_comes_though_the_caller_ends_a_sentence(server: Serving) -> None:
    async def main() -> int:
        return sum([await race.aloud(seed, server) for seed in range(40)])

    assert asyncio.run(main()) > 0, "the requests did not collide"
