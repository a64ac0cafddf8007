"""The configuration in force, field by field, each with where it comes from and when an edit of it
acts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.config import schema as schemas
from runner.config.diff import OF_A_KEY
from runner.config.resolved import origin, resolved
from runner.serve.deployed import Deployed
from runner.serve.mask import masked

Steps = tuple[str | int, ...]


def fields(entry: Deployed, env: Mapping[str, str]) -> list[dict[str, Any]]:
    """``{path, value, class, words, from}`` in the order of the schema; a list of plain values is
    one field. Empty while no file was valid; secrets are ``***``."""
    if entry.applier is None:
        return []
    loaded, schema = entry.applier.loaded, schemas.load()
    out = []
    for path, value in _leaves(masked(resolved(loaded)), ()):
        kind = schema.reload_class(path)
        row = {"path": _named(path), "value": value, "class": kind, "words": OF_A_KEY[kind]}
        out.append({**row, "from": origin(loaded, path, env)})
    return out


def _leaves(value: Any, path: Steps) -> Iterator[tuple[Steps, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _named(path: Steps) -> str:
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out
