"""Bad deployments as a stock validator sees them by the schema file alone, and as rtrun does.

Each stands here as text; the sign ¦ is where rtrun's message points.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.deployments import EXAMPLES, FULL, ROOT, problems, write

SCHEMA = ROOT / "schemas" / "rtrun.v1.schema.json"
VAD = "session: { audio: { input: { turn_detection: { %s } } } }\n"
AGENTS = "agents: { desk: { instructions: x } }\n"


@dataclass(frozen=True)
class Bad:
    """``path`` and ``word``: where check-jsonschema says what; ``ours``: a word of rtrun's."""

    name: str
    text: str
    path: str
    word: str
    ours: str


TABLE = [
    Bad("unknown key", AGENTS + "¦modle: x\n", "$", "'modle' does not match", "model?"),
    Bad(
        "unknown key of an agent",
        "agents: { desk: { instructions: x, ¦voce: cedar } }\n",
        "$.agents.desk",
        "'voce' was unexpected",
        "voice?",
    ),
    Bad("no agents", "¦name: x\n", "$", "'agents' is a required property", "'agents' is missing"),
    Bad("empty agents", "agents: ¦{}\n", "$.agents", "should be non-empty", "is empty"),
    Bad(
        "agent without instructions",
        "agents: { ¦desk: { voice: cedar } }\n",
        "$.agents.desk",
        "'instructions' is a required property",
        "'instructions' is missing",
    ),
    Bad(
        "name with a dot",
        "agents: { ¦front.desk: { instructions: x } }\n",
        "$.agents",
        "does not match",
        "cannot be used",
    ),
    Bad(
        "number as instructions",
        "agents: { desk: { instructions: ¦7 } }\n",
        "$.agents.desk.instructions",
        "not of type 'string'",
        "text",
    ),
    Bad(
        "text as a list",
        "agents: { desk: { instructions: x, tools: ¦end_call } }\n",
        "$.agents.desk.tools",
        "not of type 'array'",
        "[end_call]",
    ),
    Bad(
        "handoff without to",
        "agents: { desk: { instructions: x, handoffs: [¦{ when: Always. }] } }\n",
        "$.agents.desk.handoffs[0]",
        "'transfer' is a required property",
        "a handoff has one of to, transfer",
    ),
    Bad("version", "apiVersion: ¦rtrun/v2\n" + AGENTS, "$.apiVersion", "['rtrun/v1']", "known are"),
    Bad("engine", AGENTS + "engine: ¦locl\n", "$.engine", "'local'", "local?"),
    Bad(
        "engine map without type",
        AGENTS + "¦engine: { brain: { type: rehearsal } }\n",
        "$.engine",
        "'type' is a required property",
        "'type' is missing",
    ),
    Bad(
        "engine's URL",
        AGENTS + "engine: { url: ¦ftp://x.example }\n",
        "$.engine.url",
        "does not match",
        "wss://",
    ),
    Bad(
        "brain",
        AGENTS + "engine: { type: local, brain: { type: ¦chatt } }\n",
        "$.engine.brain.type",
        "['rehearsal', 'chat']",
        "chat?",
    ),
    Bad(
        "chat without model",
        AGENTS + 'engine: { type: local, ¦brain: { type: chat, url: "http://127.0.0.1:1/v1" } }\n',
        "$.engine.brain",
        "'model' is a required property",
        "'model' is missing",
    ),
    Bad("transport", AGENTS + "transport: ¦websockt\n", "$.transport", "'websocket'", "websocket?"),
    Bad(
        "turn detection's type",
        AGENTS + VAD % "type: ¦semantic",
        "$.session.audio.input.turn_detection.type",
        "['server_vad', 'semantic_vad']",
        "semantic_vad?",
    ),
    Bad(
        "a choice of one kind",
        AGENTS + VAD % "type: semantic_vad, eagerness: ¦hgh",
        "$.session.audio.input.turn_detection.eagerness",
        "'high'",
        "high?",
    ),
    Bad(
        "a key of another kind",
        AGENTS + VAD % "type: semantic_vad, ¦threshold: 0.5",
        "$.session.audio.input.turn_detection",
        "'threshold' was unexpected",
        "does not go with type: semantic_vad",
    ),
    Bad(
        "turn detection without type",
        AGENTS + "session: { audio: { input: { ¦turn_detection: { eagerness: high } } } }\n",
        "$.session.audio.input.turn_detection",
        "'type' is a required property",
        "'type' is missing",
    ),
    Bad(
        "speed",
        AGENTS + "session: { audio: { output: { speed: ¦9 } } }\n",
        "$.session.audio.output.speed",
        "greater than the maximum of 1.5",
        "above 1.5",
    ),
    Bad(
        "quoted number",
        AGENTS + 'session: { audio: { output: { speed: ¦"1.2" } } }\n',
        "$.session.audio.output.speed",
        "does not match",
        "a number belongs",
    ),
    Bad(
        "yes",
        AGENTS + "session: { parallel_tool_calls: ¦yes }\n",
        "$.session.parallel_tool_calls",
        "'yes'",
        "write true",
    ),
    Bad(
        "tool of no kind",
        AGENTS + "tools: { ¦t: { description: x } }\n",
        "$.tools.t",
        "required property",
        "one of python",
    ),
    Bad(
        "tool of two kinds",
        AGENTS + 'tools: { t: { python: "os:getcwd", ¦mcp: { url: "https://x.example" } } }\n',
        "$.tools.t",
        "should not be valid under",
        "only one of",
    ),
    Bad(
        "request without description",
        AGENTS + 'tools: { ¦t: { http: { url: "https://x.example" } } }\n',
        "$.tools.t",
        "'description' is a required property",
        "'description' is missing",
    ),
    Bad(
        "method",
        AGENTS
        + 'tools: { t: { description: D, http: { url: "https://x.example", method: ¦FETCH } } }\n',
        "$.tools.t.http.method",
        "'GET'",
        "is not one of",
    ),
    Bad(
        "duration without unit",
        AGENTS + "limits: { duration: ¦30 }\n",
        "$.limits.duration",
        "not of type 'string'",
        '"30s"',
    ),
    Bad(
        "duration",
        AGENTS + "limits: { duration: ¦half an hour }\n",
        "$.limits.duration",
        "does not match",
        "such as 30m",
    ),
    Bad(
        "guardrails as a map",
        AGENTS + "guardrails: ¦{ name: x }\n",
        "$.guardrails",
        "not of type 'array'",
        "'- '",
    ),
    Bad(
        "guardrail without name",
        AGENTS + "guardrails: [¦{ regex: x }]\n",
        "$.guardrails[0]",
        "'name' is a required property",
        "'name' is missing",
    ),
    Bad(
        "what follows",
        AGENTS + "guardrails: [{ name: n, regex: x, then: ¦hangup }]\n",
        "$.guardrails[0].then",
        "'hang_up'",
        "hang_up?",
    ),
    Bad("empty variable", AGENTS + "vars: { v: ¦null }\n", "$.vars.v", "'boolean'", "is empty"),
    Bad(
        "misspelt on top of a base",
        "extends: _base.yaml\nagents: { desk: { ¦greting: Hi } }\n",
        "$.agents.desk",
        "'greting' was unexpected",
        "greeting?",
    ),
    Bad(
        "reload",
        AGENTS + "reload: { apply: ¦at_once }\n",
        "$.reload.apply",
        "'between_turns'",
        "is not one of",
    ),
]
GOOD = {
    "partial": "extends: _base.yaml\n",
    "partial maps": """\
extends: _base.yaml
x-notes: { mine: true }
session: { audio: { input: { turn_detection: { eagerness: high }, noise_reduction: null } } }
agents: { desk: { voice: cedar }, gone: null }
vars: { gone: null }
tools: { t: { timeout: 3s }, gone: null }
""",
    "anchors": """\
x-quick: &quick { timeout: 2s, approval: none }
agents: { desk: { instructions: x, tools: [a] } }
tools: { a: { <<: *quick, python: "os:getcwd" } }
""",
    "placeholders": AGENTS + "limits: { duration: '${HOW_LONG:?why}' }\nentry: ${E}\n",
}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[dict[str, Any]]]:
    """What check-jsonschema says of every text, by its name."""
    folder = tmp_path_factory.mktemp("bad")
    files: dict[str, str] = {}
    texts = {bad.name: bad.text.replace("¦", "") for bad in TABLE} | GOOD
    for i, (name, text) in enumerate(texts.items()):
        files[str(write(folder, text, f"{i}.yaml"))] = name
    for file in (*EXAMPLES, FULL):
        files[str(file)] = file.name
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, "--schemafile", str(SCHEMA), "--output-format", "json", *files]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert out.returncode == 1, out.stderr
    said = json.loads(out.stdout)
    assert said["parse_errors"] == []
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in files.values()}
    for error in said["errors"]:
        found[files[error["filename"]]].append(error)
    return found


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.name)
def test_a_stock_validator_tells_it_at_the_right_path(
    bad: Bad, stock: Mapping[str, list[dict[str, Any]]]
) -> None:
    (error,) = stock[bad.name]
    assert error["path"] == bad.path
    assert bad.word in error["message"]


@pytest.mark.parametrize("name", [*GOOD, *(file.name for file in (*EXAMPLES, FULL))])
def test_a_stock_validator_has_nothing_to_say(
    name: str, stock: Mapping[str, list[dict[str, Any]]]
) -> None:
    assert stock[name] == []


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.name)
def test_rtrun_tells_it_at_the_right_place(bad: Bad, tmp_path: Path) -> None:
    head, sign, tail = bad.text.partition("¦")
    assert sign
    write(tmp_path, AGENTS, "_base.yaml")
    (problem,) = problems(tmp_path, head + tail)
    line, column = head.count("\n") + 1, len(head) - head.rfind("\n")
    assert (problem.line, problem.column) == (line, column), problem.render()
    assert bad.ours in problem.headline()
