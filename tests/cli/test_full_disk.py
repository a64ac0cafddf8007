"""A disk that takes nothing: the caller is answered all the same, and each trouble is told once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.command import environment

FILE = """\
timezone: none
agents: { desk: { instructions: We are open from 9 am to 5 pm. } }
records:
  transcript: kept/{call.id}.json
  webhook: { url: "http://127.0.0.1:9/", secret: "${SECRET}", hosts: [127.0.0.1] }
"""


def test_a_call_on_a_full_disk(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(FILE)
    command = f"{sys.executable} -m runner.cli.main {file} --engine local --text --log-format json"
    done = subprocess.run(
        # No file may grow: the system answers as of a full disk.
        ["sh", "-c", f"ulimit -f 0; exec {command}"],
        input="When are you open?\n",
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(SECRET="s", RTRUN_STATE=str(tmp_path / "state")),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "from 9 am to 5 pm" in done.stdout
    assert '"event":"session_end"' in done.stdout
    for words in ("was not written", "cannot be kept on disk", "the webhook takes no records"):
        assert done.stderr.count(words) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != file]
