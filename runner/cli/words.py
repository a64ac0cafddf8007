"""How things are said to a person: times, tool calls, what a save did. Plain strings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from runner.cli.reports import ConfigApplied, ConfigPending
from runner.config.diff import summary

_MODALITIES = ("text", "audio", "image")

#: Controls, and the marks that turn the direction of writing: a transcript or a tool's result
#: must not move the cursor, colour the screen or hide a part of itself.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_ESCAPES = re.compile(
    "\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])"
)


def clean(text: str) -> str:
    """One line that shows what it says: escape sequences out, line ends and tabs to spaces."""
    return _UNSEEN.sub(" ", _ESCAPES.sub("", text)).strip()


def short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def duration(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def took(ms: float) -> str:
    """``38 ms``, ``0.42 s``, ``2.3 s``."""
    if ms < 100:
        return f"{max(0.0, ms):.0f} ms"
    return f"{ms / 1000:.2f} s" if ms < 995 else f"{ms / 1000:.1f} s"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def call(name: str, arguments: str, limit: int = 160) -> str:
    """``find_slots(day="Tuesday")``; what is no JSON object stands as it came."""
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        inside = ", ".join(f"{key}={_value(value)}" for key, value in parsed.items())
    else:
        inside = arguments
    return f"{clean(name)}({short(clean(inside), limit)})"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def result(output: str, limit: int = 160) -> str:
    return short(clean(output), limit) or "(nothing)"


def guardrail(check: str, then: str) -> str:
    """What a guardrail that tripped does: ``the answer was cut``."""
    what = "the answer was cut" if check == "output" else "the caller was not answered"
    match then:
        case "log":
            return "noted, nothing was done"
        case "message":
            return f"{what}, and another is made"
        case "handoff":
            return f"{what}, and another agent takes over"
        case "hang_up":
            return f"{what}, and the call is ended"
        case _:
            return what


def tokens(usage: Mapping[str, int], cost: float | None) -> str:
    """``1,204 in (820 audio), 310 out; $0.04``."""
    parts = []
    for side, name in (("input", "in"), ("output", "out")):
        inside = ", ".join(
            f"{usage[key]:,} {kind}"
            for kind in ("audio", "image")
            if usage.get(key := f"{side}_{kind}")
        )
        if side == "input" and (cached := sum(usage.get(f"cached_{k}", 0) for k in _MODALITIES)):
            inside += f"{', ' if inside else ''}{cached:,} cached"
        text = f"{usage.get(f'{side}_tokens', 0):,} {name}"
        parts.append(f"{text} ({inside})" if inside else text)
    return ", ".join(parts) + (f"; {dollars(cost)}" if cost is not None else "")


def dollars(cost: float) -> str:
    """``$0.04``; what is less than a cent with more places."""
    return f"${cost:,.2f}" if cost >= 0.01 else f"${cost:.4f}"


def pending(report: ConfigPending) -> str:
    return "waits for the end of this sentence"


def applied(report: ConfigApplied) -> str:
    """``applied in 38 ms, from the next answer``: what a save did, and when it acts."""
    if report.session is not None:
        return f"applied, {took(report.ms)} after the save"
    if report.pending and not report.applied:
        return f"held for {count(report.pending, 'call')}: {when(report)}"
    text = f"applied in {took(report.ms)}: {when(report)}"
    if report.total > 1 or report.pending:
        text += f" ({report.applied} of {count(report.total, 'call')}"
        text += f", {report.pending} after their sentence)" if report.pending else ")"
    return text


def when(report: ConfigApplied) -> str:
    return clean(summary(report.changes)) or "nothing that acts"


def slips(sound: Mapping[str, int]) -> str:
    """What of the devices' sound went wrong, see reports.SessionEnd."""
    parts = []
    if missing := sound.get("underruns"):
        parts.append(f"the speaker ran dry {count(missing, 'time')}")
    if lost := sound.get("overruns"):
        parts.append(f"the microphone was read too late {count(lost, 'time')}")
    if dropped := sound.get("dropped_ms"):
        parts.append(f"{dropped} ms of the microphone dropped")
    return ", ".join(parts)
