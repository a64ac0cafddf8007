"""Files that are saved while they are read: what is taken was on the disk at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from runner.config.load import Loaded, load
from runner.errors import ConfigError
from runner.reload import snapshot
from runner.reload.revisions import Version
from runner.toolbox import Toolbox

DESK = """\
timezone: none
agents: { desk: { instructions: { file: prompt.md }, tools: [number] } }
tools: { number: { python: "tool.py:number" } }
"""
CODE = """\
async def number() -> int:
    \"\"\"The number.\"\"\"
    return 1
"""


class Disk:
    """A deployment, and what is done to its files right after each reading of them."""

    def __init__(self, folder: Path) -> None:
        self.file, self.prompt, self.tool = (
            folder / name for name in ("desk.yaml", "prompt.md", "tool.py")
        )
        self.file.write_text(DESK)
        self.prompt.write_text("one")
        self.tool.write_text(CODE)
        self.readings = 0

    def read(self, *after: Callable[[], object]) -> Version:
        """A reading during which ``after`` happens, one at the end of each load."""
        return self.read_while(iter(after))

    def read_while(self, after: Iterator[Callable[[], object]]) -> Version:
        def loaded() -> Loaded:
            self.readings += 1
            out = load(self.file, env={})
            next(after, lambda: None)()
            return out

        return snapshot.read(loaded, Toolbox())


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def prompt_of(version: Version) -> str:
    return str(version.deployment.agents["desk"].instructions)


def test_files_that_stay_are_read_once(disk: Disk) -> None:
    assert "one" in prompt_of(disk.read())
    assert disk.readings == 1


def test_a_prompt_saved_while_it_is_read_is_read_again(disk: Disk) -> None:
    version = disk.read(lambda: disk.prompt.write_text("two"))
    assert "two" in prompt_of(version)
    assert disk.readings == 2


def test_a_tool_saved_while_it_is_read_is_read_again(disk: Disk) -> None:
    version = disk.read(lambda: disk.tool.write_text(CODE.replace("The number", "The sum")))
    assert version.tools.tools["number"].description == "The sum."
    assert disk.readings == 2


def test_a_file_deleted_while_it_is_read_is_told(disk: Disk) -> None:
    with pytest.raises(ConfigError, match=r"prompt\.md"):
        disk.read(disk.prompt.unlink)


def test_a_text_that_was_there_for_a_moment_only_is_not_taken(disk: Disk) -> None:
    texts = iter([("zero", "one"), ("between", "one"), ("one", "one")])

    def loaded() -> Loaded:
        seen, left = next(texts)
        disk.prompt.write_text(seen)
        out = load(disk.file, env={})
        disk.prompt.write_text(left)
        return out

    assert "one" in prompt_of(snapshot.read(loaded, Toolbox()))


def test_a_file_too_large_to_be_told_apart_as_a_whole_is_taken_when_it_stays(disk: Disk) -> None:
    disk.tool.write_text(CODE + "#\n" * (3 << 20))
    assert "one" in prompt_of(disk.read())
    assert disk.readings == 2


def test_a_file_that_is_written_all_the_time_is_refused_in_words(disk: Disk) -> None:
    saves = (lambda n=n: disk.prompt.write_text(f"text {n}") for n in count())
    with pytest.raises(ConfigError, match="change while they are read") as refused:
        disk.read_while(saves)
    assert disk.readings == snapshot.READINGS
    (problem,) = refused.value.problems
    assert problem.file == str(disk.file)
    assert "save them once more" in str(problem.hint)
