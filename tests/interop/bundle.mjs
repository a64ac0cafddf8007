// A built bundle, its entry run inside Pyodide with the sockets and the fetch of a Worker.
import { readFileSync } from "node:fs";
import { Request, Response, WebSocketPair, fetch } from "miniflare";
import { loadPyodide } from "pyodide";

const [root, bundle, given] = process.argv.slice(2);
Object.assign(globalThis, { fetch, Request, Response, WebSocketPair });
const python = await loadPyodide({ stdout: (line) => console.error(line) });
for (const [folder, from] of [["/bundle", bundle], ["/tests", `${root}/tests`]]) {
  python.FS.mkdirTree(folder);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: from }, folder);
}
python.globals.set("given", readFileSync(given, "utf8"));
try {
  console.log(await python.runPythonAsync(readFileSync(`${root}/tests/interop/bundle.py`, "utf8")));
  process.exit(0);
} catch (error) {
  console.error(error.message); // without the source of Pyodide, which Node would print
  process.exit(1);
}
