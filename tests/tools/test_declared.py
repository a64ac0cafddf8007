"""The arguments of tools that only a JSON Schema describes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from runner.errors import ToolError
from runner.model.deployment import ToolSpec
from runner.model.secret import Secret
from runner.tools.answer import hidden
from runner.tools.base import ToolContext
from runner.tools.declared import DeclaredTool, checked, common

pytestmark = pytest.mark.quick

CONTEXT = ToolContext(agent="desk", name="tool", call_id="call_1")
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "who": {"type": "string", "enum": ["Anna", "Ben"]},
        "count": {"type": ["integer", "null"], "minimum": 1},
        "day": {"type": "string", "format": "date"},
        "lines": {"type": "array", "items": {"properties": {"n": {"type": "number"}}}},
        "unit": {"const": "kg"},
        "size": {"type": "string", "default": "small"},
    },
    "required": ["who"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("[1]", "the arguments are no JSON object"),
        ("{", "the arguments are no JSON"),
        ("{}", "missing argument: who"),
        ('{"who": "Anna", "whom": 1}', "unknown argument: whom"),
        ('{"who": 5}', "argument who: text is wanted"),
        ('{"who": "Carl"}', "argument who: one of Anna, Ben is wanted"),
        ('{"who": "Ben", "count": "3"}', "argument count: a whole number or null is wanted"),
        ('{"who": "Ben", "count": 0}', "argument count: 0 is less than the minimum of 1"),
        ('{"who": "Ben", "day": "soon"}', "argument day: a value of the format date is wanted"),
        ('{"who": "Ben", "lines": [{}, {"n": "x"}]}', "argument lines[1].n: a number is wanted"),
        ('{"who": "Ben", "unit": "g"}', "argument unit: kg is wanted"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_in_words(arguments: str, words: str) -> None:
    with pytest.raises(ToolError) as refused:
        checked(arguments, PARAMETERS)
    assert refused.value.message == words


def test_what_fits_comes_with_its_defaults() -> None:
    assert checked('{"who": "Ben", "count": null}', PARAMETERS) == {
        "who": "Ben", "count": None, "size": "small",
    }  # fmt: skip
    assert checked("", {"type": "object"}) == {}


def test_half_a_sign_is_no_text() -> None:
    with pytest.raises(ToolError, match=r"no text|no JSON"):
        checked('{"who": "\\ud800"}', {"properties": {"who": {}}})


def test_a_schema_elsewhere_is_not_fetched() -> None:
    asked: list[str] = []

    class Schemas(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Schemas) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/schema"
        with pytest.raises(ToolError, match=f"refer to {url}"):
            checked('{"a": 1}', {"properties": {"a": {"$ref": url}}})
        server.shutdown()
    assert asked == []


def test_a_long_complaint_is_cut() -> None:
    with pytest.raises(ToolError) as refused:
        checked('{"a": "%s"}' % ("x" * 5000), {"properties": {"a": {"maxLength": 5}}})
    assert len(refused.value.message) < 200


def test_the_model_is_told_of_it_and_its_time_ends() -> None:
    @dataclass(frozen=True, slots=True)
    class Slow(DeclaredTool):
        async def call(self, given: Mapping[str, Any]) -> str:
            if given.get("own"):
                raise TimeoutError("of its own")
            await asyncio.Event().wait()
            return ""

    parameters = {"type": "object", "properties": {"own": {}}}
    spec = ToolSpec("slow", description="It waits.", parameters=parameters, timeout=0.05,
                    approval="operator", respond=False)  # fmt: skip
    tool = Slow(**common(spec))
    assert tool.wire() == {
        "type": "function",
        "name": "slow",
        "description": "It waits.",
        "parameters": parameters,
    }
    assert (tool.policy.approval, tool.policy.respond) == ("operator", False)
    with pytest.raises(ToolError, match=r"Tool 'slow' timed out after 50ms\."):
        asyncio.run(tool.run("{}", CONTEXT))
    with pytest.raises(TimeoutError, match="of its own"):
        asyncio.run(tool.run('{"own": true}', CONTEXT))


def test_secrets_are_hidden_with_and_without_their_scheme() -> None:
    keys = [Secret("Bearer sk-123456"), Secret("on"), Secret("")]
    assert hidden("on: Bearer sk-123456, sk-123456", keys) == "on: ***, ***"
