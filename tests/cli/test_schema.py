"""`rtrun schema`: the file that comes with rtrun, and its other view."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support.command import invoke, rtrun
from support.deployments import ROOT

pytestmark = pytest.mark.quick

FILE = ROOT / "schemas" / "rtrun.v1.schema.json"


def test_byte_for_byte(tmp_path: Path) -> None:
    done = rtrun("schema")
    assert (done.returncode, done.stdout) == (0, FILE.read_text())
    target = tmp_path / "s.json"
    assert invoke("schema", "-o", target) == (0, f"{target}: written\n", "")
    assert target.read_bytes() == FILE.read_bytes()


def test_the_resolved_view_takes_no_placeholder(tmp_path: Path) -> None:
    target = tmp_path / "s.json"
    assert invoke("schema", "--resolved", "-o", target)[0] == 0
    value = json.loads(target.read_text())
    Draft202012Validator.check_schema(value)
    document = {"agents": {"a": {"instructions": "x"}}, "reload": {"apply": "${X}"}}
    assert not Draft202012Validator(value).is_valid(document)
    assert Draft202012Validator(json.loads(FILE.read_text())).is_valid(document)


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    target = tmp_path / "none" / "s.json"
    code, _, err = invoke("schema", "-o", target)
    assert (code, err) == (2, f"rtrun: {target}: cannot be written (No such file or directory)\n")
