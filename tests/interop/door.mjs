// A built bundle inside Pyodide, behind a door of this machine: as a Worker is reached. Its
// bindings are a JSON file, read for each request.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Request, Response, WebSocketPair, coupleWebSocket, fetch } from "miniflare";
import { loadPyodide } from "pyodide";
import { WebSocketServer } from "ws";

const [bundle, bindings] = process.argv.slice(2);
Object.assign(globalThis, { fetch, Request, Response, WebSocketPair });
const python = await loadPyodide({ stdout: (line) => console.error(line) });
python.FS.mkdirTree("/bundle");
python.FS.mount(python.FS.filesystems.NODEFS, { root: bundle }, "/bundle");
const worker = await python.runPythonAsync(`
import sys, types
sys.path[:0] = ["/bundle"]
workers = types.ModuleType("workers")
class WorkerEntrypoint:
    def __init__(self, ctx, env):
        self.ctx, self.env = ctx, env
workers.WorkerEntrypoint = WorkerEntrypoint
sys.modules["workers"] = workers
from entry import Default
from pyodide.ffi import create_proxy
create_proxy(lambda ctx, env, request: Default(ctx, env).fetch(request))
`);
const ctx = { waitUntil: (promise) => promise };
function asked(request, body) {
  const url = `http://${request.headers.host}${request.url}`;
  const { method, headers } = request;
  const env = JSON.parse(readFileSync(bindings, "utf8"));
  return worker(ctx, env, new Request(url, { method, headers, body }));
}

const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "realtime" });
const door = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const answer = await asked(request, pieces.length ? Buffer.concat(pieces) : undefined);
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(await answer.text());
});
door.on("upgrade", async (request, socket, head) => {
  const answer = await asked(request);
  if (!answer.webSocket) return socket.end(`HTTP/1.1 ${answer.status} Refused\r\n\r\n`);
  sockets.handleUpgrade(request, socket, head, (ws) => coupleWebSocket(ws, answer.webSocket));
});
door.listen(0, "127.0.0.1", () => console.log(door.address().port));
