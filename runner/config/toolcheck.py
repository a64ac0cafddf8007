"""What a schema cannot say of tools: one kind each, files that are there, arguments that fit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from runner.config.behind import argument_file, argv_of, is_script
from runner.config.check import choices, near
from runner.config.ground import BUILT_IN_TOOLS, Ground, as_list, as_map
from runner.config.source import shown
from runner.config.tree import Path
from runner.errors import Problem
from runner.model.deployment import arguments_in
from runner.model.secret import Secret, revealed

KINDS = ("python", "http", "command", "mcp", "hosted_mcp")

_OWN_WORDS = "its tools bring their own"
_NOT_BESIDE: Mapping[str, Mapping[str, str]] = {
    "mcp": {"description": _OWN_WORDS, "parameters": _OWN_WORDS},
    "hosted_mcp": {
        "description": "write server_description inside hosted_mcp",
        "parameters": _OWN_WORDS,
        "timeout": "the Realtime service runs its tools",
        "approval": "write require_approval inside hosted_mcp",
        "while_waiting": "the Realtime service runs its tools",
        "respond": "the Realtime service runs its tools",
    },
}


def tool_problems(ground: Ground) -> Iterator[Problem]:
    """Every error under ``tools:``; warnings go to ``ground``."""
    for name, given in ground.map("tools").items():
        path: Path = ("tools", name)
        if name in BUILT_IN_TOOLS:
            message = f"the name {name} is taken: that tool is built in"
            hint = "an agent lists it without an entry here; call yours otherwise"
            yield ground.say(path, message, hint, at_key=True, code="RT306")
        if isinstance(given, dict):
            yield from _tool(ground, path, given)


def _tool(ground: Ground, path: Path, tool: dict[str, Any]) -> Iterator[Problem]:
    yield from ground.exactly_one(path, tool, KINDS, "a tool")
    for kind, hints in _NOT_BESIDE.items():
        if kind in tool:
            yield from ground.does_not_go(path, tool, kind, hints)
    if "python" in tool:
        yield from ground.function((*path, "python"), tool["python"])
    if "http" in tool:
        yield from _http(ground, (*path, "http"), as_map(tool["http"]), tool.get("parameters"))
    if "command" in tool:
        yield from _command(ground, (*path, "command"), tool["command"])
    if isinstance(tool.get("mcp"), dict):
        yield from _mcp(ground, (*path, "mcp"), tool["mcp"])
    if isinstance(tool.get("hosted_mcp"), dict):
        yield from _hosted(ground, (*path, "hosted_mcp"), tool["hosted_mcp"])
    parameters = tool.get("parameters")
    if isinstance(parameters, dict):
        yield from _parameters(ground, (*path, "parameters"), revealed(parameters))


def _parameters(ground: Ground, path: Path, schema: dict[str, Any]) -> Iterator[Problem]:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        message = f"not a JSON Schema: {shown(error.message, 160)}"
        yield ground.say((*path, *error.absolute_path), message, code="RT302")
        return
    except RecursionError:
        yield ground.say(path, "not a JSON Schema: nested too deep", code="RT302")
        return
    if schema.get("type") != "object":
        words = "the arguments of a tool are an object"
        yield ground.say(path, words, "add type: object", code="RT302")


def _http(ground: Ground, path: Path, http: dict[str, Any], parameters: Any) -> Iterator[Problem]:
    yield from _web(ground, path, http)
    url = _text(http.get("url"))
    if "://" in url:
        server = url.split("://", 1)[1].partition("/")[0].partition("?")[0].partition("#")[0]
        if arguments_in(server):
            message = "an argument cannot choose the server"
            hint = "{argument} stands behind the first / or ?"
            yield ground.say((*path, "url"), message, hint, code="RT303")
    if http.get("body") is not None and http.get("method", "GET") == "GET":
        words, hint = "a GET has no body", "add method: POST"
        yield ground.say((*path, "body"), words, hint, at_key=True, code="RT304")
    known = as_map(parameters).get("properties")
    if not isinstance(parameters, dict) or not (known is None or isinstance(known, dict)):
        return
    for where, value in _leaves(path, http):
        if where[len(path)] not in ("url", "query", "headers", "body"):
            continue
        written = ground.tree.place(where).text or ""
        for argument in arguments_in(value):
            if argument not in (known or {}) and f"{{{argument}}}" in written:
                names = list(known or {})
                hint = near(argument, names) or (
                    f"there are {choices(names)}" if names else "parameters has no properties"
                )
                words = f"no parameter is called '{argument}'"
                yield ground.say(where, words, hint, code="RT303")


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves((*path, key), item)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _leaves((*path, i), item)
    else:
        yield path, value


def _command(ground: Ground, path: Path, command: Any) -> Iterator[Problem]:
    spec = as_map(command)
    argv, where = argv_of(command), ((*path, "argv") if spec else path)
    yield from _argv(ground, where, argv)
    for i, item in enumerate(as_list(argv)):
        if arguments := arguments_in(item):
            message = f"{{{arguments[0]}}} is not filled in here"
            hint = "the program reads its arguments as JSON on standard input"
            ground.warn((*where, i), message, hint, code="RT911")
    folder = spec.get("cwd")
    if isinstance(folder, str) and folder:
        try:
            there = (ground.tree.folder((*path, "cwd")) / folder).is_dir()
        except (OSError, ValueError):
            there = False
        if not there:
            hint = ground.tree.begins((*path, "cwd"))
            yield ground.say((*path, "cwd"), f"no folder {shown(folder)}", hint, code="RT207")
    ground.keys_in_map((*path, "env"))


def _argv(ground: Ground, path: Path, argv: Any) -> Iterator[Problem]:
    """The program, when it is a path, and scripts are there; what is looked up in PATH is not
    known before it runs."""
    for i, item in enumerate(as_list(argv)):
        text = _text(item)
        if i == 0 and text == "" and isinstance(item, (str, Secret)):
            words = "is empty; the name of a program belongs here"
            yield ground.say((*path, i), words, code="RT305")
        elif i == 0 and "/" in text:
            if isinstance(item, Secret):
                continue  # a message would show it
            yield from ground.file((*path, i), text)
            file = argument_file(ground.tree.folder((*path, i)), text)
            if file is not None and file.is_file() and not os.access(file, os.X_OK):
                message = f"{shown(text)} is not executable"
                yield ground.say((*path, i), message, f"chmod +x {shown(text)}", code="RT305")
        elif i > 0 and isinstance(item, str) and is_script(text):
            yield from ground.file((*path, i), text)


def _mcp(ground: Ground, path: Path, mcp: dict[str, Any]) -> Iterator[Problem]:
    yield from ground.exactly_one(path, mcp, ("command", "url"), "an MCP server")
    if "url" in mcp and "command" not in mcp:
        yield from ground.does_not_go(path, mcp, "url", {"env": "env belongs to a command"})
    if "command" in mcp and "url" not in mcp:
        hints = {"headers": "headers belong to a url"}
        yield from ground.does_not_go(path, mcp, "command", hints)
    yield from _argv(ground, (*path, "command"), mcp.get("command"))
    yield from _web(ground, path, mcp)
    ground.keys_in_map((*path, "env"))


def _hosted(ground: Ground, path: Path, hosted: dict[str, Any]) -> Iterator[Problem]:
    kinds = ("server_url", "connector_id")
    yield from ground.exactly_one(path, hosted, kinds, "a hosted MCP server")
    yield from ground.url((*path, "server_url"), hosted.get("server_url"))
    ground.key_in_file((*path, "authorization"))
    ground.keys_in_map((*path, "headers"))
    approval = as_map(hosted.get("require_approval"))
    always = as_list(as_map(approval.get("always")).get("tool_names"))
    where: Path = (*path, "require_approval", "never", "tool_names")
    for i, name in enumerate(as_list(as_map(approval.get("never")).get("tool_names"))):
        if isinstance(name, str) and name in always:
            message = f"'{shown(name)}' stands under always too"
            yield ground.say((*where, i), message, "a tool is in one of the two", code="RT307")


def _web(ground: Ground, path: Path, spec: dict[str, Any]) -> Iterator[Problem]:
    yield from ground.url((*path, "url"), spec.get("url"))
    ground.keys_in_map((*path, "headers"))


def _text(value: Any) -> str:
    value = value.reveal() if isinstance(value, Secret) else value
    return value if isinstance(value, str) else ""
