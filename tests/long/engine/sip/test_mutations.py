"""Messages of strangers, mutated: all seeds."""

from __future__ import annotations

from support.phones.mutations import strangers


def test_strangers_who_say_anything() -> None:
    assert sum(strangers(seed) for seed in range(600)) > 1000, "hardly any of them rang"
