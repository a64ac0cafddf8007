"""Which deployment takes a call, by which rule: numbers, headers, hours."""

from __future__ import annotations

from datetime import datetime

import pytest

from runner.model.phone import (
    NOT_FOUND,
    NOT_NOW,
    CallRule,
    Incoming,
    chosen,
    clash,
    hours,
    like,
    party,
)
from runner.model.secret import Secret

pytestmark = pytest.mark.quick

MONDAY_NOON = datetime(2026, 11, 23, 12, 0)


def ring(to: str = "+15550100", sender: str = "+15559999", **more: str) -> Incoming:
    headers = [("From", f'"A" <sip:{sender}@x>;tag=1'), ("To", f"<sip:{to}@y;user=phone>")]
    return Incoming("rtc_1", (*headers, *((k.replace("_", "-"), v) for k, v in more.items())))


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("<sip:+15550100@host;user=phone>;tag=1", "+15550100"),
        ('"Ann <sip:evil@x>" <sip:+1555@host>', "+1555"),
        ("tel:+1-555-0100;phone-context=x", "+1-555-0100"),
        ("sip:proj_1@sip.api.openai.com;transport=tls", "proj_1"),
        ("<sips:ann%20lee@host>", "ann lee"),
        ("<sip:a%0d%0aX@host>", "aX"),
        ("Anonymous", "Anonymous"),
        ("", ""),
        ("<sip:" + "9" * 500 + "@x>", "9" * 128),
    ],
)
def test_the_party_of_an_address(address: str, user: str) -> None:
    assert party(address) == user


def test_numbers_are_compared_without_what_groups_their_digits() -> None:
    assert like("+1 (555) 0100", "+15550100")
    assert like("+1555*", "+15550100")
    assert like("Agent", "agent")
    assert not like("+1555", "+15550100")
    assert not like("+1[5]50100", "+15550100")
    assert not like("a-b", "ab")  # a name is no number


def test_opening_hours() -> None:
    found = hours("mon-fri 08:00-18:00, sat 09:00-12:00, sun-mon 22:00-02:00")

    def at(day: int, clock: str) -> bool:
        hour, minute = map(int, clock.split(":"))
        return found.open(datetime(2026, 11, 22 + day, hour, minute))  # the 22nd is a Sunday

    assert [at(1, "07:59"), at(1, "08:00"), at(5, "17:59"), at(5, "18:00")] == [0, 1, 1, 0]
    assert [at(6, "09:00"), at(6, "12:00")] == [1, 0]
    assert [at(0, "21:59"), at(0, "22:00"), at(1, "01:59"), at(1, "02:00"), at(2, "01:00")] == [
        0, 1, 1, 0, 1
    ]  # fmt: skip
    assert hours("00:00-24:00").open(datetime(2026, 11, 22, 23, 59))


@pytest.mark.parametrize(
    "text",
    ["", "weekdays", "mon-fry 8:00-9:00", "mon 8-9", "mon 25:00-26:00", "8:00-9:00,", "8:60-9:00"],
)
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(ValueError, match=r"not|past"):
        hours(text)


def answered(behind: dict[str, list[CallRule]], call: Incoming) -> object:
    found = chosen([(name, rules, MONDAY_NOON) for name, rules in behind.items()], call)
    return found if isinstance(found, int) else (found[0], found[1].answer or found[1])


def test_the_first_rule_that_fits() -> None:
    rules = [
        CallRule(sender=("+1666*",), reject=603),
        CallRule(headers={"x-vip": Secret("yes")}, answer="vip"),
        CallRule(hours=hours("mon 08:00-12:00"), answer="morning"),
        CallRule(to=("+15550100", "+15550101"), answer="desk"),
    ]
    assert answered({"a": rules}, ring()) == ("a", "desk")
    assert answered({"a": rules}, ring(X_VIP="yes")) == ("a", "vip")
    assert answered({"a": rules}, ring(X_VIP="YES please")) == ("a", "desk")
    assert answered({"a": rules}, ring(sender="+16661")) == ("a", rules[0])
    assert answered({"a": rules}, ring(to="+1777")) == NOT_NOW
    assert answered({"a": rules[3:]}, ring(to="+1777")) == NOT_FOUND


def test_a_number_belongs_to_the_file_that_names_it() -> None:
    night = [CallRule(to=("+15550100",), hours=hours("22:00-06:00"), answer="night")]
    named = [CallRule(to=("+15550100",), answer="named")]
    assert answered({"all": [], "own": named}, ring()) == ("own", "named")
    assert answered({"own": named, "all": []}, ring(to="+1777"))[0] == "all"  # type: ignore[index]
    # Closed is closed: nobody else's agent takes it.
    assert answered({"all": [], "own": night}, ring()) == NOT_NOW


def test_two_files_that_answer_the_same_number() -> None:
    one, other = [CallRule(to=("+1 555 0100",))], [CallRule(to=("+15550101", "+15550100"))]
    assert clash(one, other) == (0, "+15550100")
    assert clash([CallRule(to=("+1555*",))], one) == (0, "+1555*")
    assert clash([], []) == (-1, "*")
    assert clash([], one) is None
    assert clash([CallRule(reject=603), *one], [CallRule(sender=("1",))]) == (0, "*")
    assert clash([CallRule(to=("1",))], [CallRule(to=("2",))]) is None
    # Two patterns, neither of which is a case of the other.
    assert clash([CallRule(to=("+1555*",))], [CallRule(to=("+1*0100",))]) == (0, "+1555*")
    assert clash([CallRule(to=("desk*",))], [CallRule(to=("*DESK",))]) == (0, "desk*")
    for theirs in ("+1666*", "*555", "+155"):
        assert clash([CallRule(to=("+1555*0",))], [CallRule(to=(theirs,))]) is None
