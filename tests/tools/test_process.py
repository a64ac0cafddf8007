"""Which program is started, and what it is told of the world."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runner.errors import ToolError
from runner.tools.process import environment, program

pytestmark = pytest.mark.quick


def test_a_path_is_relative_to_the_file_and_links_are_kept(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "server").symlink_to(sys.executable)
    found = os.path.abspath(tmp_path / "bin" / "server")
    assert program(["bin/server", "-v"], tmp_path, "") == [found, "-v"]
    with pytest.raises(ToolError, match="no program bin/other"):
        program(["bin/other"], tmp_path, "")


def test_python_is_ours_where_there_is_no_other(tmp_path: Path) -> None:
    assert program(["python", "x.py"], tmp_path, str(tmp_path)) == [sys.executable, "x.py"]
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert program(["python", "x.py"], tmp_path, str(tmp_path)) == [str(other), "x.py"]
    with pytest.raises(ToolError, match="no program 'perl6000' on PATH"):
        program(["perl6000"], tmp_path, str(tmp_path))


def test_little_of_the_environment_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("LANG", "C.UTF-8")
    given = environment({"PATH": "/opt/bin", "MODE": "test"})
    assert given["PATH"] == "/opt/bin"
    assert given["MODE"] == "test"
    assert given["LANG"] == "C.UTF-8"
    assert "OPENAI_API_KEY" not in given
