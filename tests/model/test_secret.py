from __future__ import annotations

import copy
import json
import pickle

import pytest

from runner.codec import dumps
from runner.model.deployment import EngineSpec
from runner.model.secret import Secret

pytestmark = pytest.mark.quick

CANARY = "sk-canary-1234"


def test_a_secret_is_printed_nowhere() -> None:
    secret = Secret(CANARY)
    engine = EngineSpec(type="url", url="ws://h", api_key=secret, headers={"X-Key": secret})
    for text in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>20}",
        "{}".format(secret),  # noqa: UP032 - another way to print it
        "%s" % secret,  # noqa: UP031
        repr(engine),
        str([secret]),
    ):
        assert CANARY not in text
        assert "***" in text


def test_a_secret_is_written_nowhere() -> None:
    secret = Secret(CANARY)
    for write in (pickle.dumps, json.dumps, dumps, copy.copy):
        with pytest.raises(TypeError) as caught:
            write(secret)  # type: ignore[operator]
        assert CANARY not in str(caught.value)
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_told_when_asked() -> None:
    assert Secret(CANARY).reveal() == CANARY
    assert Secret(CANARY)
    assert not Secret("")
    assert Secret("ä") == Secret("ä")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
