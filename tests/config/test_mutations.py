"""Every key of every example dropped, misspelt, and given the wrong type: the message stands
at the line and column where the fault is, also when the file is the base of another."""

from __future__ import annotations

import os
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

#: A third of them; tests/long has them all, by this variable.
EVERY = 1 if os.environ.get("RTRUN_ALL_MUTATIONS") == "1" else 3


def cases(with_lists: bool = False, in_place: bool = False) -> list[Any]:
    """Every key, also every item of a list; ``in_place``: without maps in block style. Some are
    tried once more in a file that another one extends."""
    out = []
    for file in (*EXAMPLES, FULL):
        tree = parse(make_source(file.name, file.read_text()))
        for path in tree.places:
            inner = any(p[: len(path)] == path and p != path for p in tree.places)
            if in_place and inner and not tree.places[path].flow:
                continue
            if path and (with_lists or isinstance(path[-1], str)):
                name = ".".join(str(step) for step in path)
                out.append(pytest.param(file, path, False, id=f"{file.stem}:{name}"))
                if len(out) % 4 == 0:
                    out.append(pytest.param(file, path, True, id=f"{file.stem} below:{name}"))
    # Not the same ones in each of the tests: where a third begins says how many there are.
    return out[len(out) % EVERY :: EVERY]


def read(file: Path) -> tuple[list[str], Tree]:
    text = file.read_text()
    return text.split("\n"), parse(make_source(file.name, text))


def found(file: Path, lines: list[str], tmp_path: Path, based: bool = False) -> list[Problem]:
    """The problems of the changed text, its prompts and tools where they were."""
    copy = tmp_path / "deployment" / (f"_{file.name}" if based else file.name)
    copy.parent.mkdir()
    copy.write_text("\n".join(lines))
    for folder in ("prompts", "tools"):
        (copy.parent / folder).symlink_to(file.parent / folder)
    top = copy
    if based:
        top = tmp_path / "top" / file.name
        top.parent.mkdir()
        top.write_text(f"extends: ../deployment/{copy.name}\n")
    try:
        load(top, env={})
    except ConfigError as error:
        for problem in error.problems:
            # Without `agents` in either, the upper file is the one that lacks them.
            if problem.message != "'agents' is missing" or not based:
                assert Path(problem.file).is_relative_to(copy.parent)
            row = Path(problem.file).read_text().split("\n")[problem.line - 1]
            assert problem.source == row
            assert 1 <= problem.column <= len(row) + 1
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


@pytest.mark.parametrize(("file", "path", "based"), cases())
def test_a_misspelt_key(file: Path, path: Step, based: bool, tmp_path: Path) -> None:
    lines, tree = read(file)
    place, key = tree.places[path], str(path[-1])
    row = lines[place.key_line - 1]
    at = place.key_column - 1
    assert row[at:].startswith(key)
    wrong = key[:-2] + key[-1] + key[-2] if key[-1] != key[-2] else key + "x"
    lines[place.key_line - 1] = row[:at] + wrong + row[at + len(key) :]
    problems = found(file, lines, tmp_path, based)
    if chosen(path):
        return  # whoever refers to the old name complains, if anybody does
    here = [p for p in problems if (p.line, p.column) == (place.key_line, place.key_column)]
    assert here, [p.headline() for p in problems]
    assert f"unknown key '{wrong}'" in here[0].message
    assert here[0].hint == f"did you mean {key}?"
    assert here[0].source == lines[place.key_line - 1]


@pytest.mark.parametrize(("file", "path", "based"), cases(with_lists=True, in_place=True))
def test_a_value_of_the_wrong_type(file: Path, path: Step, based: bool, tmp_path: Path) -> None:
    """A scalar becomes a list in a list, a list or a map a number."""
    lines, tree = read(file)
    place = tree.places[path]
    lines, column = replaced(lines, place)
    problems = found(file, lines, tmp_path, based)
    if any(step in path for step in ("body", "arguments", "output")) or (
        {"edit", "options"} & {*path[:-1]}
    ):
        return  # anything may be sent, called with, given and set
    if path[0] == "calls" and path[-1] in ("to", "from"):
        column += 1  # a list may stand there: what is in it is wrong
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
    else:
        new = "7" if rest[0] in "{[" else "[[7]]"
        out[place.line - 1] = head + new + rest[length(rest, place) :]
    return out, place.column


def length(rest: str, place: Place) -> int:
    """How many characters of ``rest`` are the value at ``place``, which it begins with."""
    if rest[0] in "{[":
        level = 0
        for i, sign in enumerate(rest):
            level += (sign in "{[") - (sign in "}]")
            if level == 0:
                return i + 1
    if rest[0] in "'\"":
        return rest.index(rest[0], 1) + 1
    assert place.text is not None
    return len(place.text)


@pytest.mark.parametrize(("file", "path", "based"), cases())
def test_a_key_dropped(file: Path, path: Step, based: bool, tmp_path: Path) -> None:
    """The text of a required key gone: its parent's key is where the message points."""
    lines, tree = read(file)
    value: Any = tree.value
    for step in path[:-1]:
        value = value[step]
    required = any(path[-1] in node.get("required", ()) for node in schemas.load().at(path[:-1]))
    if path[-1] == "description" and not {"http", "command"} & value.keys():
        return  # a function has a docstring
    place, parent = tree.places[path], tree.places[path[:-1]]
    rest = {k: v for k, v in value.items() if k != path[-1]}
    if parent.flow:
        lines[place.key_line - 1] = without(lines[place.key_line - 1], place)
    else:
        without_block(lines, tree, path, rest)
    problems = found(file, lines, tmp_path, based)
    if not required:
        return  # whoever refers to it complains, if anybody does
    missing = [p for p in problems if p.message == f"'{path[-1]}' is missing"]
    assert len(missing) == 1, [p.headline() for p in problems]
    if path[:-1]:
        assert (missing[0].line, missing[0].column) == (parent.key_line, parent.key_column)


def without(row: str, place: Place) -> str:
    """A row without the key at ``place`` of a map in braces, and its value."""
    head, rest = row[: place.key_column - 1], row[place.column - 1 :]
    tail = rest[length(rest, place) :]
    if tail.startswith(","):
        return head + tail[1:].lstrip()
    return head.rstrip().removesuffix(",") + tail


def without_block(lines: list[str], tree: Tree, path: Step, rest: dict[str, Any]) -> None:
    place = tree.places[path]
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
        lines[:] = ["name: x"]
    elif not rest:
        parent = tree.places[path[:-1]]
        lines[parent.key_line - 1] = lines[parent.key_line - 1].rstrip() + " {}"
