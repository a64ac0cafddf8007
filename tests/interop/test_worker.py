"""A line opened by a Worker's fetch, in Pyodide, passes what the WebSocket passes on CPython.

Needs Node.js 20 and, in the folder that RTRUN_TEST_NODE names, `npm install pyodide miniflare`;
.ci/run sets both up.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import line_contract
from support.engine import Puppet, last_words, serving, speech_models, spoken
from support.speech import silence
from websockets import Subprotocol
from websockets.sync.server import ServerConnection, serve

from runner.audio.g711 import ulaw_encode
from runner.engine.ports import Call, Prompt
from runner.media.resample import resample
from runner.transports.websocket import OpenAIRealtimeWebSocket

ROOT = Path(__file__).parents[2]
HOME = os.environ.get("RTRUN_TEST_NODE", "")
KEY = "sk-worker"


#: The blocks of the page on the SDK, by name.
PYTHON = dict(
    re.findall(
        r"<!-- seed: (\w+) -->\n```python\n(.*?)```",
        (ROOT / "docs" / "seed.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)


def answer(prompt: Prompt) -> list[Any]:
    words = last_words(prompt)
    if words.startswith("add"):
        return [Call("add", '{"a": 2, "b": 3}')]
    return ["On and on and on it goes. " * 60] if words == "long" else [f"You said: {words}"]


def closing(connection: ServerConnection) -> None:
    connection.send('{"type": "session.created", "session": {}}')
    connection.recv()
    connection.send('{"type": "said.after"}')
    connection.close(1011, "out of cards")


def chosen(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """As our engine does: miniflare insists on it, other clients offer none."""
    return Subprotocol("realtime") if "realtime" in offered else None


@pytest.fixture(scope="module")
def peer() -> Iterator[dict[str, str]]:
    """Everything of line_contract.Peer but the transport, fit for JSON."""
    puppet = Puppet()
    puppet.answer = answer
    question = spoken("What time do you open on Saturday?") + silence(1.5)
    ulaw = ulaw_encode(resample(question, 24_000, 8_000))
    with (
        serving(puppet, speech_models(), key=KEY) as engine,
        serve(closing, "127.0.0.1", 0, select_subprotocol=chosen) as server,
        serve(closing, "127.0.0.1", 0) as nobody,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, free = (s.socket.getsockname()[1] for s in (server, nobody))
        nobody.socket.close()
        yield {
            "url": engine.url,
            "key": KEY,
            "closing": f"ws://127.0.0.1:{port}/v1/realtime",
            "nobody": f"ws://127.0.0.1:{free}/v1/realtime",
            "question": base64.b64encode(ulaw).decode(),
        }


@pytest.mark.parametrize("case", line_contract.CASES)
def test_the_contract_of_a_line_over_websocket(peer: dict[str, str], case: str) -> None:
    question = base64.b64decode(peer["question"])
    given = line_contract.Peer(
        **{**peer, "question": question},
        make=OpenAIRealtimeWebSocket,  # type: ignore[arg-type]
    )
    assert asyncio.run(line_contract.run(given, case)) == {case: ""}


@pytest.fixture(scope="module")
def told(peer: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the run inside Pyodide says."""
    if not (HOME and shutil.which("node")):
        pytest.skip("needs Node.js and RTRUN_TEST_NODE")
    given = tmp_path_factory.mktemp("worker") / "given.json"
    block = PYTHON["cloudflare"].replace("wss://api.openai.com/v1/realtime", peer["url"])
    names = ["CloudflareRealtimeTransportLayer", "RealtimeAgent", "RealtimeSession"]
    given.write_text(json.dumps({**peer, "block": block, "names": names}))
    # Modules are found beside the script.
    script = shutil.copy(Path(__file__).with_name("worker.mjs"), Path(HOME) / "worker.mjs")
    done = subprocess.run(
        ["node", script, ROOT, given], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr[-1500:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", line_contract.CASES)
def test_the_contract_of_a_line_in_a_worker(told: dict[str, Any], case: str) -> None:
    """CF2: a refusal tells status and body."""
    assert told["cases"][case] == ""


def test_the_request_that_a_worker_upgrades(told: dict[str, Any]) -> None:
    """CF1: GET of the https address with the headers of an upgrade, open without an event."""
    request = told["request"]
    assert request["url"].startswith("https://example.invalid/v1?model=")
    assert request["method"] == "GET"
    assert request["headers"] == {
        "Authorization": "Bearer k",
        "Sec-WebSocket-Protocol": "realtime",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
    }
    assert told["connected"] == ["", ["connecting", "connected"]]


def test_an_accept_that_throws_is_a_refusal(told: dict[str, Any]) -> None:
    """CF3."""
    error, statuses = told["thrown"]
    assert "no room" in error
    assert statuses == ["connecting", "disconnected"]


def test_the_page_on_the_sdk_runs_in_a_worker(told: dict[str, Any]) -> None:
    assert told["said"][-1] == "You said: hello"


def test_nothing_but_the_standard_library_was_needed(told: dict[str, Any]) -> None:
    assert told["outside"] == []
