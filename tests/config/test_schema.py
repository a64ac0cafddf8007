"""The schema file itself, and what is asked of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from support.deployments import EXAMPLES, FULL, ROOT
from support.examples import written

from runner.config import schema as schemas
from runner.config.source import decode
from runner.config.tree import parse
from runner.errors import InputError
from runner.model.deployment import ReloadClass

pytestmark = pytest.mark.quick

FILE = ROOT / "schemas" / "rtrun.v1.schema.json"
SCHEMA = json.loads(FILE.read_text())
#: What a file needs that extends no other: it speaks of fields that are described elsewhere.
WHOLE = ".$defs.whole"


def fields(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property, and every value of a map whose keys the user chooses."""
    if isinstance(node, list):
        for item in node:
            yield from fields(item, path)
    if not isinstance(node, dict) or path == WHOLE:
        return
    for name, child in node.get("properties", {}).items():
        if path.endswith(".if") or child.keys() == {"const"}:
            continue  # the condition of a branch, not a field
        yield f"{path}.{name}", child
    more = node.get("additionalProperties")
    if isinstance(more, dict):
        yield f"{path}.*", more
    for key, child in node.items():
        yield from fields(child, f"{path}.{key}")


def test_is_a_valid_schema_with_an_id() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"]


def test_every_field_has_a_class_and_a_description() -> None:
    found = dict(fields(SCHEMA))
    assert len(found) > 90
    for path, field in found.items():
        assert field.get("x-reload") in get_args(ReloadClass), path
        assert len(field.get("description", "")) > 8, path
        assert field["description"].endswith("."), path


def test_an_editor_can_propose_every_choice() -> None:
    text = FILE.read_text()
    made = written(text)
    if os.environ.get("RTRUN_WRITE_REFERENCE"):
        FILE.write_text(made)
    else:
        assert text == made, "RTRUN_WRITE_REFERENCE=1 pytest tests/config/test_schema.py"


def test_no_construct_that_spoils_messages() -> None:
    text = FILE.read_text()
    for word in ("oneOf", "anyOf", "unevaluatedProperties"):
        assert f'"{word}"' not in text


def test_every_map_is_closed_or_open_on_purpose() -> None:
    def maps(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(node, list):
            for i, item in enumerate(node):
                yield from maps(item, f"{path}[{i}]")
        elif isinstance(node, dict) and path != WHOLE:
            if "properties" in node and ".if" not in path:
                yield path, node
            for key, child in node.items():
                yield from maps(child, f"{path}.{key}")

    # A union's head lists only `type`; its branches are closed.
    heads = [
        path for path, node in maps(SCHEMA, "")
        if "additionalProperties" not in node and set(node["properties"]) != {"type"}
    ]  # fmt: skip
    assert heads == []


@pytest.mark.parametrize("file", [*EXAMPLES, FULL], ids=lambda f: f.name)
def test_the_examples_as_an_editor_sees_them(file: Path) -> None:
    """Unexpanded: ``${...}`` stands where it may."""
    document = parse(decode(file.read_bytes(), file.name)).value
    assert list(Draft202012Validator(SCHEMA).iter_errors(document)) == []


@pytest.mark.parametrize(
    "document",
    [
        {"engine": "${E:-auto}"},
        {"limits": {"duration": "${D}"}},
        {"session": {"max_output_tokens": "${N}"}},
        {"session": {"parallel_tool_calls": "${B}"}},
        {"session": {"audio": {"output": {"speed": "${S}", "voice": "${V}"}}}},
        {"session": {"audio": {"input": {"format": "${F}"}}}},
        {"session": {"audio": {"input": {"turn_detection": {
            "type": "server_vad", "threshold": "${T}", "idle_timeout_ms": "${I}"}}}}},
        {"reload": {"apply": "${R}"}},
        {"transport": "${T}"},
        {"silence": {"ask_after": "${S}"}},
        {"guardrails": [{"name": "x", "regex": "y", "then": "${T}"}]},
        {"tools": {"t": {"python": "a:b", "respond": "${R}", "approval": "${A}"}}},
        {"tools": {"t": {"mcp": {"url": "${U}"}}}},
        {"tools": {"t": {"command": {"argv": ["x"], "memory_mb": "${M}"}, "description": "d"}}},
    ],
)  # fmt: skip
def test_a_placeholder_may_stand_for_any_scalar(document: dict[str, Any]) -> None:
    whole = {"agents": {"a": {"instructions": "x"}}, **document}
    assert list(Draft202012Validator(SCHEMA).iter_errors(whole)) == []
    # Once expanded it may not.
    assert schemas.load().errors(whole)


@pytest.mark.parametrize(
    ("path", "reload"),
    [
        ("agents.desk.instructions", "next"),
        ("agents.desk.voice", "pinned"),
        ("agents.desk.greeting", "new"),
        ("agents.desk.tools", "next"),
        ("agents.desk.handoffs", "next"),
        ("agents.desk", "next"),
        ("tools.find.python", "live"),
        ("tools.find.timeout", "live"),
        ("tools.find.parameters", "next"),
        ("tools.find.description", "next"),
        ("tools.find.approval", "live"),
        ("tools.find.while_waiting", "live"),
        ("tools.find.http.url", "live"),
        ("tools.find.http.body.any.thing", "live"),
        ("tools.find.command.argv", "live"),
        ("tools.find.mcp.command", "live"),
        ("tools.find.mcp.allow", "next"),
        ("tools.find.hosted_mcp.require_approval", "next"),
        ("guardrails.rule.phrases", "live"),
        ("silence.ask_after", "live"),
        ("agents.desk.greeting.say", "new"),
        ("session.audio.input.turn_detection", "live"),
        ("session.audio.input.transcription", "live"),
        ("session.audio.input.format", "reconnect"),
        ("session.audio.output.format", "reconnect"),
        ("session.audio.output.voice", "pinned"),
        ("session.audio.output.speed", "between"),
        ("session.max_output_tokens", "next"),
        ("session.tracing", "new"),
        ("model", "reconnect"),
        ("entry", "new"),
        ("engine", "restart"),
        ("engine.url", "restart"),
        ("transport", "reconnect"),
        ("transport.python", "reconnect"),
        ("transport.options.any", "reconnect"),
        ("timezone", "next"),
        ("vars.hours", "next"),
        ("limits.duration", "live"),
        ("reload.apply", "live"),
    ],
)
def test_reload_classes(path: str, reload: str) -> None:
    assert schemas.load().reload_class(tuple(path.split("."))) == reload


def test_secrets_are_marked() -> None:
    schema = schemas.load()
    assert schema.secret(("engine", "api_key")) is True
    assert schema.secret(("engine", "headers", "Authorization")) is True
    assert schema.secret(("engine", "brain", "api_key")) is True
    assert schema.secret(("engine", "url")) == "expanded"
    assert schema.secret(("agents", "a", "instructions")) is False
    assert schema.secret(("tools", "t", "http", "headers", "A")) is True
    assert schema.secret(("tools", "t", "http", "body", "a", 0, "b")) == "expanded"
    assert schema.secret(("tools", "t", "http", "query", "a")) == "expanded"
    assert schema.secret(("tools", "t", "command", 1)) == "expanded"
    assert schema.secret(("tools", "t", "command", "argv", 1)) == "expanded"
    assert schema.secret(("tools", "t", "command", "env", "A")) is True
    assert schema.secret(("tools", "t", "mcp", "env", "A")) is True
    assert schema.secret(("tools", "t", "hosted_mcp", "authorization")) is True
    assert schema.secret(("guardrails", 0, "moderation", "api_key")) is True


KEYS = re.compile(r"(^|_)(url|key|token|secret|authorization|password|webhook|cookie)$")
MAPS = ("headers", "env", "query", "options")


def test_every_key_url_and_header_is_a_secret() -> None:
    """True, or at least when ``${...}`` had a part in it; also in a field that is added later."""
    found = {
        path: field
        for path, field in fields(SCHEMA)
        if KEYS.search(name := path.rpartition(".")[2]) or name in MAPS
    }
    assert len(found) > 12
    for path, field in found.items():
        inner = field.get("additionalProperties", field)
        target = SCHEMA["$defs"].get(inner.get("$ref", "").rpartition("/")[2], {})
        assert "x-secret" in {**target, **inner}, path


@pytest.mark.parametrize(
    "document",
    [
        {"tools": {"t": {}}},
        {"tools": {"t": {"python": "a:b", "mcp": {"url": "https://x"}}}},
        {"tools": {"t": {"http": {"url": "https://x"}, "command": ["x"], "description": "d"}}},
        {"tools": {"t": {"mcp": {}}}},
        {"tools": {"t": {"mcp": {"url": "https://x", "command": ["x"]}}}},
        {"tools": {"t": {"hosted_mcp": {"server_label": "x"}}}},
        {"guardrails": [{"name": "x"}]},
        {"transport": {"type": "custom"}},
        {"transport": {"type": "custom", "python": "a:B", "name": "c"}},
        {"guardrails": [{"name": "x", "regex": "y", "phrases": ["z"]}]},
    ],
)
def test_other_validators_see_that_a_thing_is_of_one_kind(document: dict[str, Any]) -> None:
    """rtrun says it in its own words, an editor or check-jsonschema by the file alone."""
    whole = {"agents": {"a": {"instructions": "x"}}, **document}
    assert list(Draft202012Validator(SCHEMA).iter_errors(whole))
    assert schemas.load().errors(whole) == []


def test_a_missing_schema_is_an_input_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(schemas, "__file__", str(tmp_path / "runner" / "config" / "schema.py"))
    with pytest.raises(InputError) as caught:
        schemas.find()
    assert caught.value.exit_code == 2
    beside = tmp_path / "runner" / "config" / schemas.FILE_NAME
    beside.parent.mkdir(parents=True)
    beside.write_text("{}")
    assert schemas.find() == beside
