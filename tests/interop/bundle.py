# Run inside Pyodide by bundle.mjs; `given` is what the test tells, and the last line its answer.
import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import sys
import time
import traceback
import types
from importlib.util import find_spec

sys.path[:0] = ["/bundle"]
# The SDK of Cloudflare around an entrypoint, as small as can be: it keeps env and ctx.
workers = types.ModuleType("workers")


class WorkerEntrypoint:
    def __init__(self, ctx, env):
        self.ctx, self.env = ctx, env


workers.WorkerEntrypoint = WorkerEntrypoint
sys.modules["workers"] = workers

import js  # noqa: E402
from entry import Default  # noqa: E402
from pyodide import ffi  # noqa: E402
from pyodide.code import run_js  # noqa: E402
from pyodide.ffi import JsException, create_proxy, to_js  # noqa: E402

told = json.loads(given)  # noqa: F821
question = base64.b64decode(told["question"])
HOST = "https://worker.example"
logged = []
js.console.error = create_proxy(lambda *words: logged.append(" ".join(map(str, words))))
waited = []
ctx = types.SimpleNamespace(waitUntil=waited.append)
made = []


def made_by_the_worker(thing, **options):
    made.append(create_proxy(thing, **options))
    return made[-1]


ffi.create_proxy = made_by_the_worker


def alive(proxy):
    try:
        proxy.unwrap()
    except JsException:
        return False
    return True


def kv(text):
    """A namespace that has ``text`` as its deployment."""
    space = "(text) => ({ get: async (key) => (key === 'deployment' ? text : null) })"
    return run_js(space)(text)


def worker(ctx=ctx, **more):
    return Default(ctx, types.SimpleNamespace(**{**told["env"], **more}))


async def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s; {logged[-5:]}"
        await asyncio.sleep(0.01)


def asking(path, method="GET", headers=None, body=None):
    init = {"method": method, "headers": headers or {}}
    if body is not None:
        init["body"] = body
    return js.Request.new(HOST + path, to_js(init, dict_converter=js.Object.fromEntries))


async def ask(path, method="GET", headers=None, body=None, **env):
    answer = await worker(**env).fetch(asking(path, method, headers, body))
    return int(answer.status), str(await answer.text())


class Peer:
    """The client's end of a socket that the Worker took."""

    def __init__(self, answer):
        assert int(answer.status) == 101, int(answer.status)
        self.socket = answer.webSocket
        self.messages, self.closed = [], []
        self.hear = create_proxy(lambda event: self.messages.append(json.loads(event.data)))
        self.end = create_proxy(
            lambda event: self.closed.append((int(event.code), str(event.reason)))
        )
        self.socket.addEventListener("message", self.hear)
        self.socket.addEventListener("close", self.end)
        self.socket.accept()

    def send(self, message):
        self.socket.send(json.dumps(message))

    def of(self, kind):
        return [m for m in self.messages if kind in (m.get("type"), m.get("event"))]


def signed(url, form=""):
    key = told["env"]["TWILIO_AUTH_TOKEN"].encode()
    return base64.b64encode(hmac.new(key, (url + form).encode(), hashlib.sha1).digest()).decode()


async def page(**env):
    headers = {"Upgrade": "websocket", "Origin": HOST, "Sec-WebSocket-Protocol": "realtime"}
    return Peer(await worker(**env).fetch(asking("/ws", headers=headers)))


def text(words):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}


def type_in(peer, words):
    peer.send({"type": "conversation.item.create", "item": text(words)})
    peer.send({"type": "response.create"})


def said(peer, words):
    spoken = peer.of("response.output_audio_transcript.done")
    return any(words in message["transcript"] for message in spoken)


async def case_health():
    status, body = await ask("/healthz")
    assert (status, json.loads(body)["from"]) == (200, "bundle"), body
    assert json.loads(body)["name"] == "shop"
    assert (await ask("/nowhere"))[0] == 404
    status, body = await ask("/healthz", CANARY=None)
    assert status == 503, body
    assert any("CANARY" in line for line in logged), logged


async def case_a_browser_is_relayed_and_never_sees_the_deployment():
    peer = await page()
    await until(lambda: peer.of("session.updated"))
    [updated] = peer.of("session.updated")
    assert updated["session"]["audio"]["output"], updated
    type_in(peer, "add, please")
    await until(lambda: said(peer, "You said: 5"))
    everything = json.dumps(peer.messages)
    assert "Canary" not in everything
    assert told["env"]["CANARY"] not in everything
    assert "function_call" not in everything, everything[:2000]
    assert peer.of("response.output_audio.delta"), "no sound"
    peer.socket.close(1000, "bye")


async def case_a_page_may_not_change_the_deployment():
    peer = await page()
    await until(lambda: peer.of("session.updated"))
    peer.send({"type": "session.update", "event_id": "e1", "session": {"instructions": "x"}})
    peer.send({"type": "response.create", "response": {"instructions": "x"}})
    output = {"type": "function_call_output", "call_id": "c", "output": "x"}
    peer.send({"type": "conversation.item.create", "item": output})
    peer.socket.send("no json")
    await until(lambda: len(peer.of("error")) == 4)
    first = peer.of("error")[0]["error"]
    assert (first["code"], first["event_id"]) == ("not_allowed", "e1"), first
    peer.socket.close(1000, "")


async def case_a_large_message():
    peer = await page()
    await until(lambda: peer.of("session.updated"))
    words = "ä" * 450_000
    peer.send({"type": "conversation.item.create", "item": text(words)})
    await until(lambda: peer.of("conversation.item.added"))
    assert peer.of("conversation.item.added")[0]["item"]["content"][0]["text"] == words
    peer.socket.close(1000, "")


async def case_an_interruption():
    peer = await page()
    await until(lambda: peer.of("session.updated"))
    type_in(peer, "long")
    await until(lambda: len(peer.of("response.output_audio.delta")) > 3)
    peer.send({"type": "response.cancel"})
    await until(lambda: peer.of("response.done"))
    await until(lambda: peer.of("conversation.item.truncated"))
    assert peer.of("response.done")[0]["response"]["status"] in ("cancelled", "completed")
    peer.socket.close(1000, "")


async def case_a_tool_by_fetch():
    peer = await page()
    await until(lambda: peer.of("session.updated"))
    type_in(peer, "stock of tea pots")
    await until(lambda: said(peer, "7 of tea pots, Bearer"))
    peer.socket.close(1000, "")


async def case_who_may_call():
    headers = {"Upgrade": "websocket", "Origin": "https://elsewhere.example"}
    assert (await ask("/ws", headers=headers))[0] == 403
    assert (await ask("/ws", headers={"Upgrade": "websocket"}))[0] == 403
    assert (await ask("/ws"))[0] == 426
    headers["Origin"] = HOST
    assert (await ask("/ws", headers=headers, RTRUN_WS_TOKEN="t0ken"))[0] == 403
    answer = await worker(RTRUN_WS_TOKEN="t0ken").fetch(asking("/ws?token=t0ken", headers=headers))
    Peer(answer).socket.close(1000, "")


async def case_a_refusal_of_the_model_closes_the_page():
    peer = await page(ENGINE_KEY="wrong")
    await until(lambda: peer.closed)
    assert peer.closed[0][0] == 1011, peer.closed
    assert any("401" in line for line in logged), logged


async def case_a_phone_call():
    assert (await ask("/twilio", "POST", {"X-Twilio-Signature": "no"}, "From=a"))[0] == 403
    form = "From=%2B4930123&To=%2B4930999"
    signature = signed(f"{HOST}/twilio", "From+4930123To+4930999")
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    status, twiml = await ask("/twilio", "POST", headers, form)
    assert status == 200, twiml
    assert '<Stream url="wss://worker.example/twilio">' in twiml, twiml
    assert 'value="+4930123"' in twiml
    headers = {"Upgrade": "websocket", "X-Twilio-Signature": signed("wss://worker.example/twilio")}
    peer = Peer(await worker().fetch(asking("/twilio", headers=headers)))
    peer.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    about = {"from": "+4930123", "to": "+4930999"}
    fmt = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"streamSid": "MZ1", "callSid": "CA1", "customParameters": about, "mediaFormat": fmt}
    peer.send({"event": "start", "streamSid": "MZ1", "sequenceNumber": "1", "start": start})
    for n, at in enumerate(range(0, len(question), 160)):
        payload = base64.b64encode(question[at : at + 160]).decode()
        media = {"track": "inbound", "chunk": str(n + 1), "timestamp": str(n * 20)}
        media["payload"] = payload
        peer.send({"event": "media", "streamSid": "MZ1", "media": media})
        await asyncio.sleep(0.01)
    await until(lambda: len(peer.of("media")) > 20)
    assert all(m["streamSid"] == "MZ1" for m in peer.of("media"))
    frames = [base64.b64decode(m["media"]["payload"]) for m in peer.of("media")]
    assert {len(frame) for frame in frames[:20]} == {160}
    assert len(set(b"".join(frames))) > 30, "no sound"
    # The caller speaks again: what Twilio holds is dropped.
    for at in range(0, 16_000, 160):
        payload = base64.b64encode(question[at : at + 160]).decode()
        peer.send({"event": "media", "streamSid": "MZ1", "media": {"payload": payload}})
        await asyncio.sleep(0.01)
    await until(lambda: peer.of("clear"))
    peer.send({"event": "stop", "streamSid": "MZ1", "stop": {"callSid": "CA1"}})
    await until(lambda: peer.closed)


def announced(call_id, at=None):
    """The headers and the body of the webhook that tells of a call."""
    sip = [{"name": "From", "value": '"Ann" <sip:+4930123@carrier.example>;tag=1'}]
    data = {"call_id": call_id, "sip_headers": [*sip, {"name": "To", "value": "<sip:shop@x>"}]}
    body = json.dumps({"type": "realtime.call.incoming", "data": data})
    stamp, secret = str(int(time.time() if at is None else at)), told["env"]
    key = base64.b64decode(secret["OPENAI_WEBHOOK_SECRET"].removeprefix("whsec_"))
    mac = hmac.new(key, f"wh_{call_id}.{stamp}.{body}".encode(), hashlib.sha256).digest()
    headers = {"webhook-id": f"wh_{call_id}", "webhook-timestamp": stamp}
    return {**headers, "webhook-signature": "v1," + base64.b64encode(mac).decode()}, body


async def rings(call_id):
    """The service tells of a call twice, as it may; the end of what the Worker waits for."""
    headers, body = announced(call_id)
    env = {"ENGINE_URL": told["front"], "RTRUN_CONFIG": kv(told["office"])}
    calls = []
    context = types.SimpleNamespace(waitUntil=calls.append)
    for _ in range(2):
        request = asking("/sip/webhook", "POST", headers, body)
        answer = await worker(context, **env).fetch(request)
        assert int(answer.status) == 200, (str(await answer.text()), logged[-3:])
    assert len(calls) <= 1, "it was taken twice"
    for ended in calls:
        await ended


async def case_a_webhook_that_is_not_the_service_s():
    headers, body = announced("rtc_1")
    forged = {**headers, "webhook-signature": "v1,x"}
    assert (await ask("/sip/webhook", "POST", forged, body))[0] == 400
    late, body = announced("rtc_1", time.time() - 3000)
    assert (await ask("/sip/webhook", "POST", late, body))[0] == 400
    headers, body = announced("")
    assert (await ask("/sip/webhook", "POST", headers, body))[0] == 400


async def case_phone_calls_by_webhook():
    """What the callers say, hear and do is in the test; so is what the service was asked."""
    await calling


async def case_a_handoff():
    peer = await page(RTRUN_CONFIG=kv(told["office"]))
    await until(lambda: said(peer, "Good day."))
    type_in(peer, "invoice")
    await until(lambda: said(peer, "This is billing"))
    # The page hears of a new session, and nothing of what is in it.
    assert len(peer.of("session.updated")) > 1
    assert "You are billing" not in json.dumps(peer.messages)
    peer.socket.close(1000, "")


async def case_guardrails():
    peer = await page(RTRUN_CONFIG=kv(told["office"]))
    await until(lambda: said(peer, "Good day."))
    type_in(peer, "fruit")
    await until(lambda: said(peer, "I cannot tell."))
    assert [r["response"]["status"] for r in peer.of("response.done")][1] == "cancelled"
    type_in(peer, "you rascal")
    await until(lambda: said(peer, "Goodbye then."))
    await until(lambda: peer.closed)
    assert peer.closed[0][0] == 1000, peer.closed


async def case_a_tool_that_the_caller_agrees_to():
    peer = await page(RTRUN_CONFIG=kv(told["office"]))
    await until(lambda: said(peer, "Good day."))
    type_in(peer, "add, please")
    await until(lambda: said(peer, "May I?"))
    assert not said(peer, "You said: 5")
    type_in(peer, "yes")
    await until(lambda: said(peer, "You said: 5"))
    peer.socket.close(1000, "")


async def case_an_edit_by_kv():
    edited = told["edited"]
    status, body = await ask("/healthz", RTRUN_CONFIG=kv(edited))
    assert (status, json.loads(body)["from"]) == (200, "kv"), (body, logged[-2:])
    for broken in ("no json", json.dumps({**json.loads(edited), "code": {"tools/x.py": "1"}})):
        status, body = await ask("/healthz", RTRUN_CONFIG=kv(broken))
        assert (status, json.loads(body)["from"]) == (200, "bundle"), body
    assert len([line for line in logged if "cannot be used" in line]) == 2, logged


cases = {}
# They take their time, in which the others are run.
calling = asyncio.gather(*(rings(call_id) for call_id in told["calls"].values()))
for name, case in list(globals().items()):
    if not name.startswith("case_"):
        continue
    try:
        async with asyncio.timeout(120):
            await case()  # noqa: F704
        cases[name.removeprefix("case_")] = ""
    except Exception:
        cases[name.removeprefix("case_")] = traceback.format_exc()
with contextlib.suppress(AssertionError):  # their number is told
    await until(lambda: not any(map(alive, made)), 20)  # noqa: F704
lacking = [name for name in told["stdlib"] if find_spec(name) is None]
outside = [n for n in ("yaml", "jsonschema", "numpy", "websockets") if n in sys.modules]
proxies = {"made": len(made), "alive": sum(map(alive, made))}
json.dumps({"cases": cases, "outside": outside, "lacking": lacking, "proxies": proxies})
