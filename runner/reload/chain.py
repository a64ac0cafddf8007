"""The directories that decide what a path means: each one where a link on the way stands, the
one of the file itself, and the parents from which these can be renamed away."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: The kernel gives up after 40 links (ELOOP); so do we.
_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Chain:
    """``directories``: real path -> (device, inode), to notice a directory that was replaced
    under its name. ``names``: the entries in them whose events matter, case-folded as the
    platform does."""

    directories: dict[str, tuple[int, int]]
    names: frozenset[str]


def chain_of(paths: Iterable[Path]) -> Chain:
    """The symlink chains of all ``paths`` as they stand now. Never raises for what is missing:
    the walk of a path ends at the last directory that exists, where the rest would appear."""
    directories: dict[str, tuple[int, int]] = {}
    names: set[str] = set()
    for path in paths:
        _walk(path, directories, names)
    for directory in tuple(directories):
        parent = os.path.dirname(directory)
        if parent != directory and _add(parent, directories):
            names.add(directory)
    return Chain(directories, frozenset(os.path.normcase(n) for n in names))


def _walk(path: Path, directories: dict[str, tuple[int, int]], names: set[str]) -> None:
    # Step by step instead of realpath(): each link on the way is a place where a save can happen.
    full = path if path.is_absolute() else Path.cwd() / path
    real = full.anchor
    todo = list(reversed(full.parts[1:]))
    links = 0
    while todo:
        part = todo.pop()
        if part == os.pardir:
            real = os.path.dirname(real)
            continue
        entry = os.path.join(real, part)
        try:
            mode = os.lstat(entry).st_mode
        except OSError:
            _add(real, directories)
            names.add(entry)
            return
        if stat.S_ISLNK(mode):
            links += 1
            if links > _MAX_LINKS:
                return
            _add(real, directories)
            names.add(entry)
            target = Path(os.readlink(entry))
            if target.is_absolute():
                real = target.anchor
                todo.extend(reversed(target.parts[1:]))
            else:
                todo.extend(reversed(target.parts))
        else:
            if not todo:
                _add(real, directories)
                names.add(entry)
            real = entry


def _add(directory: str, directories: dict[str, tuple[int, int]]) -> bool:
    try:
        found = os.stat(directory)
    except OSError:
        return False
    directories[directory] = (found.st_dev, found.st_ino)
    return True
