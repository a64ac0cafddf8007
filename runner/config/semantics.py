"""What a schema cannot say: names that refer to other names, zones, files, tools."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from runner.config.check import choices, near, plain
from runner.config.source import shown
from runner.config.tree import Path, Tree
from runner.config.units import seconds
from runner.errors import Problem
from runner.model.deployment import transfer_name
from runner.model.secret import Secret

#: Tools that need no entry under `tools:`.
BUILT_IN_TOOLS: frozenset[str] = frozenset()


class Semantics:
    """Checks an expanded document that may still be wrong anywhere: nothing is taken for
    granted, what the schema already refuses is passed over."""

    def __init__(self, tree: Tree, document: Any, base: FilePath) -> None:
        self.tree = tree
        self.document = document if isinstance(document, dict) else {}
        self.base = base
        self.agents = _map(self.document.get("agents"))
        self.tools = _map(self.document.get("tools"))
        self.warnings: list[Problem] = []

    def problems(self) -> list[Problem]:
        """Every error; fills ``warnings`` on the way."""
        return [
            *self._entry(),
            *(p for name, agent in self.agents.items() for p in self._agent(name, _map(agent))),
            *(p for name, tool in self.tools.items() for p in self._tool(name, _map(tool))),
            *self._timezone(),
            *self._session(),
            *self._durations(),
            *self._engine(),
            *self._unused(),
        ]

    def _say(self, path: Path, message: str, hint: str = "") -> Problem:
        return self.tree.problem(path, message, hint)

    def _warn(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> None:
        self.warnings.append(self.tree.problem(path, message, hint, at_key=at_key))

    def _unknown(self, path: Path, kind: str, name: str, known: Any) -> Problem:
        hint = near(name, known) or (f"there are {choices(known)}" if known else "there are none")
        return self._say(path, f"no {kind} is called '{shown(name)}'", hint)

    def _entry(self) -> Iterator[Problem]:
        entry = self.document.get("entry")
        if isinstance(entry, str) and entry and self.agents and entry not in self.agents:
            yield self._unknown(("entry",), "agent", entry, self.agents)

    def _agent(self, name: str, agent: dict[str, Any]) -> Iterator[Problem]:
        own: dict[str, Path] = {}
        known = {*self.tools, *BUILT_IN_TOOLS}
        for i, tool in enumerate(_list(agent.get("tools"))):
            path: Path = ("agents", name, "tools", i)
            if not isinstance(tool, str):
                continue
            if tool not in known:
                yield self._unknown(path, "tool", tool, sorted(known))
            elif tool in own:
                yield self._say(path, f"the tool '{shown(tool)}' stands twice")
            own.setdefault(tool, path)
        for i, handoff in enumerate(_list(agent.get("handoffs"))):
            path = ("agents", name, "handoffs", i, "to")
            to = _map(handoff).get("to")
            if not isinstance(to, str) or not to:
                continue
            if to not in self.agents:
                yield self._unknown(path, "agent", to, self.agents)
                continue
            if to == name:
                yield self._say(path, "an agent cannot hand over to itself")
                continue
            transfer = transfer_name(to)
            if transfer in own:
                line = self.tree.place(own[transfer]).line
                where = f" in line {line}" if line else ""
                message = f"this handoff is the tool {transfer}, as is the entry{where}"
                yield self._say(path, message, "rename one of the two")
            own.setdefault(transfer, path)
        if len(transfer_name(name)) > 64:
            path = ("agents", name)
            yield self.tree.problem(path, "this name is too long for a handoff", at_key=True)

    def _tool(self, name: str, tool: dict[str, Any]) -> Iterator[Problem]:
        path: Path = ("tools", name, "python")
        ref = tool.get("python")
        if isinstance(ref, str) and ":" in ref:
            module = ref.rpartition(":")[0]
            if module.endswith(".py"):
                yield from self._tool_file(path, module)
            elif not all(part.isidentifier() for part in module.split(".")):
                hint = "write path.py:function, or package.module:function"
                yield self._say(path, f"'{shown(module)}' is no module name", hint)
        parameters = tool.get("parameters")
        if isinstance(parameters, dict):
            yield from self._parameters(("tools", name, "parameters"), plain(parameters))

    def _tool_file(self, path: Path, module: str) -> Iterator[Problem]:
        file = self.base / module
        try:
            if file.is_file():
                return
            beside = [str(p.relative_to(self.base)) for p in file.parent.glob("*.py")]
        except (OSError, ValueError):
            beside = []
        hint = near(module, beside) or "the path begins in the folder of the deployment file"
        yield self._say(path, f"no file {shown(module)}", hint)

    def _parameters(self, path: Path, schema: dict[str, Any]) -> Iterator[Problem]:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            message = f"not a JSON Schema: {shown(error.message, 160)}"
            yield self._say((*path, *error.absolute_path), message)
            return
        except RecursionError:
            yield self._say(path, "not a JSON Schema: nested too deep")
            return
        if schema.get("type") != "object":
            yield self._say(path, "the arguments of a tool are an object", "add type: object")

    def _timezone(self) -> Iterator[Problem]:
        name = self.document.get("timezone")
        if not isinstance(name, str) or name in ("none", ""):
            return
        try:
            zoneinfo.ZoneInfo(name)
            return
        except (KeyError, ValueError, OSError):
            known = zoneinfo.available_timezones()
        if name == "UTC":
            return
        if not known:
            hint = "install the package tzdata"
            yield self._say(("timezone",), "this machine has no time zone database", hint)
            return
        ends = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known)}
        same_city = ends.get(name.rpartition("/")[2].replace(" ", "_").lower())
        hint = f"did you mean {same_city}?" if same_city else near(name, known)
        hint = hint or "a name such as America/New_York, or none"
        yield self._say(("timezone",), f"no time zone is called '{shown(name)}'", hint)

    def _session(self) -> Iterator[Problem]:
        session = _map(self.document.get("session"))
        choice = _map(session.get("tool_choice")).get("name")
        if isinstance(choice, str) and choice not in {*self.tools, *BUILT_IN_TOOLS}:
            yield self._unknown(("session", "tool_choice", "name"), "tool", choice, self.tools)
        model = self.document.get("model")
        if isinstance(model, str) and not model.startswith("gpt-realtime-2"):
            for key in ("reasoning", "parallel_tool_calls"):
                if session.get(key) is not None:
                    message = f"{shown(model)} does not reason, so OpenAI may refuse the session"
                    self._warn(("session", key), message, at_key=True)

    def _durations(self) -> Iterator[Problem]:
        paths: list[Path] = [("limits", "duration")]
        paths += [("tools", name, "timeout") for name in self.tools]
        for path in paths:
            value = _at(self.document, path)
            if not isinstance(value, str):
                continue
            try:
                length = seconds(value)
            except ValueError:
                continue  # the schema says so
            if length <= 0:
                yield self._say(path, "a duration must be longer than nothing")
            elif length > 366 * 86400:
                yield self._say(path, "a duration beyond a year is not meant")

    def _engine(self) -> Iterator[Problem]:
        engine = _map(self.document.get("engine"))
        if "brain" in engine and engine.get("type") in ("auto", "openai"):
            message = "a brain belongs to the local engine"
            yield self.tree.problem(("engine", "brain"), message, "type: local", at_key=True)
        keys: list[Path] = [("engine", "api_key"), ("engine", "brain", "api_key")]
        for path in keys:
            secret = _at(self.document, path)
            written = self.tree.place(path).text or ""
            if isinstance(secret, Secret) and secret and "${" not in written:
                self._warn(path, "a key stands in the file", "write ${NAME} and set NAME")

    def _unused(self) -> Iterator[Problem]:
        """Warnings only: an agent that nobody can reach, a tool that nobody may use."""
        entry = self.document.get("entry") or next(iter(self.agents), None)
        reached: set[str] = set()
        ahead = [entry] if isinstance(entry, str) else []
        while ahead:
            name = ahead.pop()
            if name in reached or name not in self.agents:
                continue
            reached.add(name)
            handoffs = _list(_map(self.agents[name]).get("handoffs"))
            ahead += [to for h in handoffs if isinstance(to := _map(h).get("to"), str)]
        for name in self.agents:
            if name not in reached and reached:
                self._warn(("agents", name), "no handoff leads to this agent", at_key=True)
        lists = [_list(_map(agent).get("tools")) for agent in self.agents.values()]
        for name in self.tools:
            if not any(name in tools for tools in lists):
                self._warn(("tools", name), "no agent lists this tool", at_key=True)
        return iter(())


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = _map(document).get(str(step))
    return document
