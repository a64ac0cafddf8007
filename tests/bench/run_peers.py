"""rtrun beside its peers on one harness, in one run: only ratios of the same run count.

    python tests/bench/run_peers.py PATH_OF_THE_BENCH --venvs FOLDER [--metrics 1 7]
        [--peers rtrun rtrun-fast openai-agents raw-websockets-json] [--runs 3] [--write PAGE.md]

The bench (bench.py, fakeserver.py, adapters/) is copied to a temporary folder and our adapter put
beside the others. FOLDER keeps the virtual environments; those that are missing are made. Prints
the bench's rows, then a table, and with --write puts the tables of the page anew. The client has
core 0 and the server core 1: nothing else should run meanwhile (``runq``: how long the client
waited for its core, in percent of the time).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
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
    "livekit": ["livekit-agents", "livekit-plugins-openai"],
    "pipecat": ["pipecat-ai[openai,websocket]"],
    "rtrun": [WEBSOCKETS],
    "rtrunfast": [WEBSOCKETS, "orjson", "pybase64", "uvloop"],
}
OURS = {
    "rtrun": ("rtrun", "peer_rtrun", "Rtrun"),
    "rtrun-fast": ("rtrunfast", "peer_rtrun", "RtrunFast"),
}
NEEDS = {
    **{name: entry[0] for name, entry in OURS.items()},
    "openai-agents": "oaia",
    "livekit": "livekit",
    "pipecat": "pipecat",
}
PEERS = [*OURS, "openai-agents", "livekit", "pipecat"]
PEERS += ["raw-websockets-json", "raw-websockets-orjson-uvloop"]
#: Sessions that metric 3 begins with.
START = {"pipecat": "12", "livekit": "25", "openai-agents": "40"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bench", type=Path)
    parser.add_argument("--venvs", type=Path, required=True)
    parser.add_argument("--metrics", nargs="+", default=["1"])
    parser.add_argument("--peers", nargs="+", default=PEERS)
    parser.add_argument("--runs", default="3")
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="passed to bench.py")
    parser.add_argument("--write", type=Path, help="a page whose <!-- bench: --> part is made anew")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = prepare(asked.bench, Path(folder) / "bench", asked.venvs.resolve(), asked.peers)
        rows = [
            row
            for metric in asked.metrics
            for peer in asked.peers
            for row in run(bench, peer, metric, asked.runs, asked.more)
        ]
    if asked.write is not None:
        write(asked.write, tables(rows, versions(asked.venvs, asked.peers)))
    for metric in asked.metrics:
        show([row for row in rows if str(row.get("metric")) == metric])


def versions(venvs: Path, peers: list[str]) -> str:
    """What each peer was measured at: its own packages, as pip tells them."""
    wanted = ("websockets", "openai-agents", "livekit-agents", "pipecat-ai", "orjson", "uvloop")
    told = []
    for name in dict.fromkeys(NEEDS.get(peer, "raw") for peer in peers):
        python = venvs / f"venv-{name}" / "bin" / "python"
        listed = subprocess.run(
            [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True
        ).stdout
        found = [line.replace("==", " ") for line in listed.splitlines() if line.startswith(wanted)]
        told.append(f"{name}: {', '.join(found)}")
    return f"Python {sys.version.split()[0]}; " + "; ".join(told)


def tables(rows: list[dict[str, Any]], told: str) -> str:
    """One table of what was measured, a line a peer, and the versions."""
    heads = [
        ("1", "CPU per 40 ms delta, us", lambda r: _us(r, 40, 0)),
        ("1", "with transcripts, us", lambda r: _us(r, 40, 5)),
        (
            "2",
            "50 sessions, p99 ms",
            lambda r: r.get("p99_ms") if r.get("sessions") == 50 else None,
        ),
        ("3", "sessions on a core", lambda r: r.get("max_sessions")),
        ("4", "after import, MiB", lambda r: r.get("rss_after_import_mib")),
        ("4", "a session, KiB", lambda r: r.get("kib_per_session")),
        ("5", "start to connected, ms", lambda r: r.get("spawn_to_connected_ms")),
        ("7", "tool round trip p50, ms", lambda r: r.get("p50_ms")),
    ]
    there = [head for head in heads if any(str(r["metric"]) == head[0] for r in rows)]
    lines = [
        "| | " + " | ".join(head[1] for head in there) + " |",
        "| --- " * (len(there) + 1) + "|",
    ]
    for peer in dict.fromkeys(row["peer"] for row in rows):
        cells = []
        for metric, _, pick in there:
            mine = (r for r in rows if (r["peer"], str(r["metric"])) == (peer, metric))
            found = [value for r in mine if (value := pick(r)) is not None]
            cells.append(f"{statistics.median(found):g}" if found else "-")
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    waited = [r["runq_wait_pct"] for r in rows if r.get("runq_wait_pct") is not None]
    quiet = (
        f"The client waited at most {max(waited):g} % of the time for its core. " if waited else ""
    )
    return "\n".join([*lines, "", f"{quiet}{told}."])


def _us(row: dict[str, Any], chunk: int, transcript: int) -> float | None:
    same = (row.get("chunk_ms"), row.get("transcript_every")) == (chunk, transcript)
    return row["us_cpu_per_delta"] if same else None


def write(page: Path, made: str) -> None:
    begin, end = "<!-- bench: -->\n\n", "\n\n<!-- end -->"
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(head + begin + made + end + rest.partition(end)[2], encoding="utf-8")


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
    start = ["--start", START.get(peer, "100")] if metric == "3" else []
    done = subprocess.run(
        [sys.executable, bench, "--peer", peer, "--metric", metric, "--runs", runs, *start, *more],
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
