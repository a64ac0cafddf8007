"""The judge of sessions sees every fault put into a session with an MCP server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.conformance import Checker, ConformanceError

from runner.engine.wire import Items, ResponseParams, Settings, events, response_object, usage

pytestmark = pytest.mark.quick

SPENT = usage.Usage(input_text=5, output_text=2)
ENTRY = {"type": "mcp", "server_label": "s", "server_url": "https://s.example"}


def session() -> list[tuple[str, dict[str, Any]]]:
    """Listed, asked, approved, called: (side, event)."""
    items, settings = Items(), Settings("m", "sess_1")
    out: list[tuple[str, dict[str, Any]]] = []

    def server(event: dict[str, Any]) -> None:
        out.append(("server", copy.deepcopy(event)))

    def client(event: dict[str, Any]) -> None:
        out.append(("client", event))

    server(events.session_created(settings.effective()))
    client({"type": "session.update", "session": {"type": "realtime", "tools": [ENTRY]}})
    settings.update({"type": "realtime", "tools": [ENTRY]})
    server(events.session_updated(settings.effective()))
    server(events.conversation_item_added(items.start_mcp_list("item_l", "s"), None))
    server(events.mcp_list_tools("in_progress", "item_l"))
    items.set_mcp_tools("item_l", [{"name": "t", "description": "", "input_schema": {}}])
    server(events.mcp_list_tools("completed", "item_l"))
    server(events.conversation_item_done(items.finish("item_l"), None))

    params = ResponseParams.parse(None, settings, items)
    server(events.response_created(response_object("resp_1", params, "conv_1")))
    one = events.Output("resp_1", "item_c", 0)
    call = items.start_mcp_call("item_c", "s", "t", "item_r")
    server(one.added(call))
    server(events.conversation_item_added(call, "item_l"))
    items.add_arguments("item_c", '{"a":1}')
    server(one.mcp_arguments_delta('{"a":1}'))
    server(one.mcp_arguments_done('{"a":1}'))
    call = items.wire("item_c")
    two = events.Output("resp_1", "item_r", 1)
    asked = items.start_mcp_request("item_r", "s", "t", '{"a":1}')
    server(two.added(asked))
    server(events.conversation_item_added(asked, "item_c"))
    asked = items.finish("item_r")
    server(events.conversation_item_done(asked, "item_c"))
    server(two.done(asked))
    done = response_object(
        "resp_1", params, "conv_1", output=[call, asked], usage=SPENT, status="completed"
    )
    server(events.response_done(done))

    answer = {
        "id": "item_y",
        "type": "mcp_approval_response",
        "approval_request_id": "item_r",
        "approve": True,
    }
    client({"type": "conversation.item.create", "item": answer})
    said = items.create(answer)
    server(events.conversation_item_added(said, "item_r"))
    server(events.conversation_item_done(said, "item_r"))
    server(one.mcp_call("in_progress"))
    items.set_mcp_outcome("item_c", output="42")
    server(one.mcp_call("completed"))
    call = items.finish("item_c")
    server(events.conversation_item_done(call, "item_l"))
    server(one.done(call))
    return out


SCRIPT = session()
CALL = next(n for n, (_, event) in enumerate(SCRIPT) if event["type"] == "response.created")


def play(script: list[tuple[str, dict[str, Any]]]) -> None:
    judge = Checker(record=False)
    for side, event in script:
        (judge.client if side == "client" else judge.server)(copy.deepcopy(event))
    judge.end()


def changed(type: str, change: Any, last: bool = True) -> list[tuple[str, dict[str, Any]]]:
    script = copy.deepcopy(SCRIPT)
    found = [event for _, event in script if event["type"] == type]
    change(found[-1 if last else 0])
    return script


def test_the_good_session_passes() -> None:
    play(SCRIPT)


@pytest.mark.parametrize("place", range(len(SCRIPT)), ids=lambda n: f"{n}-{SCRIPT[n][1]['type']}")
def test_no_event_may_be_left_out(place: int) -> None:
    with pytest.raises((ConformanceError, KeyError)):
        play(SCRIPT[:place] + SCRIPT[place + 1 :])


# The client answers when it likes, and both orders of the last pair are seen.
ANY_ORDER = [
    {"response.done", "conversation.item.create"},
    {"conversation.item.create", "conversation.item.added"},
    {"conversation.item.done", "response.mcp_call.in_progress"},
    {"conversation.item.done", "response.output_item.done"},
]


@pytest.mark.parametrize("place", range(CALL, len(SCRIPT) - 1))
def test_no_two_events_of_a_call_may_change_places(place: int) -> None:
    script = list(SCRIPT)
    script[place], script[place + 1] = script[place + 1], script[place]
    if {script[place][1]["type"], script[place + 1][1]["type"]} in ANY_ORDER:
        play(script)
        return
    with pytest.raises(ConformanceError):
        play(script)


def test_a_call_stays_open_until_it_is_approved_and_not_behind_that() -> None:
    begun = next(n for n, (_, e) in enumerate(SCRIPT) if e["type"].endswith("call.in_progress"))
    play(SCRIPT[:begun])
    with pytest.raises(ConformanceError, match="never"):
        play(SCRIPT[: begun + 1])


def _set(path: str, value: Any) -> Any:
    def change(event: dict[str, Any]) -> None:
        *way, last = path.split(".")
        for step in way:
            event = event[step]
        event[last] = value

    return change


@pytest.mark.parametrize(
    ("type", "change"),
    [
        ("response.output_item.done", _set("item.output", None)),
        ("response.output_item.done", _set("item.arguments", "{}")),
        ("response.output_item.done", _set("item.name", "other")),
        (
            "response.output_item.done",
            _set("item.error", {"type": "tool_execution_error", "message": "no"}),
        ),
        ("response.mcp_call.completed", _set("type", "response.mcp_call.failed")),
        ("response.mcp_call.completed", _set("output_index", 1)),
        ("response.mcp_call.completed", _set("item_id", "item_r")),
        ("response.mcp_call.in_progress", _set("type", "response.mcp_call.completed")),
        ("mcp_list_tools.completed", _set("item_id", "item_other")),
        ("mcp_list_tools.completed", _set("type", "mcp_list_tools.failed")),
        ("mcp_list_tools.completed", _set("type", "mcp_list_tools.in_progress")),
        ("response.output_item.added", _set("item.id", "item_other")),
        ("response.output_item.added", _set("item.arguments", "{}")),
        ("response.output_item.added", _set("item.name", "other")),
        ("response.done", _set("response.output", [])),
        ("conversation.item.create", _set("item.approve", False)),
        ("session.updated", _set("session.tools", [{**ENTRY, "authorization": "key"}])),
        ("session.updated", _set("session.tools", [{**ENTRY, "headers": {"A": "key"}}])),
    ],
)
def test_a_fault_is_seen(type: str, change: Any) -> None:
    with pytest.raises(ConformanceError):
        play(changed(type, change))
