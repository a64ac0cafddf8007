"""What differs between two versions of a deployment, and when each change can act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.config import schema as schemas
from runner.config.build import tool_file
from runner.model.deployment import (
    AgentSpec,
    Change,
    Deployment,
    ReloadClass,
    ToolSpec,
)
from runner.model.secret import Secret

Path = tuple[str, ...]

_MASK = "***"

#: Each class in words, in the order in which a summary names them.
WORDS: Mapping[ReloadClass, str] = {
    "live": "now",
    "next": "from the next answer",
    "between": "after this turn",
    "pinned": "until the agent has spoken, then for new calls",
    "new": "for new calls",
    "reconnect": "with a new connection",
    "restart": "needs a restart",
}


def diff(old: Deployment, new: Deployment) -> tuple[Change, ...]:
    """Every field with another value in ``new``, in the order of the document.

    What is compared is what acts: defaults filled in, prompts by their text, the code of a tool
    by its content. An agent or a tool that came or went is one change. Secrets stand as ``***``.
    """
    schema = schemas.load()
    before, after = dict(_fields(old)), dict(_fields(new))
    out: dict[Path, Change] = {}
    for path in [*after, *(p for p in before if p not in after)]:
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        whole = path[:2]
        if path[0] in ("agents", "tools") and (_has(old, whole) != _has(new, whole)):
            was, now = _part(before, whole), _part(after, whole)
            path = whole
        out[path] = Change(".".join(path), schema.reload_class(path), _open(was), _open(now))
    return tuple(out.values())


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
    yield ("transport",), {"type": d.transport.type, **d.transport.options}
    yield ("timezone",), d.timezone
    for name, value in d.vars.items():
        yield ("vars", name), value
    for path, value in d.session.leaves():
        yield ("session", *path.split(".")), value
    yield ("entry",), d.entry
    for name, agent in d.agents.items():
        yield from ((("agents", name, key), value) for key, value in _agent(agent))
    for name, tool in d.tools.items():
        yield from ((("tools", name, key), value) for key, value in _tool(tool, d.digests))
    yield ("limits", "duration"), d.limits.duration
    yield ("reload", "apply"), d.reload.apply


def _engine(d: Deployment) -> Iterator[tuple[Path, Any]]:
    yield ("engine",), d.engine.type
    if d.engine.url is not None:
        # A URL that was filled in from the environment may carry a key.
        written = d.document.get("engine")
        secret = isinstance(written, Mapping) and isinstance(written.get("url"), Secret)
        yield ("engine", "url"), Secret(d.engine.url) if secret else d.engine.url
    yield ("engine", "api_key"), d.engine.api_key
    for name, header in d.engine.headers.items():
        yield ("engine", "headers", name), header
    for name, value in d.engine.brain.items():
        yield ("engine", "brain", name), value


def _agent(agent: AgentSpec) -> Iterator[tuple[str, Any]]:
    yield "instructions", agent.instructions
    yield "greeting", agent.greeting
    yield "voice", agent.voice
    yield "tools", list(agent.tools)
    yield "handoffs", [{"to": h.to, "when": h.when} for h in agent.handoffs]


def _tool(tool: ToolSpec, digests: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    file = tool_file(tool.base, tool.python)
    yield "python", _Code(tool.python, digests.get(str(file), "") if file else "")
    yield "description", tool.description
    yield "parameters", tool.parameters
    yield "timeout", tool.timeout


@dataclass(frozen=True, slots=True)
class _Code:
    """A reference and the SHA-256 of what it leads to: an edit of the module is a change."""

    python: str
    sha256: str


def _has(d: Deployment, path: Path) -> bool:
    return path[1] in (d.agents if path[0] == "agents" else d.tools)


def _part(fields: Mapping[Path, Any], path: Path) -> dict[str, Any] | None:
    found = {p[-1]: value for p, value in fields.items() if p[:2] == path}
    return found or None


def _open(value: Any) -> Any:
    """A value for a Change: plain, secrets masked."""
    if isinstance(value, Secret):
        return _MASK
    if isinstance(value, _Code):
        return value.python
    if isinstance(value, Mapping):
        return {key: _open(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_open(item) for item in value]
    return value
