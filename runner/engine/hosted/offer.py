"""What a brain sees of MCP: function tools, function calls and their outputs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner import codec
from runner.engine.hosted.definition import safe_name
from runner.engine.hosted.server import Target

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """``tools`` and ``choice`` for the prompt; ``targets`` by the name that the brain calls."""

    tools: list[Mapping[str, Any]]
    choice: Any
    targets: Mapping[str, Target]


def offer(tools: Sequence[Mapping[str, Any]], choice: Any, targets: Iterable[Target]) -> Offer:
    """Function tools first; of two tools of one name the first counts."""
    out = [tool for tool in tools if tool.get("type") == "function"]
    taken = {tool["name"] for tool in out}
    found: dict[str, Target] = {}
    for target in targets:
        name = target.tool.safe_name
        if name not in taken:
            taken.add(name)
            found[name] = target
            out.append(target.tool.function())
    if isinstance(choice, Mapping) and choice.get("type") == "mcp":
        label, tool_name = choice["server_label"], choice.get("name")
        wanted = {
            n for n, t in found.items() if t.label == label and tool_name in (None, t.tool.name)
        }
        if not wanted:
            return Offer(out, "auto", found)
        out = [tool for tool in out if tool["name"] in wanted]
        choice = {"type": "function", "name": out[0]["name"]} if len(out) == 1 else "required"
    return Offer(out, choice, found)


STILL_RUNNING = "The tool is still at work; its answer is not there yet."


def as_functions(
    items: Iterable[Item],
    answered_after: Mapping[str, str | None],
    running: Container[str],
) -> list[Item]:
    """MCP items as function calls and outputs; lists of tools are left out.

    ``answered_after`` names, for a call's item, the item behind which its output is told: what was
    said while the tool ran came before it. ``running`` are the calls under way.
    """
    items = list(items)
    there = {i.get("id") for i in items}
    late: dict[str, list[Item]] = {}
    decided = {
        i["approval_request_id"]: i for i in items if i.get("type") == "mcp_approval_response"
    }
    asked = {i.get("id") for i in items if i.get("type") == "mcp_approval_request"}
    out: list[Item] = []
    for item in items:
        match item.get("type"):
            case "mcp_call":
                call_id = str(item.get("id"))
                error, output = item.get("error"), item.get("output")
                if error:
                    output = codec.dumps({"error": error.get("message") or "it failed"})
                elif call_id in running:
                    output = STILL_RUNNING
                if output is not None or item.get("approval_request_id") not in asked:
                    out.append(_call(call_id, item))  # else the request tells of it
                if output is not None:
                    after = answered_after.get(call_id)
                    place = str(after) if after in there else call_id
                    late.setdefault(place, []).append(_output(call_id, output))
            case "mcp_approval_request":
                answer = decided.get(item.get("id"))
                if answer is None or not answer["approve"]:
                    out.append(_call(str(item.get("id")), item))
            case "mcp_approval_response":
                if not item["approve"] and item["approval_request_id"] in asked:
                    why = str(item.get("reason") or "").strip()
                    told = f"The call was not approved{': ' + why if why else '.'}"
                    out.append(_output(item["approval_request_id"], told))
            case "mcp_list_tools":
                pass
            case _:
                out.append(item)
        out += late.pop(str(item.get("id")), ())
    return out


def _call(call_id: str, item: Item) -> Item:
    return {
        "id": call_id,
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": safe_name(str(item.get("name") or "")),
        "arguments": str(item.get("arguments") or ""),
    }


def _output(call_id: str, output: str) -> Item:
    return {
        "id": f"{call_id}_out",
        "type": "function_call_output",
        "status": "completed",
        "call_id": call_id,
        "output": output,
    }
