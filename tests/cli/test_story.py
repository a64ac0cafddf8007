"""What is told, in which order, and what is only shown while it grows."""

from __future__ import annotations

from typing import Literal

import pytest

from runner.cli import reports, words
from runner.cli.story import Line, Story
from runner.core import events as e
from runner.errors import Problem
from runner.model.deployment import Change

pytestmark = pytest.mark.quick

CHANGE = (Change("agents.desk.instructions", "next"),)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def story(*, hold: bool = True) -> Story:
    return Story(hold=hold, clock=Clock())


def told(story: Story, *events: e.SessionEvent) -> list[str]:
    return [text for event in events for text in lines(story.handle("c", event))]


def lines(lines: list[Line]) -> list[str]:
    return [plain(line) for line in lines]


def plain(line: Line) -> str:
    return " | ".join(
        part for part in (line.mark, line.label, line.text, line.aside, *line.below) if part
    )


def growing(story: Story) -> list[str]:
    return [f"{line.label} | {line.text}" for line in story.growing]


def test_an_answer_grows_then_stands_with_its_time() -> None:
    s = story()
    assert told(s, e.Transcript("user", "u1", "Hours?")) == ["caller | Hours?"]
    told(s, e.AgentStart("desk", "r1"), e.TranscriptDelta("assistant", "a1", "We are "))
    assert s.status == "thinking"
    told(s, e.AudioStart("desk", "r1", "a1"), e.TranscriptDelta("assistant", "a1", "open."))
    assert s.status == "agent speaks"
    assert growing(s) == ["agent | We are open."]
    assert told(s, e.Transcript("assistant", "a1", "We are open.")) == []
    assert growing(s) == ["agent | We are open."]
    assert told(s, e.TurnEnd("r1", 420.0, 900.0)) == [
        "agent | We are open. | 0.42 s to the first sound"
    ]
    assert growing(s) == []
    assert s.status == "listening"
    told(s, e.Transcript("assistant", "a2", "Yes."))
    assert told(s, e.TurnEnd("r2", 80.0, 900.0)) == ["agent | Yes. | 80 ms"]


def test_without_holding_each_line_comes_at_once() -> None:
    s = story(hold=False)
    assert told(s, e.Transcript("assistant", "a1", "Yes.")) == ["agent | Yes."]
    assert told(s, e.TurnEnd("r1", 1234.0, 900.0)) == ["1.2 s to the first sound"]
    assert told(s, e.TurnEnd("r2", None, 0.0)) == []


def test_a_cut_is_marked_with_what_was_heard() -> None:
    s = story()
    told(s, e.Transcript("assistant", "a1", "I have nine, or half past ten."))
    told(s, e.Interrupted("desk", "a1", 1240))
    told(s, e.Transcript("assistant", "a1", "I have nine,"))
    assert told(s, e.TurnEnd("r1", 500.0, 1240.0)) == [
        "agent | I have nine, | cut after 1.2 s, 0.50 s to the first sound"
    ]
    # Cut before its text was whole, and with the text out already.
    told(s, e.TranscriptDelta("assistant", "a2", "On Wednes"), e.Interrupted("desk", "a2", 90))
    assert told(s, e.TurnEnd("r2", None, 90.0)) == ["agent | On Wednes… | cut after 90 ms"]
    assert told(s, e.Interrupted("desk", "a2", 90)) == ["cut after 90 ms"]


def test_a_cut_without_holding_is_told_at_once() -> None:
    s = story(hold=False)
    told(s, e.TranscriptDelta("assistant", "a1", "On Wednes"))
    assert told(s, e.Interrupted("desk", "a1", 700)) == ["agent | On Wednes… | cut after 0.70 s"]


def test_an_answer_that_never_ended_is_told() -> None:
    s = story()
    told(s, e.TranscriptDelta("assistant", "a1", "On Wednes"))
    assert told(s, e.TurnEnd("r1", None, 0.0)) == ["agent | On Wednes…"]
    told(s, e.TranscriptDelta("user", "u1", "Good b"))
    assert [plain(x) for x in s.report(reports.SessionEnd("c", "stopped"))] == ["caller | Good b…"]


def test_late_recognition_stands_before_the_answer() -> None:
    s = story()
    told(s, e.Transcript("assistant", "a1", "We are open."))
    assert told(s, e.Transcript("user", "u1", "Hours?")) == ["caller | Hours?"]
    assert told(s, e.TurnEnd("r1", None, 1.0)) == ["agent | We are open."]


def test_tools_and_handoffs_come_after_what_was_said_before_them() -> None:
    s = story()
    told(s, e.Transcript("assistant", "a1", "One moment."))
    assert told(s, e.ToolStart("desk", "find", "c1", '{"day": "Tuesday", "n": 2}')) == [
        "agent | One moment.",
        'tool | find(day="Tuesday", n=2)',
    ]
    assert told(s, e.ToolStart("desk", "rate", "c2", "no json")) == ["tool | rate(no json)"]
    assert told(s, e.ToolEnd("desk", "find", "c1", '["9:00"]')) == ['find → ["9:00"]']
    assert told(s, e.ToolEnd("desk", "rate", "c2", "")) == ["→ (nothing)"]
    assert told(s, e.Handoff("desk", "billing")) == ["handoff | desk → billing"]
    assert s.agent == "billing"
    assert told(s, e.SessionError("tool_failed", "no answer")) == [
        "error | no answer | tool_failed"
    ]


def test_a_question_to_an_operator_says_how_to_answer() -> None:
    s = story()
    told(s, e.Transcript("assistant", "a1", "I am booking it."))
    asked = e.ToolApproval("desk", "call_1", "book", '{"day": "Tuesday"}')
    assert told(s, asked) == [
        "agent | I am booking it.",
        'asks | book(day="Tuesday") needs your yes: rtrun approve call_1',
    ]
    (line,) = told(s, e.ToolApproval("desk", "x; rm -r \x1b[2J*", "book", "{}"))
    assert line == "asks | book() needs your yes: rtrun approve 'x; rm -r *'"
    (line,) = told(s, e.ToolApproval("desk", "call_2", "book", "{}", asks="caller"))
    assert line == "asks | the caller, whether book() may be done"


@pytest.mark.parametrize(
    ("check", "then", "words"),
    [
        ("output", "interrupt", "the answer was cut"),
        ("output", "say", "the answer was cut"),
        ("output", "message", "the answer was cut, and another is made"),
        ("output", "handoff", "the answer was cut, and another agent takes over"),
        ("input", "hang_up", "the caller was not answered, and the call is ended"),
        ("input", "interrupt", "the caller was not answered"),
        ("output", "log", "noted, nothing was done"),
    ],
)
def test_what_a_guardrail_did(check: Literal["input", "output"], then: str, words: str) -> None:
    event = e.GuardrailTripped("desk", "no-medical-advice", check, "i", "r", then)
    assert told(story(), event) == [f"guardrail | no-medical-advice, {words}"]


def test_a_line_that_is_lost_and_back() -> None:
    s = story()
    told(s, e.Transcript("assistant", "a1", "We are"))
    assert told(s, e.Connection("reconnecting", "no answer to a ping", lost=True)) == [
        "agent | We are",
        "line | lost (no answer to a ping), trying again",
    ]
    assert s.status == "no line"
    assert told(s, e.Connection("connected"), e.Reconnected(312.0)) == ["line | back after 0.31 s"]
    assert s.status == "listening"
    assert told(s, e.Connection("reconnecting")) == ["line | lost, trying again"]


def test_what_a_save_did() -> None:
    s = story()
    now = reports.ConfigApplied(1, CHANGE, 1, 0, 1, 38.4)
    assert [plain(x) for x in s.report(now)] == [
        "saved | applied in 38 ms: agents.desk.instructions from the next answer"
    ]
    assert [plain(x) for x in s.report(reports.ConfigPending(2, "c"))] == [
        "saved | waits for the end of this sentence"
    ]
    held = reports.ConfigApplied(2, CHANGE, 0, 1, 1, 20.0)
    assert [plain(x) for x in s.report(held)] == ["agents.desk.instructions from the next answer"]
    later = reports.ConfigApplied(2, CHANGE, 1, 0, 1, 2300.0, "c")
    assert [plain(x) for x in s.report(later)] == ["saved | applied, 2.3 s after the save"]
    many = reports.ConfigApplied(3, CHANGE, 48, 2, 50, 61.0)
    assert "(48 of 50 calls, 2 after their sentence)" in plain(s.report(many)[0])


def test_a_refused_save_shows_where_and_not_everything() -> None:
    problem = Problem("a.yaml", 5, 3, "agents.x", "unknown key", "did you mean y?", "  x: 1")
    (line,) = story().report(reports.ConfigRejected((problem,) * 5))
    assert line.text == "not applied; the version before stays"
    assert line.below[:3] == (
        "a.yaml:5:3: agents.x: unknown key (did you mean y?)",
        "      x: 1",
        "      ^",
    )
    assert line.below[-1] == "and 2 more"


def test_the_summary_has_four_lines() -> None:
    s = story()
    assert s.tally.lines() == []
    s.report(reports.SessionStart("c", "desk"))
    told(s, e.TurnEnd("r0", None, 900.0), e.TurnEnd("r1", 400.0, 1.0), e.TurnEnd("r2", 600.0, 1.0))
    told(s, e.Interrupted("desk", "a", 3), e.ToolStart("desk", "find", "c1", "{}"))
    s.report(reports.ConfigApplied(1, CHANGE, 0, 1, 1, 3.0))
    s.report(reports.ConfigApplied(1, CHANGE, 1, 0, 1, 900.0, "c"))
    s.report(reports.ConfigRejected(()))
    assert isinstance(s.clock, Clock)
    s.clock.now += 102
    s.report(reports.SessionEnd("c", "stopped"))
    s.clock.now += 50
    assert s.tally.lines() == [
        ("call", "1:42, stopped"),
        ("turns", "3, 1 cut short"),
        ("first audio", "median 0.50 s (0.40 s to 0.60 s)"),
        ("tools, edits", "1 tool call; 1 edit applied, 1 rejected"),
    ]


def tokens(usage: dict[str, int], cost: float | None = None) -> tuple[str, str]:
    s = story()
    s.report(reports.SessionStart("c", "desk"))
    s.report(reports.SessionEnd("c", "stopped", usage, cost))
    return s.tally.lines()[-1]


def test_the_summary_tells_tokens_and_price_when_they_are_known() -> None:
    usage = {"input_tokens": 1204, "input_audio": 820, "output_tokens": 310}
    assert tokens(usage, 0.0412) == ("tokens", "1,204 in (820 audio), 310 out; $0.04")
    more = {**usage, "input_image": 7, "cached_text": 300, "cached_audio": 40, "output_audio": 250}
    assert tokens(more, 0.00213) == (
        "tokens",
        "1,204 in (820 audio, 7 image, 340 cached), 310 out (250 audio); $0.0021",
    )
    assert tokens(usage) == ("tokens", "1,204 in (820 audio), 310 out")


def test_the_summary_tells_of_sound_that_was_lost() -> None:
    s = story()
    s.report(reports.SessionStart("c", "desk"))
    s.report(reports.SessionEnd("c", "stopped", sound={"underruns": 1, "dropped_ms": 40}))
    lost = "the speaker ran dry 1 time, 40 ms of the microphone dropped"
    assert s.tally.lines()[-1] == ("sound", lost)
    s.report(reports.SessionEnd("c", "stopped", sound={"overruns": 2}))
    assert s.tally.lines()[-1] == ("sound", "the microphone was read too late 2 times")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07text", "red text"),
        ("a\nb\tc\r\nd", "a b c d"),
        ("\x9b2Jgone\x00", "2Jgone"),
        ("abc\u202edcba", "abc dcba"),
        ("[bold]stays[/bold]", "[bold]stays[/bold]"),
    ],
)
def test_what_is_shown_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert words.clean(text) == shown


def test_times_for_people() -> None:
    assert [words.took(ms) for ms in (-1, 0.4, 38.4, 420, 994, 2340)] == [
        "0 ms", "0 ms", "38 ms", "0.42 s", "0.99 s", "2.3 s",
    ]  # fmt: skip
    assert [words.duration(s) for s in (0, 7.9, 65, 3723)] == ["0:00", "0:07", "1:05", "1:02:03"]
    assert words.call("f", '{"x": "' + "y" * 500 + '"}').endswith("…)")


def test_a_call_of_a_browser_that_ends_does_not_end_the_one_from_here() -> None:
    story = Story()
    story.report(reports.SessionStart("here"))
    story.report(reports.SessionStart("browser"))
    story.report(reports.SessionEnd("browser", "the page hung up"))
    assert story.status == "listening"
    assert story.tally.ended is None
    story.report(reports.SessionEnd("here", "input ended"))
    assert story.status == "ended"
    assert story.tally.ended is not None


def test_lines_of_two_calls_say_of_which_they_are() -> None:
    s = story()
    assert lines(s.report(reports.SessionStart("here", "desk"))) == []
    assert lines(s.handle("here", e.Transcript("user", "u1", "Hours?"))) == ["caller | Hours?"]
    s.handle("here", e.Transcript("assistant", "a1", "Nine to five."))
    assert lines(s.report(reports.SessionStart("page", "desk", "a browser"))) == [
        "#2 | call | from a browser; desk answers | #1 is the call from here"
    ]
    s.handle("page", e.Transcript("assistant", "b1", "Hello."))
    assert [(line.mark, line.text) for line in s.growing] == [
        ("#1", "Nine to five."),
        ("#2", "Hello."),
    ]
    assert lines(s.handle("page", e.TurnEnd("r", None, 900.0))) == ["#2 | agent | Hello."]
    assert [call.status for call in s.live] == ["thinking", "listening"]
    assert lines(s.handle("here", e.TurnEnd("r", None, 900.0))) == ["#1 | agent | Nine to five."]
    assert isinstance(s.clock, Clock)
    s.clock.now += 61
    assert lines(s.report(reports.SessionEnd("page", "the page hung up"))) == [
        "#2 | call | over after 1:01: the page hung up"
    ]
    assert lines(s.handle("here", e.Transcript("user", "u2", "Bye."))) == ["caller | Bye."]


def test_a_run_that_waits_for_a_phone_says_so_between_its_calls() -> None:
    s = story()
    s.report(reports.Ready({}, "local", "desk", waits="sip:desk@127.0.0.1:5060"))
    assert (s.status, s.waits) == ("waiting", "sip:desk@127.0.0.1:5060")
    for call in ("a", "b"):
        s.report(reports.SessionStart(call, "desk", "a phone"))
        assert s.status == "listening"
        s.report(reports.SessionEnd(call, "the caller hung up", {"input_tokens": 5}))
        assert s.status == "waiting"
    assert s.tally.lines()[0] == ("calls", "2 in 0:00")
    assert s.tally.lines()[-1] == ("tokens", "10 in, 0 out")
    s.handle("c", e.Connection("connecting"))
    s.handle("c", e.Connection("disconnected"))
    assert s.status == "waiting", "a call that never came about"
