from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import write

from runner.config.diff import diff, summary
from runner.config.load import load
from runner.model.deployment import Change, Deployment

pytestmark = pytest.mark.quick

BASE = """\
engine: { url: "wss://x.example/v1", api_key: "${KEY}" }
vars: { hours: 9 to 5 }
session: { audio: { output: { voice: marin, speed: 1.0 } } }
agents:
  desk:
    instructions: { file: p.md }
    tools: [find]
    handoffs: [{ to: billing }]
  billing: { instructions: "We are open ${vars.hours}." }
tools:
  find: { python: "t.py:f", timeout: 4s }
limits: { duration: 30m }
transport: websocket
"""


def deployment(folder: Path, text: str = BASE, key: str = "one") -> Deployment:
    for name, content in (("p.md", "Be kind.\n"), ("t.py", "def f(): ...\n")):
        if not (folder / name).exists():
            write(folder, content, name)
    return load(write(folder, text), env={"KEY": key, "TZ": "UTC"}).deployment


def changes(folder: Path, old: str, new: str) -> list[tuple[str, str]]:
    before = deployment(folder)
    found = diff(before, deployment(folder, BASE.replace(old, new)))
    return [(change.path, change.reload) for change in found]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("9 to 5", "9 to 5", []),
        ("9 to 5", "8 to 6", [("vars.hours", "next"), ("agents.billing.instructions", "next")]),
        ("speed: 1.0", "speed: 1.2", [("session.audio.output.speed", "between")]),
        ("voice: marin", "voice: cedar", [("session.audio.output.voice", "pinned")]),
        ("voice: marin, ", "", []),  # it is the default
        ("limits: { duration: 30m }", "limits: { duration: 1800s }", []),
        ("limits: { duration: 30m }", "", [("limits.duration", "live")]),
        ("timeout: 4s", "timeout: 5s", [("tools.find.timeout", "live")]),
        ("tools: [find]", "greeting: Hi", [
            ("agents.desk.greeting", "new"), ("agents.desk.tools", "next")]),
        ("[{ to: billing }]", "[{ to: billing, when: Now. }]", [("agents.desk.handoffs", "next")]),
        ("  billing:", "  other: { instructions: x }\n  billing:", [("agents.other", "next")]),
        ("engine:", "model: gpt-realtime\nengine:", [("model", "new")]),
        ("engine:", "timezone: none\nengine:", [("timezone", "next")]),
        ("engine:", "entry: billing\nengine:", [("entry", "new")]),
        ("engine:", "name: x\nengine:", [("name", "new")]),
        ("wss://x.example", "wss://y.example", [("engine.url", "restart")]),
        ("engine:", "reload: { apply: immediately }\nengine:", [("reload.apply", "live")]),
        ("engine:", "x-note: 1\nengine: # moved\n ", []),
        ("session: { audio: {", "session: { audio: { input: { format: g711_ulaw }, ",
         [("session.audio.input.format", "new")]),
        ("engine:", "reload: { in_call: reconnect }\nmodel: x\nengine:",
         [("model", "reconnect"), ("reload.in_call", "live")]),
        ("session: { audio: { output: { voice: marin",
         "reload: { in_call: reconnect }\nsession: { audio: { output: { voice: ash",
         [("session.audio.output.voice", "reconnect"), ("reload.in_call", "live")]),
        ("session: { audio: {",
         "session: { audio: { input: { turn_detection: { type: server_vad } }, ",
         [("session.audio.input.turn_detection", "live")]),
        ("session: { audio: {", "session: { audio: { input: { turn_detection: null }, ",
         [("session.audio.input.turn_detection", "live")]),
        ("session: { audio: {", "session: { max_output_tokens: 9, audio: {",
         [("session.max_output_tokens", "next")]),
    ],
)  # fmt: skip
def test_changes(tmp_path: Path, old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert sorted(changes(tmp_path, old, new)) == sorted(expected)


def test_an_agent_that_went_is_one_change(tmp_path: Path) -> None:
    new = BASE.replace('  billing: { instructions: "We are open ${vars.hours}." }\n', "")
    new = new.replace("    handoffs: [{ to: billing }]\n", "")
    found = diff(deployment(tmp_path), deployment(tmp_path, new))
    assert [c.path for c in found] == ["agents.desk.handoffs", "agents.billing"]
    assert found[1].old["instructions"] == "We are open 9 to 5."
    assert found[1].new is None


def test_a_prompt_is_its_text(tmp_path: Path) -> None:
    before = deployment(tmp_path)
    write(tmp_path, "Be brief.\n", "p.md")
    (change,) = diff(before, deployment(tmp_path))
    assert change == Change("agents.desk.instructions", "next", "Be kind.\n", "Be brief.\n")
    inline = BASE.replace("{ file: p.md }", '"Be brief.\\n"')
    assert diff(deployment(tmp_path), deployment(tmp_path, inline)) == ()


def test_a_tool_is_its_code(tmp_path: Path) -> None:
    before = deployment(tmp_path)
    write(tmp_path, "def f(): return 1\n", "t.py")
    (change,) = diff(before, deployment(tmp_path))
    assert (change.path, change.reload) == ("tools.find.python", "live")


MORE = BASE.replace(
    "tools:\n",
    """\
tools:
  ask:
    description: Asks.
    http: { url: "https://x/{day}?k=${KEY}", headers: { A: "${KEY}" } }
  run: { description: Runs., command: [python3, t.py] }
  inv: { mcp: { command: [python3, t.py], env: { A: "${KEY}" } } }
  wiki: { hosted_mcp: { server_label: w, server_url: "https://x", authorization: "${KEY}" } }
""",
).replace(
    "limits:",
    """\
guardrails:
  - { name: one, phrases: [a] }
  - { name: two, python: "t.py:f" }
silence: { ask_after: 15s }
limits:""",
)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Asks.", "Asks more.", [("tools.ask.description", "next")]),
        ("https://x/{day}", "https://x/{date}", [
            ("tools.ask.http.url", "live"), ("tools.ask.parameters", "next")]),
        ("{ url: \"https://x/{day}", "{ method: GET, url: \"https://x/{day}", []),
        ("headers: { A:", "hosts: [h], headers: { B:", [
            ("tools.ask.http.hosts", "live"), ("tools.ask.http.headers", "live")]),
        ("command: [python3, t.py] }\n  inv", "command: { argv: [python3, t.py], cwd: . } }\n  inv",
         []),
        ("command: [python3, t.py] }\n  inv", "command: [python3, p.md] }\n  inv",
         [("tools.run.command.argv", "live")]),
        ("Runs., ", "Runs., approval: operator, while_waiting: Wait., respond: false, ", [
            ("tools.run.approval", "live"), ("tools.run.while_waiting", "live"),
            ("tools.run.respond", "live")]),
        ("mcp: { command", "mcp: { allow: [a], command", [("tools.inv.mcp.allow", "next")]),
        ("server_label: w", "server_label: w, require_approval: never",
         [("tools.wiki.hosted_mcp.require_approval", "next")]),
        ("  wiki:", "  wik:", [("tools.wiki", "next"), ("tools.wik", "next")]),
        ("phrases: [a]", "phrases: [b], say: No.", [
            ("guardrails.one.phrases", "live"), ("guardrails.one.say", "live")]),
        ("name: one", "name: three", [("guardrails.one", "live"), ("guardrails.three", "live")]),
        ("  - { name: one, phrases: [a] }\n  - { name: two, python: \"t.py:f\" }\n",
         "  - { name: two, python: \"t.py:f\" }\n  - { name: one, phrases: [a] }\n",
         [("guardrails", "live")]),
        ("ask_after: 15s", "ask_after: 15000ms, say: 'Are you still there?'", []),
        ("ask_after: 15s", "ask_after: 16s, hang_up_after: 1m", [
            ("silence.ask_after", "live"), ("silence.hang_up_after", "live")]),
        ("    tools: [find]", "    greeting: Hi.\n    tools: [find]",
         [("agents.desk.greeting", "new")]),
    ],
)  # fmt: skip
def test_changes_of_tools_and_guardrails(
    tmp_path: Path, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    assert old in MORE
    found = diff(deployment(tmp_path, MORE), deployment(tmp_path, MORE.replace(old, new)))
    assert sorted((c.path, c.reload) for c in found) == sorted(expected)


def test_a_greeting_is_its_words_and_whether_it_can_be_cut(tmp_path: Path) -> None:
    def greeted(greeting: str) -> Deployment:
        text = BASE.replace("    tools: [find]", f"    greeting: {greeting}\n    tools: [find]")
        return deployment(tmp_path, text)

    assert diff(greeted("Hi."), greeted("{ say: Hi. }")) == ()
    (change,) = diff(greeted("Hi."), greeted("{ say: Hi., interruptible: false }"))
    assert change == Change(
        "agents.desk.greeting", "new", "Hi.", {"say": "Hi.", "interruptible": False}
    )


def test_a_script_and_a_rule_are_their_code(tmp_path: Path) -> None:
    before = deployment(tmp_path, MORE)
    write(tmp_path, "def f(): return 1\n", "t.py")
    after = deployment(tmp_path, MORE)
    assert [(c.path, c.reload) for c in diff(before, after)] == [
        ("tools.run.command.argv", "live"),
        ("tools.inv.mcp.command", "live"),
        ("tools.find.python", "live"),
        ("guardrails.two.python", "live"),
    ]
    assert diff(before, after)[0].new == ["python3", "t.py"]


def test_a_tool_of_another_kind(tmp_path: Path) -> None:
    text = BASE.replace(
        '{ python: "t.py:f", timeout: 4s }', "{ mcp: { url: 'https://x' }, timeout: 4s }"
    )
    found = {c.path: (c.old, c.new) for c in diff(deployment(tmp_path), deployment(tmp_path, text))}
    assert found == {
        "tools.find.python": ("t.py:f", None),
        "tools.find.mcp.url": (None, "https://x"),
    }


def test_changes_can_be_placed(tmp_path: Path) -> None:
    new = MORE.replace("- { name: two,", "- { name: two, then: log,").replace("/{day}", "/{d}")
    (tmp_path / "new").mkdir()
    for name in ("p.md", "t.py"):
        write(tmp_path, "def f(): ...\n", name)
        write(tmp_path, "def f(): ...\n", f"new/{name}")
    out = load(write(tmp_path / "new", new), env={"KEY": "one", "TZ": "UTC"})
    found = diff(deployment(tmp_path, MORE), out.deployment)
    lines = new.splitlines()
    places = {c.path: lines[out.locate(c.path)[1] - 1].strip()[:12] for c in found}
    assert places["guardrails.two.then"] == "- { name: tw"
    assert places["tools.ask.http.url"] == "http: { url:"


def test_secrets_are_masked(tmp_path: Path) -> None:
    (change,) = diff(deployment(tmp_path, key="one"), deployment(tmp_path, key="two"))
    assert change == Change("engine.api_key", "restart", "***", "***")
    url = BASE.replace("x.example/v1", "x.example/${KEY}")
    found = diff(deployment(tmp_path, url, "s1"), deployment(tmp_path, url, "s2"))
    assert [c.path for c in found] == ["engine.url", "engine.api_key"]
    assert "s1" not in repr(found)
    found = diff(deployment(tmp_path, MORE, "s1"), deployment(tmp_path, MORE, "s2"))
    assert [c.path for c in found] == [
        "engine.api_key",
        "tools.ask.http.url",
        "tools.ask.http.headers",
        "tools.inv.mcp.env",
        "tools.wiki.hosted_mcp.authorization",
    ]
    assert "s1" not in repr(found)
    assert "s2" not in repr(found)


def test_in_words() -> None:
    assert summary(()) == ""
    found = [
        Change("model", "new"),
        Change("agents.desk.instructions", "next"),
        Change("tools.find.timeout", "live"),
        Change("agents.desk.tools", "next"),
    ]
    assert summary(found) == (
        "tools.find.timeout now; agents.desk.instructions, agents.desk.tools from the next "
        "answer; model for new calls"
    )
    many = [Change(f"vars.v{i}", "next") for i in range(9)]
    assert summary(many) == "vars.v0, vars.v1, vars.v2, vars.v3 and 5 more from the next answer"
