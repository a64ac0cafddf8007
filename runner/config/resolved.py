"""A deployment with everything said: defaults in, bases merged, ``${...}`` filled in, prompts in
their place. And where each of its values comes from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from runner.config import percall
from runner.config import schema as schemas
from runner.config.behind import argument_file, reference
from runner.config.expand import _per_call
from runner.config.load import Loaded
from runner.config.tree import Path
from runner.config.units import duration
from runner.model.deployment import Deployment, ToolSpec
from runner.model.secret import Secret

MASK = "***"
#: Transports that carry the format which the file names; elsewhere it is not for the file to say.
_OWN_FORMAT = ("websocket", "custom")
_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::[-?][^}]*)?\}")
_BARE_NAME = re.compile(r"(?:[A-Z][a-z]+ )?\$\{[A-Za-z_][A-Za-z0-9_]*(?::-)?\}\Z")
_DOLLAR = re.compile(r"\$(?=[${])")


def resolved(loaded: Loaded) -> dict[str, Any]:
    """The document as it is understood, in the order of the schema; secrets are Secret objects,
    ``${call.*}``, ``${now}`` and what ``no_env`` left open stay. Written as YAML beside the file
    it is the same deployment."""
    d = loaded.deployment
    filled = with_defaults(d)
    _beside(filled, loaded)
    out = {key: _written(value, (key,)) for key, value in filled.items()}
    for path in loaded.unset:
        _put_back(out, loaded.tree.value, path)
    return out


def with_defaults(d: Deployment) -> dict[str, Any]:
    """The document of ``d`` with its defaults, in the order of the schema."""
    given = dict(d.document)
    out: dict[str, Any] = {
        **given,
        "apiVersion": given.get("apiVersion", "rtrun/v1"),
        "name": d.name,
        "engine": given.get("engine", "auto"),
        "model": d.model,
        "transport": _copied(given.get("transport", d.transport.type)),
        "timezone": d.timezone or "none",
        "session": _session(d),
        "entry": d.entry,
        "reload": {
            "apply": d.reload.apply,
            "in_call": d.reload.in_call,
            **(given.get("reload") or {}),
        },
    }
    if given.get("tools"):
        out["tools"] = {name: _tool(spec, d.tools[name]) for name, spec in given["tools"].items()}
    if given.get("guardrails"):
        rails = zip(given["guardrails"], d.guardrails, strict=True)
        out["guardrails"] = [{**spec, "check": r.check, "then": r.then} for spec, r in rails]
    if given.get("silence"):
        out["silence"] = {**given["silence"], "say": d.silence.say}
    order = schemas.load().resolved["properties"]
    # What the bases say is in here already; homes of anchors have done their work.
    return {key: out[key] for key in order if key in out and key != "extends"}


def origins(loaded: Loaded, document: Any, env: Mapping[str, str]) -> dict[Path, str]:
    """Where each scalar of a document comes from: ``file:line``, with the variables of ``env``
    that had a part in it, ``--set``, the prompt's file, or ``default``."""
    out: dict[Path, str] = {}

    def visit(value: Any, path: Path) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                visit(item, (*path, key))
        elif isinstance(value, list) and value:
            for index, item in enumerate(value):
                visit(item, (*path, index))
        else:
            out[path] = origin(loaded, path, env)

    visit(document, ())
    return out


def origin(loaded: Loaded, path: Path, env: Mapping[str, str]) -> str:
    """Where the value at ``path`` comes from."""
    places = loaded.tree.places
    prompt = places.get((*path, "file")) if path[-1:] == ("instructions",) else None
    if prompt is not None:
        return os.path.join(os.path.dirname(prompt.source.name), prompt.text or "")
    while path and path not in places:
        path = path[:-1]
        # A map above was written, and this in it was not; a short form stands for all of it.
        if path in places and places[path].text is None:
            return "default"
    if not path:
        return "default"
    place = places[path]
    where = f"{place.source.name}:{place.line}" if place.line else place.source.name
    for name in dict.fromkeys(_NAME.findall(place.text or "")):
        if name != "now":
            there = env.get(name) or env.get(f"{name}_FILE")
            where += f", {name} {'from the environment' if there else 'is not set'}"
    return where


def opened(value: Any, show_secrets: bool = False) -> Any:
    """``value`` with each secret as ``***``, or as itself: then as the file must write it."""
    if isinstance(value, Secret):
        return _escaped(value.reveal()) if show_secrets else MASK
    if isinstance(value, Mapping):
        return {key: opened(item, show_secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [opened(item, show_secrets) for item in value]
    return value


def as_written(loaded: Loaded, show_secrets: bool = False) -> Any:
    """The document as it is read, ``${...}`` standing; a key written in clear is ``***``, so is
    one that stands as the default of a variable."""
    schema = schemas.load()

    def visit(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: visit(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [visit(item, (*path, index)) for index, item in enumerate(value)]
        if show_secrets or schema.secret(path) is not True or value is None:
            return value
        return value if isinstance(value, str) and _BARE_NAME.match(value) else MASK

    return visit(loaded.tree.value, ())


def _session(d: Deployment) -> dict[str, Any]:
    given = d.document.get("session") or {}
    out: dict[str, Any] = _copied(d.session.wire)
    audio = out["audio"]
    if d.transport.type not in _OWN_FORMAT:
        for side in ("input", "output"):
            if "format" not in ((given.get("audio") or {}).get(side) or {}):
                audio[side].pop("format", None)
    own = ((given.get("audio") or {}).get("output") or {}).get("voice")
    if own is None and any(agent.voice for agent in d.agents.values()):
        # Named here it would stand above the voices of the agents.
        audio["output"].pop("voice", None)
    return out


def _copied(value: Any) -> Any:
    """A copy whose maps can be changed."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return list(value) if isinstance(value, (list, tuple)) else value


def _tool(spec: Mapping[str, Any], tool: ToolSpec) -> dict[str, Any]:
    if tool.hosted_mcp is not None:
        return dict(spec)
    own = {"timeout": duration(tool.timeout), "approval": tool.approval, "respond": tool.respond}
    out = {**spec, **{key: value for key, value in own.items() if key not in spec}}
    if tool.http is not None:
        out["http"] = {"method": tool.http.method, **spec["http"]}
    return out


def _beside(document: dict[str, Any], loaded: Loaded) -> None:
    """Paths in what a base in another folder says, as they are named from the deployment."""
    home = loaded.deployment.source.parent
    specs: dict[Path, Any] = {}
    specs |= {("tools", name): spec for name, spec in (document.get("tools") or {}).items()}
    specs |= {("guardrails", i): rail for i, rail in enumerate(document.get("guardrails") or ())}
    if isinstance(line := document["transport"], dict):
        specs["transport",] = line
    for at, spec in specs.items():
        base = loaded.tree.folder(reference(at, spec))
        if os.path.abspath(base) == os.path.abspath(home):
            continue
        module, colon, function = str(spec.get("python", "")).rpartition(":")
        if module.endswith(".py"):
            spec["python"] = f"{_named_from(home, base / module)}{colon}{function}"
        for kind, key in (("command", "argv"), ("mcp", "command")):
            part = spec.get(kind)
            if kind == "command" and isinstance(part, list):
                part = {"argv": part}
            if isinstance(part, Mapping) and isinstance(part.get(key), list):
                part = {**part, key: [_argument(item, base, home) for item in part[key]]}
                if kind == "command":
                    part["cwd"] = _named_from(home, base / part.get("cwd", "."))
                spec[kind] = part


def _argument(item: Any, base: FilePath, home: FilePath) -> Any:
    file = argument_file(base, item) if isinstance(item, str) else None
    return item if file is None else _named_from(home, file)


def _put_back(document: Any, written: Any, path: Path) -> None:
    """What hangs on a variable that is not set, as the file has it: nobody knows more."""
    *above, last = path
    for step in above:
        written = written[step]
        following = document[step]
        if not isinstance(following, (dict, list)):
            document[step] = written  # a short form, or a prompt that was read
            return
        document = following
    document[last] = written[last]


def _named_from(home: FilePath, file: FilePath) -> str:
    return FilePath(os.path.relpath(file, home)).as_posix()


def _written(value: Any, path: Path) -> Any:
    """Filled-in texts as a file has to write them, so that they are filled in no second time."""
    if isinstance(value, Mapping):
        return {key: _written(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(item, (*path, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    if not _per_call(path):
        return _escaped(value)
    pieces = percall.cut(value)
    follows = [*(placeholder for _, placeholder in pieces[1:]), False]
    return "".join(
        f"${{{text}}}" if placeholder else _escaped(text, before)
        for (text, placeholder), before in zip(pieces, follows, strict=True)
    )


def _escaped(text: str, before_placeholder: bool = False) -> str:
    out = _DOLLAR.sub("$$", text)
    return f"{out}$" if before_placeholder and text.endswith("$") else out
