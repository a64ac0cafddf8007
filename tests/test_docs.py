"""Everything the documentation shows is true: commands are run, YAML is read, Python compiles."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.docs import COMMANDS, Block, blocks, missing
from support.doors import places

from runner.config.load import load
from runner.errors import ConfigError

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for page in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
    if page.exists()
]
BLOCKS = [block for page in PAGES for block in blocks(page)]
SECONDS = 300


def ids(block: Block) -> str:
    return block.place


COMMAND_BLOCKS = [block for block in BLOCKS if block.language in COMMANDS]
YAML_BLOCKS = [block for block in BLOCKS if block.language == "yaml"]
PYTHON_BLOCKS = [block for block in BLOCKS if block.language == "python"]


@pytest.mark.quick
def test_the_readme_is_there_and_linked() -> None:
    readme = ROOT / "README.md"
    assert readme.exists()
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, f"{page.name} is in no index"


@pytest.mark.quick
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


@pytest.mark.quick
@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=ids)
def test_a_block_of_commands_says_who_runs_it(block: Block) -> None:
    assert block.kind, (
        f"{block.place}: mark it with <!-- run -->, <!-- ci: test --> or <!-- shown: why -->"
    )
    assert block.kind != "shown" or block.words, f"{block.place}: say why nobody runs it"


@pytest.mark.quick
def test_two_blocks_are_for_ci() -> None:
    assert [block.words for block in COMMAND_BLOCKS if block.by_ci] == ["install", "test"]


def _scratch(folder: Path) -> dict[str, str]:
    """An empty folder with what a user has after a clone, and the command as installed."""
    for name in ("agents.d", "examples"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    tools = folder / ".bin"
    tools.mkdir()
    for name in ("python", "python3"):
        command = tools / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        command.chmod(0o755)
    command = tools / "rtrun"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner.cli.main "$@"\n')
    command.chmod(0o755)
    keep = {key: os.environ[key] for key in ("LANG", "LC_ALL", "TMPDIR") if key in os.environ}
    return {
        **keep,
        "HOME": str(folder),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


RUN = [block for block in COMMAND_BLOCKS + PYTHON_BLOCKS if block.kind == "run" and not block.by_ci]


@pytest.mark.parametrize("block", RUN, ids=ids)
def test_a_block_does_what_it_shows(block: Block, tmp_path: Path) -> None:
    with places() as runtime:  # control sockets that no other test's processes are at
        _does_what_it_shows(block, tmp_path, {**_scratch(tmp_path), **runtime})


def _does_what_it_shows(block: Block, folder: Path, env: dict[str, str]) -> None:
    start = (
        [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    )
    done = subprocess.run(
        [*start, block.script if block.language != "python" else block.text],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == block.exit_code, f"{block.place}\n{done.stdout}"
    assert "Traceback" not in done.stdout, f"{block.place}\n{done.stdout}"
    absent = missing(block.printed, done.stdout)
    assert absent is None, f"{block.place}: never printed: {absent}\n{done.stdout}"


@pytest.mark.quick
@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=ids)
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.quick
@pytest.mark.parametrize("block", YAML_BLOCKS, ids=ids)
def test_yaml_is_read_alike_by_both_loaders_and_valid(block: Block, tmp_path: Path) -> None:
    pure = yaml.load(block.text, yaml.SafeLoader)
    assert yaml.load(block.text, yaml.CSafeLoader) == pure
    if not (isinstance(pure, dict) and "agents" in pure):
        return  # a part of a file: its words around it say where it belongs
    shutil.copytree(ROOT / "agents.d", tmp_path / "agents.d")
    file = tmp_path / "agents.d" / "shown.yaml"
    file.write_text(block.text, encoding="utf-8")
    if block.kind == "run" and block.exit_code:
        with pytest.raises(ConfigError):
            load(file, env={})
    else:
        load(file, env={})
