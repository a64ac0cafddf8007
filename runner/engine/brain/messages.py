"""Realtime conversation items as chat-completions messages.

The wire's shapes: https://platform.openai.com/docs/api-reference/chat/create (messages, tools) and
the Realtime conversation items (message, function_call, function_call_output).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.engine.brain.dialogue import text_of
from runner.engine.ports import Prompt

Message = dict[str, Any]
INAUDIBLE = "(inaudible)"
UNKNOWN = "The result is not known."


def messages(prompt: Prompt) -> list[Message]:
    """System first, then every item that says something, in order.

    Endpoints refuse a call without its output right behind it and an output without its call: an
    output that came later is told with its call, a call that has none yet gets one that says so,
    and a lone output is left out.
    """
    found: list[Message] = []
    if prompt.instructions.strip():
        found.append({"role": "system", "content": prompt.instructions})
    outputs = {
        _id(item): _text(item.get("output"))
        for item in prompt.items
        if item.get("type") == "function_call_output"
    }
    waiting: list[str] = []  # calls of the last assistant message, whose outputs follow it
    last = len(prompt.items) - 1

    def settle() -> None:
        found.extend(_tool(call_id, outputs.get(call_id, UNKNOWN)) for call_id in waiting)
        waiting.clear()

    for number, item in enumerate(prompt.items):
        kind = item.get("type", "message")
        if kind == "function_call":
            if waiting:
                found[-1]["tool_calls"].append(_call(item))
            else:
                found.append({"role": "assistant", "content": None, "tool_calls": [_call(item)]})
            waiting.append(_id(item))
        elif kind == "function_call_output":
            settle()
        elif kind == "message":
            settle()
            text, role = text_of(item), item.get("role")
            if role == "user":
                # Noise counts only as the newest turn: the answer is then "pardon?".
                if text or number == last:
                    found.append({"role": "user", "content": text or INAUDIBLE})
            elif role in ("assistant", "system") and text:
                found.append({"role": role, "content": text})
    settle()
    return found


def _id(item: Mapping[str, Any]) -> str:
    return str(item.get("call_id") or item.get("id") or "")


def _text(output: Any) -> str:
    return output if isinstance(output, str) else text_of({"content": output})


def _call(item: Mapping[str, Any]) -> Message:
    function = {
        "name": str(item.get("name") or ""),
        "arguments": str(item.get("arguments") or "{}"),
    }
    return {"id": _id(item), "type": "function", "function": function}


def _tool(call_id: str, content: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tools(wire: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Function tools in the nested shape of chat completions; others are not for the model."""
    found = []
    for tool in wire:
        if tool.get("type", "function") == "function" and tool.get("name"):
            function: Message = {"name": tool["name"]}
            if tool.get("description"):
                function["description"] = tool["description"]
            function["parameters"] = tool.get("parameters") or {"type": "object", "properties": {}}
            found.append({"type": "function", "function": function})
    return found


def tool_choice(wire: Any) -> Any:
    """None for 'auto', which some endpoints do not take as a word."""
    if wire == "required":
        return wire
    if isinstance(wire, Mapping) and wire.get("type") == "function" and wire.get("name"):
        return {"type": "function", "function": {"name": wire["name"]}}
    return None
