"""Each line of the JSON log, as the contract has it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from runner.cli import reports
from runner.cli.jsonlog import JsonLog
from runner.core import events as e
from runner.errors import Problem
from runner.model.deployment import Change

pytestmark = pytest.mark.quick


class Clock:
    now = 10.0

    def __call__(self) -> float:
        return self.now


class Log:
    def __init__(self, **options: Any) -> None:
        self.out, self.err, self.clock = io.StringIO(), io.StringIO(), Clock()
        self.log = JsonLog(self.out, 8.5, err=self.err, clock=self.clock, **options)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def of(self, event: e.SessionEvent) -> dict[str, Any]:
        self.log.handle("call_1", event)
        row = self.rows[-1]
        assert row.pop("t") == 1.5
        assert row.pop("session") == "call_1"
        return row

    def told(self, report: reports.Report) -> dict[str, Any]:
        self.log.report(report)
        row = self.rows[-1]
        assert row.pop("t") == 1.5
        return row


@pytest.mark.parametrize(
    ("event", "row"),
    [
        (
            e.Transcript("user", "item_1", "Grüße"),
            {"event": "transcript", "role": "user", "text": "Grüße", "item_id": "item_1"},
        ),
        (
            e.ToolStart("desk", "find", "c1", '{"day":"Tuesday"}'),
            {
                "event": "tool_start",
                "name": "find",
                "call_id": "c1",
                "arguments": '{"day":"Tuesday"}',
                "agent": "desk",
            },
        ),
        (
            e.ToolEnd("desk", "find", "c1", "9:00"),
            {
                "event": "tool_end",
                "name": "find",
                "call_id": "c1",
                "output": "9:00",
                "agent": "desk",
            },
        ),
        (e.Handoff("desk", "billing"), {"event": "handoff", "from": "desk", "to": "billing"}),
        (
            e.Interrupted("desk", "item_2", 1240),
            {"event": "interrupted", "heard_ms": 1240, "item_id": "item_2"},
        ),
        (
            e.TurnEnd("r1", 420.123, 3200.06),
            {
                "event": "turn_end",
                "first_audio_ms": 420.1,
                "played_ms": 3200.1,
                "response_id": "r1",
            },
        ),
        (
            e.TurnEnd("r1", None, 0.0),
            {"event": "turn_end", "first_audio_ms": None, "played_ms": 0.0, "response_id": "r1"},
        ),
        (
            e.ToolApproval("desk", "c1", "book", '{"day":"Tuesday"}'),
            {
                "event": "approval",
                "name": "book",
                "call_id": "c1",
                "arguments": '{"day":"Tuesday"}',
                "asks": "operator",
                "kind": "function",
                "agent": "desk",
            },
        ),
        (
            e.ToolApproval("desk", "i1", "charge", "{}", "mcp", server_label="bank"),
            {
                "event": "approval",
                "name": "charge",
                "call_id": "i1",
                "arguments": "{}",
                "asks": "operator",
                "kind": "mcp",
                "agent": "desk",
                "server_label": "bank",
            },
        ),
        (
            e.GuardrailTripped("desk", "no-advice", "output", "item_3", "r2", "say", "diagnosis"),
            {
                "event": "guardrail",
                "name": "no-advice",
                "check": "output",
                "then": "say",
                "item_id": "item_3",
                "agent": "desk",
            },
        ),
        (e.IdleTimeout("item_4"), {"event": "idle_timeout", "item_id": "item_4"}),
        (
            e.Connection("reconnecting", "the connection broke"),
            {"event": "connection", "status": "reconnecting", "reason": "the connection broke"},
        ),
        (e.Reconnected(312.04), {"event": "reconnected", "ms": 312.0}),
        (
            e.SessionError("tool_failed", "no answer"),
            {"event": "error", "code": "tool_failed", "message": "no answer", "fatal": False},
        ),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_events_of_a_session(event: e.SessionEvent, row: dict[str, Any]) -> None:
    assert Log().of(event) == row


def test_what_is_no_news_for_a_log_is_left_out() -> None:
    log = Log()
    for event in (
        e.TranscriptDelta("user", "i", "a"),
        e.AgentStart("desk", "r"),
        e.Audio(b"", "r", "i"),
        e.Transcript("system", "i", "a notice"),
        e.HistoryUpdated(None),
        e.RateLimits(({"name": "tokens"},)),
        e.Connection("connecting"),
        e.Connection("connected"),
        e.Connection("disconnected", "hung up"),
        e.Usage("r", {}, {"requests": 1}),
    ):
        log.log.handle("call_1", event)
    assert log.rows == []


def test_reports_of_the_run() -> None:
    log = Log()
    change = Change("agents.desk.instructions", "next", "old text", "new text")
    assert log.told(reports.Ready({"engine": "ws://x"}, "local", "shop")) == {
        "event": "ready",
        "urls": {"engine": "ws://x"},
        "engine": "local",
        "deployment": "shop",
    }
    assert log.told(reports.SessionStart("call_1", "desk")) == {
        "event": "session_start",
        "session": "call_1",
        "agent": "desk",
    }
    assert log.told(reports.ConfigPending(3, "call_1")) == {
        "event": "config_pending",
        "session": "call_1",
        "revision": 3,
    }
    assert log.told(reports.ConfigApplied(3, (change,), 1, 2, 3, 38.04)) == {
        "event": "config_applied",
        "revision": 3,
        "changes": [{"path": "agents.desk.instructions", "class": "next"}],
        "sessions": {"applied": 1, "pending": 2, "total": 3},
        "ms": 38.0,
    }
    assert (
        log.told(reports.ConfigApplied(3, (change,), 1, 0, 1, 900, "call_1"))["session"] == "call_1"
    )
    problem = Problem("a.yaml", 5, 3, "agents.x", "unknown key", "did you mean y?", "  x: 1")
    assert log.told(reports.ConfigRejected((problem,))) == {
        "event": "config_rejected",
        "errors": [
            {
                "file": "a.yaml",
                "line": 5,
                "column": 3,
                "path": "agents.x",
                "code": "",
                "message": "unknown key (did you mean y?)",
            }
        ],
    }
    by_a_call = reports.ConfigRejected((problem,), session="call_1")
    assert log.told(by_a_call)["session"] == "call_1"
    assert log.told(reports.SessionEnd("call_1", "input ended")) == {
        "event": "session_end",
        "session": "call_1",
        "reason": "input ended",
    }


def test_tokens_and_price_stand_at_the_end_when_they_are_known() -> None:
    log = Log()
    usage = {"requests": 2, "input_tokens": 1204, "output_tokens": 310}
    row = log.told(reports.SessionEnd("call_1", "hung up", usage, 0.0412378))
    assert row["usage"] == usage
    assert row["cost"] == 0.0412
    row = log.told(reports.SessionEnd("call_1", "hung up", usage))
    assert row["usage"] == usage
    assert "cost" not in row


def test_warnings_go_to_standard_error() -> None:
    log = Log()
    log.log.report(reports.Warn("no microphone"))
    assert log.err.getvalue() == "rtrun: no microphone\n"
    assert log.rows == []


def test_without_content_nothing_said_or_done_is_in_it() -> None:
    log = Log(content=False)
    rows = [
        log.of(e.Transcript("user", "item_1", "my card is 4111")),
        log.of(e.ToolStart("desk", "pay", "c1", '{"card": "4111"}')),
        log.of(e.ToolEnd("desk", "pay", "c1", "4111 charged")),
        log.of(e.ToolApproval("desk", "c1", "pay", '{"card": "4111"}')),
        log.of(e.GuardrailTripped("desk", "cards", "output", "i", "r", "log", "4111")),
    ]
    assert "4111" not in log.out.getvalue()
    assert [row["event"] for row in rows] == [
        "transcript", "tool_start", "tool_end", "approval", "guardrail",
    ]  # fmt: skip
    assert rows[1]["name"] == "pay"


def test_line_ends_and_broken_characters_stay_within_one_line() -> None:
    log = Log()
    assert (
        log.of(e.Transcript("user", "i", "one\ntwo\u2028three\r"))["text"]
        == "one\ntwo\u2028three\r"
    )
    assert log.out.getvalue().count("\n") == 1
    half = io.TextIOWrapper(raw := io.BytesIO(), encoding="latin-1")
    JsonLog(half, 0.0).handle("call_1", e.Transcript("user", "i", "half \ud83d, whole 😀 \u2028"))
    assert json.loads(raw.getvalue().decode())["text"] == "half \ud83d, whole 😀 \u2028"


def test_a_reader_that_goes_away_ends_nothing() -> None:
    program = (
        "import sys; from runner.cli.jsonlog import JsonLog; from runner.cli import reports\n"
        "log = JsonLog(sys.stdout, 0.0)\n"
        "log.report(reports.SessionStart('a')); sys.stdin.readline()\n"
        "for n in range(5): log.report(reports.SessionStart('b'))\n"
        "print('still here', file=sys.stderr)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    _, errors = child.communicate(b"\n", timeout=30)
    assert errors == b"still here\n"
    assert child.returncode == 0
