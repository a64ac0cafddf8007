"""What a schema cannot say of the `tests:`: names that are there, one thing in a turn, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from runner.config import schema as schemas
from runner.config.ground import Ground, as_list, as_map
from runner.config.overrides import parse_path
from runner.config.source import shown
from runner.config.tree import Path
from runner.config.units import seconds
from runner.errors import Problem

_STEPS = ("caller", "silence", "edit")
_VOICES = ("text", "say", "wav")
_FOR_SPEECH = {"noise": "say: or wav:", "band": "say: or wav:"}


def conversation_problems(ground: Ground, deployment: dict[str, Any]) -> Iterator[Problem]:
    """``deployment`` is the document whose agents, tools and guardrails the tests of ``ground``
    speak of: its own, or that of the file beside it."""
    names: dict[str, Path] = {}
    for index, test in enumerate(as_list(ground.document.get("tests"))):
        yield from _Test(ground, deployment, ("tests", index), as_map(test)).problems(names)


class _Test:
    def __init__(
        self, ground: Ground, deployment: dict[str, Any], path: Path, test: dict[str, Any]
    ) -> None:
        self._ground = ground
        self._path = path
        self._test = test
        self._agents = as_map(deployment.get("agents"))
        self._tools = as_map(deployment.get("tools"))
        rails = [as_map(rail).get("name") for rail in as_list(deployment.get("guardrails"))]
        self._rails = [name for name in rails if isinstance(name, str)]
        #: Servers bring tools whose names only they know.
        self._open = any({"mcp", "hosted_mcp"} & as_map(t).keys() for t in self._tools.values())

    def problems(self, names: dict[str, Path]) -> Iterator[Problem]:
        name = self._test.get("name")
        if isinstance(name, str) and name:
            where = (*self._path, "name")
            first = names.setdefault(name, where)
            if first != where:
                line = self._ground.tree.place(first).line
                words = f"a test is called '{shown(name)}' already, in line {line}"
                hint = "the report tells them apart by their names"
                yield self._ground.say(where, words, hint, code="RT204")
        yield from self._duration((*self._path, "timeout"), self._test.get("timeout"))
        yield from self._stubs()
        for index, turn in enumerate(as_list(self._test.get("turns"))):
            yield from self._turn((*self._path, "turns", index), as_map(turn), index)

    def _stubs(self) -> Iterator[Problem]:
        for name, stub in as_map(self._test.get("stubs")).items():
            path = (*self._path, "stubs", name)
            if "hosted_mcp" in as_map(self._tools.get(name)):
                words = f"'{shown(name)}' is called by the service itself: it has no stub"
                yield self._ground.say(path, words, at_key=True, code="RT451")
            elif name not in self._tools and not self._open:
                problem = self._ground.unknown(path, "tool", name, sorted(self._tools))
                words, hint = problem.message, problem.hint
                yield self._ground.say(path, words, hint, at_key=True, code=problem.code)
            given = as_map(stub)
            yield from self._duration((*path, "delay"), given.get("delay"), nothing=True)
            if given.keys() >= {"output", "error"}:
                words = "a tool gives an output or an error, not both"
                yield self._ground.say((*path, "error"), words, at_key=True, code="RT451")

    def _turn(self, path: Path, turn: dict[str, Any], index: int) -> Iterator[Problem]:
        say = self._ground.say
        if turn or isinstance(self._ground.at(path), dict):
            yield from self._ground.exactly_one(path, turn, _STEPS, "a turn")
        for key in ("silence", "timeout"):
            yield from self._duration((*path, key), turn.get(key))
        late = turn.get("interrupt_after")
        yield from self._duration((*path, "interrupt_after"), late, nothing=True)
        if late is not None and "caller" not in turn and any(key in turn for key in _STEPS):
            words = "only a caller can interrupt"
            hint = "it goes with caller:"
            yield say((*path, "interrupt_after"), words, hint, at_key=True, code="RT451")
        if "rejected" in turn and "edit" not in turn and any(key in turn for key in _STEPS):
            words = "only an edit can be rejected"
            hint = "it goes with edit:"
            yield say((*path, "rejected"), words, hint, at_key=True, code="RT451")
        yield from self._caller((*path, "caller"), turn.get("caller"))
        yield from self._edit((*path, "edit"), as_map(turn.get("edit")))
        expect = turn.get("expect")
        many = isinstance(expect, list)
        for number, given in enumerate(as_list(expect) if many else [expect]):
            where = (*path, "expect", number) if many else (*path, "expect")
            yield from self._expect(where, as_map(given))

    def _caller(self, path: Path, caller: Any) -> Iterator[Problem]:
        if not isinstance(caller, dict):
            return
        yield from self._ground.exactly_one(path, caller, _VOICES, "a caller")
        if "text" in caller and not {"say", "wav"} & caller.keys():
            yield from self._ground.does_not_go(path, caller, "text", _FOR_SPEECH)
        if isinstance(caller.get("wav"), str) and caller["wav"]:
            yield from self._ground.file((*path, "wav"), caller["wav"])

    def _edit(self, path: Path, edit: dict[str, Any]) -> Iterator[Problem]:
        for target in edit:
            where = (*path, target)
            try:
                steps = parse_path(target)
            except ValueError:
                hint = "a path such as agents.front_desk.instructions"
                yield self._ground.say(where, "this is no path", hint, at_key=True, code="RT452")
                continue
            if not schemas.load().at(steps):
                words = f"a deployment has no field {shown(target)}"
                hint = "rtrun schema and docs/configuration.md name them all"
                yield self._ground.say(where, words, hint, at_key=True, code="RT452")
            elif steps[0] == "tests":
                words = "a test edits no tests"
                yield self._ground.say(where, words, at_key=True, code="RT452")

    def _expect(self, path: Path, given: dict[str, Any]) -> Iterator[Problem]:
        for key in ("agent", "not"):
            yield from self._regex((*path, key, "regex"), as_map(given.get(key)).get("regex"))
        yield from self._duration((*path, "within"), given.get("within"))
        tool = given.get("tool")
        if isinstance(tool, str) and tool and not self._open:
            known = {*self._tools, "end_call"}
            if tool not in known:
                yield self._ground.unknown((*path, "tool"), "tool", tool, sorted(known))
        if "arguments" in given and "tool" not in given:
            known_here = ("agent", "not", "handoff", "guardrail", "judge", "within", "ends")
            if not given or any(key in known_here for key in given) or len(given) == 1:
                words = "arguments belong to a tool"
                hint = "tool: its name, in the same map"
                where = (*path, "arguments")
                yield self._ground.say(where, words, hint, at_key=True, code="RT451")
        for key, known_names in (("handoff", list(self._agents)), ("guardrail", self._rails)):
            name = given.get(key)
            if isinstance(name, str) and name and name not in known_names:
                kind = "agent" if key == "handoff" else "guardrail"
                yield self._ground.unknown((*path, key), kind, name, known_names)

    def _regex(self, path: Path, pattern: Any) -> Iterator[Problem]:
        if not isinstance(pattern, str) or not pattern:
            return
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            yield self._ground.say(path, f"this is no regular expression: {error}", code="RT210")

    def _duration(self, path: Path, value: Any, *, nothing: bool = False) -> Iterator[Problem]:
        if not isinstance(value, str):
            return
        try:
            length = seconds(value)
        except ValueError:
            return  # the schema says so
        if length > 3600:
            yield self._ground.say(path, "a test waits no longer than an hour", code="RT209")
        elif length <= 0 and not nothing:
            yield self._ground.say(path, "a duration must be longer than nothing", code="RT209")
