"""How long the loader takes to say what is wrong with a file.

    python tests/bench/bad_files.py

Every key and every value of every example, dropped or replaced, one at a time, loaded with the
schema in memory. Goal: each under 100 ms.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.deployments import EXAMPLES, FULL

from runner.config.load import load
from runner.config.source import make_source
from runner.config.tree import parse
from runner.errors import ConfigError


def broken(file: Path) -> Iterator[str]:
    """The text of ``file`` with one line gone, and with one scalar replaced."""
    text = file.read_text()
    lines = text.split("\n")
    for number in range(len(lines)):
        yield "\n".join(lines[:number] + lines[number + 1 :])
    for place in parse(make_source(file.name, text)).places.values():
        if place.text and "\n" not in place.text:
            row = lines[place.line - 1]
            at = place.column - 1
            changed = row[:at] + "[[7]]" + row[at + len(place.text) :]
            yield "\n".join([*lines[: place.line - 1], changed, *lines[place.line :]])


def main() -> None:
    load(FULL, env={})  # reads the schema
    taken: list[float] = []
    refused = 0
    for original in (*EXAMPLES, FULL):
        with tempfile.TemporaryDirectory() as folder:
            for beside in ("prompts", "tools"):
                (Path(folder) / beside).symlink_to(original.parent / beside)
            copy = Path(folder) / original.name
            for text in broken(original):
                copy.write_text(text)
                began = time.perf_counter()
                try:
                    load(copy, env={})
                except ConfigError:
                    refused += 1
                taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    middle, tail = statistics.median(taken), taken[len(taken) * 99 // 100]
    print(f"{len(taken)} files, {refused} refused")
    print(f"ms to load: {middle:.1f} p50, {tail:.1f} p99, {taken[-1]:.1f} max")


if __name__ == "__main__":
    main()
