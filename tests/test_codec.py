"""Both branches of the codec, with and without orjson and pybase64, behave the same."""

from __future__ import annotations

import base64
import enum
import importlib.util
import json
import math
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import runner.codec

pytestmark = pytest.mark.quick

FAST = all(importlib.util.find_spec(name) for name in ("orjson", "pybase64"))


def _branch(block: bool) -> ModuleType:
    spec = importlib.util.spec_from_file_location("codec_under_test", Path(runner.codec.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    hidden = {name: sys.modules.get(name) for name in ("orjson", "pybase64")}
    if block:
        sys.modules.update(dict.fromkeys(hidden))  # None in sys.modules refuses the import
    try:
        spec.loader.exec_module(module)
    finally:
        if block:
            for name, was in hidden.items():
                if was is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = was
    return module


PLAIN = _branch(block=True)
#: With `rtrun[fast]` installed the second branch is tested beside the first.
BRANCHES = {"standard library": PLAIN} | ({"fast": _branch(block=False)} if FAST else {})


@pytest.fixture(params=BRANCHES.values(), ids=BRANCHES.keys())
def codec(request: pytest.FixtureRequest) -> Iterator[Any]:
    return request.param


def test_the_standard_branch_really_is_one() -> None:
    assert PLAIN.dumps.__module__ == "codec_under_test"
    assert not hasattr(PLAIN, "orjson")
    assert not hasattr(PLAIN, "pybase64")


def test_json_is_compact_and_not_escaped(codec: Any) -> None:
    assert codec.dumps({"a": [1, 2.5, None, True], "ä": "日本 🎧"}) == (
        '{"a":[1,2.5,null,true],"ä":"日本 🎧"}'
    )


def test_text_and_bytes_are_read_alike(codec: Any) -> None:
    assert codec.loads('{"x": "\\u00e4\\/"}') == codec.loads(b'{"x": "\\u00e4\\/"}') == {"x": "ä/"}


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, {"a": -math.inf}]])
def test_a_number_json_has_not_is_refused(codec: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"(?i)nan|inf|float"):
        codec.dumps(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
def test_an_object_of_some_class_is_refused(codec: Any, value: Any) -> None:
    with pytest.raises(TypeError):
        codec.dumps({"value": value})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nope",
        b"{",
        b'{"a":1}x',
        b"NaN",
        b"[Infinity]",
        b"\xff\xfe",
        b'"\xc3"',
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_refused(codec: Any, text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each branch has words of its own
        codec.loads(text)


class Size(enum.Enum):
    SMALL = "s"


@dataclass
class Slot:
    day: date
    at: time
    size: Size
    _note: str = "x"


def test_what_a_tool_may_return_has_its_usual_text(codec: Any) -> None:
    some = uuid.UUID(int=7)
    slot = Slot(date(2026, 3, 1), time(9, 30), Size.SMALL)
    assert json.loads(codec.dumps([slot, some, datetime(2026, 3, 1, 9, tzinfo=UTC)])) == [
        {"day": "2026-03-01", "at": "09:30:00", "size": "s", "_note": "x"},
        str(some),
        "2026-03-01T09:00:00+00:00",
    ]


def test_keys_and_integers_beyond_one_branch_are_in_both(codec: Any) -> None:
    assert codec.dumps({1: 2**70}) == f'{{"1":{2**70}}}'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_a_value_comes_back(value: Any) -> None:
    for module in BRANCHES.values():
        assert module.loads(module.dumps(value)) == value
        assert json.loads(module.dumps(value)) == value


@given(st.binary(max_size=200))
def test_bytes_come_back(data: bytes) -> None:
    """UT1: bytes to base64 and back."""
    for module in BRANCHES.values():
        text = module.b64encode(data)
        assert text == base64.b64encode(data).decode()
        assert module.b64decode(text) == module.b64decode(text.encode()) == data


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "A===", "A A=", "AA\n==", "AA-_", "AAAA=", "ä==="]
)
def test_what_is_no_base64_is_refused(codec: Any, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each branch has words of its own
        codec.b64decode(text)


@given(st.text("AQgw+/=- \n", max_size=9))
def test_the_branches_agree_on_base64(text: str) -> None:
    def outcome(module: Any) -> bytes | None:
        try:
            return bytes(module.b64decode(text))
        except ValueError:
            return None

    assert len({outcome(module) for module in BRANCHES.values()}) == 1
