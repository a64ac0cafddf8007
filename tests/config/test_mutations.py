"""Every key of every example dropped, misspelt, and given the wrong type: the message stands
at the line and column where the fault is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.deployments import EXAMPLES, FULL

from runner.config import schema as schemas
from runner.config.load import load
from runner.config.source import make_source
from runner.config.tree import Place, Tree, parse
from runner.errors import ConfigError, Problem

pytestmark = pytest.mark.quick

Step = tuple[str | int, ...]


def cases(with_lists: bool = False, in_place: bool = False) -> list[Any]:
    """Every key, also every item of a list; ``in_place``: without maps in block style."""
    out = []
    for file in (*EXAMPLES, FULL):
        tree = parse(make_source(file.name, file.read_text()))
        for path in tree.places:
            inner = any(p[: len(path)] == path and p != path for p in tree.places)
            if in_place and inner and not tree.places[path].flow:
                continue
            if path and (with_lists or isinstance(path[-1], str)):
                name = ".".join(str(step) for step in path)
                out.append(pytest.param(file, path, id=f"{file.stem}:{name}"))
    return out


def read(file: Path) -> tuple[list[str], Tree]:
    text = file.read_text()
    return text.split("\n"), parse(make_source(file.name, text))


def found(file: Path, lines: list[str], tmp_path: Path) -> list[Problem]:
    """The problems of the changed text, its prompts and tools where they were."""
    copy = tmp_path / file.name
    copy.write_text("\n".join(lines))
    for folder in ("prompts", "tools"):
        (tmp_path / folder).symlink_to(file.parent / folder)
    try:
        load(copy, env={})
    except ConfigError as error:
        return list(error.problems)
    return []


def places(problems: list[Problem]) -> set[tuple[int, int]]:
    return {(p.line, p.column) for p in problems}


def chosen(path: Step) -> bool:
    """A name that the user chooses: an agent, a tool, a variable, a header, an argument."""
    maps = ("headers", "env", "query", "body", "variables", "parameters", "properties")
    maps += ("edit", "stubs", "arguments", "output", "options")
    return (len(path) == 2 and path[0] in ("agents", "tools", "vars")) or any(
        step in maps for step in path[:-1]
    )


@pytest.mark.parametrize(("file", "path"), cases())
def test_a_misspelt_key(file: Path, path: Step, tmp_path: Path) -> None:
    lines, tree = read(file)
    place, key = tree.places[path], str(path[-1])
    row = lines[place.key_line - 1]
    at = place.key_column - 1
    assert row[at:].startswith(key)
    wrong = key[:-2] + key[-1] + key[-2] if key[-1] != key[-2] else key + "x"
    lines[place.key_line - 1] = row[:at] + wrong + row[at + len(key) :]
    problems = found(file, lines, tmp_path)
    if chosen(path):
        return  # whoever refers to the old name complains, if anybody does
    here = [p for p in problems if (p.line, p.column) == (place.key_line, place.key_column)]
    assert here, [p.headline() for p in problems]
    assert f"unknown key '{wrong}'" in here[0].message
    assert here[0].hint == f"did you mean {key}?"
    assert here[0].source == lines[place.key_line - 1]


@pytest.mark.parametrize(("file", "path"), cases(with_lists=True, in_place=True))
def test_a_value_of_the_wrong_type(file: Path, path: Step, tmp_path: Path) -> None:
    """A scalar becomes a list in a list, a list or a map a number."""
    lines, tree = read(file)
    place = tree.places[path]
    lines, column = replaced(lines, place)
    problems = found(file, lines, tmp_path)
    if any(step in path for step in ("body", "arguments", "output")) or (
        {"edit", "options"} & {*path[:-1]}
    ):
        return  # anything may be sent, called with, given and set
    assert (place.line, column) in places(problems), [p.headline() for p in problems]


def replaced(lines: list[str], place: Place) -> tuple[list[str], int]:
    """``lines`` with the value at ``place`` gone and another in its stead."""
    row, at = lines[place.line - 1], place.column - 1
    head, rest = row[:at], row[at:]
    out = list(lines)
    if rest.startswith("|"):
        depth = len(row) - len(row.lstrip())
        end = place.line
        while end < len(out) and (
            not out[end].strip() or len(out[end]) - len(out[end].lstrip()) > depth
        ):
            end += 1
        out[place.line - 1 : end] = [head + "[[7]]"]
    elif rest[0] in "{[":
        level = 0
        for i, sign in enumerate(rest):
            level += (sign in "{[") - (sign in "}]")
            if level == 0:
                out[place.line - 1] = head + "7" + rest[i + 1 :]
                break
    else:
        out[place.line - 1] = head + "[[7]]" + rest[width(rest, place) :]
    return out, place.column


def width(rest: str, place: Place) -> int:
    if rest[0] in "'\"":
        return rest.index(rest[0], 1) + 1
    assert place.text is not None
    return len(place.text)


@pytest.mark.parametrize(("file", "path"), cases())
def test_a_key_dropped(file: Path, path: Step, tmp_path: Path) -> None:
    """The text of a required key gone: its parent's key is where the message points."""
    lines, tree = read(file)
    value: Any = tree.value
    for step in path[:-1]:
        value = value[step]
    required = any(path[-1] in node.get("required", ()) for node in schemas.load().at(path[:-1]))
    if path[-1] == "description" and not {"http", "command"} & value.keys():
        return  # a function has a docstring
    place = tree.places[path]
    rest = {k: v for k, v in value.items() if k != path[-1]}
    if not required or place.flow:
        return
    end = place.key_line
    depth = place.key_column - 1
    while end < len(lines) and (
        not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > depth
    ):
        end += 1
    first = lines[place.key_line - 1]
    del lines[place.key_line - 1 : end]
    if first[:depth].strip() == "-" and rest:  # the item's dash goes to its next key
        following = lines[place.key_line - 1]
        lines[place.key_line - 1] = first[:depth] + following.lstrip()
    if len(path) == 1 and not rest:
        lines = ["name: x"]
    elif not rest:
        parent = tree.places[path[:-1]]
        lines[parent.key_line - 1] = lines[parent.key_line - 1].rstrip() + " {}"
    problems = found(file, lines, tmp_path)
    parent = tree.places[path[:-1]]
    missing = [p for p in problems if p.message == f"'{path[-1]}' is missing"]
    assert len(missing) == 1, [p.headline() for p in problems]
    if path[:-1]:
        assert (missing[0].line, missing[0].column) == (parent.key_line, parent.key_column)
