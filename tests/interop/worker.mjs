// The contract of a line, inside Pyodide, on a fetch that upgrades as a Worker's does.
import { readFileSync } from "node:fs";
import { fetch } from "miniflare";
import { loadPyodide } from "pyodide";

const [root, given] = process.argv.slice(2);
globalThis.fetch = fetch;
const python = await loadPyodide({ stdout: (line) => console.error(line) });
python.FS.mkdirTree("/house");
python.FS.mount(python.FS.filesystems.NODEFS, { root }, "/house");
python.globals.set("given", readFileSync(given, "utf8"));
try {
  console.log(await python.runPythonAsync(readFileSync(`${root}/tests/interop/worker.py`, "utf8")));
  process.exit(0);
} catch (error) {
  console.error(error.message); // without the source of Pyodide, which Node would print
  process.exit(1);
}
