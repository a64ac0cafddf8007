"""docs/log.md has every line and every field of the JSON log, and no other."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.command import Command, Row
from support.engine import Puppet, last_words, serving

from runner.cli import reports
from runner.cli.jsonlog import JsonLog
from runner.core import events as e
from runner.engine.ports import Call, Prompt
from runner.errors import Problem
from runner.model.deployment import Change

PAGE = Path(__file__).parents[2] / "docs" / "log.md"
#: In every line that belongs to a call.
COMMON = frozenset({"t", "event", "session", "deployment"})
#: These speak of all calls, or of none.
OF_NO_CALL = frozenset({"ready", "config_rejected", "config_applied"})


@dataclass
class Told:
    """What the page says of one event."""

    fields: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    content: set[str] = field(default_factory=set)


def page() -> dict[str, Told]:
    told: dict[str, Told] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 3 or cells[0] in ("event", "---"):
            continue
        if cells[0]:
            now = told.setdefault(cells[0].strip("`"), Told())
            assert not cells[1], f"the event stands on a line of its own: {line}"
            continue
        match = re.fullmatch(r"`(\w+)`([?*]?)", cells[1])
        assert match, line
        now.fields.add(match[1])
        if match[2]:
            (now.optional if match[2] == "?" else now.content).add(match[1])
    return told


def check(rows: list[Row]) -> None:
    known = page()
    for row in rows:
        assert row["event"] in known, row
        told, keys = known[row["event"]], row.keys() - COMMON
        assert keys <= told.fields, row
        assert keys >= told.fields - told.optional, row
        assert "session" in row or row["event"] in OF_NO_CALL, row


def everything() -> Iterator[e.SessionEvent | reports.Report]:
    """One of each that makes a line, with all that it can hold."""
    yield reports.Ready({}, "local", "shop")
    yield reports.SessionStart("call_1", "desk")
    yield e.Transcript("user", "i", "said")
    yield e.TurnEnd("r", 1.0, 2.0)
    yield e.Interrupted("desk", "i", 3)
    yield e.ToolStart("desk", "t", "c", "{}")
    yield e.ToolEnd("desk", "t", "c", "done")
    yield e.ToolApproval("desk", "c", "t", "{}", "mcp", server_label="bank")
    yield e.GuardrailTripped("desk", "g", "output", "i", "r")
    yield e.Handoff("desk", "billing")
    yield e.Dtmf("4")
    yield e.Transfer("tel:+15550100", "busy")
    yield e.IdleTimeout("i")
    yield e.Connection("reconnecting", "it broke")
    yield e.Reconnected(3.0)
    yield reports.ConfigPending(1, "call_1")
    yield reports.ConfigApplied(1, (Change("a", "next"),))
    yield reports.ConfigRejected((Problem("f", 1, 1, "a", "m"),))
    yield e.SessionError("code", "words")
    yield reports.SessionEnd("call_1", "hung up", {"requests": 1}, 0.5, {"underruns": 1})


def written(*, content: bool) -> list[Row]:
    out = io.StringIO()
    log = JsonLog(out, 0.0, content=content)
    for one in everything():
        if isinstance(one, reports.Report):
            log.report(one)
        else:
            log.handle("call_1", one)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.quick
def test_the_page_has_every_line_and_every_field() -> None:
    rows = written(content=True)
    check(rows)
    assert {row["event"]: set(row) - COMMON for row in rows} == {
        name: told.fields for name, told in page().items()
    }


@pytest.mark.quick
def test_the_page_marks_what_is_content() -> None:
    known = page()
    for whole, bare in zip(written(content=True), written(content=False), strict=True):
        assert whole.keys() - bare.keys() == known[whole["event"]].content


@pytest.mark.quick
def test_all_that_a_session_and_a_run_tell_is_shown_or_left_out_on_purpose() -> None:
    silent = {
        e.AgentStart, e.AgentEnd, e.SpeechStarted, e.SpeechStopped, e.TranscriptDelta,
        e.AudioStart, e.AudioStopped, e.Audio, e.HistoryAdded, e.HistoryUpdated,
        e.McpCallCompleted, e.McpToolsChanged, e.Usage, e.RateLimits,
        e.SettingsPending, e.SettingsApplied, e.SettingsRefused,  # told as reports
        reports.Warn,  # goes to standard error
    }  # fmt: skip
    told = {type(one) for one in everything()}
    assert told | silent == {*e.SessionEvent.__args__, *reports.Report.__args__}


SHOP = """\
name: shop
transport: websocket
session: { output_modalities: [text] }
agents:
  desk:
    instructions: You are the front desk of a bicycle shop called Spokes.
    tools: [price]
    handoffs: [{ to: billing }]
  billing: { instructions: You answer questions about bills. }
tools:
  price: { python: "tools.py:price" }
guardrails: [{ name: rude, phrases: ["rude*"], then: log }]
"""


class Scripted(Puppet):
    def __init__(self) -> None:
        super().__init__()
        self.answer = self.act

    def act(self, prompt: Prompt) -> list[Any]:
        if prompt.items[-1]["type"] == "function_call_output":
            return ["So it is."]
        match last_words(prompt):
            case "price":
                return [Call("price", '{"what": "tyre"}')]
            case "billing":
                return [Call("transfer_to_billing", "{}")]
        return ["This is rude."]


def test_the_log_of_a_run_is_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def price(what: str) -> str:\n    return '12'\n")
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    with (
        serving(Scripted(), no_speech="typed") as engine,
        Command("run", str(file), "--engine", engine.url, "--text") as run,
    ):
        run.wait_for("session_start")
        for line in ("hello", "price", "billing"):
            run.type(line)
        run.wait_for("handoff")
        run.wait_for("turn_end")
        file.write_text(SHOP.replace("Spokes", "Wheels"))
        run.wait_for("config_applied")
        file.write_text(SHOP.replace("agents:", "agnets:"))
        run.wait_for("config_rejected")
        run.end_input()
        assert run.finish() == 0, run.story()
    check(run.rows)
    assert {row["event"] for row in run.rows} == {
        "ready", "session_start", "transcript", "turn_end", "tool_start", "tool_end", "guardrail",
        "handoff", "config_applied", "config_rejected", "session_end",
    }  # fmt: skip
    assert run.of("session_end")[0].keys() >= {"usage"}
