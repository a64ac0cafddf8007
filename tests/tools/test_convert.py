from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, NewType, TypedDict

import pytest

from runner.tools.convert import convert

pytestmark = pytest.mark.quick


class Size(enum.Enum):
    SMALL = "s"


@dataclass
class Guest:
    name: str
    born: date
    size: Size = Size.SMALL


class Stay(TypedDict):
    nights: int


GuestId = NewType("GuestId", int)


@pytest.mark.parametrize(
    ("value", "hint", "wanted"),
    [
        ("x", str, "x"),
        (5, str, "5"),
        (5, int, 5),
        (5.0, int, 5),
        ("5", int, 5),
        (5, float, 5.0),
        ("5.5", float, 5.5),
        (True, bool, True),
        (7, GuestId, 7),
        ("2026-03-01", date, date(2026, 3, 1)),
        ("2026-03-01T09:30", datetime, datetime(2026, 3, 1, 9, 30)),
        ("09:30", time, time(9, 30)),
        ("s", Size, Size.SMALL),
        ("a", Literal["a"], "a"),
        (None, int | None, None),
        ("2026-03-01", date | None, date(2026, 3, 1)),
        ("5", int | str, "5"),
        (5, int | str, 5),
        (["1", 2], list[int], [1, 2]),
        ([1, 1], set[int], {1}),
        (["s"], tuple[Size, ...], (Size.SMALL,)),
        ([1, "x"], tuple[int, str], (1, "x")),
        ([1, "x"], list, [1, "x"]),
        ({"a": "2026-03-01"}, dict[str, date], {"a": date(2026, 3, 1)}),
        ({"nights": "2"}, Stay, {"nights": 2}),
        (
            {"name": "Ann", "born": "2000-01-01"},
            Guest,
            Guest("Ann", date(2000, 1, 1)),
        ),
        ({"any": ["thing"]}, Any, {"any": ["thing"]}),
        (3, Annotated[float, "words"], 3.0),
    ],
    ids=str,
)
def test_a_value_becomes_what_the_hint_promises(value: Any, hint: Any, wanted: Any) -> None:
    got = convert(value, hint)
    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize(
    ("value", "hint", "words"),
    [
        (None, str, "None is not text"),
        ("five", int, "'five' is not a whole number"),
        (5.5, int, "5.5 is not a whole number"),
        (True, int, "True is not a whole number"),
        ("yes", bool, "'yes' is not true or false"),
        ("Tuesday", date, "'Tuesday' is not a date such as 2026-03-01"),
        (5, date, "5 is not a date"),
        ("25:00", time, "'25:00' is not a time such as 09:30"),
        ("m", Size, "'m' is not one of 's'"),
        ("c", Literal["a", "b"], "'c' is not one of 'a', 'b'"),
        ("x", int | None, "'x' is not a whole number"),
        ("x", list[int], "'x' is not a list"),
        ([1], tuple[int, int], r"\[1\] does not have 2 entries"),
        ([], dict[str, int], r"\[\] is not an object"),
        ({"name": "Ann"}, Guest, "missing field born"),
        ({"name": "Ann", "born": "2000-01-01", "x": 1}, Guest, "unknown field 'x'"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told(value: Any, hint: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        convert(value, hint)
