"""YAML text -> plain values with the place of every one of them.

Built from the parser's events, not by PyYAML's composer: depth, size and aliases are bounded
while reading, keys are checked for duplicates, and scalars follow YAML 1.2.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from runner.config.scalars import resolve, tagged
from runner.config.source import Source, shown
from runner.config.syntax import MAX_DEPTH, QUOTE_PROSE, TOO_DEEP, explain
from runner.errors import ConfigError, Problem

Path = tuple[str | int, ...]

MAX_NODES = 10_000
MAX_ALIASES = 100
_TOO_MANY = f"more than {MAX_NODES} values in one file"

#: libyaml when PyYAML was built with it; both give the same events and marks.
LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MAP_TAG = "tag:yaml.org,2002:map"
_SEQ_TAG = "tag:yaml.org,2002:seq"
_TAG_HINT = "plain data says it: { file: prompts/x.md } for a file, ${NAME} for the environment"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and its key (the value itself in a list). Lines and columns from 1,
    line 0: no place, as with ``--set``. ``text`` is a scalar as written, None for others;
    ``flow`` is true inside braces or brackets."""

    source: Source
    line: int
    column: int
    key_line: int
    key_column: int
    text: str | None = None
    plain: bool = False
    flow: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: nested dicts, lists and scalars, and the place of each path, in the file where
    it stands. ``source`` is the deployment file itself."""

    value: Any
    places: dict[Path, Place]
    source: Source

    def place(self, path: Path) -> Place:
        """The place of ``path``, or of the nearest parent that has one."""
        for end in range(len(path), -1, -1):
            found = self.places.get(path[:end])
            if found is not None:
                return found
        return Place(self.source, 0, 0, 0, 0)

    def home(self, path: Path) -> Source:
        """The file in which ``path`` stands; the deployment file for ``--set``."""
        source = self.place(path).source
        return self.source if source.folder is None else source

    def folder(self, path: Path) -> FilePath:
        """The folder in which a relative path at ``path`` begins: that of its file."""
        return self.home(path).folder or FilePath.cwd()

    def begins(self, path: Path) -> str:
        """The same in words, for a hint."""
        home = self.home(path)
        whose = "the deployment file" if home is self.source else os.path.basename(home.name)
        return f"the path begins in the folder of {whose}"

    def problem(
        self, path: Path, message: str, hint: str = "", *, at_key: bool = False, code: str = ""
    ) -> Problem:
        """A problem at the value of ``path``, or at its key."""
        where = self.place(path)
        line, column = (where.key_line, where.key_column) if at_key else (where.line, where.column)
        return where.source.problem(line, column, message, hint, dotted(path), code=code)


def dotted(path: Path) -> str:
    """``agents.desk.tools[1]``."""
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
        else:
            out += f".{shown(step)}" if out else shown(step)
    return out


@dataclass(slots=True)
class _Node:
    """One node of the graph. ``items`` of a map are (key, value), of a list (None, value)."""

    mark: Any
    kind: str
    flow: bool
    value: Any = None
    text: str | None = None
    plain: bool = False
    items: list[tuple[_Node | None, _Node]] = field(default_factory=list)
    size: int = 1
    height: int = 1
    open: bool = True


def parse(source: Source, loader: type | None = None) -> Tree:
    """The document in ``source``; ConfigError, every problem positioned, when it is not one."""
    builder = _Builder(source)
    try:
        root = builder.build(yaml.parse(source.text, Loader=loader or LOADER))
    except yaml.YAMLError as error:
        raise ConfigError([explain(error, source)]) from None
    if root is None:
        hint = "three lines are enough: agents:, a name, and its instructions:"
        raise ConfigError([Problem(source.name, 1, 1, "", "the file is empty", hint, code="RT003")])
    if root.kind != "map":
        kind = "a list" if root.kind == "list" else "a single value"
        hint = "a deployment is a map that begins with a key such as agents:"
        builder.problems.append(
            builder.problem(root.mark, f"the file is {kind}", hint, code="RT003")
        )
    places: dict[Path, Place] = {}
    value = builder.flatten(root, None, (), places)
    if builder.problems:
        # The same fault behind an alias is found at each use, and told once.
        problems = dict.fromkeys(builder.problems)
        raise ConfigError(sorted(problems, key=lambda p: (p.line, p.column)))
    return Tree(value, places, source)


class _Builder:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.anchors: dict[str, _Node] = {}
        self.aliases = 0

    def problem(
        self, mark: Any, message: str, hint: str = "", path: str = "", *, code: str
    ) -> Problem:
        line, column = mark.line + 1, mark.column + 1
        return self.source.problem(line, column, message, hint, path, code=code)

    def stop(self, mark: Any, message: str, hint: str = "", *, code: str) -> ConfigError:
        return ConfigError([*self.problems, self.problem(mark, message, hint, code=code)])

    def build(self, events: Iterator[Any]) -> _Node | None:
        """The root node of the only document, None when there is none."""
        root: _Node | None = None
        stack: list[_Node] = []
        keys: list[_Node | None] = []
        documents = nodes = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = "a second document begins here"
                    raise self.stop(
                        event.start_mark, message, "one file is one deployment", code="RT003"
                    )
            elif isinstance(event, yaml.CollectionEndEvent):
                node = stack.pop()
                keys.pop()
                node.open = False
                node.size += sum(v.size + (k is not None) for k, v in node.items)
                node.height += max((v.height for _, v in node.items), default=0)
                # Aliases count as often as they are used: a bomb is small only as written.
                if node.height > MAX_DEPTH:
                    raise self.stop(node.mark, TOO_DEEP, code="RT002")
                if node.size > MAX_NODES:
                    raise self.stop(node.mark, _TOO_MANY, code="RT002")
            elif isinstance(event, yaml.NodeEvent):
                nodes += 1
                if nodes > 2 * MAX_NODES:
                    raise self.stop(event.start_mark, _TOO_MANY, code="RT002")
                node = self.node(event, bool(stack and stack[-1].flow))
                if not stack:
                    root = node
                elif stack[-1].kind == "list":
                    stack[-1].items.append((None, node))
                elif keys[-1] is None:
                    keys[-1] = node
                else:
                    stack[-1].items.append((keys[-1], node))
                    keys[-1] = None
                if isinstance(event, yaml.CollectionStartEvent):
                    if len(stack) >= MAX_DEPTH:
                        raise self.stop(event.start_mark, TOO_DEEP, code="RT002")
                    stack.append(node)
                    keys.append(None)
        if root is not None and root.kind == "scalar" and root.text == "" and root.plain:
            return None
        return root

    def node(self, event: Any, in_flow: bool) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if isinstance(event, yaml.ScalarEvent):
            node = self.scalar(event, in_flow)
        else:
            kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
            node = _Node(event.start_mark, kind, bool(event.flow_style))
            if event.tag not in (None, "!", _MAP_TAG if kind == "map" else _SEQ_TAG):
                self.unknown_tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any) -> _Node:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            words = f"more than {MAX_ALIASES} aliases in one file"
            raise self.stop(event.start_mark, words, code="RT002")
        name = shown(event.anchor)
        target = self.anchors.get(event.anchor)
        if target is None:
            near = difflib.get_close_matches(event.anchor[:80], self.anchors, 1)
            hint = (
                f"did you mean *{near[0]}?"
                if near
                else f"&{name} must stand before it, in the same file"
            )
            words = f"no anchor &{name} for this alias"
            raise self.stop(event.start_mark, words, hint, code="RT017")
        if target.open and target.kind != "scalar":
            words = f"*{name} stands inside its own &{name}"
            raise self.stop(event.start_mark, words, code="RT017")
        return target

    def scalar(self, event: Any, in_flow: bool) -> _Node:
        text: str = event.value
        plain = event.style in (None, "")
        node = _Node(event.start_mark, "scalar", in_flow, text, text, plain)
        if plain and in_flow and "?" in text:
            # libyaml reads it, the pure parser and other tools refuse it: one answer for all.
            message = "a bare '?' cannot stand in a text inside { } or [ ]"
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            raw = self.source.lines[line - 1]
            if raw.startswith(text, column - 1):
                column += text.index("?")
            found = self.source.problem(line, column, message, QUOTE_PROSE, code="RT012")
            self.problems.append(found)
        if any("\ud800" <= c <= "\udfff" for c in text):
            message = "half of a surrogate pair (\\ud800 to \\udfff) is not a character"
            self.problems.append(self.problem(event.start_mark, message, code="RT018"))
            return node
        try:
            if event.tag is not None:
                node.value = tagged(event.tag, text)
            elif plain:
                node.value = resolve(text)
        except LookupError:
            self.unknown_tag(event)
        except ValueError as error:
            hint = "put it in quotes to make it a text"
            self.problems.append(self.problem(event.start_mark, str(error), hint, code="RT018"))
        return node

    def unknown_tag(self, event: Any) -> None:
        tag = shown(event.tag.replace("tag:yaml.org,2002:", "!!"))
        message = f"the tag {tag} means nothing here"
        self.problems.append(self.problem(event.start_mark, message, _TAG_HINT, code="RT016"))

    def flatten(self, node: _Node, key: _Node | None, path: Path, places: dict[Path, Place]) -> Any:
        """Plain values of ``node``; fills ``places``. An alias is copied at each of its uses."""
        mark = node.mark
        at = key.mark if key is not None else mark
        places[path] = Place(
            self.source,
            mark.line + 1,
            mark.column + 1,
            at.line + 1,
            at.column + 1,
            node.text,
            node.plain,
            node.flow,
        )
        if node.kind == "list":
            return [
                self.flatten(v, None, (*path, i), places) for i, (_, v) in enumerate(node.items)
            ]
        if node.kind == "scalar":
            return node.value
        return {
            name: self.flatten(item, name_node, (*path, name), places)
            for name, (name_node, item) in self.pairs(node, path).items()
        }

    def pairs(self, node: _Node, path: Path) -> dict[str, tuple[_Node, _Node]]:
        """The keys of a map with their nodes. What ``<<`` brings in stands behind its own keys."""
        out: dict[str, tuple[_Node, _Node]] = {}
        merges: list[_Node] = []
        for name_node, item in node.items:
            assert name_node is not None  # only lists have items without a key
            name = self.key(name_node, path)
            if name is None:
                continue
            if name == "<<" and name_node.plain:
                merges += self.merge(item, path)
            elif name in out:
                line = out[name][0].mark.line + 1
                message = f"the key '{shown(name)}' stands twice, first in line {line}"
                where = dotted((*path, name))
                self.problems.append(
                    self.problem(name_node.mark, message, path=where, code="RT014")
                )
            else:
                out[name] = (name_node, item)
        for merged in merges:
            for name, pair in self.pairs(merged, path).items():
                out.setdefault(name, pair)
        return out

    def key(self, node: _Node, path: Path) -> str | None:
        where = dotted(path)
        if node.kind != "scalar":
            braces = "in YAML {{ }} is a map inside a map; ${vars.name} fills in a value"
            hint = braces if node.kind == "map" else "a key is a word or a text in quotes"
            message = f"a {node.kind} cannot be a key"
            self.problems.append(self.problem(node.mark, message, hint, where, code="RT015"))
            return None
        if not isinstance(node.value, str):
            kind, hint = "empty", "give it a name"
            if node.text:
                kind = f"{shown(node.text)}, which is no text"
                hint = f'put it in quotes: "{shown(node.text)}"'
            message = f"this key is {kind}"
            self.problems.append(self.problem(node.mark, message, hint, where, code="RT015"))
            return None
        return node.value

    def merge(self, node: _Node, path: Path) -> list[_Node]:
        """The maps behind ``<<``: one alias, or a list of them, the first one winning."""
        nodes = [v for _, v in node.items] if node.kind == "list" else [node]
        if all(n.kind == "map" for n in nodes):
            return nodes
        message = "<< takes a map, such as *an_alias"
        self.problems.append(self.problem(node.mark, message, path=dotted(path), code="RT017"))
        return []
