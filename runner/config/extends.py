"""``extends: base.yaml``: a deployment on top of another file, which may stand on a third.

Maps merge, lists replace, null deletes. Every value keeps its place in the file where it stands.
"""

from __future__ import annotations

import os
from pathlib import Path as FilePath
from typing import Any

from runner.config.check import near
from runner.config.find import SUFFIXES
from runner.config.schema import Schema
from runner.config.source import decode, digest, read_bytes, shown
from runner.config.tree import MAX_NODES, Path, Place, Tree, parse
from runner.errors import ConfigError, InputError, Problem

MAX_BASES = 8
MAX_TOTAL = 4 << 20
"""The most that a deployment file and all that it extends may hold, in bytes."""

KEY = "extends"
_AT: Path = (KEY,)
_RELATIVE = "a base is named from the file that extends it, so that both can move together"


class Chain:
    """Reads a deployment file and its bases. ``files`` has each with its digest, also when the
    reading ends with an error: absolute, links unresolved, empty for one that cannot be read.
    ``data`` stands for the content of the first file, which need not be there then."""

    def __init__(self, schema: Schema, data: bytes | None = None) -> None:
        self.files: dict[FilePath, str] = {}
        self._schema = schema
        self._data = data

    def read(self, path: FilePath, name: str) -> Tree:
        """The merged tree of ``path``, which messages call ``name``. ConfigError with places,
        InputError when the first file cannot be read."""
        trees: list[Tree] = []
        root, total = path.parent.parent, 0
        while True:
            data = self._bytes(path, name, trees[-1] if trees else None)
            self.files[path] = digest(data)
            total += len(data)
            if total > MAX_TOTAL:
                message = f"with the files that it extends, {trees[0].source.name} is over 4 MiB"
                raise _refused(trees[-1], message)
            trees.append(parse(decode(data, name, path.parent)))
            following = self._base_of(trees[-1], path, root)
            if following is None:
                break
            if len(trees) > MAX_BASES:
                raise _refused(trees[-1], f"more than {MAX_BASES} files extend one another")
            path, name = following
        whole = trees.pop()
        while trees:
            whole = merge(whole, trees.pop(), self._schema)
        if len(whole.places) > MAX_NODES:
            words = f"more than {MAX_NODES} values with bases"
            first = Problem(whole.source.name, 0, 0, "", words, code="RT002")
            raise ConfigError([first])
        return whole

    def _bytes(self, path: FilePath, name: str, above: Tree | None) -> bytes:
        if above is None:
            return read_bytes(path, name) if self._data is None else self._data
        self.files.setdefault(path, "")
        try:
            return read_bytes(path, name)
        except InputError as error:
            hint = "" if path.exists() else _beside(path, above)
            raise _refused(above, error.message, hint) from None

    def _base_of(self, tree: Tree, path: FilePath, root: FilePath) -> tuple[FilePath, str] | None:
        """What ``tree`` extends: its absolute path and its name in messages."""
        if KEY not in tree.value:
            return None
        written = tree.value[KEY]
        if not isinstance(written, str) or not written.strip() or "\0" in written:
            raise _refused(tree, "the name of one file belongs here, such as _base.yaml")
        if "${" in written:
            hint = "which files a deployment is made of does not hang on the environment"
            raise _refused(tree, "a base is named in full, without ${...}", hint)
        if os.path.isabs(written) or written.startswith("~"):
            raise _refused(tree, f"{shown(written)} is not relative", _RELATIVE)
        base = FilePath(os.path.abspath(path.parent / written))
        if not base.is_relative_to(root):
            message = f"{shown(written)} leads out of {shown(str(root), 120)}"
            hint = "a base stands in the folder above the deployment's own, or anywhere below it"
            raise _refused(tree, message, hint)
        if any(_same(base, file) for file in self.files):
            circle = [file.name for file in self.files] + [base.name]
            raise _refused(tree, f"these files extend one another: {' -> '.join(circle)}")
        folder = os.path.dirname(tree.source.name)
        return base, os.path.normpath(os.path.join(folder, written))


def merge(base: Tree, top: Tree, schema: Schema) -> Tree:
    """``top`` laid on ``base``. A null takes the base's key away, but where the schema knows null
    as a value: there it stays, and turns the thing off as in any file. A map of another ``type``
    is another thing, and replaces the base's. ``extends`` itself is gone."""
    places: dict[Path, Place] = {(): top.places[()]}

    def keep(tree: Tree, path: Path, value: Any) -> Any:
        places[path] = tree.places[path]
        for step in value if isinstance(value, dict) else ():
            keep(tree, (*path, step), value[step])
        for i, item in enumerate(value) if isinstance(value, list) else ():
            keep(tree, (*path, i), item)
        return value

    def both(path: Path, under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key in dict.fromkeys((*under, *over)):
            where = (*path, key)
            if where == _AT:
                continue
            if key not in over:
                out[key] = keep(base, where, under[key])
            elif key not in under:
                out[key] = keep(top, where, over[key])
            elif over[key] is None and not _may_be_null(where, schema):
                continue
            elif _one_map(under[key], over[key], where, schema):
                places[where] = top.places[where]
                out[key] = both(where, under[key], over[key])
            else:
                out[key] = keep(top, where, over[key])
        return out

    return Tree(both((), base.value, top.value), places, top.source)


def _one_map(under: Any, over: Any, path: Path, schema: Schema) -> bool:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return False
    kinds = {repr(part["type"]) for part in (under, over) if "type" in part}
    return len(kinds) < 2 or not schema.at((*path, "type"))


def _may_be_null(path: Path, schema: Schema) -> bool:
    return bool(schema.at(path)) and schema.takes(path, None) is not False


def _same(one: FilePath, other: FilePath) -> bool:
    try:
        return one == other or one.samefile(other)
    except (OSError, ValueError):
        return False


def _beside(path: FilePath, above: Tree) -> str:
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in SUFFIXES]
    except (OSError, ValueError):
        names = []
    # The file itself is no proposal.
    own = os.path.basename(above.source.name)
    return near(path.name, [name for name in names if name != own])


def _refused(tree: Tree, message: str, hint: str = "") -> ConfigError:
    return ConfigError([tree.problem(_AT, message, hint, code="RT020")])
