"""A file's tools, servers and guardrails on the line: what its calls get, also after an edit."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.mcp_server import HERE
from support.refusing import RefusingServer, refusing_server
from support.until import until

from runner.config.load import Loaded, load
from runner.desk import Address, Call, Desk
from runner.errors import ConfigError
from runner.reload.apply import Applied, Applier
from runner.toolbox import load_tools
from runner.tools.mcp import McpServer

AGENT = """\
agents:
  desk: { instructions: Be kind., tools: [TOOLS] }
"""
MCP = f"""\
tools:
  invoices:
    mcp: {{ command: ["{sys.executable}", "{HERE}"], allow: [find_invoice] }}
    timeout: 5s
"""
Test = Callable[[Desk, RefusingServer, list[Any]], Awaitable[None]]


def deployment(folder: Path, text: str, *tools: str) -> Loaded:
    file = folder / "desk.yaml"
    file.write_text(AGENT.replace("TOOLS", ", ".join(tools)) + text + "transport: websocket\n")
    return load(file, env={"TOKEN": "canary"})


def on_the_line(loaded: Loaded, test: Test) -> None:
    async def main() -> None:
        seen: list[Any] = []
        async with refusing_server() as server:
            listener = lambda call, event: seen.append(event)  # noqa: E731
            address = Address(server.url, "key")
            desk = Desk(loaded.deployment, load_tools(loaded), address, listener)
            try:
                await test(desk, server, seen)
            finally:
                await desk.close()

    asyncio.run(main())


def sent(server: RefusingServer, kind: str) -> list[dict[str, Any]]:
    return [event for event in server.heard[0] if event["type"] == kind]


def of(seen: list[Any], kind: str) -> list[Any]:
    return [event for event in seen if event.type == kind]


async def calls(server: RefusingServer, name: str, arguments: str = "{}") -> None:
    """The model calls a function, in a response that says nothing else."""
    response = {"id": "resp_1", "object": "realtime.response"}
    await server.send(0, {"type": "response.created", "response": response})
    item = {"id": "item_1", "type": "function_call", "call_id": "call_1", "name": name}
    item |= {"arguments": arguments, "status": "completed"}
    done = {"type": "response.output_item.done", "response_id": "resp_1", "item": item}
    await server.send(0, done)
    over = {**response, "status": "completed", "output": [item]}
    await server.send(0, {"type": "response.done", "response": over})


async def output(server: RefusingServer) -> str:
    await until(lambda: sent(server, "conversation.item.create"))
    return str(sent(server, "conversation.item.create")[0]["item"]["output"])


def test_the_tools_of_an_mcp_server_are_the_agents(tmp_path: Path) -> None:
    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        await desk.open()
        assert [tool["name"] for tool in server.updates[0][0]["tools"]] == ["find_invoice"]
        await calls(server, "find_invoice", '{"number": "1001"}')
        assert json.loads(await output(server))["customer"] == "Ada Lovelace"

    on_the_line(deployment(tmp_path, MCP, "invoices"), test)


def test_a_server_that_does_not_start_costs_its_tools_and_not_the_call(tmp_path: Path) -> None:
    dead = (
        f'tools:\n  dead: {{ mcp: {{ command: ["{sys.executable}", "{HERE}", --die, gone] }} }}\n'
    )

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        call = await desk.open()
        assert call.session.connected
        [error] = of(seen, "error")
        assert error.code == "mcp_server_failed"
        assert "gone" in error.message

    on_the_line(deployment(tmp_path, dead, "dead"), test)


def test_hosted_servers_go_to_the_service_as_they_stand(tmp_path: Path) -> None:
    text = """\
tools:
  wiki:
    hosted_mcp:
      server_label: wiki
      server_url: https://mcp.example.com/mcp
      server_description: What we know.
      authorization: ${TOKEN}
      require_approval: never
"""

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        await desk.open()
        [wire] = server.updates[0][0]["tools"]
        assert wire == {
            "type": "mcp",
            "server_label": "wiki",
            "server_url": "https://mcp.example.com/mcp",
            "server_description": "What we know.",
            "authorization": "canary",
            "require_approval": "never",
        }
        assert "canary" not in repr(desk.tools)

    on_the_line(deployment(tmp_path, text, "wiki"), test)


def test_an_operator_is_asked_as_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "book.py").write_text("def book() -> str:\n    return 'booked'\n")
    text = 'tools:\n  book: { python: "book.py:book", approval: operator }\n'

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        call = await desk.open()
        await calls(server, "book")
        await until(lambda: of(seen, "tool_approval_requested"))
        assert sent(server, "conversation.item.create") == []
        [asked] = call.session.approvals
        call.session.approve(asked)
        assert await output(server) == "booked"

    on_the_line(deployment(tmp_path, text, "book"), test)


def test_the_agent_ends_the_call_when_its_farewell_was_played(tmp_path: Path) -> None:
    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        call = await desk.open()
        await calls(server, "end_call")
        assert "goodbye" in await output(server)
        await until(lambda: sent(server, "response.create"))
        response = {"id": "resp_2", "object": "realtime.response"}
        asked = sent(server, "response.create")[-1].get("response", {})
        told = {**response, "metadata": asked.get("metadata")}
        await server.send(0, {"type": "response.created", "response": told})
        assert not call.ended.is_set()
        over = {**told, "status": "completed", "output": []}
        await server.send(0, {"type": "response.done", "response": over})
        await asyncio.wait_for(call.ended.wait(), 10)
        assert (call.reason, call.lost) == ("the agent ended the call", False)

    on_the_line(deployment(tmp_path, "", "end_call"), test)


def test_a_greeting_that_may_not_be_cut_holds_the_caller_s_voice_back(tmp_path: Path) -> None:
    loaded = deployment(tmp_path, "")
    text = "transport: websocket\nagents:\n  desk:\n    instructions: x\n"
    text += "    greeting: { say: This is recorded., interruptible: false }\n"
    (tmp_path / "desk.yaml").write_text(text)
    loaded = load(tmp_path / "desk.yaml", env={})

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        call = await desk.open()
        call.session.send_audio(b"\1\0" * 480)
        await until(lambda: sent(server, "response.create"))
        [asked] = sent(server, "response.create")
        assert asked["response"]["instructions"].endswith("This is recorded.")
        assert sent(server, "input_audio_buffer.append") == []
        response = {"id": "resp_1", "metadata": asked["response"]["metadata"]}
        await server.send(0, {"type": "response.created", "response": response})
        over = {**response, "status": "completed", "output": []}
        await server.send(0, {"type": "response.done", "response": over})
        await until(lambda: sent(server, "input_audio_buffer.append"))

    on_the_line(loaded, test)


RULE = """\
guardrails:
  - { name: no-advice, phrases: ["diagnos*"], say: I cannot say that. }
"""


async def says(server: RefusingServer, text: str, number: int = 1) -> None:
    """An answer that has begun to say this."""
    response_id, item_id = f"resp_{number}", f"item_{number}"
    await server.send(0, {"type": "response.created", "response": {"id": response_id}})
    item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
    added = {"type": "response.output_item.added", "response_id": response_id, "item": item}
    await server.send(0, added)
    delta = {"type": "response.output_audio_transcript.delta", "response_id": response_id}
    delta |= {"item_id": item_id, "content_index": 0, "delta": text}
    await server.send(0, delta)


def test_a_guardrail_of_the_file_cuts_an_answer(tmp_path: Path) -> None:
    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        await desk.open()
        await says(server, "From what you tell me my diagnosis is that")
        await until(lambda: of(seen, "guardrail_tripped"))
        await until(lambda: sent(server, "response.cancel"))
        [tripped] = of(seen, "guardrail_tripped")
        assert (tripped.name, tripped.info) == ("no-advice", "diagnosis")
        over = {"id": "resp_1", "status": "cancelled", "output": []}
        await server.send(0, {"type": "response.done", "response": over})
        await until(lambda: sent(server, "response.create"))
        said = sent(server, "response.create")[-1]["response"]["instructions"]
        assert said.endswith("I cannot say that.")

    on_the_line(deployment(tmp_path, RULE), test)


def test_an_edited_guardrail_counts_in_the_call_that_runs(tmp_path: Path) -> None:
    loaded = deployment(tmp_path, "")

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        await desk.open()
        applier = Applier(desk, loaded, lambda: deployment(tmp_path, RULE))
        outcome = await applier.saved(time.monotonic())
        assert isinstance(outcome, Applied)
        assert outcome.applied == 1
        assert len(server.updates[0]) == 1  # the server has nothing to do with it
        await says(server, "From what you tell me my diagnosis is that")
        await until(lambda: of(seen, "guardrail_tripped"))

    on_the_line(loaded, test)


def test_a_guardrail_that_cannot_be_loaded_is_placed(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("import nothing_of_this_name\n")
    text = 'guardrails:\n  - { name: mine, python: "rules.py:unkind" }\n'
    with pytest.raises(ConfigError) as raised:
        load_tools(deployment(tmp_path, text))
    [problem] = raised.value.problems
    assert (problem.line, problem.path) == (4, "guardrails[0].python")


def servers(desk: Desk) -> McpServer:
    found = desk.tools.servers["invoices"]
    assert isinstance(found, McpServer)
    return found


def test_a_server_stays_over_an_edit_that_does_not_concern_it(tmp_path: Path) -> None:
    loaded = deployment(tmp_path, MCP, "invoices")

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        await desk.open()
        before, pid = servers(desk), servers(desk).pid
        edited = deployment(tmp_path, MCP + "limits: { duration: 9m }\n", "invoices")
        applier = Applier(desk, loaded, lambda: edited)
        assert isinstance(await applier.saved(time.monotonic()), Applied)
        assert servers(desk) is before
        assert before.pid == pid

    on_the_line(loaded, test)


def test_an_edited_server_is_started_anew_and_the_old_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.desk.LONGEST_CALL", 0.0)
    loaded = deployment(tmp_path, MCP, "invoices")

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        await desk.open()
        old = servers(desk)
        assert old.pid is not None
        more = MCP.replace("[find_invoice]", "[find_invoice, add]")
        applier = Applier(desk, loaded, lambda: deployment(tmp_path, more, "invoices"))
        assert isinstance(await applier.saved(time.monotonic()), Applied)
        assert servers(desk) is not old
        names = [tool["name"] for tool in server.sessions[0]["tools"]]
        assert sorted(names) == ["add", "find_invoice"]
        await until(lambda: old.pid is None)
        await calls(server, "add", '{"a": 2, "b": 3}')
        assert "5" in await output(server)

    on_the_line(loaded, test)


def test_calls_end_and_no_server_is_left(tmp_path: Path) -> None:
    left: list[McpServer] = []
    ended: list[Call] = []

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        ended.append(await desk.open())
        left.append(servers(desk))
        assert left[0].pid is not None

    on_the_line(deployment(tmp_path, MCP, "invoices"), test)
    assert left[0].pid is None
    assert ended[0].ended.is_set()
