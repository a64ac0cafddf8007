"""docs/configuration.md: its tables are the schema's, and every block in it is loaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml
from support.deployments import ROOT, write
from support.docs import Block, blocks
from support.reference import keys, sections, written

from runner.config import tree as trees
from runner.config.load import load

pytestmark = pytest.mark.quick

PAGE = ROOT / "docs" / "configuration.md"
BLOCKS = [block for block in blocks(PAGE) if block.language == "yaml"]

#: What a part of a file needs around it, and beside it.
AGENTS = "agents:\n  front_desk: { instructions: x }\n  billing: { instructions: x }\n"
FILES = ("line.py", "tools/rate.py", "tools/billing_server.py", "rules.py", "hours.txt")


def test_the_tables_are_the_schema_s() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = written(page)
    if os.environ.get("RTRUN_WRITE_REFERENCE"):
        PAGE.write_text(made, encoding="utf-8")
    else:
        assert page == made, "RTRUN_WRITE_REFERENCE=1 pytest tests/config/test_reference.py"


def test_every_key_is_in_a_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    known = {path for path, _ in keys()}
    assert len(known) > 150
    assert page.count("\n| `") == len(known)
    assert len(set(sections(page))) == len(sections(page))


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader], ids=["C", "pure"])
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_every_block_is_a_deployment_or_a_part_of_one(
    block: Block, loader: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "LOADER", loader)
    shutil.copytree(ROOT / "agents.d", tmp_path, dirs_exist_ok=True)
    for name in FILES:
        write(tmp_path, "", name)
    text = block.text if "agents" in yaml.safe_load(block.text) else AGENTS + block.text
    out = load(write(tmp_path, text, "shown.yaml"), env={})
    assert [p.message for p in out.warnings if "key stands" in p.message] == []
