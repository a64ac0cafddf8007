"""The rooms that run where only the standard library is present do run there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parent.parent
#: Rooms, and single files of rooms whose other files need more.
PURE = [
    "errors.py", "codec.py", "tasks.py", "signatures.py", "model", "core", "audio", "agent.py",
    "session.py",
    "line.py", "listeners.py", "content.py", "errands.py", "guardrails.py", "held.py", "options.py",
    "renewal.py", "subscriptions.py", "tools/base.py", "transports/base.py",
    "transports/attached.py", "transports/cloudflare.py", "transports/mediastream.py", "staff.py",
    "worker",
]  # fmt: skip

BLOCKED_IMPORT = '''
import importlib, sys

class Blocker:
    """Only the standard library and the house itself may be imported."""
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top == "runner" or top in sys.stdlib_module_names or top.startswith("_sysconfigdata"):
            return None
        raise ModuleNotFoundError(f"{name} is a third party", name=name)

for name in [n for n in sys.modules if n.partition(".")[0] not in sys.stdlib_module_names]:
    if name != "__main__":
        del sys.modules[name]
sys.meta_path.insert(0, Blocker())
for name in sys.argv[1:]:
    importlib.import_module(name)
outside = {n.partition(".")[0] for n in sys.modules} - set(sys.stdlib_module_names)
outside = {name for name in outside if not name.startswith("_sysconfigdata")}
print(",".join(sorted(outside - {"runner", "__main__"})))
'''


def modules() -> list[str]:
    found: list[str] = []
    for entry in PURE:
        path = ROOT / "runner" / entry
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path] * path.exists()
        for file in files:
            dotted = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            found.append(dotted.removesuffix(".__init__"))
    return found


def run(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED_IMPORT, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_pure_rooms_import_with_every_third_party_blocked() -> None:
    names = modules()
    assert "runner.core.conversation" in names
    result = run(*names)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""


def test_the_blocker_blocks() -> None:
    result = run("yaml")
    assert result.returncode != 0
    assert "third party" in result.stderr


def test_the_core_waits_for_nothing_and_knows_no_clock() -> None:
    banned = ("asyncio", "time", "random", "logging", "json", "datetime", "threading", "uuid")
    for file in (ROOT / "runner" / "core").glob("*.py"):
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                assert words[1].split(".")[0] not in banned, f"{file.name}: {line}"
            assert not line.lstrip().startswith("async "), f"{file.name}: {line}"


def test_what_runs_in_a_worker_asks_its_loop_for_no_time_that_may_be_over() -> None:
    """Pyodide's loop refuses one; ``runner.tasks.call_at`` does not."""
    for entry in PURE:
        path = ROOT / "runner" / entry
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            assert ".call_at(" not in file.read_text(), file
