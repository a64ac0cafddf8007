"""``${...}``: the environment, vars, per-call values, secrets, types."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import SMALL, loaded, only, problems, write

from runner.config.load import load
from runner.config.percall import fill
from runner.errors import ConfigError
from runner.model.secret import Secret

pytestmark = pytest.mark.quick


def agent(instructions: str, more: str = "") -> str:
    return f"{more}agents:\n  desk:\n    instructions: {instructions}\n"


def told(folder: Path, text: str, env: dict[str, str] | None = None) -> str:
    return loaded(folder, text, env).deployment.agents["desk"].instructions


def test_the_environment_and_defaults(tmp_path: Path) -> None:
    text = agent('"${A} ${B:-bee} ${C:-} ${D:-${A}!}"')
    assert told(tmp_path, text, {"A": "ay"}) == "ay bee  ay!"
    assert told(tmp_path, text, {"A": "ay", "B": "", "C": "see"}) == "ay bee see ay!"


def test_a_missing_variable_has_a_place(tmp_path: Path) -> None:
    problem = only(problems(tmp_path, agent('"Hi ${NAM}"'), {"NAME": "x"}))
    assert (problem.line, problem.column) == (3, 23)
    assert problem.message == "NAM is not set in the environment"
    assert problem.hint == "did you mean ${NAME}?"
    assert problem.path == "agents.desk.instructions"


def test_a_missing_variable_inside_a_block(tmp_path: Path) -> None:
    text = agent("|\n      First line.\n      Then ${MISSING}.\n")
    problem = only(problems(tmp_path, text))
    assert (problem.line, problem.column) == (5, 12)


def test_a_variable_from_a_file(tmp_path: Path) -> None:
    secret = write(tmp_path, "s3cret\n", "key.txt")
    text = "engine: { url: 'wss://x.example/v1', api_key: '${KEY}' }\n" + SMALL
    out = loaded(tmp_path, text, {"KEY_FILE": str(secret)}).deployment
    assert out.engine.api_key is not None
    assert out.engine.api_key.reveal() == "s3cret"
    assert secret in out.files
    problem = only(problems(tmp_path, text, {"KEY_FILE": str(tmp_path / "none")}))
    assert "KEY_FILE names" in problem.message
    assert "No such file" in problem.hint


def test_vars(tmp_path: Path) -> None:
    head = "vars:\n  a: one\n  b: ${vars.a} two\n  price: 22.50\n  yes: true\n  tel: +1555\n"
    text = agent('"${vars.b} ${vars.price} ${vars.yes} ${vars.tel}"', head)
    assert told(tmp_path, text) == "one two 22.50 true +1555"


def test_an_unknown_var(tmp_path: Path) -> None:
    problem = only(problems(tmp_path, agent('"${vars.hour}"', "vars: { hours: 9 to 5 }\n")))
    assert problem.hint == "did you mean ${vars.hours}?"


def test_a_var_that_refers_to_itself(tmp_path: Path) -> None:
    head = "vars:\n  a: x${vars.b}\n  b: y${vars.a}\n"
    found = problems(tmp_path, agent("hello", head))
    assert found
    assert all("refers to itself" in p.message for p in found)
    assert {p.line for p in found} <= {2, 3}


def test_a_bad_var_is_told_once(tmp_path: Path) -> None:
    text = agent('"${vars.a} ${vars.a}"', "vars:\n  a: ${MISSING}\n")
    assert only(problems(tmp_path, text)).path == "vars.a"


def test_dollars(tmp_path: Path) -> None:
    assert told(tmp_path, agent('"$5 or $$6, $${A} and a$"')) == "$5 or $6, ${A} and a$"


def test_per_call_values_stay(tmp_path: Path) -> None:
    text = agent('"${call.from} at ${now}; $${now} ${ENV}"')
    out = told(tmp_path, text, {"ENV": "${call.id}"})
    assert fill(out, {"from": "F", "id": "I"}, "N") == "F at N; ${now} ${call.id}"


def test_per_call_values_through_vars(tmp_path: Path) -> None:
    text = agent('"${vars.who}!"', "vars: { who: 'caller ${call.from}' }\n")
    assert fill(told(tmp_path, text), {"from": "F"}, "") == "caller F!"


def test_per_call_values_elsewhere_are_refused(tmp_path: Path) -> None:
    problem = only(problems(tmp_path, "model: ${call.from}\n" + SMALL))
    assert problem.message == "${call.from} is known only during a call"
    assert (problem.line, problem.column) == (1, 8)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("${call.form}", "did you mean ${call.from}?"),
        ("${foo.bar}", "means nothing here"),
        ("${}", "means nothing here"),
        ("${A", "has no }"),
        ("${A:-${B}", "has no }"),
    ],
)
def test_what_is_no_placeholder(tmp_path: Path, inner: str, message: str) -> None:
    problem = only(problems(tmp_path, agent(f'"x {inner}"')))
    assert message in problem.headline()
    assert (problem.line, problem.column) == (3, 22)


def test_types_follow_the_schema(tmp_path: Path) -> None:
    text = (
        "session:\n  max_output_tokens: ${N}\n  parallel_tool_calls: ${B}\n"
        "  audio:\n    output: { speed: '${S}' }\n    input: { turn_detection: '${T:-null}' }\n"
        "model: ${M}\n" + agent("${I}")
    )
    env = {"N": "512", "B": "true", "S": "1.25", "M": "4", "I": "007"}
    out = loaded(tmp_path, text, env).deployment
    assert out.session.wire["max_output_tokens"] == 512
    assert out.session.wire["parallel_tool_calls"] is True
    assert out.session.get("audio.output.speed") == 1.25
    assert out.session.wire["audio"]["input"]["turn_detection"] is None
    assert out.model == "4"
    assert out.agents["desk"].instructions == "007"
    out = loaded(tmp_path, text, {**env, "N": "inf"}).deployment
    assert out.session.wire["max_output_tokens"] == "inf"


def test_a_wrong_type_from_the_environment_has_its_place(tmp_path: Path) -> None:
    text = "session:\n  max_output_tokens: ${N}\n" + SMALL
    problem = only(problems(tmp_path, text, {"N": "many"}))
    assert (problem.line, problem.column) == (2, 22)
    assert "'many' is not 1 to 4096, or inf" in problem.message


def test_a_value_adds_no_yaml(tmp_path: Path) -> None:
    evil = "x\nengine: local\n- {a: b} # '\""
    assert told(tmp_path, agent("${E}"), {"E": evil}) == evil


def test_secrets_do_not_print(tmp_path: Path) -> None:
    text = (
        "engine:\n  url: wss://${HOST}/v1?k=${KEY}\n  api_key: ${KEY}\n"
        "  headers: { X-Key: 'a ${KEY}', X-Plain: b }\n" + SMALL
    )
    out = loaded(tmp_path, text, {"HOST": "x.example", "KEY": "s3cret"})
    deployment = out.deployment
    assert deployment.engine.url == "wss://x.example/v1?k=s3cret"
    assert deployment.engine.headers["X-Key"].reveal() == "a s3cret"
    assert isinstance(deployment.document["engine"]["url"], Secret)
    assert "s3cret" not in str(deployment.document)
    assert out.warnings == ()


def test_a_bad_secret_is_not_quoted(tmp_path: Path) -> None:
    text = "engine: { url: '${U}' }\n" + SMALL
    problem = only(problems(tmp_path, text, {"U": "s3cret"}))
    assert "s3cret" not in problem.render()
    assert "a URL that begins with" in problem.message


def test_a_key_in_the_file_is_warned_of(tmp_path: Path) -> None:
    text = "engine: { url: 'wss://x.example', api_key: s3cret }\n" + SMALL
    warning = only(loaded(tmp_path, text).warnings)
    assert warning.path == "engine.api_key"
    assert "a key stands in the file" in warning.message


def test_prompts_are_filled_in_and_their_faults_are_placed_there(tmp_path: Path) -> None:
    write(tmp_path, "Hello from ${vars.b}.\nCall ${X}.\n", "prompts/p.md")
    file = write(tmp_path, agent("{ file: prompts/p.md }", "vars: { b: us }\n"))
    out = load(file, env={"X": "me"}).deployment
    assert out.agents["desk"].instructions == "Hello from us.\nCall me.\n"
    with pytest.raises(ConfigError) as caught:
        load(file, env={})
    problem = only(caught.value.problems)
    assert problem.file == str(tmp_path / "prompts/p.md")
    assert (problem.line, problem.column) == (2, 6)


def test_no_bomb_of_variables(tmp_path: Path) -> None:
    lines = ["vars:", "  v0: " + "x" * 1000]
    lines += [f"  v{i}: '{('${vars.v' + str(i - 1) + '}') * 10}'" for i in range(1, 9)]
    found = problems(tmp_path, agent("${vars.v8}", "\n".join(lines) + "\n"))
    assert "1 MiB" in only(found).message
    empty = ["vars:", "  v0: ''"] + [
        f"  v{i}: '{('${vars.v' + str(i - 1) + '}') * 30}'" for i in range(1, 12)
    ]
    assert told(tmp_path, agent('"a${vars.v11}"', "\n".join(empty) + "\n")) == "a"


def test_no_stack_of_defaults(tmp_path: Path) -> None:
    deep = "${A:-" * 5000 + "x" + "}" * 5000
    assert "nested deeper" in only(problems(tmp_path, agent(f'"{deep}"'))).message
    chain = "".join(f"  v{i}: x${{vars.v{i + 1}}}\n" for i in range(300)) + "  v300: end\n"
    assert all("nested" in p.message for p in problems(tmp_path, agent("x", "vars:\n" + chain)))


def test_a_variable_that_is_needed_says_why(tmp_path: Path) -> None:
    text = agent('"Hi ${SHOP:?the name of the shop, see README.md}"')
    assert told(tmp_path, text, {"SHOP": "x"}) == "Hi x"
    for env in ({}, {"SHOP": ""}):
        problem = only(problems(tmp_path, text, env))
        assert (problem.line, problem.column) == (3, 23)
        assert problem.message == "the name of the shop, see README.md"
        assert problem.hint == "set SHOP"
    assert only(problems(tmp_path, agent('"${SHOP:?}"'))).message == (
        "SHOP is not set in the environment"
    )
    assert load(write(tmp_path, text), env={}, no_env=True).unset


@pytest.mark.parametrize(
    ("text", "out"),
    [("${A:-${B:?no B}}", "a"), ("${C:-x:?y}", "x:?y"), ("${A:?x:-y}", "a"), ("${C:-:-}", ":-")],
)
def test_the_first_sign_decides(tmp_path: Path, text: str, out: str) -> None:
    assert told(tmp_path, agent(f'"{text}"'), {"A": "a"}) == out


@pytest.mark.parametrize("inner", ["vars.x:-y", "vars.x:?y", "call.id:?y", ":-x", ":?x"])
def test_only_the_environment_may_be_missing(tmp_path: Path, inner: str) -> None:
    text = agent(f'"${{{inner}}}"', "vars: { x: 1 }\n")
    assert "means nothing here" in only(problems(tmp_path, text)).message
