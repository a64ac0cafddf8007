"""Which ends are renewed, which refusals are final, and how long a caller is made to wait."""

from __future__ import annotations

from itertools import islice

import pytest

from runner.errors import ConnectError, UserError
from runner.renewal import (
    BUDGET_SECONDS,
    FIRST_PAUSE,
    HEALTHY_SECONDS,
    LONGEST_PAUSE,
    Patience,
    hopeless,
    pauses,
    renewable,
)
from runner.transports.base import Closed

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 1015])
def test_accidents_are_renewed(code: int) -> None:
    assert renewable(Closed("", code))


@pytest.mark.parametrize("code", [1000, 1002, 1003, 1007, 1008, 1009, 4000, 4401])
def test_goodbyes_and_refusals_are_not(code: int) -> None:
    assert not renewable(Closed("", code))


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (ConnectError("", status=400), True),
        (ConnectError("", status=401), True),
        (ConnectError("", status=403), True),
        (ConnectError("", status=404), True),
        (ConnectError("", status=408), False),
        (ConnectError("", status=429), False),
        (ConnectError("", status=500), False),
        (ConnectError("", status=503), False),
        (ConnectError("", code=1008), True),
        (ConnectError("", code=4001), True),
        (ConnectError("", code=1011), False),
        (ConnectError("nobody answers"), False),
        (UserError("no key just now"), False),
        (RuntimeError("a program's own"), False),
    ],
)
def test_a_refusal_is_final_or_passes(error: Exception, final: bool) -> None:
    assert hopeless(error) is final


def test_the_first_try_does_not_wait_and_later_ones_wait_longer_each_by_chance() -> None:
    for _ in range(50):
        first, *rest = islice(pauses(), 12)
        assert first == 0
        pause = FIRST_PAUSE
        for found in rest:
            assert pause * 0.5 <= found <= pause * 1.5
            pause = min(LONGEST_PAUSE, pause * 2)
    assert len({tuple(islice(pauses(), 3)) for _ in range(20)}) == 20


def test_a_line_that_lived_earns_a_fresh_budget() -> None:
    patience = Patience()
    patience.pause()
    patience.waited(15)
    patience.lost(HEALTHY_SECONDS - 1)
    assert patience.left == BUDGET_SECONDS - 15
    assert patience.pause() > 0
    patience.lost(HEALTHY_SECONDS)
    assert patience.left == BUDGET_SECONDS
    assert patience.pause() == 0
