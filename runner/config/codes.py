"""What each code of a problem means. A code never changes its meaning, so that a search for
``RT202``, a filter in CI and an old log stay true."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from runner.config.tree import LOADER
from runner.errors import InputError

_FILE = Path(__file__).with_name("codes.yaml")


@dataclass(frozen=True, slots=True)
class Code:
    """``title`` in a few words, ``text`` in two to five sentences. ``wrong`` is a whole deployment
    that has the problem, ``right`` one that has none. ``beside``: file name -> content for both;
    ``sets``: what ``--set`` gives to the wrong one."""

    code: str
    title: str
    text: str
    wrong: str
    right: str
    beside: Mapping[str, str] = field(default_factory=dict)
    sets: tuple[tuple[str, str], ...] = ()

    @property
    def warning(self) -> bool:
        """Does it fail only with ``--strict``?"""
        return self.code.startswith("RT9")


@cache
def codes() -> Mapping[str, Code]:
    """Every code, in order. InputError when the table is missing from the installation."""
    try:
        table = yaml.load(_FILE.read_text(encoding="utf-8"), Loader=LOADER)
    except (OSError, ValueError) as error:
        raise InputError(f"{_FILE}: the table of codes cannot be read ({error})") from None
    return {code: _code(code, entry) for code, entry in table.items()}


def _code(code: str, entry: Mapping[str, Any]) -> Code:
    return Code(
        code,
        entry["title"],
        entry["text"],
        entry["wrong"],
        entry["right"],
        entry.get("with", {}),
        tuple((path, value) for path, value in entry.get("set", ())),
    )


def about(code: str) -> str | None:
    """Title, explanation and examples of a code (``RT202``, in any case), None for no code."""
    found = codes().get(code.upper())
    if found is None:
        return None
    lines = [f"{found.code}: {found.title}", "", *textwrap.wrap(found.text, 96), ""]
    given = "".join(f" --set {path}={value}" for path, value in found.sets)
    lines += [f"Wrong{given}:", "", _inset(found.wrong), ""]
    lines += ["Right:", "", _inset(found.right)]
    return "\n".join(lines)


def _inset(text: str) -> str:
    return textwrap.indent(text.rstrip("\n"), "    ")
