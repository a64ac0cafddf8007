"""Calls by WebRTC, dropped in every state: nothing of them stays. The full count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from support.engine import Puppet, Serving, serving, speech_models
from support.rtccalls import drop_all, left, memory, nothing_more, sometime


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), speech_models()) as running:
        yield running


def test_two_hundred_calls_leave_nothing(engine: Serving) -> None:
    asyncio.run(drop_all(engine, 100))
    before, used = left(engine), memory()
    asyncio.run(drop_all(engine, 200))
    nothing_more(engine, before)
    asyncio.run(drop_all(engine, 200, (sometime,)))
    nothing_more(engine, before)
    # It was 0.95 MB: caches of the standard library, and pieces of memory between others.
    assert memory() - used < 8_000_000
