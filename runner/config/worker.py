"""What a Cloudflare Worker cannot serve, each with its place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.config.behind import module_file
from runner.config.ground import Ground, as_list, as_map
from runner.config.neighbours import beside, imports_of, neighbours, standard
from runner.config.source import shown
from runner.config.tree import Path as Steps
from runner.config.tree import dotted
from runner.errors import Problem
from runner.model.secret import revealed

#: Modules of the standard library that Pyodide leaves out, that do nothing there, or that newer
#: versions of Python, which a Worker has, have lost.
LACKING = frozenset(
    {
        "aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt",
        "curses", "dbm", "distutils", "ensurepip", "fcntl", "grp", "idlelib", "imghdr",
        "imp", "lib2to3", "mailcap", "msilib", "msvcrt", "multiprocessing", "nis",
        "nntplib", "nt", "ossaudiodev", "pipes", "pty", "pwd", "pydoc_data", "readline", "resource",
        "smtpd", "sndhdr", "socketserver", "spwd", "subprocess", "sunau", "syslog",
        "telnetlib", "termios", "tkinter", "tty", "turtle", "turtledemo", "uu", "venv",
        "winreg", "winsound", "xdrlib",
    }
)  # fmt: skip
#: Keys that rtrun obeys on a machine alone, and why.
_MACHINE: dict[Steps, str] = {
    ("calls",): "a Worker answers every call alike",
    ("on_failure",): "a Worker passes no call on",
    ("records",): "a Worker has no folder to keep calls in",
    ("limits", "calls"): "instances of a Worker do not count each other's calls",
    ("limits", "cost_per_call"): "a Worker does not count what a call costs",
}
#: Keys of a line that a machine has, and what a Worker has instead.
_LINES = {
    "listen": "a Worker's address is Cloudflare's",
    "path": "a Worker answers phone calls at /sip/webhook and /twilio",
    "webhook_secret": "a Worker has the binding OPENAI_WEBHOOK_SECRET",
    "public_url": "a Worker's address is Cloudflare's",
    "auth_token": "a Worker has the binding TWILIO_AUTH_TOKEN",
    "api_url": "a Worker asks nothing of Twilio's API",
    "ice_servers": "a Worker answers no WebRTC",
}
_NOBODY = "nobody can be asked in a Worker, but the caller"
_NO_PROGRAMS = "a Worker starts no programs"
_NO_CLIENT = "a Worker has no client for MCP"
_HOW = "make it http or python"


def worker_problems(ground: Ground) -> Iterator[Problem]:
    """Everything in a valid document that has no meaning in a Worker."""
    engine = revealed(ground.at(("engine",)))
    kind = as_map(engine).get("type") if isinstance(engine, Mapping) else engine
    if kind == "local":
        path: Steps = ("engine", "type") if isinstance(engine, Mapping) else ("engine",)
        hint = "openai, or { url: wss://... }"
        yield ground.say(path, "the local engine does not run in a Worker", hint, code="RT602")
    line = ground.at(("transport",))
    if as_map(line).get("type") == "custom":
        words = "a Worker brings lines of its own"
        yield ground.say(("transport", "type"), words, "transport: cloudflare", code="RT601")
    for key, words in _LINES.items():
        # Beside type: cloudflare they are wrong anyway, and told so.
        if key in as_map(line) and as_map(line).get("type") != "cloudflare":
            yield ground.say(("transport", key), words, "leave it out", at_key=True, code="RT601")
    for path, words in _MACHINE.items():
        if ground.at(path) is not None:
            yield ground.say(path, words, "rtrun on a machine does", at_key=True, code="RT601")
    for name, agent in ground.map("agents").items():
        for index, way in enumerate(as_list(as_map(agent).get("handoffs"))):
            if as_map(way).get("transfer"):
                path = ("agents", name, "handoffs", index, "transfer")
                words = "a Worker passes no call on"
                hint = "hand over to an agent"
                yield ground.say(path, words, hint, at_key=True, code="RT601")
    for name, spec in ground.map("tools").items():
        spec = as_map(spec)
        for key, words, hint in (
            ("command", _NO_PROGRAMS, _HOW),
            ("mcp", _NO_CLIENT, "hosted_mcp is carried out by the server, or make it http"),
        ):
            if key in spec:
                path = ("tools", name, key)
                yield ground.say(path, words, hint, at_key=True, code="RT601")
        yield from _approval(ground, name, spec)
        yield from _python(ground, ("tools", name, "python"), spec.get("python"))
    for index, rail in enumerate(as_list(ground.at(("guardrails",)))):
        rail = as_map(rail)
        if "moderation" in rail:
            path = ("guardrails", index, "moderation")
            words = "a Worker has no client for moderation"
            yield ground.say(path, words, "phrases, regex or python", at_key=True, code="RT601")
        yield from _python(ground, ("guardrails", index, "python"), rail.get("python"))


def _approval(ground: Ground, name: str, spec: Mapping[str, Any]) -> Iterator[Problem]:
    if spec.get("approval") == "operator":
        path: Steps = ("tools", name, "approval")
        yield ground.say(path, _NOBODY, "approval: caller", code="RT601")
    if "hosted_mcp" in spec:
        path = ("tools", name, "hosted_mcp")
        needed = as_map(spec["hosted_mcp"]).get("require_approval", "always")
        if needed == "always" or "always" in as_map(needed):
            given = "require_approval" in as_map(spec["hosted_mcp"])
            path = (*path, "require_approval") if given else path
            hint = "require_approval: never; left out it is always"
            yield ground.say(path, _NOBODY, hint, at_key=True, code="RT601")


def _python(ground: Ground, path: Steps, reference: Any) -> Iterator[Problem]:
    if not isinstance(reference, str) or ":" not in reference:
        return
    base = ground.tree.folder(path)
    file = module_file(base, reference)
    if file is None:
        module = reference.rpartition(":")[0]
        if not _there(module):
            words = f"the package {shown(module.partition('.')[0])} is not there in a Worker"
            yield ground.say(path, words, "name a file: tools/x.py:function", code="RT603")
        return
    if not file.resolve().is_relative_to(ground.base.resolve()):
        words = f"{shown(file.name)} stands outside of the deployment's folder"
        yield ground.say(path, words, "the Worker gets the folder's own files", code="RT603")
    read = neighbours(file, standard)
    for where, code in read.code.items():
        yield from _imports(where, code, read.folders, dotted(path))


def _imports(file: Path, code: bytes, folders: tuple[Path, ...], path: str) -> Iterator[Problem]:
    for found in imports_of(code):
        top = found.module.partition(".")[0]
        if found.level or _there(found.module):
            continue
        if beside(folders, top, Path.is_file, Path.is_dir) is not None:
            continue
        line = code.decode("utf-8", "replace").splitlines()[found.line - 1]
        known = "rtrun's own rooms there are fewer" if top == "runner" else "use what Python brings"
        words = f"{found.module if top == 'runner' else top} is not there in a Worker"
        yield Problem(str(file), found.line, found.column, path, words, known, line, "RT603")


def _there(module: str) -> bool:
    top = module.partition(".")[0]
    if top == "runner":
        return module in _ROOMS or module.rpartition(".")[0] in _ROOMS
    return top in sys.stdlib_module_names and top not in LACKING


#: Of rtrun, what a tool may import.
_ROOMS = frozenset(
    {"runner", "runner.agent", "runner.errors", "runner.guardrails", "runner.tools.base"}
)
