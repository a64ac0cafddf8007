"""A deployment file -> a Deployment, or every problem in it with its place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from runner.config import overrides as sets
from runner.config import schema as schemas
from runner.config import unset
from runner.config.behind import code_behind
from runner.config.build import build
from runner.config.check import check
from runner.config.expand import Expander
from runner.config.extends import Chain
from runner.config.hide import Hider
from runner.config.prompts import read_prompts
from runner.config.semantics import Semantics
from runner.config.source import digest, shown
from runner.config.tree import Path, Tree
from runner.config.version import version_problems
from runner.errors import ConfigError, Problem, RtrunError
from runner.model.deployment import Deployment

_LARGEST_TOOL = 4 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """A deployment that passed every check, with its warnings and the places of its values.
    ``unset``: with ``no_env``, the paths whose values nobody knows."""

    deployment: Deployment
    warnings: tuple[Problem, ...]
    tree: Tree
    unset: frozenset[Path] = frozenset()
    hider: Hider = field(default=Hider({}, ()), repr=False, compare=False)

    def locate(self, path: str | Path) -> tuple[str, int, int, str]:
        """``(file, line, column, source line)`` of a path, or of its nearest parent; line 0
        when the value came from ``--set``."""
        place = self.tree.place(_steps(self.tree, path))
        return place.source.name, place.line, place.column, place.source.line(place.line)

    def problem_at(
        self,
        path: str | Path,
        message: str,
        hint: str = "",
        *,
        at_key: bool = False,
        code: str = "",
    ) -> Problem:
        """A problem at the value of ``path`` (dotted or as a tuple), or at its key."""
        steps = _steps(self.tree, path)
        return self.hider.problem(self.tree.problem(steps, message, hint, at_key=at_key, code=code))


@dataclass(frozen=True, slots=True)
class Examined:
    """What there is to say of a file. ``loaded`` is None when there are ``problems``; ``document``
    is expanded as far as could be, and ``broken`` has the paths in it that could not."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    loaded: Loaded | None = None
    tree: Tree | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    broken: frozenset[Path] = frozenset()
    hider: Hider = field(default=Hider({}, ()), repr=False)


def load(
    path: str | os.PathLike[str],
    *,
    env: Mapping[str, str],
    overrides: Sequence[tuple[str, str]] = (),
    no_env: bool = False,
) -> Loaded:
    """Read, expand and check the deployment at ``path``.

    ``env`` is the environment for ``${NAME}`` (nothing else of the process is read), and
    ``overrides`` are ``(dotted path, value)`` pairs of ``--set``. With ``no_env`` a variable that
    is not set is no problem: its value is not checked, and the Deployment, which is good for
    nothing but checks, has a stand-in there. Raises ConfigError with all
    problems in the order of the file (exit 1), InputError when the file or the schema cannot
    be read (exit 2), UsageError for a ``--set`` without a path.
    """
    found = examine(path, env=env, overrides=overrides, no_env=no_env)
    if found.loaded is None:
        raise ConfigError(found.problems)
    return found.loaded


def examine(
    path: str | os.PathLike[str],
    *,
    env: Mapping[str, str],
    overrides: Sequence[tuple[str, str]] = (),
    no_env: bool = False,
    data: bytes | None = None,
    name: str = "",
) -> Examined:
    """As :func:`load`, with the problems, and the warnings beside them, as values. ``data`` is the
    content of a file at ``path`` that need not be there, ``name`` what messages call it.
    InputError and UsageError are raised."""
    schema = schemas.load()
    name = name or shown(os.fspath(path), 4096)
    source_path = FilePath(os.path.abspath(path))
    chain = Chain(schema, data)
    try:
        tree = chain.read(source_path, name)
        if overrides:
            tree = sets.apply(tree, overrides, schema)
    except ConfigError as error:
        return Examined(error.problems)

    expander = Expander(tree, env, schema, no_env)
    document = expander.document()
    problems = list(version_problems(tree, document, schema, expander.broken))
    if problems:
        return Examined(tuple(_hider(tree, expander).problems(problems)))
    problems = check(tree, document, schema, expander.broken)
    semantics = Semantics(tree, document, source_path.parent)
    problems += unset.known(semantics.problems(), expander.broken, expander.unset)
    prompts = read_prompts(tree, document, expander)
    problems += expander.problems
    semantics.afterwards(expander.used, expander.prompts)
    warnings = unset.known(semantics.warnings, expander.broken, expander.unset)
    hider = _hider(tree, expander)
    told = tuple(in_order(hider.problems(warnings), name))
    broken = frozenset(expander.broken)
    if problems:
        errors = tuple(in_order(hider.problems(problems), name))
        return Examined(errors, told, None, tree, document, broken, hider)

    files = {**chain.files, **prompts}
    code = code_behind(document, tree.folder)
    files |= {file: _digest_of(file) for file in code.files}
    files |= {FilePath(file): value for file, value in expander.files.items()}
    unset.fill_in(document, expander.unset, schema)
    deployment = build(document, source_path, files, env, tree.folder, code.beside)
    loaded = Loaded(deployment, told, tree, frozenset(expander.unset), hider)
    return Examined((), told, loaded, tree, document, broken, hider)


def _hider(tree: Tree, expander: Expander) -> Hider:
    sources = {place.source.name: place.source.text for place in tree.places.values()}
    return Hider(expander.filled, sources.values())


def in_order(problems: Iterable[Problem], first: str) -> list[Problem]:
    """Problems of the file ``first`` as they stand in it, then those of other files."""
    return sorted(
        dict.fromkeys(problems), key=lambda p: (p.file != first, p.file, p.line, p.column)
    )


def files_of(path: str | os.PathLike[str], *, env: Mapping[str, str]) -> tuple[FilePath, ...]:
    """The files that a watcher has to see even while the deployment is invalid: the YAML, its
    bases, and each prompt, module, neighbour, script and secret's file, as far as it is read."""
    source_path = FilePath(os.path.abspath(path))
    files = {source_path: ""}
    chain = Chain(schemas.load())
    try:
        tree = chain.read(source_path, str(source_path))
        expander = Expander(tree, env, schemas.load())
        document = expander.document()
        files |= {FilePath(file): "" for file in expander.files}
        files |= dict.fromkeys(read_prompts(tree, document, expander), "")
        files |= dict.fromkeys(code_behind(document, tree.folder).files, "")
    except (RtrunError, OSError, ValueError):
        pass  # what was found until then
    return tuple(dict.fromkeys((*files, *chain.files)))


def _digest_of(path: FilePath) -> str:
    try:
        with path.open("rb") as stream:
            return digest(stream.read(_LARGEST_TOOL))
    except OSError:
        return ""


def _steps(tree: Tree, path: str | Path) -> Path:
    """A dotted path as steps, an item of a list by its number or by its ``name``. Names may hold
    dots no more than the schema lets them."""
    if isinstance(path, str):
        try:
            path = sets.parse_path(path) if path else ()
        except ValueError:
            return ()
    out: list[str | int] = []
    node = tree.value
    for step in path:
        if isinstance(node, list) and isinstance(step, str):
            names = [item.get("name") if isinstance(item, dict) else None for item in node]
            step = names.index(step) if step in names else step
        out.append(step)
        try:
            node = node[step]
        except (TypeError, KeyError, IndexError):
            node = None
    return tuple(out)
