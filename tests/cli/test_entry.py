"""Ctrl-C in the first moment: no traceback of an import that was cut."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import environment

CUT = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"


@pytest.mark.parametrize(
    ("module", "code"),
    [("click", -signal.SIGINT), ("watchfiles", 130)],
    ids=["before the command", "in a verb"],
)
def test_ctrl_c_while_it_is_loading(module: str, code: int, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(CUT)
    file = tmp_path / "shop.yaml"
    file.write_text("agents: { desk: { instructions: Be kind. } }\n")
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli.entry", str(file), "--engine", "local", "--text"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_ignored_stays_ignored() -> None:
    """As under nohup, or behind & in a script."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code += "from runner.cli import entry, main\n"
    code += "main.main = lambda: print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)\n"
    code += "entry.main()\nprint(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.split() == ["True", "True"]
