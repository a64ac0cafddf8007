"""What a schema cannot say of guardrails and of the silent caller."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

from runner.config.expand import inside
from runner.config.ground import Ground, as_list, as_map
from runner.config.source import shown
from runner.config.tree import Path, dotted
from runner.config.units import seconds
from runner.errors import Problem

KINDS = ("phrases", "regex", "python", "moderation")
_EVERYTHING = "it would trip on everything"


def speech_problems(ground: Ground) -> Iterator[Problem]:
    """Every error under ``guardrails:`` and ``silence:``; warnings go to ``ground``."""
    names: dict[str, Path] = {}
    for i, given in enumerate(as_list(ground.document.get("guardrails"))):
        if isinstance(given, dict):
            yield from _guardrail(ground, ("guardrails", i), given, names)
    yield from _silence(ground, ground.map("silence"))


def _guardrail(
    ground: Ground, path: Path, rail: dict[str, Any], names: dict[str, Path]
) -> Iterator[Problem]:
    name = rail.get("name")
    if isinstance(name, str) and name:
        where: Path = (*path, "name")
        first = names.setdefault(name, where)
        if first != where:
            line = ground.tree.place(first).line
            place = f", first in line {line}" if line else ""
            yield ground.say(where, f"the name '{shown(name)}' stands twice{place}", code="RT204")
    yield from ground.exactly_one(path, rail, KINDS, "a guardrail")
    for i, phrase in enumerate(as_list(rail.get("phrases"))):
        if isinstance(phrase, str) and phrase and not re.search(r"\w", phrase):
            message = f"'{shown(phrase)}' has no letter"
            yield ground.say((*path, "phrases", i), message, _EVERYTHING, code="RT402")
    if isinstance(rail.get("regex"), str):
        yield from regex_problems(ground, (*path, "regex"), rail["regex"], _EVERYTHING)
    yield from ground.function((*path, "python"), rail.get("python"))
    yield from ground.url((*path, "moderation", "url"), as_map(rail.get("moderation")).get("url"))
    ground.key_in_file((*path, "moderation", "api_key"))
    yield from _then(ground, path, rail)


def _then(ground: Ground, path: Path, rail: dict[str, Any]) -> Iterator[Problem]:
    then, to = rail.get("then", "interrupt"), rail.get("to")
    agents = ground.map("agents")
    if then == "handoff" and "to" not in rail:
        hint = "the name of an agent"
        yield ground.say((*path, "then"), "handoff needs 'to' beside it", hint, code="RT401")
    if then == "say" and "say" not in rail:
        hint = "the words that are to be said"
        yield ground.say((*path, "then"), "say needs 'say' beside it", hint, code="RT401")
    if "to" in rail and then != "handoff":
        message = "'to' goes with then: handoff alone"
        yield ground.say((*path, "to"), message, at_key=True, code="RT401")
    elif isinstance(to, str) and to and to not in agents:
        yield ground.unknown((*path, "to"), "agent", to, agents)
    if "say" in rail and then == "log":
        ground.warn((*path, "say"), "then: log says nothing", at_key=True, code="RT910")


def regex_problems(ground: Ground, path: Path, text: str, empty: str) -> Iterator[Problem]:
    """``empty`` says why one that fits a text without any sign is none."""
    try:
        with warnings.catch_warnings():
            # What Python only warns of will mean something else one day.
            warnings.simplefilter("error")
            found = re.compile(text)
    except re.error as error:
        place = ground.tree.place(path)
        line, column = inside(place, text, error.pos or 0)
        message = f"not a regular expression: {error.msg}"
        hint, where = _quotes(error.msg), dotted(path)
        yield place.source.problem(line, column, message, hint, where, code="RT210")
    except (Warning, OverflowError, RecursionError, MemoryError) as error:
        reason = shown(str(error) or type(error).__name__, 120)
        yield ground.say(path, f"not a regular expression: {reason}", code="RT210")
    else:
        if found.match(""):
            words = "this regular expression fits a text without any sign"
            yield ground.say(path, words, empty, code="RT402")


def _quotes(message: str) -> str:
    return "put a backslash before it to mean the sign itself" if "repeat" in message else ""


def _silence(ground: Ground, silence: dict[str, Any]) -> Iterator[Problem]:
    ask, end = silence.get("ask_after"), silence.get("hang_up_after")
    if silence.get("say") is not None and ask is None:
        words = "nothing is asked without ask_after"
        ground.warn(("silence", "say"), words, at_key=True, code="RT910")
    if not (isinstance(ask, str) and isinstance(end, str)):
        return
    try:
        too_soon = seconds(end) <= seconds(ask)
    except ValueError:
        return  # the schema says so
    if too_soon:
        message = f"the call would end before the caller is asked, after {shown(ask)}"
        yield ground.say(
            ("silence", "hang_up_after"), message, "longer than ask_after", code="RT403"
        )
