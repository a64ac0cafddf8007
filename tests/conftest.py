"""What every test may use. Keep it small: helpers live in tests/support."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from support import matrix, noskips

# How long an example takes says what else the machine does.
settings.register_profile("rtrun", settings(), deadline=None)
settings.load_profile("rtrun")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(matrix.plugin, "conformance-matrix")
    if (strict := noskips.plugin()) is not None:
        config.pluginmanager.register(strict, "no-skips")


@pytest.fixture
def checker() -> Iterator[object]:
    """A judge of one Realtime session; at the end of the test nothing may be left open."""
    from support.conformance import Checker

    judge = Checker()
    yield judge
    if judge.session is not None:
        judge.end()
