"""A call played to the live view, for a terminal to show. `python view_demo.py [talk|type|crash]`

`talk` plays a scripted call at a slow pace. `type` echoes typed turns until Ctrl-D while news keep
coming in. `crash` ends by an exception. All end as a run does: the view closed, a summary.
"""

from __future__ import annotations

import asyncio
import sys

from runner.cli import reports
from runner.cli.view import LiveView
from runner.core import events as e
from runner.errors import Problem
from runner.model.deployment import Change
from runner.tasks import Supervisor

PROBLEM = Problem(
    file="agents.d/receptionist.yaml",
    line=9,
    column=5,
    path="agents.front_desk.instrctions",
    message="unknown key",
    hint="did you mean instructions?",
    source="    instrctions: You are the front desk of Northwind Dental.",
)
ANSWER = "We are open from eight to five, Monday to Friday, and on Saturday until noon."
CHANGE = (Change("agents.front_desk.instructions", "next"),)


def begin(view: LiveView) -> None:
    view.report(
        reports.Ready({"engine": "ws://127.0.0.1:4711/v1/realtime"}, "local", "receptionist")
    )
    view.report(reports.SessionStart("call_1", "front_desk"))


async def talk(view: LiveView, pause: float) -> None:
    async def tell(*events: e.SessionEvent) -> None:
        for event in events:
            view.handle("call_1", event)
            await asyncio.sleep(pause)

    begin(view)
    await tell(
        e.SpeechStarted("u1", 0),
        e.SpeechStopped("u1", 900),
        e.TranscriptDelta("user", "u1", "What are your"),
        e.AgentStart("front_desk", "r1"),
        e.AudioStart("front_desk", "r1", "a1"),
        e.Transcript("user", "u1", "What are your opening hours?"),
        *(e.TranscriptDelta("assistant", "a1", word + " ") for word in ANSWER.split()),
        e.Transcript("assistant", "a1", ANSWER),
        e.TurnEnd("r1", 420.0, 3200.0),
    )
    view.report(reports.ConfigPending(1, "call_1"))
    view.report(reports.ConfigApplied(1, CHANGE, 0, 1, 1, 41.0))
    await asyncio.sleep(pause)
    view.report(reports.ConfigApplied(1, CHANGE, 1, 0, 1, 2300.0, "call_1"))
    view.report(reports.ConfigApplied(2, CHANGE, 1, 0, 1, 38.0))
    view.report(reports.ConfigRejected((PROBLEM,)))
    await tell(
        e.Transcript("user", "u2", "Can I come on Tuesday?"),
        e.AgentStart("front_desk", "r2"),
        e.ToolStart("front_desk", "find_slots", "c1", '{"day": "Tuesday", "count": 2}'),
        e.ToolEnd("front_desk", "find_slots", "c1", '["09:00", "10:30"] \x1b[2J[bold]'),
        e.AudioStart("front_desk", "r3", "a2"),
        e.TranscriptDelta("assistant", "a2", "I have nine, or half past ten, or"),
        e.SpeechStarted("u3", 9000),
        e.Interrupted("front_desk", "a2", 1240),
        e.Transcript("assistant", "a2", "I have nine, or half"),
        e.TurnEnd("r3", 510.0, 1240.0),
        e.Transcript("user", "u3", "Nine is fine, and put me through to billing."),
        e.Handoff("front_desk", "billing"),
        e.SessionError("tool_failed", "invoices did not answer in 4 s"),
    )
    view.report(reports.Warn("the microphone is gone\nthe call goes on"))
    await asyncio.sleep(pause * 10)
    view.report(reports.SessionEnd("call_1", "stopped"))


async def type_(view: LiveView) -> None:
    begin(view)
    view.prompt()
    lines = view.lines()
    assert lines is not None

    async def news() -> None:
        for n in range(10_000):
            await asyncio.sleep(0.05)
            view.report(reports.ConfigApplied(n + 1, CHANGE, 1, 0, 1, 38.0))

    tasks = Supervisor(lambda name, error: None)
    if "noise" in sys.argv:
        tasks.spawn(news(), "news")
    number = 0
    async for line in lines:
        number += 1
        view.handle("call_1", e.Transcript("user", f"u{number}", line))
        view.handle("call_1", e.Transcript("assistant", f"a{number}", f"You said: {line}"))
        view.handle("call_1", e.TurnEnd(f"r{number}", 200.0 + number, 900.0))
        view.prompt()
    await tasks.close()
    view.report(reports.SessionEnd("call_1", "input ended"))


async def main() -> None:
    view = LiveView()
    what = sys.argv[1] if len(sys.argv) > 1 else "talk"
    try:
        if what == "type":
            await type_(view)
        else:
            await talk(view, 0.02 if what == "crash" else 0.06)
        if what == "crash":
            raise RuntimeError("a crash")
    finally:
        view.close()


if __name__ == "__main__":
    asyncio.run(main())
