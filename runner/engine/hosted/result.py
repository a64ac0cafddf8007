"""What an MCP tool answers, as text for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner import codec

if TYPE_CHECKING:
    from mcp_types import CallToolResult

MAX_CHARACTERS = 100_000
EMPTY = "Done; the tool gave no output."


def result_text(result: CallToolResult) -> str:
    """Its texts; its structured content as JSON when it has no text, as the specification lets
    servers repeat the one as the other; what is neither in a word."""
    blocks: list[Any] = list(result.content)
    said = [block.text for block in blocks if block.type == "text" and block.text]
    if not said and result.structured_content is not None:
        said.append(codec.dumps(result.structured_content))
    said += [_in_words(block) for block in blocks if block.type != "text"]
    text = "\n".join(said)
    if len(text) > MAX_CHARACTERS:
        return text[:MAX_CHARACTERS] + "\n[cut here: it is too long]"
    return text or EMPTY


def _in_words(block: Any) -> str:
    if block.type == "resource_link":
        return f"[a link to {block.name}, {block.uri}]"
    inner = getattr(getattr(block, "resource", None), "text", None)
    if inner is not None:
        return str(inner)
    kind = getattr(block, "mime_type", None) or "unknown kind"
    return f"[{block.type} of {kind}, that cannot be shown here]"
