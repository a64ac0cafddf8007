"""``NAME.test.yaml``: tests of the deployment ``NAME.yaml``, in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from runner.config import schema as schemas
from runner.config.check import check
from runner.config.expand import Expander
from runner.config.ground import Ground, as_map
from runner.config.source import Source, decode, read_bytes
from runner.config.testbuild import call_tests
from runner.config.testcheck import conversation_problems
from runner.config.tree import Tree, parse
from runner.errors import ConfigError
from runner.model.calltest import CallTest

if TYPE_CHECKING:
    from runner.config.load import Loaded

_KEYS = ("apiVersion", "vars", "tests")


@cache
def _schema() -> schemas.Schema:
    """That of a deployment, cut down to what may stand in such a file."""
    root = schemas.load().authoring
    properties = {key: root["properties"][key] for key in _KEYS}
    kept = {key: value for key, value in root.items() if key not in ("if", "else")}
    return schemas.Schema({**kept, "properties": properties, "required": ["tests"]})


def read_tests(
    path: FilePath, loaded: Loaded, env: Mapping[str, str]
) -> tuple[tuple[CallTest, ...], Tree]:
    """The tests in ``path``, of the deployment ``loaded``. ConfigError, InputError."""
    source = decode(read_bytes(path, str(path)), str(path), path.parent)
    return tests_of(source, loaded, env)


def tests_of(
    source: Source, loaded: Loaded, env: Mapping[str, str]
) -> tuple[tuple[CallTest, ...], Tree]:
    """The same of a text that was read already."""
    tree = parse(source)
    schema = _schema()
    expander = Expander(tree, env, schema)
    document = expander.document()
    problems = check(tree, document, schema, expander.broken)
    ground = Ground(tree, as_map(document), source.folder or FilePath.cwd())
    problems += conversation_problems(ground, dict(loaded.deployment.document))
    problems += expander.problems
    if problems:
        raise ConfigError(sorted(dict.fromkeys(problems), key=lambda p: (p.line, p.column)))
    return call_tests(document, tree), tree
