"""Instructions that stand in a file of their own: ``instructions: { file: prompts/x.md }``."""

from __future__ import annotations

import os
import stat
from pathlib import Path as FilePath
from typing import Any

from runner.config.check import near
from runner.config.expand import Expander
from runner.config.source import decode, digest, shown
from runner.config.tree import Path, Tree
from runner.errors import ConfigError, Problem

MAX_PROMPT = 256 * 1024
"""The most that one prompt file may hold, in bytes."""
MAX_PROMPTS = 4 << 20
"""The most that all of a deployment may hold together."""


def read_prompts(tree: Tree, document: Any, expander: Expander) -> dict[FilePath, str]:
    """Puts the text of each ``{ file: }`` in its place in ``document``; a relative name starts
    from the file in which it is written.

    Returns the files read, absolute and with links unresolved, with their digests (empty for
    one that could not be read); problems go to ``expander.problems``.
    """
    files: dict[FilePath, str] = {}
    total = 0
    agents = document.get("agents") if isinstance(document, dict) else None
    for name, agent in (agents if isinstance(agents, dict) else {}).items():
        wanted = agent.get("instructions") if isinstance(agent, dict) else None
        ref = wanted.get("file") if isinstance(wanted, dict) else None
        if not isinstance(ref, str) or not ref:
            continue
        path: Path = ("agents", name, "instructions", "file")
        if path in expander.broken:
            continue
        base = tree.folder(path)
        file = FilePath(os.path.abspath(base / ref)) if "\0" not in ref else base / ref
        try:
            data = _read(file)
        except _Refused as why:
            hint = (near(ref, _beside(file, base)) or tree.begins(path)) if why.missing else ""
            expander.problems.append(tree.problem(path, str(why), hint, code="RT501"))
            expander.broken.add(path[:3])
            files.setdefault(file, "")
            continue
        files[file] = digest(data)
        total += len(data)
        if total > MAX_PROMPTS:
            words = "with this one the prompts are over 4 MiB"
            expander.problems.append(tree.problem(path, words, code="RT501"))
            expander.broken.add(path[:3])
            break
        try:
            source = decode(data, os.path.join(os.path.dirname(tree.home(path).name), ref))
        except ConfigError as error:
            expander.problems += [
                Problem(
                    p.file,
                    p.line,
                    p.column,
                    f"agents.{shown(name)}.instructions",
                    p.message,
                    p.hint,
                    p.source,
                    p.code,
                )
                for p in error.problems
            ]
            expander.broken.add(path[:3])
            continue
        if not source.text.strip():
            problem = tree.problem(path, f"{shown(ref)} is empty", code="RT501")
            expander.problems.append(problem)
        agent["instructions"] = expander.prompt(source, path[:3])
    return files


class _Refused(Exception):
    missing = False


def _read(file: FilePath) -> bytes:
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _Refused(f"{shown(file.name)} is a folder")
        if not stat.S_ISREG(mode):
            raise _Refused(f"{shown(file.name)} is not a regular file")
        with file.open("rb") as stream:
            data = stream.read(MAX_PROMPT + 1)
    except FileNotFoundError:
        error = _Refused(f"no file {shown(file.name)} in {shown(str(file.parent), 120)}")
        error.missing = True
        raise error from None
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        raise _Refused(f"{shown(file.name)} cannot be read ({reason})") from None
    if len(data) > MAX_PROMPT:
        raise _Refused(f"{shown(file.name)} is larger than 256 KiB")
    return data


def _beside(file: FilePath, base: FilePath) -> list[str]:
    try:
        return [str(p.relative_to(base)) for p in file.parent.iterdir() if p.is_file()]
    except (OSError, ValueError):
        return []
