"""rtrun beside its peers on one harness, in one run: only ratios of the same run count.

    python tests/bench/run_peers.py PATH_OF_THE_BENCH --venvs FOLDER [--metrics 1 7]
        [--peers rtrun rtrun-fast openai-agents raw-websockets-json] [--runs 3]

The bench (bench.py, fakeserver.py, adapters/) is copied to a temporary folder and our adapter put
beside the others. FOLDER keeps the virtual environments; those that are missing are made. Prints
the bench's rows, then a table. The client has core 0 and the server core 1: nothing else should
run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

WEBSOCKETS = "websockets==16.1.1"
#: Virtual environment -> what it holds. Ours needs no more than this: the checkout is on the path.
VENVS = {
    "raw": [WEBSOCKETS, "picows", "orjson", "msgspec", "uvloop", "pybase64", "openai"],
    "oaia": [WEBSOCKETS, "openai-agents[voice]"],
    "rtrun": [WEBSOCKETS],
    "rtrunfast": [WEBSOCKETS, "orjson", "pybase64", "uvloop"],
}
OURS = {
    "rtrun": ("rtrun", "peer_rtrun", "Rtrun"),
    "rtrun-fast": ("rtrunfast", "peer_rtrun", "RtrunFast"),
}
NEEDS = {**{name: entry[0] for name, entry in OURS.items()}, "openai-agents": "oaia"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bench", type=Path)
    parser.add_argument("--venvs", type=Path, required=True)
    parser.add_argument("--metrics", nargs="+", default=["1"])
    parser.add_argument(
        "--peers",
        nargs="+",
        default=["rtrun", "rtrun-fast", "openai-agents", "raw-websockets-json"],
    )
    parser.add_argument("--runs", default="3")
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="passed to bench.py")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = prepare(asked.bench, Path(folder) / "bench", asked.venvs.resolve(), asked.peers)
        rows = [
            row
            for metric in asked.metrics
            for peer in asked.peers
            for row in run(bench, peer, metric, asked.runs, asked.more)
        ]
    for metric in asked.metrics:
        show([row for row in rows if str(row.get("metric")) == metric])


def prepare(source: Path, target: Path, venvs: Path, peers: list[str]) -> Path:
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)  # the original may be read-only
    shutil.copy(HERE / "peer_rtrun.py", target / "adapters")
    script = target / "bench.py"
    entries = "".join(f"    {name!r}: {entry!r},\n" for name, entry in OURS.items())
    text = script.read_text()
    begin = next(line for line in text.splitlines() if line.startswith("PEERS = {"))
    script.write_text(text.replace(begin, f"{begin}\n{entries}", 1))
    for name in {"raw", *(NEEDS.get(peer, "raw") for peer in peers)}:
        home = venvs / f"venv-{name}"
        if not (home / "bin" / "python").exists():
            venv.create(home, with_pip=True)
            subprocess.run([home / "bin" / "pip", "install", "-q", *VENVS[name]], check=True)
        (target / f"venv-{name}").symlink_to(home)
    return script


def run(bench: Path, peer: str, metric: str, runs: str, more: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, bench, "--peer", peer, "--metric", metric, "--runs", runs, *more],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    for line in done.stdout.splitlines():
        print(line, flush=True)
    if done.returncode:
        print(f"{peer}, metric {metric}: exit {done.returncode}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"peer"')]


def show(rows: list[dict[str, Any]]) -> None:
    """One line a row: the first numbers of it, and how they stand to openai-agents'."""
    reference: dict[Any, float] = {
        _case(row): row["us_cpu_per_delta"]
        for row in rows
        if row["peer"] == "openai-agents" and "us_cpu_per_delta" in row
    }
    for row in rows:
        told = {k: v for k, v in row.items() if isinstance(v, int | float) and k != "metric"}
        ratio = ""
        if "us_cpu_per_delta" in row and _case(row) in reference:
            ratio = f"   {reference[_case(row)] / row['us_cpu_per_delta']:.2f}x openai-agents"
        print(f"{row['peer']:24} {told}{ratio}")


def _case(row: dict[str, Any]) -> tuple[Any, ...]:
    return row.get("chunk_ms"), row.get("transcript_every")


if __name__ == "__main__":
    main()
