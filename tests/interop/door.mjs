// A built bundle inside Pyodide, behind a door of this machine: as a Worker is reached.
import { createServer } from "node:http";
import { Request, Response, WebSocketPair, coupleWebSocket, fetch } from "miniflare";
import { loadPyodide } from "pyodide";
import { WebSocketServer } from "ws";

const [bundle, bindings] = process.argv.slice(2);
Object.assign(globalThis, { fetch, Request, Response, WebSocketPair });
const python = await loadPyodide({ stdout: (line) => console.error(line) });
python.FS.mkdirTree("/bundle");
python.FS.mount(python.FS.filesystems.NODEFS, { root: bundle }, "/bundle");
python.globals.set("bindings", bindings);
const answer = await python.runPythonAsync(`
import json, sys, types
sys.path[:0] = ["/bundle"]
workers = types.ModuleType("workers")
class WorkerEntrypoint:
    def __init__(self, ctx, env):
        self.ctx, self.env = ctx, env
workers.WorkerEntrypoint = WorkerEntrypoint
sys.modules["workers"] = workers
from entry import Default
from pyodide.ffi import create_proxy
env = types.SimpleNamespace(**json.loads(bindings))
ctx = types.SimpleNamespace(waitUntil=lambda promise: None)
create_proxy(Default(ctx, env).fetch)
`);
const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "realtime" });
const door = createServer((request, response) => response.writeHead(426).end());
door.on("upgrade", async (request, socket, head) => {
  const url = `http://${request.headers.host}${request.url}`;
  const found = await answer(new Request(url, { headers: request.headers }));
  if (!found.webSocket) return socket.end(`HTTP/1.1 ${found.status} Refused\r\n\r\n`);
  sockets.handleUpgrade(request, socket, head, (ws) => coupleWebSocket(ws, found.webSocket));
});
door.listen(0, "127.0.0.1", () => console.log(door.address().port));
