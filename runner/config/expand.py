"""``${NAME}``, with ``:-default`` or ``:?message``, ``${vars.x}`` and ``$$`` in a tree's scalars.

Filled in after parsing, so that a value can never add YAML. ``${call.*}`` and ``${now}`` stay
for each call (:mod:`runner.config.percall`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from runner.config import percall
from runner.config.scalars import resolve
from runner.config.schema import Schema
from runner.config.source import Source, digest, position, shown
from runner.config.tree import Path, Place, Tree, dotted
from runner.errors import Problem
from runner.model.secret import Secret

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# Whatever it is, the first part matches.
_CONDITION = re.compile(r"(.*?)(?:(:-|:\?)(.*))?\Z", re.DOTALL)
_DOLLAR_HINT = "write $$ for a dollar sign"
_MAX_SECRET_FILE = 64 * 1024
_MAX_TEXT = 1 << 20
_MAX_NESTED = 16

Piece = tuple[str, bool]
"""A text, and whether it is the name of a placeholder that stays for each call."""


class _Bad(Exception):
    """A ``${...}`` that cannot be filled in; ``offset`` is where it begins in its text."""

    def __init__(
        self,
        offset: int,
        message: str,
        hint: str = "",
        *,
        code: str = "RT503",
        unset: bool = False,
    ) -> None:
        super().__init__(message)
        self.unset = unset
        self.code = code
        self.offset = offset
        self.message = message
        self.hint = hint


@dataclass(slots=True)
class Expander:
    """Fills in one tree. ``env`` is the environment; ``problems`` collects what is wrong,
    ``broken`` the paths concerned, ``files`` what ``NAME_FILE`` made it read, with digests.
    ``no_env``: a variable that is not set is no problem, and ``unset`` has its paths."""

    tree: Tree
    env: Mapping[str, str]
    schema: Schema
    no_env: bool = False
    problems: list[Problem] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)
    unset: set[Path] = field(default_factory=set)
    #: What the environment gave, to its variable: for :class:`runner.config.hide.Hider`.
    filled: dict[str, str] = field(default_factory=dict, repr=False)
    files: dict[str, str] = field(default_factory=dict)
    #: Names of ``vars:`` that something fills in, and the prompt files with their agents.
    used: set[str] = field(default_factory=set)
    prompts: list[tuple[Source, Path]] = field(default_factory=list)
    _vars: dict[str, list[Piece] | _Bad] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def document(self) -> Any:
        """The tree's value, every scalar filled in, secrets wrapped."""
        return self._walk(self.tree.value, ())

    def prompt(self, source: Source, path: Path) -> str:
        """The text of a prompt file, filled in; problems stand in the prompt file."""
        self.prompts.append((source, path))
        try:
            return percall.join(self._pieces(source.text, 0))
        except _Bad as bad:
            self.broken.add(path)
            if bad.unset:
                self.unset.add(path)
            if bad.message:
                at = position(source.text, bad.offset)
                where = dotted(path)
                problem = source.problem(*at, bad.message, bad.hint, where, code=bad.code)
                self.problems.append(problem)
            return source.text

    def _walk(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self._walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._walk(item, (*path, i)) for i, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        secret = self.schema.secret(path)
        if "$" not in value or (path and isinstance(path[0], str) and path[0].startswith("x-")):
            return Secret(value) if secret is True else value
        try:
            out = self._scalar(value, path)
        except _Bad as bad:
            self.broken.add(path)
            if bad.unset:
                self.unset.add(path)
            if bad.message:
                self.problems.append(self._problem(path, value, bad))
            return value
        if not secret or not isinstance(out, str) or (secret == "url" and "://" not in out):
            return out
        return Secret(out)

    def _scalar(self, value: str, path: Path) -> Any:
        pieces: list[Piece] | _Bad
        if len(path) == 2 and path[0] == "vars" and isinstance(path[1], str):
            pieces = self._var_pieces(path[1])
            if isinstance(pieces, _Bad):
                raise pieces
        else:
            pieces = self._pieces(value, 0)
        per_call = [text for text, placeholder in pieces if placeholder]
        if per_call and not _per_call(path):
            hint = "it may stand in instructions and greetings, and in vars used there"
            raise _Bad(
                value.find("$"),
                f"${{{per_call[0]}}} is known only during a call",
                hint,
                code="RT505",
            )
        if _per_call(path):
            return percall.join(pieces)
        text = "".join(text for text, _ in pieces)
        if not _whole(value):
            return text
        # ${PORT} alone is a number where a number belongs, and a text where a text does.
        fits = self.schema.takes(path, text)
        if fits or (fits is None and not self.tree.place(path).plain):
            return text
        try:
            return resolve(text)
        except ValueError:
            return text

    def _pieces(self, text: str, start: int, depth: int = 0) -> list[Piece]:
        """``text`` cut at its ``${...}``; ``start`` is where it stands in the whole text."""
        if depth + len(self._open) > _MAX_NESTED:
            raise _Bad(start, f"${{...}} nested deeper than {_MAX_NESTED} levels")
        out: list[Piece] = []
        at = 0
        total = 0
        while (dollar := text.find("$", at)) >= 0:
            out.append((text[at:dollar], False))
            follows = text[dollar + 1 : dollar + 2]
            if follows == "$":
                out.append(("$", False))
                at = dollar + 2
            elif follows == "{":
                end = _closing(text, dollar + 2)
                if end < 0:
                    raise _Bad(start + dollar, "this ${ has no }", _DOLLAR_HINT)
                inner = text[dollar + 2 : end]
                filled = [p for p in self._fill(inner, start + dollar, depth) if p[0]]
                # Texts that fill in texts that fill in texts grow like an alias bomb.
                total += sum(len(piece) for piece, _ in filled)
                if total > _MAX_TEXT:
                    raise _Bad(start + dollar, "this text grows beyond 1 MiB")
                out += filled
                at = end + 1
            else:
                out.append(("$", False))
                at = dollar + 1
        out.append((text[at:], False))
        return out

    def _fill(self, inner: str, offset: int, depth: int) -> list[Piece]:
        """What stands for ``${inner}``."""
        name, sign, rest = _CONDITION.match(inner).groups()  # type: ignore[union-attr]
        if name in percall.NAMES and not sign:
            return [(name, True)]
        if name.startswith("vars.") and not sign:
            return self._var(name.removeprefix("vars."), offset)
        if not _ENV_NAME.match(name):
            raise self._not_a_name(inner, offset)
        value = self._environment(name, offset)
        if sign == ":-" and not value:
            return self._pieces(rest, offset + len(name) + 4, depth + 1)
        if sign == ":?" and not value:
            if self.no_env:
                raise _Bad(offset, "", unset=True)
            message = shown(rest.strip(), 200) or f"{shown(name)} is not set in the environment"
            raise _Bad(offset, message, f"set {shown(name)}", code="RT502")
        if value is None and self.no_env:
            raise _Bad(offset, "", unset=True)
        if value is None:
            near = difflib.get_close_matches(name, self.env, 1, 0.8)
            hint = f"set it, or give a default: ${{{name}:-...}}"
            if near:
                hint = f"did you mean ${{{shown(near[0])}}}?"
            words = f"{shown(name)} is not set in the environment"
            raise _Bad(offset, words, hint, code="RT502")
        return [(value, False)]

    def _environment(self, name: str, offset: int) -> str | None:
        value = self.env.get(name)
        where = self.env.get(f"{name}_FILE")
        if value is None and where:
            try:
                path = FilePath(os.path.abspath(where))
                self.files.setdefault(str(path), "")  # it may come yet
                with path.open("rb") as stream:
                    data = stream.read(_MAX_SECRET_FILE + 1)
                if len(data) > _MAX_SECRET_FILE:
                    raise ValueError("larger than 64 KiB")
                value = data.decode("utf-8").rstrip("\r\n")
            except (OSError, ValueError) as error:
                if self.no_env:
                    return None
                reason = getattr(error, "strerror", None) or str(error)
                message = f"{shown(name)}_FILE names {shown(where)}, which cannot be read"
                raise _Bad(offset, message, shown(reason), code="RT502") from None
            self.files[str(path)] = digest(data)
        if value is not None:
            self.filled.setdefault(value, name)
        if value is not None and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            raise _Bad(offset, f"the value of {shown(name)} is not UTF-8 text", code="RT502")
        return value

    def _var(self, name: str, offset: int) -> list[Piece]:
        own = self.tree.value.get("vars")
        own = own if isinstance(own, dict) else {}
        if name not in own:
            near = difflib.get_close_matches(name, own, 1)
            hint = f"did you mean ${{vars.{near[0]}}}?" if near else "add it under vars:"
            raise _Bad(offset, f"vars has no '{shown(name)}'", hint, code="RT504")
        self.used.add(name)
        if name in self._open:
            raise _Bad(offset, f"vars.{shown(name)} refers to itself", code="RT504")
        pieces = self._var_pieces(name)
        if isinstance(pieces, _Bad):
            # told once, where the variable stands
            raise _Bad(offset, "", unset=pieces.unset)
        return pieces

    def _var_pieces(self, name: str) -> list[Piece] | _Bad:
        if name not in self._vars:
            self._open.append(name)
            try:
                self._vars[name] = self._pieces(self._raw(("vars", name)), 0)
            except _Bad as bad:
                self._vars[name] = bad
            finally:
                self._open.pop()
        return self._vars[name]

    def _raw(self, path: Path) -> str:
        """A scalar as written: 22.50 stays 22.50."""
        place = self.tree.place(path)
        value = self.tree.value
        for step in path:
            value = value[step]
        if isinstance(value, str):
            return value
        if isinstance(value, (dict, list)) or value is None or place.text is None:
            raise _Bad(0, "not a text, a number, true or false", code="RT103")
        return place.text

    def _not_a_name(self, inner: str, offset: int) -> _Bad:
        known = (
            "${NAME}, ${NAME:-default}, ${NAME:?message}, "
            "${vars.x}, ${call.from}, ${call.to}, ${call.id}, ${now}"
        )
        near = difflib.get_close_matches(inner[:40], percall.NAMES, 1, 0.7)
        hint = f"did you mean ${{{near[0]}}}?" if near else f"known are {known}; {_DOLLAR_HINT}"
        return _Bad(offset, f"${{{shown(inner, 30)}}} means nothing here", hint)

    def _problem(self, path: Path, value: str, bad: _Bad) -> Problem:
        place = self.tree.place(path)
        line, column = inside(place, value, bad.offset)
        where = dotted(path)
        return place.source.problem(line, column, bad.message, bad.hint, where, code=bad.code)


def _per_call(path: Path) -> bool:
    if len(path) >= 3 and path[0] == "agents":
        return path[2:] in (("instructions",), ("greeting",), ("greeting", "say"))
    return len(path) == 2 and path[0] == "vars"


def _whole(value: str) -> bool:
    return value.startswith("${") and _closing(value, 2) == len(value) - 1


def _closing(text: str, at: int) -> int:
    """Where the brace opened before ``at`` closes, -1 when it does not. Defaults may hold
    ``${...}`` themselves."""
    depth = 1
    for sign in re.compile(r"\$\{|\}").finditer(text, at):
        depth += 1 if sign.group() == "${" else -1
        if depth == 0:
            return sign.start()
    return -1


def inside(place: Place, value: str, offset: int) -> tuple[int, int]:
    """Line and column of a character of a scalar, as near as its style allows."""
    if not place.line:
        return 0, 0
    raw = place.source.lines[place.line - 1]
    if raw.find(value, place.column - 1) in (place.column - 1, place.column):
        return place.line, raw.index(value, place.column - 1) + offset + 1
    # A block or a folded text: look for its line from the first one on.
    number = value.count("\n", 0, offset)
    line = value.splitlines()[number] if value else ""
    start = value.rfind("\n", 0, offset) + 1
    for at in range(place.line, min(len(place.source.lines), place.line + 2000)):
        found = place.source.lines[at].find(line)
        if line and found >= 0:
            return at + 1, found + offset - start + 1
    return place.line, place.column
