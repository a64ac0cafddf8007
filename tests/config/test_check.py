"""One clear message, with its place, for each thing that can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import SMALL, loaded, only, problems, write

pytestmark = pytest.mark.quick

WS = SMALL + "transport: websocket\n"

TWO = """\
agents:
  desk:
    instructions: You are the front desk.
    tools: [find]
    handoffs:
      - to: billing
        when: The caller asks about a bill.
  billing:
    instructions: You answer billing questions.
tools:
  find:
    python: os.path:basename
"""


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        # Unknown keys, at the key.
        ("modle: x\n" + SMALL, "1:1: modle: unknown key 'modle' (did you mean model?)"),
        ("Model: x\n" + SMALL, "1:1: Model: unknown key 'Model' (did you mean model?)"),
        (
            "voice: marin\n" + SMALL,
            "1:1: voice: unknown key 'voice' "
            "(it belongs in session.audio.output or agents.NAME)",
        ),
        (
            "agents:\n  a:\n    instructions: x\n    handoff: []\n",
            "4:5: agents.a.handoff: unknown key 'handoff' (did you mean handoffs?)",
        ),
        (
            "limits: { cals: 3 }\n" + SMALL,
            "1:11: limits.cals: unknown key 'cals' (did you mean calls?)",
        ),
        (
            "session:\n  audio:\n    input:\n      turn_detection:\n        type: semantic_vad\n"
            "        threshold: 0.5\n" + SMALL,
            "6:9: session.audio.input.turn_detection.threshold: 'threshold' does not go "
            "with type: semantic_vad "
            "(known here: type, eagerness, create_response, interrupt_response)",
        ),
        # Missing keys, at the parent's key.
        ("name: x\n", "1:1: 'agents' is missing"),
        ("agents:\n  a:\n    voice: marin\n", "2:3: agents.a: 'instructions' is missing"),
        (
            "agents:\n  a:\n    instuctions: x\n",
            "3:5: agents.a.instuctions: unknown key 'instuctions' (did you mean instructions?)",
        ),
        (
            "session: { audio: { input: { turn_detection: { eagerness: low } } } }\n" + SMALL,
            "1:30: session.audio.input.turn_detection: 'type' is missing",
        ),
        # Wrong values, at the value.
        (
            "engine: locl\n" + SMALL,
            "1:9: engine: 'locl' is not one of auto, openai, local, or a URL (did you mean local?)",
        ),
        (
            "transport: pigeon\n" + SMALL,
            "1:12: transport: 'pigeon' is not one of webrtc, websocket, sip, twilio, cloudflare",
        ),
        (
            "reload: { apply: now }\n" + SMALL,
            "1:18: reload.apply: 'now' is not one of between_turns, immediately",
        ),
        (
            "session: { audio: { output: { speed: 3 } } }\n" + SMALL,
            "1:38: session.audio.output.speed: 3 is above 1.5 (the maximum is 1.5)",
        ),
        (
            "session: { max_output_tokens: 9000 }\n" + SMALL,
            "1:31: session.max_output_tokens: 9000 is above 4096 (1 to 4096, or inf)",
        ),
        (
            "session: { audio: { input: { turn_detection: { type: vad } } } }\n" + SMALL,
            "1:54: session.audio.input.turn_detection.type: 'vad' is not one of server_vad, "
            "semantic_vad",
        ),
        (
            "session: { audio: { input: { turn_detection: { type: server_vad, "
            "idle_timeout_ms: 100 } } } }\n" + SMALL,
            "1:83: session.audio.input.turn_detection.idle_timeout_ms: 100 is below 5000 "
            "(the minimum is 5000)",
        ),
        (
            "session: { audio: { input: { format: pcm } } }\n" + WS,
            "1:38: session.audio.input.format: 'pcm' is not one of pcm16, g711_ulaw, g711_alaw "
            "(did you mean pcm16?)",
        ),
        (
            "session: { audio: { input: { format: { type: audio/pcmu, rate: 8000 } } } }\n" + WS,
            "1:58: session.audio.input.format.rate: 'rate' does not go with type: audio/pcmu "
            "(known here: type)",
        ),
        (
            "session: { audio: { input: { format: { type: audio/pcm, rate: 8000 } } } }\n" + WS,
            "1:63: session.audio.input.format.rate: 8000 is not 24000",
        ),
        (
            "session: { output_modalities: [audio, text] }\n" + SMALL,
            "1:31: session.output_modalities: 2 items, at most 1",
        ),
        # Wrong types.
        (
            "limits: { duration: 30 }\n" + SMALL,
            "1:21: limits.duration: a number where a duration such as 30m, 4s or 500ms belongs "
            '(a duration has a unit: "30s")',
        ),
        (
            "limits: { duration: 30 minutes }\n" + SMALL,
            "1:21: limits.duration: '30 minutes' is not a duration such as 30m, 4s or 500ms",
        ),
        (
            "limits: { duration: 0s }\n" + SMALL,
            "1:21: limits.duration: a duration must be longer than nothing",
        ),
        (
            "agents:\n  a:\n    instructions: x\n    greeting: +15551230100\n",
            "4:15: agents.a.greeting: a number where text or a map belongs "
            '(put it in quotes: "+15551230100")',
        ),
        (
            "agents:\n  a:\n    instructions:\n",
            "3:18: agents.a.instructions: is empty; text or a map belongs here",
        ),
        (
            "agents:\n  - name: a\n",
            "2:3: agents: a list where a map belongs (write 'name:' lines instead of '- ' lines)",
        ),
        ("agents: {}\n", "1:9: agents: is empty; at least one belongs here"),
        ("agents:\n", "1:8: agents: is empty; a map belongs here"),
        (
            "agents:\n  a:\n    instructions: x\n    tools: find\ntools:\n"
            "  find: { python: 'os:getcwd' }\n",
            "4:12: agents.a.tools: text where a list belongs (a list stands in brackets: [find])",
        ),
        (
            "session: { parallel_tool_calls: yes }\n" + SMALL,
            "1:33: session.parallel_tool_calls: text where true or false belongs (write true)",
        ),
        (
            "session: { audio: { output: { speed: '1' } } }\n" + SMALL,
            "1:38: session.audio.output.speed: text where a number belongs "
            "(a number stands without quotes)",
        ),
        ("vars: { a: [x] }\n" + SMALL,
         "1:12: vars.a: a list where text or a number or true or false belongs"),
        # Bare prose inside braces.
        (
            TWO.replace(
                "- to: billing\n        when: The caller asks about a bill.",
                "- { to: billing, when: The caller asks about a bill, or wants to pay. }",
            ),
            "6:60: agents.desk.handoffs[0].or wants to pay.: a comma ends a text inside braces, "
            "so 'or wants to pay.' became a key (put the text in quotes; inside { } and [ ] a "
            "comma, colon or question mark ends it)",
        ),
        # Names.
        ("entry: dsk\n" + SMALL, "1:8: entry: no agent is called 'dsk' (did you mean desk?)"),
        ("entry: x\n" + SMALL, "1:8: entry: no agent is called 'x' (there are desk)"),
        (
            TWO.replace("[find]", "[fnd]"),
            "4:13: agents.desk.tools[0]: no tool is called 'fnd' (did you mean find?)",
        ),
        (
            SMALL + "    tools: [find]\n",
            "4:13: agents.desk.tools[0]: no tool is called 'find' "
            "(there are collect_digits, end_call)",
        ),
        (
            TWO.replace("[find]", "[find, find]"),
            "4:19: agents.desk.tools[1]: the tool 'find' stands twice",
        ),
        (
            TWO.replace("to: billing", "to: bilings"),
            "6:13: agents.desk.handoffs[0].to: no agent is called 'bilings' "
            "(did you mean billing?)",
        ),
        (
            TWO.replace("to: billing", "to: desk"),
            "6:13: agents.desk.handoffs[0].to: an agent cannot hand over to itself",
        ),
        (
            "agents:\n  a: { instructions: x, handoffs: [{to: B-b}, {to: B_b}] }\n"
            "  B-b: { instructions: x }\n  B_b: { instructions: x }\n",
            "2:52: agents.a.handoffs[1].to: this handoff is the tool transfer_to_B_b, as is the "
            "entry in line 2 (rename one of the two)",
        ),
        (
            TWO.replace("find", "transfer_to_billing"),
            "6:13: agents.desk.handoffs[0].to: this handoff is the tool transfer_to_billing, as "
            "is the entry in line 4 (rename one of the two)",
        ),
        (
            "agents:\n  a.b: { instructions: x }\n",
            "2:3: agents.a.b: the name 'a.b' cannot be used (a name of at most 52 characters "
            "without any of . $ [ ] { } is wanted)",
        ),
        (
            TWO.replace("find", "find slots"),
            "11:3: tools.find slots: the name 'find slots' cannot be used (a name of at most 64 "
            "letters, digits, _ and - is wanted)",
        ),
        # Zones.
        (
            "timezone: America/New_Yrok\n" + SMALL,
            "1:11: timezone: no time zone is called 'America/New_Yrok' "
            "(did you mean America/New_York?)",
        ),
        (
            "timezone: new york\n" + SMALL,
            "1:11: timezone: no time zone is called 'new york' (did you mean America/New_York?)",
        ),
        (
            "timezone: ../../etc/passwd\n" + SMALL,
            "1:11: timezone: no time zone is called '../../etc/passwd' "
            "(a name such as America/New_York, or none)",
        ),
        # Tools.
        (
            TWO.replace("os.path:basename", "tools/x.py:find"),
            "12:13: tools.find.python: no file tools/x.py "
            "(the path begins in the folder of the deployment file)",
        ),
        (
            TWO.replace("os.path:basename", "os.path"),
            "12:13: tools.find.python: 'os.path' is not path.py:function or "
            "package.module:function",
        ),
        (
            TWO.replace("os.path:basename", "os/path:basename"),
            "12:13: tools.find.python: 'os/path' is no module name "
            "(write path.py:function, or package.module:function)",
        ),
        (
            TWO + "    parameters: { type: objekt }\n",
            "13:25: tools.find.parameters.type: not a JSON Schema: 'objekt' is not valid under "
            "any of the given schemas",
        ),
        (
            TWO + "    parameters: { properties: {} }\n",
            "13:17: tools.find.parameters: the arguments of a tool are an object "
            "(add type: object)",
        ),
        # Engines.
        (
            "engine: { brain: { type: rehearsal } }\n" + SMALL,
            "1:1: engine: 'type' is missing",
        ),
        (
            "engine: { type: local, brain: { type: chat, url: 'http://127.0.0.1:1/v1' } }\n"
            + SMALL,
            "1:24: engine.brain: 'model' is missing",
        ),
        (
            "engine: { type: local, brain: { type: rehearsal, model: x } }\n" + SMALL,
            "1:50: engine.brain.model: 'model' does not go with type: rehearsal "
            "(known here: type)",
        ),
        (
            "engine: { type: openai, brain: { type: rehearsal } }\n" + SMALL,
            "1:25: engine.brain: a brain belongs to the local engine (type: local)",
        ),
        (
            "engine: { url: ftp://x }\n" + SMALL,
            "1:16: engine.url: 'ftp://x' is not a URL that begins with wss://, ws://, https:// "
            "or http://",
        ),
    ],
)  # fmt: skip
def test_one_clear_message(tmp_path: Path, text: str, headline: str) -> None:
    file = tmp_path / "d.yaml"
    assert only(problems(tmp_path, text)).headline() == f"{file}:{headline}"


def test_the_caret_stands_under_the_column(tmp_path: Path) -> None:
    lines = only(problems(tmp_path, "model: x\nmodle: x\n" + SMALL)).render().splitlines()
    assert lines[1:] == ["    modle: x", "    ^"]


def test_all_errors_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "engine: locl\ntimezone: Nowhere/X\nentry: y\nagents:\n  a:\n    voice: marinn\n"
        "    tools: [find]\n  b:\n    instructions: ${MISSING}\n"
        "limits: { duration: 1 }\n"
    )
    found = problems(tmp_path, text)
    assert [p.line for p in found] == [1, 2, 3, 5, 6, 7, 9, 10]
    assert all(p.source for p in found)


def test_an_unknown_voice_lists_the_known_ones(tmp_path: Path) -> None:
    text = "session:\n  audio:\n    output: { voice: bob }\n" + SMALL
    problem = only(problems(tmp_path, text))
    assert (problem.line, problem.column) == (3, 22)
    assert "alloy, ash, ballad, cedar, coral, echo, marin" in problem.message
    own = text.replace("bob", "{ id: voice_123 }")
    assert loaded(tmp_path, own).deployment.session.get("audio.output.voice") == {"id": "voice_123"}


def test_a_similar_tool_file_is_offered(tmp_path: Path) -> None:
    write(tmp_path, "", "tools/calendar.py")
    text = TWO.replace("os.path:basename", "tools/calender.py:find")
    assert only(problems(tmp_path, text)).hint == "did you mean tools/calendar.py?"


def test_warnings_do_not_refuse(tmp_path: Path) -> None:
    text = (
        "model: gpt-realtime\nsession: { reasoning: { effort: low } }\n"
        + SMALL
        + "  lost: { instructions: x }\ntools:\n  unused: { python: 'os:getcwd' }\n"
    )
    found = loaded(tmp_path, text).warnings
    assert [(p.line, p.path) for p in found] == [
        (1, "model"),
        (2, "session.reasoning"),
        (6, "agents.lost"),
        (8, "tools.unused"),
    ]


def test_keys_of_ones_own(tmp_path: Path) -> None:
    text = "x-notes: { anything: [1, ${NOT_EXPANDED}] }\n".replace("${N", "'${N").replace(
        "D}]", "D}']"
    )
    assert problems(tmp_path, text + SMALL) == ()
    assert problems(tmp_path, SMALL + "    x-notes: 1\n")
