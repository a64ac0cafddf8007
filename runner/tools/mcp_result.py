"""What an MCP tool answers, as text for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.codec import dumps, loads
from runner.tools.answer import EMPTY

if TYPE_CHECKING:
    from mcp_types import CallToolResult, Tool


def result_text(result: CallToolResult) -> str:
    """Texts joined by line breaks, structured content as JSON, and what is neither in words.

    The specification asks servers to repeat structured content as text; the model gets it once.
    """
    texts = [block.text for block in result.content if block.type == "text"]
    others = [_in_words(block) for block in result.content if block.type != "text"]
    structured = getattr(result, "structured_content", None)
    if structured is not None and not _plain_says_it(structured, texts):
        if len(texts) == 1 and _value(texts[0]) == structured:
            texts = []
        texts.append(dumps(structured))
    return "\n".join(filter(None, texts + others)) or EMPTY


def _plain_says_it(structured: Any, texts: list[str]) -> bool:
    """Is it the SDK's ``{"result": value}`` around a plain value that the texts say already?"""
    if not isinstance(structured, dict) or list(structured) != ["result"]:
        return False
    value = structured["result"]
    many = value if isinstance(value, list) else [value]
    return len(many) == len(texts) and all(
        text == one or _value(text) == one for text, one in zip(texts, many, strict=True)
    )


def _value(text: str) -> Any:
    try:
        return loads(text)
    except ValueError:
        return text


def _in_words(block: Any) -> str:
    kind = getattr(block, "mime_type", None)
    match block.type:
        case "image" | "audio":
            what = "an image" if block.type == "image" else "a sound"
            return f"[{what}, {kind or 'of unknown kind'}, that cannot be shown here]"
        case "resource_link":
            about = f": {block.description}" if block.description else ""
            return f"[a link to {block.name}, {block.uri}{about}]"
        case "resource":
            resource = block.resource
            if (text := getattr(resource, "text", None)) is not None:
                return str(text)
            kind = getattr(resource, "mime_type", None)
            return f"[a file, {kind or 'of unknown kind'}, {resource.uri}]"
    return f"[something of the kind {block.type}]"


def safe_schema(given: Any) -> dict[str, Any]:
    """A tool's input schema as the Realtime API takes it: an object's, otherwise as it came."""
    schema = dict(given) if isinstance(given, dict) else {}
    if schema.get("type") != "object":
        schema["type"] = "object"
    if not isinstance(schema.get("properties"), dict):
        schema["properties"] = {}
    return schema


def described(tool: Tool) -> str:
    """What the model is told of it: its description, or else its title."""
    return (tool.description or tool.title or "").strip()
