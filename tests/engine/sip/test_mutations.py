"""Messages of strangers, mutated: no error, no call that stays, a call that runs does not notice.
A tenth of the seeds; tests/long has all of them."""

from __future__ import annotations

import pytest
from support.phones.mutations import strangers

pytestmark = pytest.mark.quick


def test_strangers_who_say_anything() -> None:
    assert sum(strangers(seed) for seed in range(60)) > 100, "hardly any of them rang"
