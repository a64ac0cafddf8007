"""What `rtrun build cloudflare` writes, run: its entry inside Pyodide against our engine, its
folder packed by wrangler, and the upgrade that it asks for in a real workerd.

Needs Node.js 20 and, in the folder that RTRUN_TEST_NODE names, `npm install pyodide miniflare
workerd wrangler`; .ci/run sets them up.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from openai.types.realtime import RealtimeSessionCreateRequest
from support.callfront import CallFront
from support.command import rtrun
from support.engine import Puppet, last_words, serving, speech_models, spoken
from support.speech import silence
from support.webrtc import dialled

from runner.audio.g711 import ulaw_encode
from runner.bundle.cloudflare import DATE
from runner.bundle.compiled import Compiled
from runner.config.load import load
from runner.config.worker import LACKING
from runner.engine.ports import Call, Prompt, Say
from runner.media.resample import resample

ROOT = Path(__file__).parents[2]
HOME = os.environ.get("RTRUN_TEST_NODE", "")
KEY, CANARY = "sk-worker", "canary-4711-of-the-environment"
CASES = re.findall(
    r"^async def case_(\w+)", Path(__file__).with_name("bundle.py").read_text(), re.M
)

SHOP = """\
name: shop
engine: { url: "${ENGINE_URL}", api_key: "${ENGINE_KEY}" }
timezone: America/New_York
transport: cloudflare
vars: { place: "${PLACE:-the shop}" }
session:
  audio:
    input:
      transcription: { model: whisper-1 }
      turn_detection: { type: server_vad }
agents:
  desk:
    instructions: You answer ${call.from} at ${vars.place}, ${now}. Canary ${CANARY}.
    tools: [add, stock]
tools:
  add: { python: "tools/add.py:add" }
  stock:
    description: What is there.
    http:
      url: "${STOCK_URL}/stock/{what}"
      headers: { Authorization: "Bearer ${STOCK_KEY}" }
      hosts: ["127.0.0.1"]
"""
#: Calls without a caller: one that cannot be taken any more, one that is over when it is taken,
#: and one to which the service gives no control socket.
NOBODY = ("gone", "nowhere", "deaf")
#: Comes by KV: the same Python, other agents.
OFFICE = """\
name: office
engine: { url: "${ENGINE_URL}", api_key: "${ENGINE_KEY}" }
timezone: none
session:
  audio:
    input:
      transcription: { model: whisper-1 }
      turn_detection: { type: server_vad, threshold: 0.5, interrupt_response: true }
agents:
  desk:
    instructions: You are the desk. ${call.from} calls ${call.to}.
    greeting: Good day.
    tools: [add, stock, end_call]
    handoffs: [{ to: billing, when: The caller asks about an invoice. }]
  billing: { instructions: You are billing. }
tools:
  add: { python: "tools/add.py:add", approval: caller }
  stock:
    description: What is there.
    http: { url: "${STOCK_URL}/stock/{what}", hosts: ["127.0.0.1"] }
guardrails:
  - { name: fruit, phrases: [aubergine], then: interrupt, say: I cannot tell. }
  - { name: rude, check: input, phrases: [rascal], then: hang_up, say: Goodbye then. }
"""
TOOL = '''
import plus


def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(plus.plus(a, b))
'''


def answer(prompt: Prompt) -> list[Any]:
    if prompt.instructions.startswith("Say exactly"):
        return [prompt.instructions.partition("\n\n")[2]]
    if prompt.instructions.startswith("You are billing"):
        return ["This is billing."]
    words = last_words(prompt)
    told: dict[str, list[Any]] = {
        "long": ["On and on and on it goes. " * 60],
        "invoice": [Call("transfer_to_billing", "{}")],
        "fruit": ["The word is aubergine, " + "and so it goes on. " * 30],
        "bye": [Say("Goodbye."), Call("end_call", "{}")],
        "confirmation_required": ["I add two and three. May I?"],
        "add": [Call("add", '{"a": 2, "b": 3}')],
        "yes": [Call("add", '{"a": 2, "b": 3}')],
    }
    for beginning, said in told.items():
        if words.startswith(beginning):
            return said
    if words.startswith("stock of "):
        return [Call("stock", json.dumps({"what": words.removeprefix("stock of ")}))]
    if "saturday" in words.lower():
        return [Call("stock", '{"what": "hours"}')]
    return [f"You said: {words}"]


class Shop(BaseHTTPRequestHandler):
    """Tells back what was asked."""

    def do_GET(self) -> None:
        what = self.path.rpartition("/")[2].replace("%20", " ")
        self._say(200, f"7 of {what}, {self.headers['Authorization']}")

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Caller:
    """Calls by WebRTC, waits to be greeted, asks in speech; then says goodbye, or hangs up."""

    def __init__(self, hangs_up: bool) -> None:
        self.id = ""
        self.events: list[dict[str, Any]] = []
        self.fault = ""
        self._hangs_up = hangs_up

    async def talk(self, http: str, question: bytes, on_the_line: Callable[[], object]) -> None:
        async with dialled(http, KEY, judge=False) as line:
            self.id, self.events = line.call_id, line.events
            on_the_line()
            said = "response.output_audio_transcript.done"
            await line.until(said, 60, transcript="Good day.")
            await line.until("output_audio_buffer.stopped")
            line.mouth.say(question)
            while "7 of " not in (await line.until(said, 40))["transcript"]:
                pass
            if not self._hangs_up:
                content = [{"type": "input_text", "text": "bye"}]
                item = {"type": "message", "role": "user", "content": content}
                line.send("conversation.item.create", item=item)
                line.send("response.create")
                async with asyncio.timeout(40):
                    await line.closed.wait()

    def said(self) -> list[str]:
        return [e["transcript"] for e in self.events if e["type"].endswith("_transcript.done")]


@contextmanager
def callers(http: str, question: bytes) -> Iterator[dict[str, Caller]]:
    """Two who have called and wait for an answer; at the end they have hung up."""
    calls = {"bye": Caller(hangs_up=False), "leaves": Caller(hangs_up=True)}
    waiting = threading.Barrier(len(calls) + 1)

    def talk(caller: Caller) -> None:
        try:
            asyncio.run(caller.talk(http, question, lambda: waiting.wait(60)))
        except Exception:
            caller.fault = traceback.format_exc()
            waiting.abort()

    threads = [threading.Thread(target=talk, args=(each,)) for each in calls.values()]
    for thread in threads:
        thread.start()
    waiting.wait(60)
    yield calls
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deployment, and in ``dist`` what the command made of it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "tools").mkdir()
    (folder / "shop.yaml").write_text(SHOP)
    (folder / "tools" / "add.py").write_text(TOOL)
    (folder / "tools" / "plus.py").write_text("def plus(a, b):\n    return a + b\n")
    (folder / "env").write_text(f"CANARY={CANARY}\n")
    done = rtrun(
        *("build", "cloudflare", str(folder / "shop.yaml"), "-o", str(folder / "dist")),
        *("--without-sdk", "--env-file", str(folder / "env")),
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_of_the_environment_is_in_the_folder(built: Path) -> None:
    files = [path for path in (built / "dist").rglob("*") if path.is_file()]
    assert len(files) > 50
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


STARTS = """\
import importlib, os, pathlib, random, secrets, sys, types

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top in ('runner', 'entry', 'compiled') or top in sys.stdlib_module_names:
            return None
        if top.startswith('_sysconfig'): return None
        raise ModuleNotFoundError(name, name=name)

def never(*given, **more):
    raise AssertionError('chance is not there before the first request')

sys.meta_path.insert(0, Blocker())
sys.modules['workers'] = types.SimpleNamespace(WorkerEntrypoint=object)
# As Cloudflare's runtime has it while a Worker starts.
os.urandom = random._urandom = never
for name in ('random', 'randbytes', 'getrandbits', 'randint', 'choice', 'uniform', 'shuffle'):
    setattr(random, name, never)
import entry
for file in sorted(pathlib.Path('runner').rglob('*.py')):
    name = '.'.join(file.with_suffix('').parts)
    importlib.import_module(name.removesuffix('.__init__'))
print(sys.modules['runner'].__file__)
"""


def test_the_folder_starts_with_what_a_worker_has(built: Path) -> None:
    """No third party, and no chance: Cloudflare's runtime gives none before the first request."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", STARTS],
        cwd=built / "dist",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(built / "dist"))


@pytest.fixture(scope="module")
def told(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the run inside Pyodide says."""
    if not (HOME and shutil.which("node")):
        pytest.skip("needs Node.js and RTRUN_TEST_NODE")
    given = tmp_path_factory.mktemp("worker") / "given.json"
    puppet = Puppet()
    puppet.answer = answer
    heard = spoken("What time do you open on Saturday?") + silence(1.5)
    question = ulaw_encode(resample(heard, 24_000, 8_000))
    shop = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    (built / "shop.yaml").write_text(SHOP.replace("You answer", "You always answer"))
    edited = Compiled(load(built / "shop.yaml", env={}, no_env=True)).json
    (built / "office.yaml").write_text(OFFICE)
    office = Compiled(load(built / "office.yaml", env={}, no_env=True)).json
    with (
        serving(puppet, speech_models(), key=KEY) as engine,
        CallFront(engine) as front,
        callers(engine.http, heard) as calls,
    ):
        ids = {name: caller.id for name, caller in calls.items()}
        front.ringing |= {"rtc_nowhere", "rtc_deaf", *ids.values()}
        front.unfollowed = {"rtc_deaf"}
        env = {
            "ENGINE_URL": engine.url,
            "ENGINE_KEY": KEY,
            "STOCK_URL": f"http://127.0.0.1:{shop.server_port}",
            "STOCK_KEY": "stock-key",
            "CANARY": CANARY,
            "TWILIO_AUTH_TOKEN": "twilio-token",
            "OPENAI_WEBHOOK_SECRET": "whsec_" + base64.b64encode(b"a secret").decode(),
        }
        told = {
            "env": env,
            "question": base64.b64encode(question).decode(),
            "edited": edited,
            "office": office,
            "front": front.url,
            "calls": {**ids, **{name: f"rtc_{name}" for name in NOBODY}},
        }
        given.write_text(json.dumps({**told, "stdlib": sorted(sys.stdlib_module_names)}))
        script = shutil.copy(Path(__file__).with_name("bundle.mjs"), Path(HOME) / "bundle.mjs")
        done = subprocess.run(
            ["node", script, ROOT, built / "dist", given],
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    shop.shutdown()
    shop.server_close()
    said = [line[:300] for line in done.stderr.splitlines()]
    assert done.returncode == 0, "\n".join(said[-40:])
    said = json.loads(done.stdout.splitlines()[-1])
    return {**said, "calls": calls, "asked": front.asked, "prompts": puppet.prompts}


@pytest.mark.parametrize("case", CASES)
def test_the_built_worker(told: dict[str, Any], case: str) -> None:
    assert told["cases"][case] == ""


def test_what_is_said_by_telephone_has_its_tool(told: dict[str, Any]) -> None:
    """Spoken by /twilio in G.711: this agent alone asks the shop with a key."""
    items = [item for prompt in told["prompts"] for item in prompt.items]
    outputs = [item["output"] for item in items if item["type"] == "function_call_output"]
    assert "7 of hours, Bearer stock-key" in outputs


def test_a_phone_call_that_the_agent_ends(told: dict[str, Any]) -> None:
    caller, asked = told["calls"]["bye"], told["asked"]
    assert caller.fault == ""
    [config] = [body for verb, call, body in asked if (verb, call) == ("accept", caller.id)]
    # Every field is one that the service knows, and none is one that a phone call refuses.
    assert not RealtimeSessionCreateRequest.model_validate(config, strict=True).model_extra
    assert config["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "interrupt_response": True,
    }
    assert "format" not in {**config["audio"]["input"], **config["audio"]["output"]}
    assert "You are the desk. +4930123 calls shop." in config["instructions"]
    assert "Good day." in caller.said()
    assert caller.said()[-1] == "Goodbye."
    assert [verb for verb, call, _ in asked if call == caller.id] == ["accept", "hangup"]


def test_a_phone_call_whose_caller_hangs_up(told: dict[str, Any]) -> None:
    caller = told["calls"]["leaves"]
    assert caller.fault == ""
    assert [verb for verb, call, _ in told["asked"] if call == caller.id] == ["accept"]
    assert any("7 of " in said for said in caller.said())


def test_a_caller_whom_nobody_can_follow_is_not_left_with_the_model(told: dict[str, Any]) -> None:
    verbs = {
        name: [verb for verb, call, _ in told["asked"] if call == f"rtc_{name}"] for name in NOBODY
    }
    # Of one who is not there any more there is nothing to hang up.
    assert verbs == {"gone": ["accept"], "nowhere": ["accept"], "deaf": ["accept", "hangup"]}


def test_every_proxy_is_destroyed(told: dict[str, Any]) -> None:
    assert told["proxies"]["made"] > 60
    assert told["proxies"]["alive"] == 0


def test_a_worker_needs_the_standard_library_alone(told: dict[str, Any]) -> None:
    assert told["outside"] == []
    ours = {name for name in told["lacking"] if not name.startswith("_")}
    assert ours <= LACKING, sorted(ours - LACKING)


WORKERD = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker", esModule = embed "upgrade.mjs")],
      bindings = [(name = "ENGINE_URL", text = "@URL@")],
      compatibilityDate = "@DATE@")),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
"""


@contextmanager
def workerd(folder: Path, here: Path | None = None) -> Iterator[str]:
    """The address of the Worker of ``config.capnp`` in a real workerd, started ``here``."""
    with subprocess.Popen(
        [_program("workerd"), "serve", folder / "config.capnp", "--control-fd=1"],
        cwd=here or folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            assert told, process.communicate()[1]
            yield f"http://127.0.0.1:{json.loads(told)['port']}/"
        finally:
            process.kill()


def _program(name: str) -> Path:
    program = Path(HOME) / "node_modules" / ".bin" / name
    if not (HOME and program.exists()):
        pytest.skip(f"needs {name} in RTRUN_TEST_NODE")
    return program


def test_the_upgrade_is_what_workerd_demands(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("upgrade.mjs"), tmp_path)
    with serving(Puppet(), None, key=KEY) as engine:
        config = WORKERD.replace("@URL@", engine.url).replace("@DATE@", DATE)
        (tmp_path / "config.capnp").write_text(config)
        with workerd(tmp_path) as url:
            good, bad = (_asked(f"{url}?key={key}") for key in (KEY, "wrong"))
    assert good == {
        "status": 101,
        "protocol": "realtime",
        "seen": ["session.created", "session.updated"],
    }
    assert bad["status"] == 401
    assert "API key" in bad["body"]


def test_workerd_reads_the_configuration_and_finds_every_module(built: Path) -> None:
    """What it cannot be asked here is to run them: their Python is fetched at the first start."""
    folder = built / "dist"
    done = subprocess.run(
        [_program("workerd"), "compile", "--config-only", "config.capnp"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config = (folder / "config.capnp").read_text()
    named = re.findall(r'name = "([^"]+)", pythonModule', config)
    assert named[0] == "entry.py"
    files = sorted(folder.rglob("*.py"))
    assert sorted(named) == sorted(path.relative_to(folder).as_posix() for path in files)
    assert [path for path in files if path.read_bytes() not in done.stdout] == []


def test_an_edit_reaches_the_worker_of_a_local_workerd(built: Path, tmp_path: Path) -> None:
    """The built configuration as it is, but for a module in JavaScript that tells what it has."""
    folder = tmp_path / "dist"
    shutil.copytree(built / "dist", folder)
    shutil.copy(Path(__file__).with_name("kv.mjs"), folder)
    config = (folder / "config.capnp").read_text()
    modules = 'modules = [(name = "worker", esModule = embed "kv.mjs")]'
    config, count = re.subn(r"modules = \[.*?\n  \]", modules, config, flags=re.DOTALL)
    flags = '  compatibilityFlags = ["python_workers"],\n'
    assert (count, flags in config, "127.0.0.1:8787" in config) == (1, True, True)
    config = config.replace(flags, "").replace("127.0.0.1:8787", "127.0.0.1:0")
    (folder / "config.capnp").write_text(config)
    with workerd(folder) as url:
        before = _asked(url)
        pushed = rtrun(
            *("push", "cloudflare", str(built / "shop.yaml"), "--folder", str(folder), "--no-env")
        )
        assert pushed.returncode == 0, pushed.stderr
        after = _asked(url)
    with workerd(folder, tmp_path) as url:  # it starts elsewhere too, without the edit
        assert _asked(url) == before == {"kv": None}
    assert f"revision {json.loads(after['kv'])['revision']} " in pushed.stdout


def _asked(url: str) -> Any:
    with urlopen(url, timeout=30) as answer:
        return json.load(answer)


def test_wrangler_packs_the_folder_offline(built: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [_program("wrangler"), "deploy", "--dry-run", "--outdir", tmp_path / "out"],
        cwd=built / "dist",
        env={**os.environ, "CI": "true", "WRANGLER_SEND_METRICS": "false"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(done.stdout)  # with the bundle's size
    assert "Total Upload:" in done.stdout
    packed = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert (tmp_path / "out" / "runner" / "worker" / "app.py") in packed
    assert (tmp_path / "out" / "tools" / "plus.py") in packed
    assert not [path for path in packed if CANARY.encode() in path.read_bytes()]
