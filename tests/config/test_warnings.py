"""Warnings: voices, languages, models, variables and secrets."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.deployments import SMALL, loaded, write

from runner.config import schema as schemas
from runner.engine.speaking import tts
from runner.errors import Problem
from runner.model.shutdowns import SHUTDOWNS, shutdown

pytestmark = pytest.mark.quick


def warned(folder: Path, text: str, **env: str) -> list[tuple[str, str]]:
    return [(p.code, p.path) for p in loaded(folder, text, env).warnings]


def only(folder: Path, text: str, **env: str) -> Problem:
    (problem,) = loaded(folder, text, env).warnings
    return problem


TWO = """\
agents:
  desk:
    instructions: x
    {desk}
    handoffs: [{{ to: bill, when: y }}]
  bill:
    instructions: x
    {bill}
"""


def test_the_voice_of_whom_a_handoff_reaches(tmp_path: Path) -> None:
    text = TWO.format(desk="voice: ash", bill="voice: cedar")
    problem = only(tmp_path, text)
    assert (problem.code, problem.line, problem.column) == ("RT905", 8, 12)
    assert problem.message == "desk speaks as ash; a voice cannot change once it is heard"
    assert problem.hint == "reached by a handoff, bill keeps that voice in the same call"


OWN = "engine: openai\nsession: { audio: { output: { voice: { id: a } } } }\n"


@pytest.mark.parametrize(
    ("desk", "bill", "session", "fine"),
    [
        ("voice: ash", "voice: ash", "", True),
        ("x-a: 1", "voice: marin", "", True),  # marin is what a session has without a word
        ("x-a: 1", "voice: ash", "", False),
        ("x-a: 1", "voice: ash", "session: { audio: { output: { voice: ash } } }\n", True),
        ("voice: ash", "x-a: 1", "", True),
        ("x-a: 1", "voice: ash", OWN, False),
        ("voice: ash", "voice: ash", OWN, True),
    ],
)
def test_whose_voice_is_first(
    tmp_path: Path, desk: str, bill: str, session: str, fine: bool
) -> None:
    text = session + TWO.format(desk=desk, bill=bill).replace("    x-a: 1\n", "")
    assert warned(tmp_path, text) == ([] if fine else [("RT905", "agents.bill.voice")])


def test_voices_of_the_schema_are_known_to_the_local_engine() -> None:
    names = {
        name
        for node in schemas.load().at(("agents", "desk", "voice"))
        for name in node.get("enum", ())
    }
    assert names
    assert names <= tts._PITCH.keys()


@pytest.mark.parametrize(("engine", "warns"), [("local", 2), ("auto", 2), ("openai", 0)])
def test_what_the_local_engine_lacks(tmp_path: Path, engine: str, warns: int) -> None:
    text = (
        f"engine: {engine}\nsession:\n  audio:\n"
        "    input: { transcription: { model: whisper-1, language: de } }\n"
        "    output: { voice: { id: mine } }\n" + SMALL
    )
    assert len(warned(tmp_path, text)) == warns
    short = text.replace(f"engine: {engine}", f"engine: {{ type: {engine} }}")
    assert len(warned(tmp_path, short)) == warns
    assert warned(tmp_path, text.replace("language: de", "language: en-GB"))[1:] == []


@pytest.mark.parametrize(
    ("engine", "warns"),
    [("", True), ("engine: auto\n", True), ("engine: { type: openai }\n", True),
     ("engine: local\n", False), ("engine: ws://127.0.0.1:9000/v1\n", False)],
)  # fmt: skip
def test_a_model_that_ends_at_openai(tmp_path: Path, engine: str, warns: bool) -> None:
    text = f"{engine}model: gpt-realtime\n{SMALL}"
    assert warned(tmp_path, text) == ([("RT908", "model")] if warns else [])
    if warns:
        assert (
            only(tmp_path, text)
            .headline()
            .endswith(
                "model: gpt-realtime is announced to shut down on 2027-01-20 "
                "(OpenAI names gpt-realtime-2.1 instead)"
            )
        )


def test_models_that_end() -> None:
    assert shutdown("gpt-realtime-2.1") is None
    assert shutdown("gpt-realtime-2025-08-28") == SHUTDOWNS["gpt-realtime"]
    old = shutdown("gpt-realtime-mini-2025-10-06")
    assert old is not None
    assert old.day == date(2026, 7, 23)
    for model in SHUTDOWNS:
        after = shutdown(model)
        assert after is not None
        assert shutdown(after.successor) is None, "it leads to a model that stays"


def test_variables_that_nobody_uses(tmp_path: Path) -> None:
    write(tmp_path, "Call ${vars.phone}.", "p.md")
    text = "vars: { a: 1, b: '${vars.a}', phone: 1, spare: 2 }\n"
    text += "agents: { desk: { instructions: { file: p.md }, greeting: 'At ${vars.b}' } }\n"
    assert warned(tmp_path, text) == [("RT903", "vars.spare")]
    write(tmp_path, "vars: { spare: 2, phone: 1 }\n", "_base.yaml")
    assert warned(tmp_path, "extends: _base.yaml\n" + SMALL) == []


@pytest.mark.parametrize(
    "written",
    [
        "sk-proj-abcdefghijklmnop1234",
        "ghp_abcdefghijklmnopqrstuvwx",
        "AKIAABCDEFGHIJKLMNOP",
        "https://ann:hunter22@h.example/x",
        "https://h.example/x?a=1&api_key=hunter22",
        "${KEY:-sk-proj-abcdefghijklmnop1234}",
    ],
)
def test_a_secret_in_clear(tmp_path: Path, written: str) -> None:
    text = f"agents:\n  desk:\n    instructions: 'Say {written} now'\n"
    problem = only(tmp_path, text)
    assert (problem.code, problem.path, problem.line) == ("RT904", "agents.desk.instructions", 3)
    assert "***" in problem.source
    secret = written.removeprefix("${KEY:-").removesuffix("}")
    for part in ("hunter22", secret):
        assert part not in problem.render()
    write(tmp_path, f"One\ntwo {written}\n", "p.md")
    problem = only(tmp_path, "agents: { desk: { instructions: { file: p.md } } }\n")
    assert (problem.code, problem.line, Path(problem.file).name) == ("RT904", 2, "p.md")
    assert "hunter22" not in problem.render()


def test_a_variable_that_is_called_a_secret(tmp_path: Path) -> None:
    text = "vars: { door_token: %s }\nagents: { desk: { instructions: '${vars.door_token}' } }\n"
    assert warned(tmp_path, text % "abcdefgh") == [("RT904", "vars.door_token")]
    assert warned(tmp_path, text % "'${T}'", T="abcdefgh") == []


@pytest.mark.parametrize(
    "written",
    [
        "https://ann:${PASS:-}@h.example/x",
        "https://h.example/x?key=${K:-}",
        "a task-list sk-1",
        "https://h.example/x?page=2",
        "tokens and keys: 12345678",
    ],
)
def test_what_is_no_secret(tmp_path: Path, written: str) -> None:
    assert warned(tmp_path, f"agents:\n  desk:\n    instructions: '{written}'\n") == []
