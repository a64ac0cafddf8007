"""Tokens that work once, cookies that nobody can make, and a key that outlives the process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from runner.serve.console import entry as e


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_worth_one_cookie() -> None:
    door = e.Entry(b"k" * 32)
    token = door.token()
    assert door.spend("") is None
    assert door.spend(token + "x") is None
    assert door.spend("ä") is None
    cookie = door.spend(token)
    assert cookie is not None
    assert door.admits(cookie)
    assert door.spend(token) is None


def test_a_link_that_nobody_followed_is_worth_nothing_later() -> None:
    clock = Clock()
    door = e.Entry(b"k" * 32, clock)
    token = door.token()
    clock.now += e.TOKEN_LASTS
    assert door.spend(token) is None


def test_only_the_newest_links_count() -> None:
    door = e.Entry(b"k" * 32)
    tokens = [door.token() for _ in range(e.MOST_TOKENS + 1)]
    assert door.spend(tokens[0]) is None
    assert door.spend(tokens[1]) is not None


def test_a_cookie_ends_and_cannot_be_made_or_prolonged() -> None:
    clock = Clock()
    door = e.Entry(b"k" * 32, clock)
    cookie = door.spend(door.token())
    assert cookie is not None
    ends, nonce, mac = cookie.split(".")
    for forged in (
        "",
        ".",
        "..",
        "x",
        f"{int(ends) + 1}.{nonce}.{mac}",
        f"{ends}.{nonce}x.{mac}",
        f"{ends}.{nonce}.{mac}x",
        f"{ends}.{nonce}.",
        f"{ends}.{nonce}.ä",
    ):
        assert not door.admits(forged)
    assert not e.Entry(b"x" * 32, clock).admits(cookie)
    assert e.Entry(b"k" * 32, clock).admits(cookie), "the next process takes it"
    clock.now += e.LASTS
    assert not door.admits(cookie)


def test_the_key_is_kept_for_its_user_alone(runtime: Path) -> None:
    key = e.kept_key()
    assert e.kept_key() == key
    file = runtime / "rtrun" / "console.key"
    assert file.read_bytes() == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["console.key"]


def test_a_key_that_is_damaged_lets_nobody_in_by_it(runtime: Path) -> None:
    e.kept_key()
    (runtime / "rtrun" / "console.key").write_bytes(b"short")
    assert e.kept_key() != e.kept_key()
    assert len(e.kept_key()) == 32


@pytest.mark.parametrize(
    ("header", "found"),
    [("", ""), ("a=1; b=2", "2"), ("b=", ""), ("b", ""), ('b="x y"', "x y"), ("=;;b=3", "")],
)
def test_a_cookie_is_found_by_its_name(header: str, found: str) -> None:
    assert e.cookie_of({"cookie": header}, "b") == found
