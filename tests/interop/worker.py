# Run inside Pyodide by worker.mjs; `given` is what the test tells, and the last line its answer.
import ast
import base64
import json
import sys

sys.path[:0] = ["/house", "/house/tests"]
import js  # noqa: E402
from pyodide.code import run_js  # noqa: E402
from support import line_contract  # noqa: E402

import runner  # noqa: E402
from runner.errors import ConnectError  # noqa: E402
from runner.transports.cloudflare import CloudflareRealtimeTransport  # noqa: E402

told = json.loads(given)  # noqa: F821


async def fetched(answer):
    """What connect() says to a fetch that answers so."""
    fetch = run_js(answer)
    line = CloudflareRealtimeTransport(url="wss://example.invalid/v1", api_key="k", fetch=fetch)
    statuses = []
    line.on("connection_change", statuses.append)
    try:
        await line.connect()
        error = ""
    except ConnectError as refused:
        error = str(refused)
    return error, statuses


async def page(block, key):
    """The page's block as a Worker's program: the session that it connects."""
    names = {name: getattr(runner, name) for name in told["names"]}
    names["env"] = type("Env", (), {"OPENAI_API_KEY": key})
    code = compile(block, "seed.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, names)
    session = names["session"]
    said = []
    session.on("transcript", lambda event: said.append(event.text))
    session.send_message("hello")
    await line_contract.until(lambda: "You said: hello" in said, 30)
    await session.close()
    return said


question = base64.b64decode(told.pop("question"))
said = await page(told.pop("block"), told["key"])  # noqa: F704
del told["names"]
peer = line_contract.Peer(question=question, make=CloudflareRealtimeTransport, **told)
result = await line_contract.run(peer)  # noqa: F704
# What only a fetch of one's own can show: the request itself, and how an answer can be none.
asked = await fetched(  # noqa: F704
    """async (url, init) => { globalThis.asked = JSON.stringify({ url, ...init });
    return { status: 101, webSocket: { accept() {}, addEventListener() {} } }; }"""
)
thrown = await fetched(  # noqa: F704
    """async () => ({ status: 101, webSocket: { accept() { throw new Error("no room"); },
    addEventListener() {}, removeEventListener() {} } })"""
)
outside = sorted(n for n in ("yaml", "jsonschema", "numpy", "websockets") if n in sys.modules)
json.dumps(
    {
        "said": said,
        "cases": result,
        "request": json.loads(js.asked),
        "connected": asked,
        "thrown": thrown,
        "outside": outside,
    }
)
