"""The files that a deployment leads to: modules of tools, guardrails and a transport, with the
neighbours that they import, and scripts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.config.neighbours import neighbours
from runner.config.source import make_source
from runner.errors import Problem, ToolError
from runner.model.secret import Secret

Steps = tuple[str | int, ...]
#: From the path of a value in the document to the folder in which a relative path there begins.
Folder = Callable[[Steps], Path]

#: An element of argv with one of these ends is a script, whether or not it is there.
SCRIPTS = (".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".pl", ".php")


def module_file(base: Path, python: str) -> Path | None:
    """The file of ``path.py:function``, absolute and with its links unresolved, so that a watcher
    can follow them; None for a function in an importable package."""
    module = python.rpartition(":")[0]
    return _absolute(base, module) if module.endswith(".py") else None


def argv_files(base: Path, argv: Any) -> list[Path]:
    """The files beside the deployment that a command names: those that are there, and scripts
    that should be."""
    found = []
    for item in argv if isinstance(argv, (list, tuple)) else ():
        text = item.reveal() if isinstance(item, Secret) else item
        if isinstance(text, str) and (file := argument_file(base, text)) is not None:
            found.append(file)
    return found


def argument_file(base: Path, text: str) -> Path | None:
    """The file beside the deployment that one element of argv names, None when it names none."""
    if not text or text.startswith("-") or "://" in text or os.path.isabs(text):
        return None
    file = _absolute(base, text)
    if file is None:
        return None
    try:
        return file if file.is_file() or is_script(text) else None
    except (OSError, ValueError):
        return None


def is_script(text: str) -> bool:
    return text.endswith(SCRIPTS) and not text.startswith("-") and "://" not in text


def argv_of(spec: Any) -> Any:
    """The argv of a ``command:`` in either of its shapes."""
    return spec.get("argv") if isinstance(spec, dict) else spec


def reference(path: Steps, spec: Any) -> Steps:
    """Where the tool or guardrail ``spec`` at ``path`` says what it runs: relative paths in it
    begin in the folder of the file that this stands in."""
    if "python" in spec:
        return (*path, "python")
    if "command" in spec:
        return (*path, "command", "argv")
    return (*path, "mcp", "command") if "mcp" in spec else path


@dataclass(frozen=True, slots=True)
class Code:
    """``files`` are all that lead out of a document; ``beside`` has the neighbours of each module
    among them, also those that are missing."""

    files: tuple[Path, ...]
    beside: Mapping[str, tuple[str, ...]]


def code_behind(document: Any, folder: Folder) -> Code:
    """Every file behind a reference, also those of a document with faults."""
    files: dict[Path, None] = {}
    beside: dict[str, tuple[str, ...]] = {}
    for file, module in _named(document, folder):
        files[file] = None
        if module and str(file) not in beside:
            found = neighbours(file).files
            files.update(dict.fromkeys(found))
            beside[str(file)] = tuple(map(str, found))
    return Code(tuple(files), beside)


def _named(document: Any, folder: Folder) -> Iterator[tuple[Path, bool]]:
    """Each file that a document names, and whether it is a module of ours."""
    document = document if isinstance(document, dict) else {}
    tools = document.get("tools")
    rails = document.get("guardrails")
    specs: dict[Steps, Any] = {}
    for name, tool in (tools if isinstance(tools, dict) else {}).items():
        specs["tools", name] = tool
    for i, rail in enumerate(rails if isinstance(rails, list) else ()):
        specs["guardrails", i] = rail
    specs["transport",] = document.get("transport")
    for path, spec in specs.items():
        if not isinstance(spec, dict):
            continue
        base = folder(reference(path, spec))
        ref = spec.get("python")
        module = module_file(base, ref) if isinstance(ref, str) else None
        if module is not None:
            yield module, True
        mcp = spec.get("mcp")
        server = mcp.get("command") if isinstance(mcp, dict) else None
        for argv in (argv_of(spec.get("command")), server):
            for file in argv_files(base, argv):
                yield file, False


def in_code(problem: Problem, error: ToolError) -> Problem:
    """A problem at the name of a module, moved to the line of the code that is at fault, when
    that is known."""
    if error.at is None:
        return problem
    file, line, column, text = error.at
    near = os.path.relpath(file)
    name = file if os.path.isabs(problem.file) or near.startswith(os.pardir) else near
    source = make_source(name, text).line(1)
    return replace(problem, file=name, line=line, column=column, source=source)


def _absolute(base: Path, name: str) -> Path | None:
    return None if "\0" in name else Path(os.path.abspath(base / name))
