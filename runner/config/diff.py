"""What differs between two versions of a deployment, and when each change can act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from runner.config import schema as schemas
from runner.config.behind import argv_files, argv_of, module_file
from runner.model.deployment import (
    AgentSpec,
    Change,
    Deployment,
    GuardrailSpec,
    HandoffSpec,
    ReloadClass,
    ToolSpec,
)
from runner.model.secret import Secret

Path = tuple[str, ...]

_MASK = "***"
_NAMED = ("agents", "tools", "guardrails")

#: Each class in words, in the order in which a summary names them.
WORDS: Mapping[ReloadClass, str] = {
    "live": "now",
    "next": "from the next answer",
    "between": "after this turn",
    "pinned": "until the agent has spoken, then for new calls",
    "new": "for new calls",
    "reconnect": "reconnects the call",
    "restart": "needs a restart",
}

#: The same of a key, whose file is not known: it decides whether calls are reconnected.
OF_A_KEY: Mapping[ReloadClass, str] = {**WORDS, "reconnect": "with a new connection"}


def diff(old: Deployment, new: Deployment) -> tuple[Change, ...]:
    """Every field with another value in ``new``, in the order of the document.

    What is compared is what acts: defaults filled in, prompts by their text, the code of a tool
    and the scripts of a command by their content. An agent, a tool or a guardrail that came or
    went is one change, of a guardrail under its name. Secrets stand as ``***``.
    """
    schema = schemas.load()
    before, after = dict(_fields(old)), dict(_fields(new))
    had, has = _names(old), _names(new)
    out: dict[Path, Change] = {}
    for path in [*after, *(p for p in before if p not in after)]:
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        whole = path[:2]
        if path[0] in _NAMED and (whole in had) != (whole in has):
            was, now = _part(before, whole), _part(after, whole)
            path = whole
        kind = _acts(schema.reload_class(path), path, old, new)
        out[path] = Change(".".join(path), kind, _open(was), _open(now))
    order = ("guardrails",)
    was, now = [g.name for g in old.guardrails], [g.name for g in new.guardrails]
    if was != now and sorted(was) == sorted(now):  # the first that trips decides
        out[order] = Change("guardrails", schema.reload_class(order), was, now)
    return tuple(out.values())


def _acts(kind: ReloadClass, path: Path, old: Deployment, new: Deployment) -> ReloadClass:
    """What a new connection is needed for is for new calls, unless calls may be reconnected."""
    # A phone call keeps its line: it leads to the phone.
    reconnects = new.reload.in_call == "reconnect" and not new.transport.rings
    if path[0] == "transport" and kind != "restart":
        # A line that brings its own ear (a phone, a browser) cannot be put on another one.
        ours = {old.transport.type, new.transport.type} <= {"websocket", "custom"}
        return "reconnect" if reconnects and ours else "new"
    if kind == "reconnect":
        return "reconnect" if reconnects else "new"
    return "reconnect" if kind == "pinned" and reconnects else kind


def summary(changes: Sequence[Change]) -> str:
    """One line for a person: ``agents.desk.instructions from the next answer; model for new
    calls``. Empty without changes."""
    groups: list[str] = []
    for reload, words in WORDS.items():
        paths = [change.path for change in changes if change.reload == reload]
        if paths:
            more = f" and {len(paths) - 4} more" if len(paths) > 5 else ""
            groups.append(f"{', '.join(paths[:4] if more else paths)}{more} {words}")
    return "; ".join(groups)


def _fields(d: Deployment) -> Iterator[tuple[Path, Any]]:
    yield ("name",), d.name
    yield from _engine(d)
    yield ("model",), d.model
    yield from _transport(d)
    yield ("calls",), d.document.get("calls")
    yield ("timezone",), d.timezone
    for name, value in d.vars.items():
        yield ("vars", name), value
    for path, value in d.session.leaves().items():
        yield ("session", *path.split(".")), value
    yield ("entry",), d.entry
    for name, agent in d.agents.items():
        yield from ((("agents", name, key), value) for key, value in _agent(agent))
    for name, tool in d.tools.items():
        yield from ((("tools", name, *below), value) for below, value in _tool(d, tool))
    for rail in d.guardrails:
        parts = _guardrail(rail, d)
        yield from ((("guardrails", rail.name, key), value) for key, value in parts)
    yield ("silence", "ask_after"), d.silence.ask_after
    yield ("silence", "say"), d.silence.say
    yield ("silence", "hang_up_after"), d.silence.hang_up_after
    yield ("limits", "duration"), d.limits.duration
    yield ("limits", "calls"), d.limits.calls
    yield ("limits", "cost_per_call"), d.limits.cost_per_call
    yield ("records", "transcript"), d.records.transcript or None
    yield ("records", "audio"), d.records.audio or None
    yield ("records", "redact"), list(d.records.redact) or None
    yield ("records", "keep"), d.records.keep
    hook = d.records.webhook
    told = {"url": hook.url, "secret": hook.secret, "hosts": list(hook.hosts)} if hook else None
    yield ("records", "webhook"), told
    yield ("on_failure", "say"), d.on_failure.say or None
    yield ("on_failure", "transfer"), d.on_failure.transfer or None
    yield ("reload", "apply"), d.reload.apply
    yield ("reload", "in_call"), d.reload.in_call


def _transport(d: Deployment) -> Iterator[tuple[Path, Any]]:
    spec = d.transport
    if spec.type != "custom":
        yield ("transport",), {"type": spec.type}
        for key, value in spec.options.items():
            yield ("transport", key), value
        return
    yield ("transport",), {"type": spec.type}
    if spec.python:
        yield ("transport", "python"), _module(spec.base, spec.python, d)
    yield ("transport", "name"), spec.name or None
    for key, value in spec.options.items():
        yield ("transport", "options", key), value


def _engine(d: Deployment) -> Iterator[tuple[Path, Any]]:
    yield ("engine",), d.engine.type
    if d.engine.url is not None:
        # A URL that was filled in from the environment may carry a key.
        written = d.document.get("engine")
        url = written.get("url") if isinstance(written, Mapping) else written
        secret = isinstance(url, Secret)
        yield ("engine", "url"), Secret(d.engine.url) if secret else d.engine.url
    yield ("engine", "api_key"), d.engine.api_key
    for name, header in d.engine.headers.items():
        yield ("engine", "headers", name), header
    for name, value in d.engine.brain.items():
        yield ("engine", "brain", name), value


def _agent(agent: AgentSpec) -> Iterator[tuple[str, Any]]:
    yield "instructions", agent.instructions
    plain = agent.interruptible_greeting or not agent.greeting
    yield "greeting", agent.greeting if plain else {"say": agent.greeting, "interruptible": False}
    yield "voice", agent.voice
    yield "tools", list(agent.tools)
    yield "handoffs", [_way(h) for h in agent.handoffs]


def _way(way: HandoffSpec) -> dict[str, str]:
    whom = {"transfer": way.transfer} if way.transfer else {"to": way.to}
    return {**whom, "when": way.when}


def _tool(d: Deployment, tool: ToolSpec) -> Iterator[tuple[Path, Any]]:
    if tool.python:
        yield ("python",), _module(tool.base, tool.python, d)
    yield ("description",), tool.description
    yield ("parameters",), tool.parameters
    if tool.hosted_mcp is None:
        yield ("timeout",), tool.timeout
        yield ("approval",), tool.approval
        yield ("while_waiting",), tool.while_waiting
        yield ("respond",), tool.respond
    for kind, values in _written(d, tool).items():
        for key, value in values.items():
            argv = {"command": "argv", "mcp": "command"}.get(kind) == key
            yield (kind, key), _script(tool.base, value, d.digests) if argv else value


def _written(d: Deployment, tool: ToolSpec) -> dict[str, dict[str, Any]]:
    """What the file says of a tool that is no function, defaults filled in: the spec has the same
    with its secrets in the clear."""
    if tool.http is None and tool.command is None and tool.mcp is None and tool.hosted_mcp is None:
        return {}
    spec = d.document.get("tools", {}).get(tool.name, {})
    out: dict[str, dict[str, Any]] = {}
    for kind in ("http", "command", "mcp", "hosted_mcp"):
        if kind in spec:
            given = {"argv": argv_of(spec[kind])} if kind == "command" else {}
            given |= spec[kind] if isinstance(spec[kind], Mapping) else {}
            out[kind] = {key: value for key, value in given.items() if value not in (None, {}, [])}
    if "http" in out:
        out["http"] = {"method": "GET", **out["http"]}
    if tool.command is not None and "command" in out:
        # Where it is, not how that was written.
        out["command"] |= {"cwd": str(tool.command.cwd), "memory_mb": tool.command.memory_mb}
    return out


def _guardrail(rail: GuardrailSpec, d: Deployment) -> Iterator[tuple[str, Any]]:
    yield "check", rail.check
    if rail.phrases:
        yield "phrases", list(rail.phrases)
    if rail.regex is not None:
        yield "regex", rail.regex
    if rail.python:
        yield "python", _module(rail.base, rail.python, d)
    if rail.moderation is not None:
        yield "moderation", rail.moderation
    yield "then", rail.then
    yield "say", rail.say
    yield "to", rail.to


@dataclass(frozen=True, slots=True)
class _Code:
    """A reference and the SHA-256 of what it leads to: an edit of the file is a change."""

    written: Any
    sha256: tuple[str, ...]


def _module(base: FilePath, python: str, d: Deployment) -> _Code:
    file = str(module_file(base, python) or "")
    files = (file, *d.beside.get(file, ())) if file else ()
    return _Code(python, tuple(d.digests.get(one, "") for one in files))


def _script(base: FilePath, argv: Any, digests: Mapping[str, str]) -> _Code:
    files = argv_files(base, argv)
    return _Code(argv, tuple(digests.get(str(file), "") for file in files))


def _names(d: Deployment) -> set[Path]:
    return {
        *(("agents", name) for name in d.agents),
        *(("tools", name) for name in d.tools),
        *(("guardrails", rail.name) for rail in d.guardrails),
    }


def _part(fields: Mapping[Path, Any], path: Path) -> dict[str, Any] | None:
    """The fields below ``path`` as a map of maps."""
    found: dict[str, Any] = {}
    for where, value in fields.items():
        if where[:2] == path:
            node = found
            for step in where[2:-1]:
                node = node.setdefault(step, {})
            node[where[-1]] = value
    return found or None


def _open(value: Any) -> Any:
    """A value for a Change: plain, secrets masked."""
    if isinstance(value, Secret):
        return _MASK
    if isinstance(value, _Code):
        return _open(value.written)
    if isinstance(value, Mapping):
        return {key: _open(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_open(item) for item in value]
    return value
