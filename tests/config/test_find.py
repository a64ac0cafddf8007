"""Which files of a folder are deployments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.deployments import write

from runner.config.find import deployments_in, is_base
from runner.errors import InputError

pytestmark = pytest.mark.quick


def test_bases_tests_and_what_editors_leave_are_none(tmp_path: Path) -> None:
    names = (
        "b.yaml",
        "a.yml",
        "_base.yaml",
        "a.test.yaml",
        ".hidden.yaml",
        ".#b.yaml",
        ".b.yaml.swp",
    )
    for name in (*names, "b.yaml~", "#b.yaml#", "b.yaml.bak", "notes.txt", "4913"):
        write(tmp_path, "", name)
    write(tmp_path, "", "folder.yaml/x.yaml")
    found = deployments_in(str(tmp_path))
    assert found == [str(tmp_path / "a.yml"), str(tmp_path / "b.yaml")]
    assert is_base(tmp_path / "_base.yaml")
    assert not is_base(tmp_path / "b.yaml")


def test_a_volume_of_kubernetes(tmp_path: Path) -> None:
    write(tmp_path, "", "..v1/a.yaml")
    write(tmp_path, "", "..v1/_base.yaml")
    os.symlink("..v1", tmp_path / "..data")
    for name in ("a.yaml", "_base.yaml"):
        os.symlink(f"..data/{name}", tmp_path / name)
    assert deployments_in(str(tmp_path)) == [str(tmp_path / "a.yaml")]


def test_no_deployment_at_all(tmp_path: Path) -> None:
    write(tmp_path, "", "_base.yaml")
    with pytest.raises(InputError, match=r"no \.yaml file"):
        deployments_in(str(tmp_path))
    with pytest.raises(InputError, match="not readable"):
        deployments_in(str(tmp_path / "none"))
