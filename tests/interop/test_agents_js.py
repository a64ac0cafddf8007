"""OpenAI's agents SDK for JavaScript holds a conversation with our engine, unchanged.

Needs Node.js 20 and, in the folder that RTRUN_TEST_NODE names, `npm install @openai/agents zod`;
.ci/run sets both up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.engine import serving, speech_models
from support.speech import flite

from runner.engine.brain import make_brain

SCRIPT = Path(__file__).with_name("agents.mjs")
HOME = os.environ.get("RTRUN_TEST_NODE", "")


@pytest.mark.skipif(not (HOME and shutil.which("node")), reason="needs Node.js and RTRUN_TEST_NODE")
def test_tool_speech_interruption_and_handoff(tmp_path: Path) -> None:
    script = shutil.copy(SCRIPT, Path(HOME) / SCRIPT.name)  # modules are found beside the script
    question, stop = tmp_path / "question.pcm", tmp_path / "stop.pcm"
    question.write_bytes(flite("Where can I park my car?"))
    stop.write_bytes(flite("Stop, please wait a moment."))
    with serving(make_brain(), speech_models()) as engine:
        done = subprocess.run(
            ["node", script, engine.url, question, stop],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["errors"] == []
    assert told["tools"] == ["A bell costs 3 dollars."]
    assert told["handoffs"] == [["Shop", "Billing"]]
    assert told["cut"]
    assert told["audio"] > 48_000
    said = [words or "" for kind, who, words in told["history"]]
    assert any("park" in words for words in said)
    assert any("free parking" in words for words in said)
