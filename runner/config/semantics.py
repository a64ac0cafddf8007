"""What a schema cannot say: names that refer to other names, zones, durations, engines."""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from runner.config.check import near
from runner.config.clear import clear_secrets
from runner.config.ground import BUILT_IN_TOOLS, Ground, as_list, as_map, texts
from runner.config.hearing import hearing_warnings
from runner.config.phone import is_phone, phone_problems, the_line_decides
from runner.config.records import record_problems
from runner.config.source import Source, shown
from runner.config.speech import speech_problems
from runner.config.testcheck import conversation_problems
from runner.config.toolcheck import tool_problems
from runner.config.tree import Path, Tree
from runner.config.units import seconds
from runner.config.worker import worker_problems
from runner.errors import Problem
from runner.model.names import telephone_name, transfer_name

TRANSPORTS = ("webrtc", "websocket", "sip", "twilio", "cloudflare", "custom")
#: Keys of `transport:` and the types that have them.
KEYS_OF = {
    **dict.fromkeys(("python", "name", "options"), ("custom",)),
    "ice_servers": ("webrtc",),
    **dict.fromkeys(("listen", "path"), ("sip", "twilio")),
    "webhook_secret": ("sip",),
    **dict.fromkeys(("public_url", "auth_token", "api_url"), ("twilio",)),
}


class Semantics:
    """Checks an expanded document that may still be wrong anywhere."""

    def __init__(self, tree: Tree, document: Any, base: FilePath) -> None:
        self.ground = Ground(tree, as_map(document), base)
        self.agents = self.ground.map("agents")
        self.tools = self.ground.map("tools")

    @property
    def warnings(self) -> list[Problem]:
        return self.ground.warnings

    def problems(self) -> list[Problem]:
        """Every error; fills ``warnings`` on the way."""
        agents = self.agents.items()
        out = [
            *self._entry(),
            *(problem for name, agent in agents for problem in self._agent(name, as_map(agent))),
            *tool_problems(self.ground),
            *conversation_problems(self.ground, dict(self.ground.document)),
            *speech_problems(self.ground),
            *self._timezone(),
            *self._tool_choice(),
            *self._durations(),
            *self._engine(),
            *self._transport(),
            *phone_problems(self.ground),
            *record_problems(self.ground),
        ]
        self._reasoning()
        self._unused()
        return out

    def afterwards(self, used: Collection[str], prompts: Iterable[tuple[Source, Path]]) -> None:
        """More warnings, of what is known when all is filled in: the names of ``vars:`` that were
        used, and the texts of prompt files."""
        own = self.ground.tree.source
        for name in self.ground.map("vars"):
            path = ("vars", name)
            # A base gives what only some of its deployments use.
            if name not in used and self.ground.tree.place(path).source is own:
                hint = near(name, used) if used else ""
                self.ground.warn(path, "nothing uses this", hint, at_key=True, code="RT903")
        clear_secrets(self.ground, prompts)

    def _entry(self) -> Iterator[Problem]:
        entry = self.ground.at(("entry",))
        if isinstance(entry, str) and entry and self.agents and entry not in self.agents:
            yield self.ground.unknown(("entry",), "agent", entry, self.agents)

    def _agent(self, name: str, agent: dict[str, Any]) -> Iterator[Problem]:
        say = self.ground.say
        own: dict[str, Path] = {}
        labels: dict[str, Path] = {}
        known = {*self.tools, *BUILT_IN_TOOLS}
        for i, tool in texts(agent.get("tools")):
            path: Path = ("agents", name, "tools", i)
            if tool not in known:
                yield self.ground.unknown(path, "tool", tool, sorted(known))
            elif tool in own:
                yield say(path, f"the tool '{shown(tool)}' stands twice", code="RT204")
            own.setdefault(tool, path)
            label = as_map(as_map(self.tools.get(tool)).get("hosted_mcp")).get("server_label")
            if isinstance(label, str) and labels.setdefault(label, path) != path:
                where = self._line(labels[label])
                message = f"its server_label is '{shown(label)}', as is that of the entry{where}"
                if own[tool] == path:
                    hint = "an agent has one server of a label"
                    yield say(path, message, hint, code="RT204")
        for i, handoff in enumerate(as_list(agent.get("handoffs"))):
            if isinstance(handoff, dict):
                here: Path = ("agents", name, "handoffs", i)
                yield from self.ground.exactly_one(here, handoff, ("to", "transfer"), "a handoff")
                yield from self._telephone((*here, "transfer"), handoff.get("transfer"), own)
            path = ("agents", name, "handoffs", i, "to")
            to = as_map(handoff).get("to")
            if not isinstance(to, str) or not to:
                continue
            if to not in self.agents:
                yield self.ground.unknown(path, "agent", to, self.agents)
                continue
            if to == name:
                yield say(path, "an agent cannot hand over to itself", code="RT205")
                continue
            transfer = transfer_name(to)
            if transfer in own and not self._brings_several(transfer):
                where = self._line(own[transfer])
                message = f"this handoff is the tool {transfer}, as is the entry{where}"
                yield say(path, message, "rename one of the two", code="RT206")
            own[transfer] = path
        if len(transfer_name(name)) > 64:
            words = "this name is too long for a handoff"
            yield say(("agents", name), words, at_key=True, code="RT206")

    def _telephone(self, path: Path, uri: Any, own: dict[str, Path]) -> Iterator[Problem]:
        """A handoff to a telephone is a tool as the others are."""
        if not isinstance(uri, str) or not uri:
            return
        name = telephone_name(uri)
        if name in own:
            message = f"this handoff is the tool {name}, as is the entry{self._line(own[name])}"
            yield self.ground.say(path, message, "leave one of the two out", code="RT206")
        own[name] = path
        if not is_phone(self.ground.at(("transport",))):
            message = "only a phone call can be put through to a telephone"
            self.ground.warn(path, message, "transport: sip or twilio", at_key=True, code="RT910")

    def _line(self, path: Path) -> str:
        line = self.ground.tree.place(path).line
        return f" in line {line}" if line else ""

    def _brings_several(self, tool: str) -> bool:
        """An entry that is a server: the model never sees its name as a tool's."""
        entry = as_map(self.tools.get(tool))
        return "mcp" in entry or "hosted_mcp" in entry

    def _timezone(self) -> Iterator[Problem]:
        name = self.ground.at(("timezone",))
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
            words = "this machine has no time zone database"
            yield self.ground.say(("timezone",), words, hint, code="RT208")
            return
        ends = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known)}
        same_city = ends.get(name.rpartition("/")[2].replace(" ", "_").lower())
        hint = f"did you mean {same_city}?" if same_city else near(name, known)
        hint = hint or "a name such as America/New_York, or none"
        words = f"no time zone is called '{shown(name)}'"
        yield self.ground.say(("timezone",), words, hint, code="RT208")

    def _tool_choice(self) -> Iterator[Problem]:
        choice = as_map(self.ground.at(("session", "tool_choice")))
        name, label = choice.get("name"), choice.get("server_label")
        path: Path = ("session", "tool_choice", "name")
        if choice.get("type") == "mcp":
            hosted = [as_map(as_map(tool).get("hosted_mcp")) for tool in self.tools.values()]
            labels = {known for h in hosted if isinstance(known := h.get("server_label"), str)}
            if isinstance(label, str) and label and label not in labels:
                path = ("session", "tool_choice", "server_label")
                yield self.ground.unknown(path, "hosted_mcp server", label, sorted(labels))
        elif isinstance(name, str) and name:
            known = {*self.tools, *BUILT_IN_TOOLS}
            if self._brings_several(name):
                message = f"'{shown(name)}' is a server with tools, and no tool itself"
                yield self.ground.say(path, message, "name one of its tools", code="RT202")
            elif name not in known and not any("mcp" in as_map(t) for t in self.tools.values()):
                yield self.ground.unknown(path, "tool", name, sorted(known))

    def _durations(self) -> Iterator[Problem]:
        paths: list[Path] = [("limits", "duration")]
        paths += [("silence", key) for key in ("ask_after", "hang_up_after")]
        paths += [("tools", name, "timeout") for name in self.tools]
        for path in paths:
            value = self.ground.at(path)
            if not isinstance(value, str):
                continue
            try:
                length = seconds(value)
            except ValueError:
                continue  # the schema says so
            if length <= 0:
                yield self.ground.say(path, "a duration must be longer than nothing", code="RT209")
            elif length > 366 * 86400:
                yield self.ground.say(path, "a duration beyond a year is not meant", code="RT209")

    def _engine(self) -> Iterator[Problem]:
        engine = self.ground.map("engine")
        if "brain" in engine and engine.get("type") in ("auto", "openai"):
            message = "a brain belongs to the local engine"
            hint = "type: local"
            yield self.ground.say(("engine", "brain"), message, hint, at_key=True, code="RT404")
        self.ground.key_in_file(("engine", "api_key"))
        self.ground.key_in_file(("engine", "brain", "api_key"))
        self.ground.keys_in_map(("engine", "headers"))

    def _transport(self) -> Iterator[Problem]:
        transport, path = self.ground.map("transport"), ("transport",)
        if transport.get("type") == "custom":
            kinds = ("python", "name")
            yield from self.ground.exactly_one(path, transport, kinds, "a custom transport")
            yield from self.ground.function((*path, "python"), transport.get("python"))
        kind = transport.get("type")
        if kind in TRANSPORTS:
            hints = {k: f"type: {' or '.join(of)}" for k, of in KEYS_OF.items() if kind not in of}
            yield from self.ground.does_not_go(path, transport, f"type: {kind}", hints)
        for index, server in enumerate(as_list(transport.get("ice_servers"))):
            if isinstance(server, dict):
                self.ground.key_in_file((*path, "ice_servers", index, "credential"))
        if "cloudflare" in (self.ground.at(path), transport.get("type")):
            yield from worker_problems(self.ground)
        if "transport" not in self.ground.document:
            words = "WebRTC, by which callers come where no transport is named, decides the format"
            yield from the_line_decides(self.ground, words, "write transport: websocket")
        elif "webrtc" in (self.ground.at(path), transport.get("type")):
            hint = "leave it out, or write transport: websocket"
            yield from the_line_decides(self.ground, "WebRTC decides the audio format", hint)

    def _reasoning(self) -> None:
        model, session = self.ground.at(("model",)), self.ground.map("session")
        if isinstance(model, str) and not model.startswith("gpt-realtime-2"):
            for key in ("reasoning", "parallel_tool_calls"):
                if session.get(key) is not None:
                    message = f"{shown(model)} does not reason, so OpenAI may refuse the session"
                    self.ground.warn(("session", key), message, at_key=True, code="RT909")

    def _unused(self) -> None:
        """Warn of an agent that nobody can reach, and of a tool that nobody may use."""
        entry = self.ground.at(("entry",)) or next(iter(self.agents), None)
        rails = [as_map(rail).get("to") for rail in as_list(self.ground.at(("guardrails",)))]
        reached: set[str] = set()
        rules = [as_map(rule).get("answer") for rule in as_list(self.ground.at(("calls",)))]
        ahead = [name for name in (entry, *rails, *rules) if isinstance(name, str)]
        while ahead:
            name = ahead.pop()
            if name in reached or name not in self.agents:
                continue
            reached.add(name)
            handoffs = as_list(as_map(self.agents[name]).get("handoffs"))
            ahead += [to for h in handoffs if isinstance(to := as_map(h).get("to"), str)]
        for name in self.agents:
            if name not in reached and reached:
                words = "no handoff leads to this agent"
                self.ground.warn(("agents", name), words, at_key=True, code="RT901")
        if isinstance(entry, str):
            hearing_warnings(self.ground, entry, reached)
        lists = [as_list(as_map(agent).get("tools")) for agent in self.agents.values()]
        for name in self.tools:
            if not any(name in tools for tools in lists):
                words = "no agent lists this tool"
                self.ground.warn(("tools", name), words, at_key=True, code="RT902")
