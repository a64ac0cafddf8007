"""The JSON log: one object a line on standard output, in the order in which things were seen."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from runner import codec
from runner.cli import reports
from runner.cli.discreet import UNSAID
from runner.cli.panel import Panel
from runner.core.events import (
    Connection,
    Dtmf,
    GuardrailTripped,
    Handoff,
    IdleTimeout,
    Interrupted,
    Reconnected,
    SessionError,
    SessionEvent,
    ToolApproval,
    ToolEnd,
    ToolStart,
    Transcript,
    Transfer,
    TurnEnd,
)
from runner.errors import Problem

#: Fields that hold what was said or done; left out when content is not to be logged.
_CONTENT = frozenset({"text", "arguments", "output", "key"})

#: JSON need not escape these, but what reads line by line may take them for the end of one.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class JsonLog:
    """``began`` is the time.monotonic() that ``t`` counts from, in seconds. Without ``content``
    the fields text, arguments, output and key are left out. Warnings go to ``err`` as text.
    ``of(name)`` writes the lines of one deployment into the same log."""

    def __init__(
        self,
        out: TextIO,
        began: float,
        *,
        content: bool = True,
        err: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        deployment: str = "",
    ) -> None:
        self._deployment = deployment
        self._out = out
        self._err = err or sys.stderr
        self._began = began
        self._content = content
        self._clock = clock
        self._reader_gone = False

    def of(self, deployment: str) -> JsonLog:
        return JsonLog(
            self._out,
            self._began,
            content=self._content,
            err=self._err,
            clock=self._clock,
            deployment=deployment,
        )

    def handle(self, session_id: str, event: SessionEvent) -> None:
        match event:
            case Transcript():
                if event.role in ("user", "assistant"):
                    self._line(
                        "transcript",
                        session_id,
                        role=event.role,
                        text=event.text,
                        item_id=event.item_id,
                    )
            case ToolStart():
                self._line(
                    "tool_start",
                    session_id,
                    name=event.name,
                    call_id=event.call_id,
                    arguments=event.arguments,
                    agent=event.agent,
                )
            case ToolEnd():
                self._line(
                    "tool_end",
                    session_id,
                    name=event.name,
                    call_id=event.call_id,
                    output=event.output,
                    agent=event.agent,
                )
            case Handoff():
                self._line(
                    "handoff", session_id, **{"from": event.from_agent, "to": event.to_agent}
                )
            case Interrupted():
                self._line(
                    "interrupted", session_id, heard_ms=event.heard_ms, item_id=event.item_id
                )
            case TurnEnd():
                self._line(
                    "turn_end",
                    session_id,
                    first_audio_ms=_ms(event.first_audio_ms),
                    played_ms=_ms(event.played_ms),
                    response_id=event.response_id,
                )
            case ToolApproval():
                server = {"server_label": event.server_label} if event.server_label else {}
                self._line(
                    "approval",
                    session_id,
                    name=event.name,
                    call_id=event.call_id,
                    arguments=event.arguments,
                    asks=event.asks,
                    kind=event.kind,
                    agent=event.agent,
                    **server,
                )
            case GuardrailTripped():
                self._line(
                    "guardrail",
                    session_id,
                    name=event.name,
                    check=event.check,
                    then=event.then,
                    item_id=event.item_id,
                    agent=event.agent,
                )
            case Dtmf():
                self._line("dtmf", session_id, key=event.key)
            case Transfer():
                failed = {"failed": event.failed} if event.failed else {}
                self._line("transfer", session_id, to=event.to, **failed)
            case IdleTimeout():
                self._line("idle_timeout", session_id, item_id=event.item_id)
            case Connection() if event.status == "reconnecting":
                self._line("connection", session_id, status=event.status, reason=event.reason)
            case Reconnected():
                self._line("reconnected", session_id, ms=_ms(event.ms))
            case SessionError():
                self._line(
                    "error",
                    session_id,
                    code=event.code,
                    message=event.message,
                    fatal=event.fatal,
                )
            case _:
                return

    def report(self, report: reports.Report) -> None:
        match report:
            case reports.Ready():
                self._line(
                    "ready",
                    None,
                    urls=dict(report.urls),
                    engine=report.engine,
                    deployment=report.deployment,
                )
            case reports.SessionStart():
                agent = {"agent": report.agent} if report.agent else {}
                self._line("session_start", report.session, **agent)
            case reports.SessionEnd():
                known: dict[str, Any] = {}
                if report.usage is not None:
                    known["usage"] = dict(report.usage)
                if report.cost is not None:
                    known["cost"] = round(report.cost, 4)
                if report.sound:
                    known["sound"] = dict(report.sound)
                self._line("session_end", report.session, reason=report.reason, **known)
            case reports.ConfigPending():
                self._line("config_pending", report.session, revision=report.revision)
            case reports.ConfigApplied():
                self._line(
                    "config_applied",
                    report.session,
                    revision=report.revision,
                    changes=[{"path": c.path, "class": c.reload} for c in report.changes],
                    sessions={
                        "applied": report.applied,
                        "pending": report.pending,
                        "total": report.total,
                    },
                    ms=_ms(report.ms),
                )
            case reports.ConfigRejected():
                errors = [_problem(p) for p in report.problems]
                self._line("config_rejected", report.session, errors=errors)
            case reports.Warn():
                name = f" {self._deployment}:" if self._deployment else ""
                print(f"rtrun:{name} {report.message}", file=self._err, flush=True)

    def prompt(self) -> None:
        """Nobody is asked."""

    def lines(self) -> None:
        """Standard input is read as it is."""

    def attend(self, panel: Panel) -> bool:
        """False: there are no keys here."""
        return False

    def close(self) -> None:
        """Each line is out already."""

    def _line(self, event: str, session: str | None, **fields: Any) -> None:
        row: dict[str, Any] = {"t": round(self._clock() - self._began, 3), "event": event}
        if session is not None:
            row["session"] = session
        if self._deployment:
            row["deployment"] = self._deployment
        row |= {
            key: value
            for key, value in fields.items()
            if key not in _CONTENT or (self._content and value is not UNSAID)
        }
        self._write(row)

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._reader_gone:
            return
        try:
            line = codec.dumps(row).translate(_LINE_ENDS).encode()
        except UnicodeEncodeError:  # half of a surrogate pair, from a model or a tool
            line = json.dumps(row).encode()
        try:
            # JSON is UTF-8, whatever the terminal's own encoding is.
            binary = getattr(self._out, "buffer", None)
            if binary is None:
                self._out.write(line.decode() + "\n")
            else:
                binary.write(line + b"\n")
            self._out.flush()
        except (BrokenPipeError, ValueError):
            self._reader_gone = True
            discard(self._out)


def discard(out: TextIO) -> None:
    """The reader of ``out`` has gone; calls go on. What Python still flushes at its end goes
    nowhere instead of failing."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, out.fileno())
        os.close(null)
    except (OSError, ValueError):
        return


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _problem(problem: Problem) -> Mapping[str, Any]:
    hint = f" ({problem.hint})" if problem.hint else ""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "code": problem.code,
        "message": problem.message + hint,
    }
