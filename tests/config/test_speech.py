"""Guardrails, the silent caller, and greetings."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import SMALL, loaded, only, problems, told, write

from runner.errors import ConfigError
from runner.model.deployment import GuardrailSpec
from runner.model.secret import Secret
from runner.model.silence import Silence

pytestmark = pytest.mark.quick

AGENTS = "agents: { a: { instructions: x }, b: { instructions: y } }\n"


def rails(folder: Path, text: str, env: dict[str, str] | None = None) -> tuple[GuardrailSpec, ...]:
    return loaded(folder, f"{AGENTS}guardrails:\n{text}", env).deployment.guardrails


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- ¦name: x",
         "guardrails[0]: a guardrail has one of phrases, regex, python, moderation; here "
         "stands name"),
        ("- ¦phrases: [x]",
         "guardrails[0]: 'name' is missing"),
        ("- { name: x, phrases: [y], ¦regex: z }",
         "guardrails[0].regex: a guardrail has only one of phrases, regex, python, moderation; "
         "phrases and regex stand here (take out all but phrases)"),
        ("- { name: ¦x.y, phrases: [y] }",
         "guardrails[0].name: 'x.y' is not a name of at most 64 characters without any of . $ "
         "[ ] { }"),
        ("- { name: x, phrases: [y] }\n- { name: ¦x, phrases: [z] }",
         "guardrails[1].name: the name 'x' stands twice, first in line 3"),
        ("- { name: x, phrases: ¦[] }",
         "guardrails[0].phrases: is empty; at least one belongs here"),
        ("- { name: x, phrases: [a, ¦'*'] }",
         "guardrails[0].phrases[1]: '*' has no letter (it would trip on everything)"),
        ("- { name: x, phrases: ¦diagnos* }",
         "guardrails[0].phrases: text where a list belongs (a list stands in brackets: "
         "[diagnos*])"),
        ("- { name: x, regex: 'a¦(b' }",
         "guardrails[0].regex: not a regular expression: missing ), unterminated subpattern"),
        ("- { name: x, regex: b++¦*c }",
         "guardrails[0].regex: not a regular expression: multiple repeat (put a backslash "
         "before it to mean the sign itself)"),
        ("- { name: x, regex: ¦'[[a]b' }",
         "guardrails[0].regex: not a regular expression: Possible nested set at position 1"),
        ("- { name: x, regex: ¦'a{99999999999}' }",
         "guardrails[0].regex: not a regular expression: the repetition number is too large"),
        ("- { name: x, regex: ¦'a*' }",
         "guardrails[0].regex: this regular expression fits a text without any sign (it would "
         "trip on everything)"),
        ("- { name: x, python: ¦'rulez.py:f' }",
         "guardrails[0].python: no file rulez.py (did you mean rules.py?)"),
        ("- { name: x, python: ¦rules }",
         "guardrails[0].python: 'rules' is not path.py:function or package.module:function"),
        ("- { name: x, moderation: { url: ¦y } }",
         "guardrails[0].moderation.url: 'y' is not a URL that begins with http:// or https://"),
        ("- { name: x, ¦moderation: {} }",
         "guardrails[0].moderation: 'url' is missing"),
        ("- { name: x, phrases: [y], check: ¦outptu }",
         "guardrails[0].check: 'outptu' is not one of output, input (did you mean output?)"),
        ("- { name: x, phrases: [y], then: ¦stop }",
         "guardrails[0].then: 'stop' is not one of interrupt, say, handoff, hang_up, log"),
        ("- { name: x, phrases: [y], then: ¦handoff }",
         "guardrails[0].then: handoff needs 'to' beside it (the name of an agent)"),
        ("- { name: x, phrases: [y], then: handoff, to: ¦c }",
         "guardrails[0].to: no agent is called 'c' (there are a, b)"),
        ("- { name: x, phrases: [y], ¦to: b }",
         "guardrails[0].to: 'to' goes with then: handoff alone"),
        ("- { name: x, phrases: [y], then: ¦say }",
         "guardrails[0].then: say needs 'say' beside it (the words that are to be said)"),
    ],
)  # fmt: skip
def test_one_clear_message(tmp_path: Path, text: str, message: str) -> None:
    """The sign ¦ stands where the message has to point."""
    write(tmp_path, "", "rules.py")
    told(tmp_path, f"{AGENTS}guardrails:\n{text}\n", message)


def test_a_map_instead_of_a_list(tmp_path: Path) -> None:
    problem = only(problems(tmp_path, f"{AGENTS}guardrails:\n  name: x\n"))
    assert problem.hint == "begin each item with '- '"


def test_a_regular_expression_in_a_block_has_its_place(tmp_path: Path) -> None:
    text = f"{AGENTS}guardrails:\n- name: x\n  regex: |-\n    fine\n    and [a\n"
    problem = only(problems(tmp_path, text))
    assert (problem.line, problem.column) == (6, 9)


def test_what_they_become(tmp_path: Path) -> None:
    write(tmp_path, "", "rules.py")
    found = rails(
        tmp_path,
        "- { name: words, phrases: ['diagnos*'], say: No. }\n"
        "- { name: card, check: input, regex: '\\d{16}', then: handoff, to: b }\n"
        "- { name: own, python: 'rules.py:f', then: hang_up, say: Bye. }\n"
        "- { name: flags, moderation: { url: 'https://x/${P}', api_key: '${K}' }, then: log }\n",
        {"K": "s3cret", "P": "v1"},
    )
    assert [g.name for g in found] == ["words", "card", "own", "flags"]
    assert (found[0].check, found[0].then, found[0].phrases) == (
        "output", "interrupt", ("diagnos*",))  # fmt: skip
    assert (found[1].check, found[1].regex, found[1].to) == ("input", r"\d{16}", "b")
    assert found[2].module_file() == tmp_path / "rules.py"
    assert (found[2].then, found[2].say) == ("hang_up", "Bye.")
    assert found[3].moderation == {"url": Secret("https://x/v1"), "api_key": Secret("s3cret")}
    assert "s3cret" not in repr(found)


def test_an_agent_that_a_guardrail_leads_to_is_reached(tmp_path: Path) -> None:
    text = "guardrails: [{ name: x, phrases: [y], then: handoff, to: b }]\n"
    assert loaded(tmp_path, AGENTS + text).warnings == ()
    assert only(loaded(tmp_path, AGENTS).warnings).path == "agents.b"


def test_words_that_are_never_said_are_warned_of(tmp_path: Path) -> None:
    text = (
        "guardrails: [{ name: x, phrases: [y], then: log, say: z }]\nsilence: { say: 'Hello?' }\n"
    )
    found = loaded(tmp_path, SMALL + text).warnings
    assert [p.path for p in found] == ["guardrails[0].say", "silence.say"]


def silence(folder: Path, text: str) -> Silence:
    return loaded(folder, f"{SMALL}silence: {text}\n").deployment.silence


def test_silence(tmp_path: Path) -> None:
    assert loaded(tmp_path, SMALL).deployment.silence == Silence()
    assert silence(tmp_path, "{ ask_after: 15s, say: 'Hello?', hang_up_after: 1m }") == Silence(
        15.0, "Hello?", 60.0
    )
    assert silence(tmp_path, "{ ask_after: 8s }") == Silence(8.0, "Are you still there?", None)
    assert silence(tmp_path, "{ ask_after: null, hang_up_after: 45s }").ask_after is None
    assert silence(tmp_path, "null") == Silence()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ ask_after: 45s, hang_up_after: ¦15s }",
         "silence.hang_up_after: the call would end before the caller is asked, after 45s "
         "(longer than ask_after)"),
        ("{ ask_after: 15s, hang_up_after: ¦15000ms }",
         "silence.hang_up_after: the call would end before the caller is asked, after 15s "
         "(longer than ask_after)"),
        ("{ ask_after: ¦0s }",
         "silence.ask_after: a duration must be longer than nothing"),
        ("{ hang_up_after: ¦2 }",
         "silence.hang_up_after: a number where a duration such as 30m, 4s or 500ms belongs (a "
         'duration has a unit: "2s")'),
        ("{ ask_after: 15s, ¦sya: x }",
         "silence.sya: unknown key 'sya' (did you mean say?)"),
        ("¦15s",
         "silence: text where a map belongs"),
    ],
)  # fmt: skip
def test_a_silence_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    told(tmp_path, f"{SMALL}silence: {text}\n", message)


def greeting(folder: Path, text: str, env: dict[str, str] | None = None) -> tuple[str, bool]:
    agent = loaded(folder, f"{SMALL}    greeting: {text}\n", env).deployment.agents["desk"]
    return agent.greeting, agent.interruptible_greeting


def test_greetings(tmp_path: Path) -> None:
    assert greeting(tmp_path, "Hello.") == ("Hello.", True)
    assert greeting(tmp_path, "{ say: Hello. }") == ("Hello.", True)
    assert greeting(tmp_path, "{ say: '${N} ${call.from}', interruptible: false }", {"N": "x"}) == (
        "x ${call.from}",
        False,
    )
    assert greeting(tmp_path, "null") == ("", True)
    with pytest.raises(ConfigError, match="unknown key 'sy'"):
        greeting(tmp_path, "{ sy: Hello. }")
    with pytest.raises(ConfigError, match="'say' is missing"):
        greeting(tmp_path, "{ interruptible: false }")
    with pytest.raises(ConfigError, match="true or false belongs"):
        greeting(tmp_path, "{ say: x, interruptible: never }")
