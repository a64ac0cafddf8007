"""`rtrun explain`: every key of the schema has an answer, every typo a hint."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from support.command import invoke
from support.deployments import FULL

from runner.config import schema as schemas
from runner.config.codes import about, codes
from runner.config.explain import explain, keys_below
from runner.config.source import decode
from runner.config.tree import dotted, parse
from runner.model.deployment import ReloadClass

pytestmark = pytest.mark.quick


FREE = {"parameters", "body", "stubs", "edit", "arguments"}


def paths() -> list[tuple[str | int, ...]]:
    """Every path of the file that holds every key."""
    tree = parse(decode(FULL.read_bytes(), FULL.name))
    return [path for path in tree.places if path]


def test_every_path_of_a_file_is_explained() -> None:
    schema = schemas.load()
    unsaid = []
    for path in paths():
        if any("." in str(step) or "[" in str(step) for step in path):
            continue  # a path inside a test's edit
        if FREE & set(path[:-1]):
            continue  # keys of the user's own
        found = explain(dotted(path), schema)
        assert found.reload in get_args(ReloadClass)
        if not found.description:
            unsaid.append(dotted(path))
    assert unsaid == []


def test_a_field_with_all_that_there_is() -> None:
    code, out, err = invoke("explain", "session.audio.input.format")
    assert (code, err) == (0, "")
    assert (
        out
        == """\
session.audio.input.format

  Audio sent to the server: pcm16, g711_ulaw, g711_alaw, or the wire's object.

  value      pcm16, g711_ulaw, g711_alaw, or a map
  default    { type: audio/pcm, rate: 24000 }
  a change   acts with a new connection (reconnect)
  stands in  session.audio.input

Keys below it:

  type  The wire's name of the coding. Needed.
  rate  Samples a second; audio/pcm only, 24000.
"""
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("agents.NAME.tools", "Names out of tools: that this agent may use"),
        ("agents.front_desk.tools[1]", "One item. Names out of tools:"),
        ("guardrails.no-medical-advice.then", "default    interrupt"),
        ("guardrails[0].then", "a change   acts now (live)"),
        ("tools.find.timeout", "form       a duration such as 30m, 4s or 500ms"),
        ("tools.find.timeout", "default    10s"),
        ("engine.api_key", "secret     shown as *** everywhere\n"),
        ("session.audio.output.voice", "acts until the agent has spoken, then for new calls"),
        ("model", "default    gpt-realtime-2.1"),
        ("entry", "acts in new calls (new)"),
        ("agents", "needed     yes"),
        ("session", "  audio                What the server hears and says."),
        ("agents", "  NAME  One agent."),
        ("x-mine", "a home for anchors"),
    ],
)
def test_what_is_said(path: str, words: str) -> None:
    code, out, _ = invoke("explain", path)
    assert code == 0
    assert words in out


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("sesion", "did you mean session?"),
        ("agents.desk.voise", "did you mean agents.desk.voice?"),
        ("eagerness", "did you mean session.audio.input.turn_detection.eagerness?"),
        ("agents.desk.zzz", "in agents.desk are: instructions, "),
        ("zzz", "at the top level are: apiVersion, name, "),
        ("model.x", "model has no keys"),
        ("tools.find.parameters.type", "tools.find.parameters takes keys of your own"),
        ("model[1]", "model is no list"),
        ("a..b", "a path such as session.audio.input.format"),
    ],
)
def test_what_there_is_not(path: str, hint: str) -> None:
    code, out, err = invoke("explain", path)
    assert (code, out) == (2, "")
    assert hint in err


def test_without_a_path() -> None:
    code, out, _ = invoke("explain")
    assert code == 0
    for key in keys_below((), schemas.load()):
        assert f"\n  {key.name} " in out


@pytest.mark.parametrize("code", codes())
def test_every_code_is_explained(code: str) -> None:
    exit_code, out, err = invoke("explain", code.lower())
    assert (exit_code, err) == (0, "")
    assert out == (about(code) or "").rstrip("\n") + "\n"
    assert json.loads(invoke("explain", code, "--format", "json")[1])["about"] == about(code)


def test_a_code_that_there_is_not() -> None:
    code, out, err = invoke("explain", "RT0")
    assert (code, out) == (2, "")
    assert err.startswith("rtrun: there is no code RT0\n")


def test_as_json() -> None:
    told: dict[str, Any] = json.loads(invoke("explain", "limits.duration", "--format", "json")[1])
    assert told["kinds"] == ["text", "null"]
    assert (told["reload"], told["words"]) == ("live", "now")
    assert told["expects"] == "a duration such as 30m, 4s or 500ms"
    keys = json.loads(invoke("explain", "--format", "json")[1])["keys"]
    assert [key["name"] for key in keys if key["required"]] == ["agents"]
