from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.percall import NAMES, fill, join, now_text, system_zone, today_line

pytestmark = pytest.mark.quick

CALL = {"from": "+15551230100", "to": "+15551239999", "id": "call_1"}
AT = datetime(2026, 11, 23, 3, 51, tzinfo=UTC)


def test_fills_in_what_is_known_of_a_call() -> None:
    text = "You talk to ${call.from} on ${call.to} (${call.id}) at ${now}."
    assert fill(text, CALL, "noon") == "You talk to +15551230100 on +15551239999 (call_1) at noon."


def test_values_are_data() -> None:
    assert fill("Hi ${call.from}", {"from": "${call.id} $$ \\1"}, "") == "Hi ${call.id} $$ \\1"


def test_what_is_missing_is_nothing() -> None:
    assert fill("<${call.from}>", {}, "") == "<>"


def test_other_dollars_stay() -> None:
    assert fill("$5, $$5, ${x}, {call.from}", CALL, "") == "$5, $$5, ${x}, {call.from}"


literals = st.text(st.sampled_from("$${}abc.now callfrom"), max_size=12)
pieces = st.lists(
    st.one_of(
        st.tuples(literals, st.just(False)),
        st.tuples(st.sampled_from(NAMES), st.just(True)),
        st.sampled_from([("${now}", False), ("$", False), ("{call.from}", False)]),
    ),
    max_size=8,
)


@given(pieces)
def test_every_literal_comes_back_as_it_was(parts: list[tuple[str, bool]]) -> None:
    values = {"call.from": "F", "call.to": "T", "call.id": "I", "now": "N"}
    wanted = "".join(values[text] if placeholder else text for text, placeholder in parts)
    assert fill(join(parts), {"from": "F", "to": "T", "id": "I"}, "N") == wanted


def test_today_in_words() -> None:
    assert today_line("America/New_York", AT) == (
        "Today is Sunday, 22 November 2026; the time is 22:51 (America/New_York)."
    )
    assert today_line("UTC", AT) == "Today is Monday, 23 November 2026; the time is 03:51 (UTC)."
    assert today_line(None, AT) == ""
    assert now_text("America/New_York", AT) == "Sunday, 22 November 2026, 22:51"


def test_the_zone_of_this_machine() -> None:
    assert system_zone({"TZ": "Europe/Berlin"}) == "Europe/Berlin"
    assert system_zone({"TZ": ":Asia/Tokyo"}) == "Asia/Tokyo"
    assert system_zone({"TZ": "../../etc/passwd"}) == system_zone({})
    assert system_zone({})
