"""The modules beside a Python file that it imports: they belong to a tool, and change with it.

A neighbour lies in the folder of the file that the deployment names, or below it. What Python or
a package brings under the same name stands before: a user's calendar.py hides no calendar.
Nothing is executed here. Standard library alone: a Worker's tools come this way too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

INIT = "__init__.py"


@dataclass(frozen=True, slots=True)
class Import:
    """``from ..a.b import c``: ``module`` a.b, ``level`` 2, ``names`` c; where that stands, the
    column from 1."""

    module: str
    level: int
    names: tuple[str, ...]
    line: int
    column: int


@lru_cache(maxsize=1024)
def imports_of(code: bytes) -> tuple[Import, ...]:
    """Every import, wherever in the code. None of what is no Python, which is told elsewhere."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: list[Import] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            place = node.lineno, node.col_offset + 1
            found += [Import(alias.name, 0, (), *place) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            place = node.lineno, node.col_offset + 1
            found.append(Import(node.module or "", node.level, names, *place))
    return tuple(found)


def installed(top: str, folder: Path) -> bool:
    """Is there a module of this name that does not lie in ``folder``?"""
    if top in sys.stdlib_module_names:
        return True
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return False
    if spec is None or spec.origin is None:  # a folder of that name is no package by itself
        return False
    return not Path(spec.origin).is_relative_to(folder)


def standard(top: str, folder: Path) -> bool:
    """As :func:`installed`, where nothing else will be."""
    return top in sys.stdlib_module_names


@dataclass(frozen=True, slots=True)
class Neighbours:
    """``code`` is what was read: the file first, then those that it leads to. ``leads`` are the
    files that each of them imports. ``tops`` are the names by which they are imported from
    anywhere; ``missing`` are files that would be neighbours if they were there."""

    folders: tuple[Path, ...]
    code: Mapping[Path, bytes]
    leads: Mapping[Path, frozenset[Path]]
    tops: frozenset[str]
    missing: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All but the first, and those that are missing."""
        return (*list(self.code)[1:], *self.missing)

    def with_all(self, file: Path) -> tuple[Path, ...]:
        """``file`` and everything that it leads to, in order of their names."""
        found, ahead = {file}, [file]
        while ahead:
            for one in self.leads.get(ahead.pop(), ()):
                if one not in found:
                    found.add(one)
                    ahead.append(one)
        return tuple(sorted(found))

    def home(self, file: Path, level: int) -> tuple[Path, ...]:
        """The folders in which a relative import of ``file`` begins; none above the first."""
        folder = file.parent
        for _ in range(level - 1):
            if folder in self.folders:
                return ()
            folder = folder.parent
        return self.folders if folder in self.folders else (folder,)


def neighbours(file: Path, foreign: Callable[[str, Path], bool] = installed) -> Neighbours:
    """What ``file``, absolute, imports from beside it; ``foreign(name, folder)`` says that a name
    means something else. A file that cannot be read leads nowhere."""
    return _Search(file, foreign).found()


@dataclass(slots=True)
class _Search:
    file: Path
    foreign: Callable[[str, Path], bool]
    missing: dict[Path, None] = field(default_factory=dict)
    tops: set[str] = field(default_factory=set)

    def found(self) -> Neighbours:
        # A link's own folder first, then the one that it leads to, as Python itself would look.
        folders = tuple(dict.fromkeys((self.file.parent, self.file.resolve().parent)))
        leads: dict[Path, frozenset[Path]] = {}
        code: dict[Path, bytes] = {}
        known = Neighbours(folders, code, leads, frozenset())
        ahead = [self.file]
        while ahead:
            one = ahead.pop()
            if one in code:
                continue
            try:
                code[one] = one.read_bytes()
            except OSError:
                continue
            targets = {
                target
                for found in imports_of(code[one])
                for target in self._targets(known, one, found)
            }
            if one.name == INIT:
                # A package is one thing: what runs keeps all of it, also parts that come later.
                targets.update(path for path in one.parent.rglob("*.py") if path.is_file())
            leads[one] = frozenset(targets - {one})
            ahead += sorted(leads[one] - code.keys(), reverse=True)
        there = {path: frozenset(targets & code.keys()) for path, targets in leads.items()}
        return Neighbours(folders, code, there, frozenset(self.tops), tuple(self.missing))

    def _targets(self, known: Neighbours, file: Path, found: Import) -> Iterator[Path]:
        steps = found.module.split(".") if found.module else []
        if found.level:
            homes = known.home(file, found.level)
        else:
            homes = known.folders
            if steps[0] not in self.tops:
                if self.foreign(steps[0], homes[-1]) and self.foreign(steps[0], homes[0]):
                    return
                self.tops.add(steps[0])
        if not homes:
            return
        parent = file.parent / INIT
        if found.level and file.parent not in known.folders and parent.is_file():
            yield parent
        for step in steps:
            target = beside(homes, step, Path.is_file, Path.is_dir)
            if target is None:
                self.missing[homes[0] / f"{step}.py"] = None
                return
            homes = (target,)
            if target.suffix == ".py":
                yield target
                homes = (target.parent,) if target.name == INIT else ()
        for name in found.names if homes else ():
            target = beside(homes, name, Path.is_file, Path.is_dir)
            if target is not None and target.suffix == ".py":
                yield target


def beside(
    folders: tuple[Path, ...],
    name: str,
    is_file: Callable[[Path], bool],
    is_folder: Callable[[Path], bool],
) -> Path | None:
    """What a module of this name would be: a package's ``__init__.py``, a file, or a folder
    without one."""
    for folder in folders:
        for path in (folder / name / INIT, folder / f"{name}.py"):
            if is_file(path):
                return path
    return next((folder / name for folder in folders if is_folder(folder / name)), None)
