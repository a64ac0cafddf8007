"""The `tests:` of a valid document -> their specs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from runner.config.tree import Tree
from runner.config.units import seconds
from runner.model.calltest import TURN_SECONDS, CallTest, Expect, Path, StubSpec, TurnSpec


def call_tests(document: Mapping[str, Any], tree: Tree) -> tuple[CallTest, ...]:
    """``document`` is the expanded value of ``tree`` and has passed every check."""
    tests = enumerate(document.get("tests") or ())
    return tuple(_test(test, ("tests", index), tree) for index, test in tests)


def _test(test: Mapping[str, Any], path: Path, tree: Tree) -> CallTest:
    timeout = _seconds(test.get("timeout"), TURN_SECONDS)
    stubs = (test.get("stubs") or {}).items()
    return CallTest(
        name=test["name"],
        path=path,
        turns=tuple(
            _turn(turn, (*path, "turns", index), tree, timeout)
            for index, turn in enumerate(test["turns"])
        ),
        stubs={name: _stub(stub) for name, stub in stubs},
        operator=test.get("operator", "approve"),
        caller=test.get("from", ""),
    )


def _turn(turn: Mapping[str, Any], path: Path, tree: Tree, timeout: float) -> TurnSpec:
    caller = turn.get("caller", {})
    if isinstance(caller, str):
        caller = {"text": caller}
    wav = caller.get("wav", "")
    noise = caller.get("noise")
    return TurnSpec(
        path=path,
        text=caller.get("text", ""),
        say=caller.get("say", ""),
        wav=os.path.abspath(tree.folder((*path, "caller", "wav")) / wav) if wav else "",
        silence=_seconds(turn.get("silence"), None),
        # As written: ${...} is filled in when the edited file is read.
        edit=_written(tree, (*path, "edit")) if "edit" in turn else None,
        rejected=turn.get("rejected", False),
        noise=None if noise is None else float(noise),
        telephone=caller.get("band") == "telephone",
        interrupt_after=_seconds(turn.get("interrupt_after"), None),
        expects=tuple(_expects(turn.get("expect"), (*path, "expect"))),
        any_order=turn.get("any_order", False),
        timeout=_seconds(turn.get("timeout"), timeout),
    )


def _expects(given: Any, path: Path) -> Iterator[Expect]:
    """One for each thing that a map names, in the order written."""
    if isinstance(given, list):
        for index, inner in enumerate(given):
            yield from _expects(inner, (*path, index))
        return
    for key, value in (given or {}).items():
        where = (*path, key)
        if key in ("agent", "not"):
            regex = isinstance(value, Mapping)
            yield Expect(key, where, value["regex"] if regex else value, regex)
        elif key == "tool":
            yield Expect("tool", where, value, arguments=given.get("arguments"))
        elif key == "within":
            yield Expect("within", where, seconds=seconds(value))
        elif key != "arguments":
            yield Expect(key, where, value)


def _stub(stub: Mapping[str, Any]) -> StubSpec:
    return StubSpec(stub.get("output", ""), stub.get("error", ""), _seconds(stub.get("delay"), 0.0))


def _written(tree: Tree, path: Path) -> Any:
    node = tree.value
    for step in path:
        node = node[step]
    return node


def _seconds(text: str | None, without: Any) -> Any:
    return without if text is None else seconds(text)
