"""Items and events of answers as the SDK's transports hand them on: calls, MCP, statuses, usage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.playbook import (
    Event,
    Playbook,
    arguments_done,
    audio_done,
    done,
    error,
    function_call,
    item,
    message,
    output_item,
    transcribed,
    user_audio,
    user_text,
    view,
)

from runner.core.edits import edits
from runner.core.effects import RunTool
from runner.core.events import (
    AgentEnd,
    AudioStopped,
    HistoryAdded,
    HistoryUpdated,
    Item,
    McpCallCompleted,
    McpToolsChanged,
    SessionError,
    SettingsApplied,
    ToolApproval,
    Transcript,
    Usage,
)
from runner.errors import UserError

pytestmark = pytest.mark.quick

REQUEST: Event = {
    "id": "m1", "type": "mcp_approval_request", "server_label": "crm", "name": "look_up",
    "arguments": '{"who":"Ada"}',
}  # fmt: skip


def calling() -> Playbook:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    return play


# -- function calls ------------------------------------------------------------------------------
def test_an_output_completes_its_item_and_asks_for_an_answer() -> None:
    """BA17: the item is completed with its output; item.create goes, then response.create."""
    play = calling()
    call = function_call("f1", "c1", "find_slots", '{"day":"Tue"}')
    play >> output_item("done", "r1", call)
    play >> done("r1")
    play.do(play.core.tool_finished, "c1", "nine")
    (entry,) = play.core.history
    assert (entry.status, entry.output) == ("completed", "nine")
    assert play.told(HistoryUpdated) == [HistoryUpdated("f1")]
    create, ask = play.sent()
    output = {"type": "function_call_output", "call_id": "c1", "output": "nine"}
    assert output.items() <= create["item"].items()
    assert ask["type"] == "response.create"


def test_a_call_without_an_item_gets_its_output_too() -> None:
    """BA18: there is nothing to show in the history, and the model is answered all the same."""
    play = calling()
    play >> arguments_done("r1", "f1", "c1", "find_slots", "{}")
    assert [e.call_id for e in play.last if isinstance(e, RunTool)] == ["c1"]
    assert not play.core.history
    play.do(play.core.tool_finished, "c1", "nine")
    assert play.sent("conversation.item.create")[0]["item"]["output"] == "nine"


def test_calls_of_functions_run_and_those_of_servers_are_shown() -> None:
    """BA32: an output item of a function runs it; one of an MCP server has its own status."""
    play = calling()
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots", "{}"))
    (run,) = [e for e in play.last if isinstance(e, RunTool)]
    assert (run.name, run.call_id, run.arguments) == ("find_slots", "c1", "{}")
    mcp: Event = {"id": "m1", "type": "mcp_call", "server_label": "crm", "name": "look_up"}
    play >> output_item("added", "r1", {**mcp, "arguments": ""})
    assert play.core.history[-1].status == "in_progress"
    play >> output_item("done", "r1", {**mcp, "arguments": "{}", "output": "42"})
    entry = play.core.history[-1]
    assert (entry.kind, entry.status, entry.output) == ("mcp_call", "completed", "42")
    assert entry.server_label == "crm"
    play >> item("done", {**mcp, "arguments": "{}", "output": "42"})
    assert [e.item.output for e in play.told(McpCallCompleted)] == ["42"]


# -- approvals of hosted tools -------------------------------------------------------------------
@pytest.mark.parametrize("reason", [None, "not today"])
def test_the_answer_to_a_server_follows_its_request(reason: str | None) -> None:
    """BA24, BA25: an approval response item stands after the request, with a reason to refuse."""
    play = calling()
    play >> item("done", REQUEST)
    if reason is None:
        play.do(play.core.approve, "m1")
    else:
        play.do(play.core.reject, "m1", message=reason)
    create = play.sent("conversation.item.create")[0]
    assert create["previous_item_id"] == "m1"
    answer = create["item"]
    assert answer["type"] == "mcp_approval_response"
    assert (answer["approval_request_id"], answer["approve"]) == ("m1", reason is None)
    assert answer.get("reason") == reason


def test_a_request_is_an_item_and_an_approval_and_back() -> None:
    """BA29, UT14: a message on item.done is told, a request too, with what is to be approved;
    the answer finds the request again."""
    play = calling()
    play >> item("done", user_text("u1", "hello"))
    assert [e.item.text for e in play.told(HistoryAdded)] == ["hello"]
    play >> item("done", REQUEST)
    assert [e.item.kind for e in play.told(HistoryAdded)] == ["mcp_approval_request"]
    (asked,) = play.told(ToolApproval)
    assert (asked.kind, asked.name, asked.server_label) == ("mcp", "look_up", "crm")
    assert asked.arguments == '{"who":"Ada"}'
    assert play.core.approval(asked.call_id) == asked
    play.do(play.core.approve, asked.call_id)
    assert play.core.approval(asked.call_id) is None
    assert play.core.decided(asked.call_id)
    play.do(play.core.approve, asked.call_id)
    assert not play.sent()


def test_a_list_of_tools_is_told_and_is_no_item() -> None:
    """BA38: a finished mcp_list_tools says what there is, and does not stand in the history."""
    listed = {"name": "look_up", "description": "Looks up", "input_schema": {"type": "object"}}
    tools = [{"type": "mcp", "server_label": "crm", "server_url": "https://crm.example.com/mcp"}]
    play = Playbook(view(over={"tools": tools})).open()
    play >> item(
        "done", {"id": "l1", "type": "mcp_list_tools", "server_label": "crm", "tools": [listed]}
    )
    (changed,) = play.told(McpToolsChanged)
    assert [(t["name"], t["server_label"]) for t in changed.tools] == [("look_up", "crm")]
    assert play.core.mcp_tools == changed.tools
    assert not play.core.history


# -- answers -------------------------------------------------------------------------------------
def test_a_finished_answer_tells_its_usage() -> None:
    """BA26: the end of the response with its id, and the tokens with their details."""
    usage = {
        "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
        "input_token_details": {"text_tokens": 15, "audio_tokens": 5, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
    }  # fmt: skip
    play = calling()
    play >> done("r1", usage=usage, output=[message("a1", "completed", "Hi")])
    assert [(e.response_id, e.text, e.usage) for e in play.told(AgentEnd)] == [("r1", "Hi", usage)]
    (told,) = play.told(Usage)
    assert (told.response_id, told.response) == ("r1", usage)
    assert told.total["input_tokens"] == 20
    assert (told.total["output_text"], told.total["output_audio"]) == (4, 6)


def test_the_end_of_the_audio_is_told() -> None:
    """BA27: output_audio.done, by its response."""
    play = calling()
    play >> audio_done("r1", "a1")
    assert play.told(AudioStopped) == [AudioStopped("r1")]


def test_an_error_of_the_server_is_told_whole() -> None:
    """BA40: its code, its words and the event that it is about."""
    play = calling()
    play >> error("invalid_value", "event_7", message="no such voice")
    assert play.told(SessionError) == [
        SessionError("invalid_value", "no such voice", False, "event_7")
    ]


# -- items ---------------------------------------------------------------------------------------
def test_an_item_without_status_reaches_the_history() -> None:
    """BA30, BA31: its event says what it is: in progress when added, completed when done or
    retrieved. A status of its own counts more."""
    play = Playbook().open()
    for name, kind, own, status in (
        ("a", "added", None, "in_progress"),
        ("b", "done", None, "completed"),
        ("c", "retrieved", None, "completed"),
        ("d", "added", "completed", "completed"),
        ("e", "done", "incomplete", "incomplete"),
    ):
        bare = {k: v for k, v in message(name, own or "", "Hi").items() if k != "status" or own}
        play >> item(kind, bare)
        assert [(i.item_id, i.status) for i in play.core.history][-1] == (name, status)


@pytest.mark.parametrize("kind", ["output_audio", "audio"])
def test_spoken_content_is_output_audio(kind: str) -> None:
    """BA33, BA34, UT2: kept as it is, by its old name too; its transcript is the item's text."""
    play = calling()
    content = [{"type": kind, "transcript": "We are open."}]
    play >> output_item("done", "r1", {**message("a1", "completed"), "content": content})
    (entry,) = play.core.history
    assert entry.content == ({"type": "output_audio", "transcript": "We are open."},)
    assert entry.text == "We are open."


def test_written_content_is_text() -> None:
    """UT3: the text of a text message is the item's, and that of the answer."""
    content = [{"type": "output_text", "text": "We are open."}]
    play = calling()
    whole = {**message("a1", "completed"), "content": content}
    play >> output_item("done", "r1", whole)
    play >> done("r1", output=[whole])
    assert play.core.history[0].text == "We are open."
    assert [e.text for e in play.told(AgentEnd)] == ["We are open."]


@pytest.mark.parametrize("output", [[], [{"type": "message"}], [{"type": "function_call"}], [{}]])
def test_no_text_is_no_text(output: list[Event]) -> None:
    """UT4: output without words ends the answer without a text, and without a fault."""
    play = calling()
    play >> done("r1", output=output)
    assert [e.text for e in play.told(AgentEnd)] == [""]
    assert not play.ever_told(SessionError)


def test_sound_is_kept_only_when_it_is_wanted() -> None:
    """UT6, UT9, UT13: of the caller and of the agent; left out by default, kept with
    store_audio."""
    spoken = {"type": "input_audio", "audio": "AAAA", "transcript": "Hello"}
    answer = {"type": "output_audio", "audio": "BBBB", "transcript": "Hi"}
    for store in (False, True):
        play = Playbook(store_audio=store).open()
        play >> item("added", user_text("u0", "x"), previous_item_id=None)
        play >> item("done", {**message("a1"), "content": [answer]}, previous_item_id="u0")
        play >> item("done", {**user_audio("u1"), "content": [spoken]}, previous_item_id="u0")
        assert [i.item_id for i in play.core.history] == ["u0", "u1", "a1"]
        kept = [i.content[0].get("audio") for i in play.core.history[1:]]
        assert kept == (["AAAA", "BBBB"] if store else [None, None])


def test_words_of_the_agent_outlive_an_update_without_them() -> None:
    """UT7, UT8: a transcript is kept when an update lacks it, and replaced by a new one."""
    play = Playbook().open()
    play >> item("done", message("a1", "completed", "Hi"))
    bare = {**message("a1", "completed"), "content": [{"type": "output_audio"}]}
    play >> item("retrieved", bare)
    assert play.core.history[0].text == "Hi"
    play >> item("retrieved", message("a1", "completed", "Hello"))
    assert play.core.history[0].text == "Hello"


@pytest.mark.parametrize(
    "usage",
    [
        {"type": "tokens", "total_tokens": 9, "input_tokens": 7, "output_tokens": 2},
        {"type": "duration", "seconds": 1.5},
        None,
    ],
)
def test_what_the_caller_said_joins_its_item(usage: Any) -> None:
    """UT11, EV8, EV9: whichever way the transcription is counted."""
    play = Playbook().open()
    play >> item("added", user_audio("u1"))
    play >> {**transcribed("u1", "Are you open?"), "usage": usage}
    assert play.told(Transcript) == [Transcript("user", "u1", "Are you open?")]
    assert [(i.item_id, i.text) for i in play.core.history] == [("u1", "Are you open?")]


def test_items_that_name_no_place_are_appended() -> None:
    """UT12, EV1: item by item, as they come."""
    play = Playbook().open()
    for name in "abc":
        play >> item("added", user_text(name, name))
        assert [e.item.item_id for e in play.told(HistoryAdded)] == [name]
    assert [i.item_id for i in play.core.history] == ["a", "b", "c"]


# -- edits ---------------------------------------------------------------------------------------
def text(name: str, words: str) -> Item:
    part = {"type": "input_text", "text": words}
    return Item(name, "message", "user", "completed", words, content=(part,))


SPOKEN = Item(
    "s", "message", "assistant", "completed", "Hi",
    content=({"type": "output_audio", "transcript": "Hi"},),
)  # fmt: skip


def changed(old: list[Item], new: list[Item]) -> list[tuple[str, str]]:
    found = edits(old, new, lambda name: name)
    return [
        (kind.rpartition(".")[2], fields.get("item_id") or fields["item"]["id"])
        for kind, fields in found
    ]


def test_the_difference_of_two_histories() -> None:
    """UT5, BA22: what is missing and what changed is deleted, then what changed and what is new
    is created."""
    old = [text("a", "1"), text("b", "2"), text("c", "3")]
    new = [text("a", "1"), text("b", "two"), text("d", "4")]
    assert changed(old, new) == [
        ("delete", "c"),
        ("delete", "b"),
        ("create", "b"),
        ("create", "d"),
    ]


def test_a_spoken_answer_cannot_be_made_anew() -> None:
    """HR1, HR2: adding or changing one raises before anything is sent."""
    with pytest.raises(UserError, match="spoken answer s cannot be created"):
        changed([text("a", "1")], [SPOKEN])
    other = replace(SPOKEN, text=None, content=({"type": "output_audio", "transcript": "Ho"},))
    with pytest.raises(UserError, match="spoken answer s cannot be created or changed"):
        changed([text("a", "1"), SPOKEN], [other])
    play = Playbook().open()
    with pytest.raises(UserError):
        play.do(play.core.update_history, [SPOKEN])
    assert not play.core.take()


def test_a_spoken_answer_that_stays_is_no_hindrance() -> None:
    """HR3: others may go, change and come beside it."""
    old = [text("a", "1"), SPOKEN, text("b", "2")]
    assert changed(old, [SPOKEN, text("b", "two")]) == [
        ("delete", "a"),
        ("delete", "b"),
        ("create", "b"),
    ]


# -- tracing -------------------------------------------------------------------------------------
def test_tracing_is_sent_while_none_runs_and_left_alone_after() -> None:
    """BA43, WS30: auto and an object are sent, null turns it off; another one than the one that
    runs is not sent and said to be for new calls."""
    for tracing in ("auto", {"workflow_name": "w"}, None):
        play = Playbook(view(over={"tracing": tracing})).open()
        (update,) = play.all_sent
        assert update["session"]["tracing"] == tracing
    play = Playbook().open()
    other = view(over={"tracing": {"workflow_name": "w"}})
    play.do(play.core.apply, other, 1, between_turns=False)
    assert play.sent("session.update")[0]["session"]["tracing"] == {"workflow_name": "w"}
    play >> play.echo()
    third = view(over={"tracing": {"workflow_name": "x"}})
    play.do(play.core.apply, third, 2, between_turns=False)
    assert not play.sent()
    assert play.told(SettingsApplied) == [SettingsApplied(2, ("tracing",))]


def test_a_new_voice_is_one_small_update() -> None:
    """BA12: one session.update with the voice under audio.output."""
    play = Playbook().open()
    voiced = view(over={"audio": {"output": {"voice": "cedar"}}})
    play.do(play.core.apply, voiced, 1, between_turns=False)
    (update,) = play.sent()
    assert update["session"] == {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
