"""Is what happened in a turn what its test expects?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from runner.codec import canonical
from runner.model.calltest import Expect, TurnSpec
from runner.testing.diary import Entry, Kind

#: Where an expectation looks among what happened.
_LOOKS_AT: Mapping[str, Kind] = {
    "agent": "agent",
    "tool": "tool",
    "handoff": "handoff",
    "guardrail": "guardrail",
    "ends": "ended",
}


@dataclass(frozen=True, slots=True)
class Unmet:
    """An expectation that nothing met; ``words`` say what came instead."""

    expect: Expect
    words: str


def unmet(turn: TurnSpec, happened: Sequence[Entry], answered_in: float | None) -> list[Unmet]:
    """What of ``turn`` did not come true; the judge's questions are left out. ``answered_in``:
    seconds from the end of the caller's turn to the first sound or text, None without any.

    A tool call, a handoff, a guardrail and an end each meet one expectation. A text of the agent
    may meet several: it says more than one thing.
    """
    out: list[Unmet] = []
    taken: set[int] = set()
    start = 0
    for expect in turn.expects:
        if expect.kind == "not":
            out += _said(expect, happened)
        elif expect.kind == "within":
            out += _late(expect, answered_in)
        elif expect.kind in _LOOKS_AT:
            found = _find(expect, happened, 0 if turn.any_order else start, taken)
            if found is None:
                out.append(Unmet(expect, _instead(expect, happened, taken, start)))
                continue
            if expect.kind != "agent":
                taken.add(found)
            start = found
    return out


def _find(expect: Expect, happened: Sequence[Entry], start: int, taken: set[int]) -> int | None:
    for index in range(start, len(happened)):
        if index not in taken and _meets(expect, happened[index]):
            return index
    return None


def _meets(expect: Expect, entry: Entry) -> bool:
    if entry.kind != _LOOKS_AT[expect.kind]:
        return False
    if expect.kind in ("agent", "ends"):
        return contains(expect, entry.text)
    if entry.name != expect.words:
        return False
    return expect.arguments is None or fits(expect.arguments, entry.arguments)


def contains(expect: Expect, text: str) -> bool:
    """The words, in whatever case and however they are spaced; or the regular expression."""
    if expect.regex:
        return re.search(expect.words, text) is not None
    return _plain(expect.words) in _plain(text)


def _plain(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").casefold().split())


def fits(wanted: Any, given: Any) -> bool:
    """Is ``wanted`` in ``given``? Maps may have more keys; ``*`` in a text stands for anything."""
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and all(
            key in given and fits(value, given[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(given, list)
            and len(given) == len(wanted)
            and all(fits(*pair) for pair in zip(wanted, given, strict=True))
        )
    if isinstance(wanted, str) and "*" in wanted:
        # Only * is a sign: a question mark or a bracket in an argument stands for itself.
        pattern = re.sub(r"([\[?])", r"[\1]", wanted.casefold())
        text = given if isinstance(given, str) else canonical(given)
        return fnmatchcase(text.casefold(), pattern)
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted.casefold() == given.casefold()
    if isinstance(wanted, bool) or isinstance(given, bool):  # for Python, True is 1
        return wanted is given
    return bool(wanted == given)


def _said(expect: Expect, happened: Sequence[Entry]) -> list[Unmet]:
    for entry in happened:
        if entry.kind == "agent" and contains(expect, entry.text):
            return [
                Unmet(expect, f"the agent was not to say {shown(expect)}, and said: {entry.text}")
            ]
    return []


def _late(expect: Expect, answered_in: float | None) -> list[Unmet]:
    if answered_in is None:
        return [Unmet(expect, "the agent was not heard at all")]
    if answered_in <= expect.seconds:
        return []
    words = f"the agent answered after {answered_in:.2f} s, not within {expect.seconds:g} s"
    return [Unmet(expect, words)]


def shown(expect: Expect) -> str:
    return f"/{expect.words}/" if expect.regex else f"'{expect.words}'"


def _instead(expect: Expect, happened: Sequence[Entry], taken: set[int], start: int) -> str:
    """In words, what came where ``expect`` was looked for."""
    same = [e for i, e in enumerate(happened) if e.kind == _LOOKS_AT[expect.kind]]
    wanted, came = _WORDS[expect.kind](expect), "; ".join(entry.text for entry in same)
    if any(_meets(expect, entry) for entry in same):
        # It is there, and an earlier expectation has it, or what stands before came after it.
        early = any(_meets(expect, e) and i not in taken for i, e in enumerate(happened[:start]))
        why = "earlier than what stands before it" if early else "and another expectation has it"
        return f"{wanted}: it came, {why}" if early else f"{wanted} once more: it came once"
    nothing = {"agent": "the agent said nothing", "tool": "no tool was called"}
    if not came:
        return f"{wanted}: {nothing.get(expect.kind, 'it did not come')}"
    return f"{wanted}; there came: {came}"


_WORDS: Mapping[str, Callable[[Expect], str]] = {
    "agent": lambda e: f"the agent was to say {shown(e)}",
    "tool": lambda e: (
        f"{e.words} was to be called"
        + ("" if e.arguments is None else f" with {canonical(e.arguments)}")
    ),
    "handoff": lambda e: f"the line was to go to {e.words}",
    "guardrail": lambda e: f"the guardrail {e.words} was to trip",
    "ends": lambda e: f"the call was to end with {shown(e)}",
}
