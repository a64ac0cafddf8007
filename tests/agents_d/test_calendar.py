"""The receptionist's own tools: a calendar on this machine."""

from __future__ import annotations

import concurrent.futures
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.deployments import ROOT

from runner.config.load import load
from runner.tools.python import load as load_tool

pytestmark = pytest.mark.quick

#: A Monday.
NOW = datetime(2026, 11, 23, 10, 10)
TUESDAY, SATURDAY, SUNDAY = "2026-11-24", "2026-11-28", "2026-11-29"


@pytest.fixture
def calendar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    deployment = load(ROOT / "agents.d" / "receptionist.yaml", env={}).deployment
    module: Any = load_tool(deployment.tools["find_slots"]).function.__globals__
    monkeypatch.setenv("RTRUN_STATE", str(tmp_path / "state"))
    monkeypatch.setitem(module, "_now", lambda: NOW)

    class Calendar:
        free = staticmethod(module["_free"])
        find = staticmethod(module["find_slots"])
        book = staticmethod(module["book_slot"])

    return Calendar


def first_free(calendar: Any, day: str) -> time:
    slot: time = calendar.free(date.fromisoformat(day))[0]
    return slot


def test_slots_follow_from_the_date(calendar: Any) -> None:
    assert calendar.find(TUESDAY) == calendar.find(date(2026, 11, 24)) == calendar.find(TUESDAY)
    assert calendar.find(TUESDAY).startswith("On Tuesday, November 24 we have ")
    free = calendar.free(date(2026, 11, 24))
    assert all(time(8) <= slot < time(18) for slot in free)
    assert all(not time(12) <= slot < time(13) for slot in free)
    assert all(time(9) <= slot < time(13) for slot in calendar.free(date(2026, 11, 28)))
    assert 5 <= len(free) <= 18


def test_parts_of_a_day(calendar: Any) -> None:
    morning = calendar.find(TUESDAY, "morning")
    assert "in the morning" in morning
    assert " pm" not in morning
    assert " am" not in calendar.find(TUESDAY, "afternoon")
    assert "nothing free" in calendar.find(SATURDAY, "afternoon") or "12" in calendar.find(
        SATURDAY, "afternoon"
    )


def test_days_without_appointments(calendar: Any) -> None:
    assert calendar.find(SUNDAY) == (
        "We are closed on Sunday, November 29. The next free day is Monday, November 30."
    )
    assert "closed on Friday, December 25" in calendar.find("2026-12-25")
    assert calendar.find("2026-11-22") == (
        "Sunday, November 22 has passed; today is Monday, November 23."
    )
    assert "at most 6 months ahead" in calendar.find("2027-12-01")


def test_today_only_what_is_still_ahead(calendar: Any) -> None:
    assert all(slot > NOW.time() for slot in calendar.free(NOW.date()))


def test_a_booking_takes_the_slot(calendar: Any) -> None:
    slot = first_free(calendar, TUESDAY)
    said = calendar.book(TUESDAY, f"{slot:%H:%M}", "Ann Lee")
    assert said.startswith("You are booked for Tuesday, November 24 at ")
    assert said.endswith(", Ann Lee.")
    assert slot not in calendar.free(date(2026, 11, 24))
    # Asked again for the same person it is the same booking; for another it is taken.
    assert calendar.book(TUESDAY, f"{slot:%H:%M}", "ann lee").startswith("You are booked")
    other = calendar.book(TUESDAY, f"{slot:%H:%M}", "Bob")
    assert " is not free. On that day we have " in other


def test_a_time_outside_the_hours(calendar: Any) -> None:
    assert "6 am is not free" in calendar.book(TUESDAY, "06:00", "Ann")
    assert "is not free" in calendar.book(TUESDAY, "09:17", "Ann")
    assert "closed" in calendar.book(SUNDAY, "09:00", "Ann")
    assert "name" in calendar.book(TUESDAY, "09:00", " ")


def test_times_as_a_model_may_write_them(calendar: Any) -> None:
    slot = first_free(calendar, TUESDAY)
    for text in (f"{slot:%H:%M}", f"{slot:%H:%M}:00", f"2026-11-24T{slot:%H:%M}:00", slot):
        assert calendar.book("2026-11-24T00:00:00", text, "Ann").startswith("You are booked")


@pytest.mark.parametrize(("day", "at"), [("next week", "09:00"), (TUESDAY, "nine"), ("", "")])
def test_what_is_no_date_or_time(calendar: Any, day: str, at: str) -> None:
    with pytest.raises(ValueError, match=r"is no (date|time) such as"):
        calendar.book(day, at, "Ann")


def test_one_slot_has_one_winner(calendar: Any) -> None:
    slot = f"{first_free(calendar, TUESDAY):%H:%M}"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda i: calendar.book(TUESDAY, slot, f"P{i}"), range(8)))
    assert sum(text.startswith("You are booked") for text in said) == 1


def test_every_day_ahead_has_an_answer(calendar: Any) -> None:
    for ahead in range(120):
        said = calendar.find(str(NOW.date() + timedelta(days=ahead)))
        assert said.endswith(".")
        assert len(said) < 160


def test_the_tools_as_the_model_sees_them() -> None:
    deployment = load(ROOT / "agents.d" / "receptionist.yaml", env={}).deployment
    wire = {name: load_tool(spec).wire() for name, spec in deployment.tools.items()}
    book = wire["book_slot"]["parameters"]
    assert book["required"] == ["day", "time", "name"]
    assert book["properties"]["day"]["format"] == "date"
    assert book["properties"]["time"]["format"] == "time"
    assert all(p["description"] for p in book["properties"].values())
    assert wire["find_slots"]["description"] == "Find the free appointment times of one day."
