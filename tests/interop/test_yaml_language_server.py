"""The YAML language server (of VS Code and others) completes and checks by the modeline alone.

Needs Node.js 20 and, in the folder that RTRUN_TEST_NODE names, `npm install yaml-language-server`;
.ci/run sets both up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.deployments import ROOT

HOME = os.environ.get("RTRUN_TEST_NODE", "")
SERVER = Path(HOME, "node_modules", "yaml-language-server", "bin", "yaml-language-server")
MODELINE = "# yaml-language-server: $schema=schemas/rtrun.v1.schema.json\n"
AGENTS = "agents:\n  desk:\n    instructions: x\n"

pytestmark = pytest.mark.skipif(
    not (HOME and shutil.which("node")), reason="needs Node.js and RTRUN_TEST_NODE"
)


class Editor:
    """Speaks LSP over the server's standard input and output, as an editor does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened = 0
        self.server = subprocess.Popen(
            ["node", str(SERVER), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.last = 0
        where = {"rootUri": folder.as_uri(), "processId": os.getpid(), "capabilities": {}}
        self.ask("initialize", where)
        self.tell("initialized", {})
        yaml = {"validate": True, "completion": True, "schemaStore": {"enable": False}}
        self.tell("workspace/didChangeConfiguration", {"settings": {"yaml": yaml}})

    def close(self) -> None:
        self.ask("shutdown", None)
        self.tell("exit", None)
        self.server.communicate(timeout=10)

    def tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        self.last += 1
        self._send({"id": self.last, "method": method, "params": params})
        while True:
            got = self.read()
            if got.get("id") == self.last and "method" not in got:
                assert "error" not in got, got
                return got["result"]

    def read(self) -> dict[str, Any]:
        """The next message; what the server asks is answered with nothing."""
        out = self.server.stdout
        assert out is not None
        length = 0
        while line := out.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the server has ended"
        got: dict[str, Any] = json.loads(out.read(length))
        if "method" in got and "id" in got:
            self._send({"id": got["id"], "result": None})
        return got

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.server.stdin is not None
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self.server.stdin.flush()

    def open(self, text: str) -> str:
        self.opened += 1
        uri = (self.folder / f"{self.opened}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def diagnostics(self, text: str) -> list[tuple[int, int, str]]:
        """``(line, column, message)`` from 1 of what the editor would underline."""
        uri = self.open(text)
        while True:
            got = self.read()
            if got.get("method") == "textDocument/publishDiagnostics":
                params = got["params"]
                if params["uri"] == uri:
                    break
        starts = [(d["range"]["start"], d["message"]) for d in params["diagnostics"]]
        return [(at["line"] + 1, at["character"] + 1, said) for at, said in starts]

    def at(self, method: str, marked: str) -> Any:
        """What ``method`` gives where the sign ¦ stands."""
        head, sign, tail = marked.partition("¦")
        assert sign
        uri = self.open(head + tail)
        line, column = head.count("\n"), len(head) - head.rfind("\n") - 1
        where = {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}
        return self.ask(f"textDocument/{method}", where)

    def completions(self, marked: str) -> set[str]:
        return {item["label"] for item in self.at("completion", marked)["items"]}


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("editor")
    (folder / "schemas").symlink_to(ROOT / "schemas")
    it = Editor(folder)
    yield it
    it.close()


def test_it_completes_keys(editor: Editor) -> None:
    audio = MODELINE + AGENTS + "session:\n  audio:\n    ¦\n"
    assert editor.completions(audio) >= {"input", "output"}
    inside = MODELINE + AGENTS + "session:\n  audio:\n    input:\n      ¦\n"
    assert editor.completions(inside) >= {"format", "transcription", "turn_detection"}
    assert editor.completions(MODELINE + AGENTS + "¦\n") >= {
        "extends",
        "engine",
        "session",
        "tools",
    }


def test_it_completes_values(editor: Editor) -> None:
    kind = "session:\n  audio:\n    input:\n      turn_detection:\n        type: ¦\n"
    assert {"server_vad", "semantic_vad"} <= editor.completions(MODELINE + AGENTS + kind)
    eager = kind.replace("¦", "semantic_vad\n        eagerness: ¦")
    assert {"low", "high", "auto"} <= editor.completions(MODELINE + AGENTS + eager)


def test_it_explains_a_key(editor: Editor) -> None:
    hover = editor.at("hover", MODELINE + AGENTS + "limits:\n  dur¦ation: 30m\n")
    assert "The longest that a call may last" in hover["contents"]["value"]


def test_it_underlines_what_is_wrong(editor: Editor) -> None:
    text = MODELINE + AGENTS + "modle: x\nsession:\n  audio:\n    output:\n      speed: 9\n"
    found = sorted(editor.diagnostics(text))
    assert [(line, column) for line, column, _ in found] == [(5, 1), (9, 14)]
    assert "modle" in found[0][2]
    vad = (
        "session: { audio: { input: { turn_detection: { type: semantic_vad, eagerness: hgh } } } }"
    )
    ((line, _, said),) = editor.diagnostics(MODELINE + AGENTS + vad)
    assert line == 5
    assert "high" in said


def test_a_missing_part_is_underlined_only_where_no_base_can_have_it(editor: Editor) -> None:
    text = "agents:\n  desk:\n    voice: cedar\n"
    ((line, _, said),) = editor.diagnostics(MODELINE + text)
    assert (line, "instructions" in said) == (3, True)
    assert editor.diagnostics(MODELINE + "extends: _base.yaml\n" + text) == []


@pytest.mark.parametrize("name", ["agents.d/receptionist.yaml", "tests/config/full/full.yaml"])
def test_our_own_files_are_clean(name: str, editor: Editor) -> None:
    text = (ROOT / name).read_text()
    _, _, rest = text.partition("\n")
    assert editor.diagnostics(MODELINE + rest) == []
