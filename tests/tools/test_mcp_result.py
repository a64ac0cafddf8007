"""What an MCP tool answers, as text; what it asks for, as a schema."""

from __future__ import annotations

import pytest
from mcp_types import CallToolResult, ImageContent, TextContent

from runner.tools.mcp_result import EMPTY, result_text, safe_schema

pytestmark = pytest.mark.quick


def answer(*texts: str, structured: object = None) -> CallToolResult:
    content = [TextContent(type="text", text=text) for text in texts]
    return CallToolResult(content=content, structured_content=structured)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (answer("one", "two"), "one\ntwo"),
        (answer(), EMPTY),
        (answer(""), EMPTY),
        (answer("3", structured={"result": 3}), "3"),
        (answer("03", structured={"result": "03"}), "03"),
        (answer("a", "b", structured={"result": ["a", "b"]}), "a\nb"),
        (answer(structured={"result": ["a", "b"]}), '{"result":["a","b"]}'),
        (answer('{\n  "n": 1\n}', structured={"n": 1}), '{"n":1}'),
        (answer("found one", structured={"n": 1}), 'found one\n{"n":1}'),
        (answer("4", structured={"result": 3}), '4\n{"result":3}'),
    ],
)
def test_the_model_is_told_everything_once(result: CallToolResult, text: str) -> None:
    assert result_text(result) == text


def test_what_has_no_kind_is_still_told() -> None:
    image = ImageContent(type="image", data="", mime_type="")
    assert result_text(CallToolResult(content=[image])) == (
        "[an image, of unknown kind, that cannot be shown here]"
    )


def test_a_schema_is_passed_on_and_made_an_objects() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}}
    assert safe_schema(schema) == schema
    assert safe_schema({}) == {"type": "object", "properties": {}}
    assert safe_schema(None) == {"type": "object", "properties": {}}
    assert safe_schema({"type": ["object", "null"], "additionalProperties": False}) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {},
    }
