"""Rows and turns of a call, from events as a session tells them."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.events import (
    AgentEnd,
    AgentStart,
    AudioStart,
    Connection,
    GuardrailTripped,
    Handoff,
    HistoryAdded,
    Interrupted,
    Item,
    McpCallCompleted,
    Reconnected,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    ToolEnd,
    ToolStart,
    Transcript,
    TranscriptDelta,
    TurnEnd,
)
from runner.serve.console import story as s

pytestmark = pytest.mark.quick


class Told:
    def __init__(self, share: float | None = None) -> None:
        self.now = 100.0
        self.said: list[tuple[str, dict[str, Any]]] = []
        item = Item("i", "message", "assistant", heard_share=share)
        self.story = s.Story(lambda _: item, lambda *told: self.said.append(told), lambda: self.now)

    def hear(self, *events: Any) -> None:
        for event in events:
            if isinstance(event, float):
                self.now += event
            else:
                self.story.hear(event)

    def row(self, key: str) -> dict[str, Any]:
        return self.story.rows[key]


TEXT = "We are open from nine to five, and closed on Sunday."


def spoken(told: Told) -> None:
    told.hear(
        HistoryAdded(Item("i", "message", "assistant")),
        TranscriptDelta("assistant", "i", TEXT[:20]),
        TranscriptDelta("assistant", "i", TEXT[20:]),
    )


def test_a_text_grows_by_what_came_new() -> None:
    told = Told()
    spoken(told)
    assert [kind for kind, _ in told.said] == ["row", "delta", "delta"]
    told.hear(Transcript("assistant", "i", TEXT), TranscriptDelta("assistant", "i", "late"))
    assert told.row("i")["text"] == TEXT
    assert told.row("i")["done"]


def test_of_a_cut_answer_the_heard_part_ends_at_a_word() -> None:
    told = Told(share=0.5)
    spoken(told)
    told.hear(Interrupted("desk", "i", 1500))
    cut = told.row("i")["cut"]
    assert (cut["ms"], cut["about"]) == (1500, False)
    assert TEXT[: cut["heard"]] == "We are open from nine to"
    told.hear(Transcript("assistant", "i", TEXT))
    assert told.row("i")["text"] == TEXT


def test_where_the_service_plays_the_place_is_near_until_it_says_more() -> None:
    told = Told()
    spoken(told)
    told.hear(Interrupted("desk", "i", 1000))
    cut = told.row("i")["cut"]
    assert cut["about"]
    assert 0 < cut["heard"] <= 15
    told.hear(Transcript("assistant", "i", "We are open"))
    assert told.row("i")["text"] == TEXT
    assert (cut["heard"], cut["about"]) == (11, False)


def test_an_answer_that_was_cut_before_it_had_words() -> None:
    told = Told()
    told.hear(HistoryAdded(Item("i", "message", "assistant")), Interrupted("desk", "i", 0))
    assert told.row("i")["cut"] == {"ms": 0, "heard": 0, "about": True}
    told.hear(Interrupted("desk", "other", 0))


def test_a_tool_has_its_time_and_a_hosted_one_its_error() -> None:
    told = Told()
    told.hear(ToolStart("desk", "book", "c1", '{"day": 1}'), 0.25)
    assert told.row("tool:c1")["state"] == "runs"
    told.hear(ToolEnd("desk", "book", "c1", "booked"))
    assert (told.row("tool:c1")["ms"], told.row("tool:c1")["output"]) == (250, "booked")
    item = Item("m", "mcp_call", name="find", error={"message": "no"}, server_label="shop")
    told.hear(McpCallCompleted("desk", item))
    assert "no" in told.row("tool:m")["output"]


def test_what_happened_beside_the_words_is_marked() -> None:
    told = Told()
    told.hear(
        Handoff("desk", "billing"),
        GuardrailTripped("desk", "no-advice", "output", "i", "r"),
        Connection("reconnecting", "reset"),
        Reconnected(42.4),
        SessionError("bad", "it failed"),
        Connection("connected"),
    )
    rows = list(told.story.rows.values())
    assert [row["mark"] for row in rows] == [
        "handoff",
        "guardrail",
        "reconnecting",
        "reconnected",
        "error",
    ]
    told.story.forget("gone")
    assert [row["text"] for row in told.story.rows.values()] == ["gone"]


def test_a_long_call_keeps_its_newest_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "MOST_ROWS", 3)
    told = Told()
    for number in range(5):
        told.hear(Handoff("a", str(number)))
    assert told.story.lost_rows == 2
    assert len(told.story.rows) == 3


def test_a_turn_counts_from_the_callers_last_word() -> None:
    told = Told()
    told.hear(SpeechStarted("u", 0), 1.0, SpeechStopped("u", 900), 0.1)
    told.hear(HistoryAdded(Item("u", "message", "user")))
    told.hear(AgentStart("desk", "r1"), 0.1, ToolStart("desk", "find", "c", "{}"), 0.2)
    told.hear(ToolEnd("desk", "find", "c", "x"), AgentEnd("desk", "r1", "completed"))
    told.hear(AgentStart("desk", "r2"), 0.1, TranscriptDelta("assistant", "i", "On"), 0.1)
    # The caller's words ended 100 ms before the service could say so.
    told.hear(AudioStart("desk", "r2", "i"), 2.0, TurnEnd("r2", 700.0, 2000.0))
    (turn,) = told.story.turns.rows
    assert turn["asked"]
    assert (turn["begun"], turn["first_text"], turn["first_audio"]) == (200, 600, 700)
    assert (turn["end"], turn["played"]) == (2700, 2000)
    assert turn["tools"] == [{"name": "find", "from": 300, "to": 500}]


def test_a_typed_turn_counts_from_its_item_and_a_greeting_from_itself() -> None:
    told = Told()
    told.hear(AgentStart("desk", "r0"), 0.2, TranscriptDelta("assistant", "g", "Hi"))
    told.hear(AudioStart("desk", "r0", "g"), 1.0, TurnEnd("r0", None, 900.0))
    told.hear(5.0, HistoryAdded(Item("u", "message", "user", text="x")), 0.1)
    told.hear(AgentStart("desk", "r1"), TranscriptDelta("assistant", "i", "y"), 0.1)
    told.hear(TurnEnd("r1", None, 0.0))
    greeting, typed = told.story.turns.rows
    assert (greeting["asked"], greeting["first_audio"], greeting["end"]) == (False, 200, 1200)
    assert (typed["asked"], typed["begun"], typed["first_audio"]) == (True, 100, None)
