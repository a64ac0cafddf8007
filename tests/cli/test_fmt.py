"""`rtrun fmt`: what is written, what is left alone, and the exit code."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support.command import invoke
from support.deployments import EXAMPLES, write

pytestmark = pytest.mark.quick

WIDE = "agents:\n    desk:\n        instructions: Hi. # short\n"
NEAT = "agents:\n  desk:\n    instructions: Hi.  # short\n"


def test_a_file_is_written_in_place_with_its_mode(tmp_path: Path) -> None:
    file = write(tmp_path, WIDE)
    file.chmod(0o640)
    assert invoke("fmt", file) == (0, f"{file}: formatted\n", "")
    assert file.read_text() == NEAT
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["d.yaml"]


def test_a_neat_file_is_not_touched(tmp_path: Path) -> None:
    file = write(tmp_path, NEAT)
    os.utime(file, (1, 1))
    before = file.stat()
    assert invoke("fmt", file) == (0, "", "")
    after = file.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_link_still_leads_to_its_file(tmp_path: Path) -> None:
    target = write(tmp_path, WIDE, "real/d.yaml")
    link = tmp_path / "d.yaml"
    link.symlink_to("real/d.yaml")
    assert invoke("fmt", link)[0] == 0
    assert link.is_symlink()
    assert target.read_text() == NEAT


def test_check_and_diff_write_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, WIDE)
    assert invoke("fmt", "--check", file) == (1, f"{file}: would change (rtrun fmt {file})\n", "")
    code, out, _ = invoke("fmt", "--diff", file)
    assert code == 0
    assert (
        out
        == f"""\
--- {file}
+++ {file} (formatted)
@@ -1,3 +1,3 @@
 agents:
-    desk:
-        instructions: Hi. # short
+  desk:
+    instructions: Hi.  # short
"""
    )
    assert invoke("fmt", "--diff", "--check", file)[0] == 1
    assert file.read_text() == WIDE
    assert invoke("fmt", "--check", write(tmp_path, NEAT)) == (0, "", "")


def test_standard_input_goes_to_standard_output(tmp_path: Path) -> None:
    assert invoke("fmt", "-", stdin=WIDE) == (0, NEAT, "")
    assert invoke("fmt", "-", "--check", stdin=WIDE)[0] == 1
    code, out, err = invoke("fmt", "-", stdin="a: [\n")
    assert (code, out) == (1, "")
    assert err.startswith("<stdin>:")
    assert invoke("fmt", "-", "x.yaml", stdin=WIDE)[0] == 2


def test_what_is_no_yaml_is_left_alone_and_the_others_are_not(tmp_path: Path) -> None:
    bad = write(tmp_path, "agents:\n\tdesk: {}\n", "bad.yaml")
    good = write(tmp_path, WIDE, "good.yaml")
    code, out, err = invoke("fmt", bad, good)
    assert (code, out) == (1, f"{good}: formatted\n")
    assert err.startswith(f"{bad}:2:1: a tab indents this line")
    assert bad.read_text() == "agents:\n\tdesk: {}\n"
    assert invoke("fmt", tmp_path / "none.yaml")[0] == 2


def test_a_folder_stands_for_its_files_and_bases(tmp_path: Path) -> None:
    names = ["_base.yaml", "a.yaml", "b.yml"]
    for name in names:
        write(tmp_path, WIDE, name)
    hidden = write(tmp_path, WIDE, ".hidden.yaml")
    assert invoke("fmt", tmp_path)[1].count("formatted") == 3
    assert hidden.read_text() == WIDE


def test_a_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    file = write(tmp_path, b"\xef\xbb\xbf" + WIDE.replace("\n", "\r\n").encode())
    assert "byte order mark" in invoke("fmt", "--diff", file)[1]
    assert invoke("fmt", "--check", file)[0] == 1
    invoke("fmt", file)
    assert file.read_bytes() == NEAT.replace("\n", "\r\n").encode()


def test_a_file_that_would_say_another_thing_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, WIDE)
    monkeypatch.setattr("runner.config.format.STEP", 0)
    code, out, err = invoke("fmt", file)
    assert (code, out) == (1, "")
    assert err.startswith(f"rtrun: {file}: another layout would change what this file says")
    assert file.read_text() == WIDE


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, WIDE)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runner.cli.fmt.os.replace", full)
    code, _, err = invoke("fmt", file)
    assert (code, err) == (2, f"rtrun: {file}: cannot be written (No space left on device)\n")
    assert file.read_text() == WIDE
    assert [p.name for p in tmp_path.iterdir()] == ["d.yaml"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda f: f.name)
def test_the_examples_are_neat(file: Path) -> None:
    assert invoke("fmt", "--check", "--diff", file) == (0, "", "")
