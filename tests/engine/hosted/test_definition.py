"""What an MCP definition lets the model do, and what a brain sees of it. No server here."""

from __future__ import annotations

from typing import Any

import pytest

from runner.engine.hosted.address import check_address, is_loopback
from runner.engine.hosted.definition import (
    Listed,
    allowed,
    headers_of,
    key_of,
    needs_approval,
)
from runner.engine.hosted.errors import HostedError
from runner.engine.hosted.line import without_keys
from runner.engine.hosted.offer import STILL_RUNNING, as_functions, offer
from runner.engine.hosted.server import Server, Target
from runner.tasks import Supervisor, run

pytestmark = pytest.mark.quick

READS = Listed("files.read", "Reads.", {"type": "object"}, {"readOnlyHint": True})
WRITES = Listed("files/write", "", {}, None)


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        (None, ["files.read", "files/write"]),
        ([], []),
        (["files.read"], ["files.read"]),
        ({}, ["files.read", "files/write"]),
        ({"tool_names": ["files/write"]}, ["files/write"]),
        ({"read_only": True}, ["files.read"]),
        ({"read_only": False}, ["files/write"]),
        ({"read_only": True, "tool_names": ["files/write"]}, []),
    ],
)
def test_allowed_tools(filter: Any, names: list[str]) -> None:
    entry = {} if filter is None else {"allowed_tools": filter}
    assert [t.name for t in (READS, WRITES) if allowed(entry, t)] == names


@pytest.mark.parametrize(
    ("rule", "reads", "writes"),
    [
        (None, True, True),
        ("always", True, True),
        ("never", False, False),
        ({"never": {"read_only": True}}, False, True),
        ({"always": {"read_only": False}}, False, True),
        ({"always": {"read_only": False}, "never": {"tool_names": ["files/write"]}}, True, True),
        ({"always": {}}, True, True),
        ({"never": {}}, True, True),
    ],
)
def test_what_asks_for_approval(rule: Any, reads: bool, writes: bool) -> None:
    entry = {} if rule is None else {"require_approval": rule}
    assert (needs_approval(entry, READS), needs_approval(entry, WRITES)) == (reads, writes)


def test_authorization_is_a_bearer_token_unless_it_says_what_it_is() -> None:
    assert headers_of({"authorization": "t"}) == {"Authorization": "Bearer t"}
    assert headers_of({"authorization": "Basic t"}) == {"Authorization": "Basic t"}
    both = {"authorization": "t", "headers": {"authorization": "Bearer old", "X-A": "b"}}
    assert headers_of(both) == {"X-A": "b", "Authorization": "Bearer t"}
    assert headers_of({}) == {}


@pytest.mark.parametrize("value", ["a\r\nb", "a\0", "\u20ac"])
def test_headers_that_http_cannot_carry_are_refused_without_naming_the_value(value: str) -> None:
    with pytest.raises(ValueError, match="header X-Key") as caught:
        headers_of({"headers": {"X-Key": value}})
    assert value not in str(caught.value)


def test_keys_are_taken_out_of_words() -> None:
    headers = {"Authorization": "Bearer letmein", "X": "ab"}
    assert without_keys("no: letmein ab (Bearer letmein)", headers) == "no: *** ab (***)"


def test_a_definition_is_the_same_in_any_order_of_its_keys() -> None:
    assert key_of({"a": 1, "b": {"c": 2}}) == key_of({"b": {"c": 2}, "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})


def targets(label: str, *tools: Listed) -> list[Target]:
    tasks = Supervisor(lambda name, error: None)
    server = Server({"server_label": label}, tasks, public_only=False)
    return [Target(server, tool) for tool in tools]


def test_a_brain_is_offered_names_that_a_function_may_have() -> None:
    offered = offer([], "auto", targets("files", READS, WRITES))
    assert [t["name"] for t in offered.tools] == ["files_read", "files_write"]
    assert offered.targets["files_read"].tool is READS
    assert offered.tools[1]["parameters"] == {"type": "object", "properties": {}}


def test_of_two_servers_tools_of_one_name_the_first_counts() -> None:
    offered = offer([], "auto", targets("a", READS) + targets("b", READS, WRITES))
    assert [t["name"] for t in offered.tools] == ["files_read", "files_write"]
    assert offered.targets["files_read"].label == "a"


def test_a_choice_of_a_server_that_offers_nothing_is_no_choice() -> None:
    choice = {"type": "mcp", "server_label": "gone"}
    assert offer([], choice, targets("a", READS)).choice == "auto"


CALLED = {
    "id": "c",
    "type": "mcp_call",
    "server_label": "files",
    "name": "files.read",
    "arguments": "{}",
}


def shown(items: list[dict[str, Any]]) -> list[Any]:
    return as_functions(items, {}, ())


def test_calls_become_functions_with_their_outputs() -> None:
    done = {**CALLED, "output": "text", "error": None}
    call, output = shown([done])
    assert (call["type"], call["name"], call["call_id"]) == ("function_call", "files_read", "c")
    assert (output["type"], output["output"]) == ("function_call_output", "text")
    failed = {**CALLED, "output": None, "error": {"type": "http_error", "message": "503"}}
    assert shown([failed])[1]["output"] == '{"error":"503"}'
    assert len(shown([CALLED])) == 1


def test_a_call_under_way_says_so_and_its_output_is_told_behind_what_was_said_meanwhile() -> None:
    said = {"id": "m", "type": "message", "role": "user", "content": []}
    running = as_functions([CALLED, said], {}, {"c"})
    assert [i["type"] for i in running] == ["function_call", "function_call_output", "message"]
    assert running[1]["output"] == STILL_RUNNING
    done = {**CALLED, "output": "text", "error": None}
    ended = as_functions([done, said], {"c": "m"}, ())
    assert [i["type"] for i in ended] == ["function_call", "message", "function_call_output"]
    # What stood there may have been deleted since.
    assert len(as_functions([done], {"c": "m"}, ())) == 2


def test_requests_are_calls_until_they_are_approved() -> None:
    request = {**CALLED, "id": "r", "type": "mcp_approval_request"}
    answer = {"id": "y", "type": "mcp_approval_response", "approval_request_id": "r"}
    call = {**CALLED, "approval_request_id": "r", "output": None, "error": None}
    assert [i["call_id"] for i in shown([call, request])] == ["r"]
    yes = {**answer, "approve": True}
    running = as_functions([call, request, yes], {}, {"c"})
    assert [i["call_id"] for i in running] == ["c", "c"]
    assert [i["call_id"] for i in shown([{**call, "output": "42"}, request, yes])] == ["c", "c"]
    refused = shown([call, request, {**answer, "approve": False}])
    assert [i["call_id"] for i in refused] == ["r", "r"]
    assert refused[1]["output"] == "The call was not approved."
    # The request may have been deleted since.
    assert shown([{**answer, "approve": False}]) == []


def test_lists_of_tools_are_not_for_the_brain() -> None:
    user = {"type": "message", "role": "user", "content": []}
    assert shown([{"type": "mcp_list_tools"}, user]) == [user]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("example.com", False),
    ],
)
def test_where_an_engine_serves_its_own_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "2130706433",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "224.0.0.1",
    ],
)
def test_addresses_of_a_private_network_are_refused_to_others(host: str) -> None:
    async def story() -> None:
        await check_address("It", f"http://{host}:80/mcp", public_only=False)
        with pytest.raises(HostedError, match="private or loopback"):
            await check_address("It", f"http://{host}:80/mcp", public_only=True)

    run(story())


@pytest.mark.parametrize("host", ["93.184.216.34", "[2606:2800:220:1::1]"])
def test_public_addresses_are_taken(host: str) -> None:
    run(check_address("It", f"https://{host}/mcp", public_only=True))
