from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.openai_types import check_types

from runner import codec
from runner.audio.formats import PCM16, PCMU
from runner.engine.wire import Items, WireError, events, new_id
from runner.engine.wire import items as module

pytestmark = pytest.mark.quick


def message(role="user", text="hi", **more):
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


def second(n: float = 1.0) -> bytes:
    return b"\1\0" * int(24000 * n)


def refused(call, *args, **kwargs) -> WireError:
    with pytest.raises(WireError) as caught:
        call(*args, **kwargs)
    check_types(caught.value.event())
    return caught.value


def answer(items: Items, *clauses: tuple[str, float], item_id: str = "item_a") -> str:
    items.start_message(item_id)
    items.add_part(item_id, "output_audio")
    for text, seconds in clauses:
        items.add_audio(item_id, 0, second(seconds), text)
    items.finish(item_id)
    return item_id


EVERY_KIND = [
    message("user"),
    message("system"),
    message("assistant"),
    {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_audio", "audio": "AAAA", "transcript": "yes"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        ],
    },
    {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"},
    {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "t", "input_schema": {}}]},
    {"type": "mcp_call", "server_label": "s", "name": "t", "arguments": "{}"},
    {"type": "mcp_approval_request", "server_label": "s", "name": "t", "arguments": "{}"},
    {"type": "mcp_approval_response", "approval_request_id": "r", "approve": True},
]


@pytest.mark.parametrize("item", EVERY_KIND, ids=lambda i: i.get("role") or i["type"])
def test_every_kind_is_stored_and_is_openais(item):
    items = Items()
    if item["type"] == "mcp_approval_response":
        items.start_mcp_request(item["approval_request_id"], "s", "t", "{}")
    made = items.create(item)
    assert made["id"].startswith("item_")
    assert made["id"] in items
    check_types(events.conversation_item_added(made, items.previous_id(made["id"])))
    check_types(events.conversation_item_done(made, None))
    check_types(events.conversation_item_retrieved(items.retrieve(made["id"])))


def test_ids_look_like_the_services():
    assert len({new_id("item_") for _ in range(100)}) == 100
    kind, _, rest = new_id("item").partition("_")
    assert kind == "item"
    assert len(rest) == 21
    assert rest.isalnum()


def test_the_clients_id_is_echoed_and_its_nulls_are_not():
    items = Items()
    item = message("user", id="mine", status=None, object="realtime.item")
    item["content"][0]["audio"] = None
    made = items.create({**item, "content": [{"type": "input_text", "text": "hi"}]})
    assert made == {
        "id": "mine",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "hi"}],
    }


def test_the_order_is_append_root_or_after():
    items = Items()
    items.create(message(id="b"))
    items.create(message(id="d"))
    items.create(message(id="a"), "root")
    items.create(message(id="c"), "b")
    assert items.ids() == ["a", "b", "c", "d"]
    assert [items.previous_id(i) for i in "abcd"] == [None, "a", "b", "c"]
    assert items.last_id() == "d"
    error = refused(items.create, message(id="e"), "nowhere", event_id="e1")
    assert (error.code, error.param, error.event_id) == ("invalid_value", "previous_item_id", "e1")
    assert "e" not in items


def test_an_id_is_there_once_and_short():
    items = Items()
    items.create(message(id="a"))
    assert refused(items.create, message(id="a")).param == "item.id"
    error = refused(items.create, message(id="x" * 33))
    assert (error.code, error.param) == ("string_above_max_length", "item.id")
    assert items.ids() == ["a"]


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (None, "invalid_type", "item"),
        ({}, "missing_required_parameter", "item.type"),
        ({"type": "note"}, "invalid_value", "item.type"),
        ({"type": "message", "content": []}, "missing_required_parameter", "item.role"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "message", "role": "pilot", "content": []}, "invalid_value", "item.role"),
        (message("user", colour=1), "unknown_parameter", "item.colour"),
        (message("user", status="odd"), "invalid_value", "item.status"),
        (
            {"type": "message", "role": "user", "content": [{"type": "text", "text": "x"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "system", "content": [{"type": "input_audio"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "assistant",
             "content": [{"type": "output_audio", "audio": "AAAA"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_audio"}]},
            "missing_required_parameter",
            "item.content[0].audio",
        ),
        (
            {"type": "message", "role": "user",
             "content": [{"type": "input_audio", "audio": "???"}]},
            "invalid_value",
            "item.content[0].audio",
        ),
        (
            {"type": "message", "role": "user",
             "content": [{"type": "input_image", "image_url": "https://x.example/cat.png"}]},
            "invalid_value",
            "item.content[0].image_url",
        ),
        ({"type": "function_call", "name": "f"}, "missing_required_parameter", "item.arguments"),
        (
            {"type": "function_call_output", "call_id": "c"},
            "missing_required_parameter",
            "item.output",
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": {}},
            "invalid_type",
            "item.output",
        ),
        ({"type": "function_call_output", "call_id": "c", "output": ""}, "invalid_tool_call_id",
         None),
        (
            {"type": "mcp_approval_response", "approve": True},
            "missing_required_parameter",
            "item.approval_request_id",
        ),
        (
            {"type": "mcp_approval_response", "approve": True, "approval_request_id": "r"},
            "invalid_value",
            "item.approval_request_id",
        ),
    ],
)  # fmt: skip
def test_a_bad_item_is_refused_and_not_stored(item, code, param):
    items = Items()
    error = refused(items.create, item)
    assert (error.code, error.param) == (code, param)
    assert len(items) == 0


def test_a_request_for_approval_that_a_client_made_up_has_no_call_behind_it():
    items = Items()
    items.create(
        {"id": "r", "type": "mcp_approval_request", "server_label": "s", "name": "t",
         "arguments": "{}"}
    )  # fmt: skip
    answer = {"type": "mcp_approval_response", "approval_request_id": "r", "approve": True}
    assert refused(items.create, answer).param == "item.approval_request_id"


def test_a_call_of_an_mcp_tool_is_in_the_prompt_once_its_arguments_are_whole():
    items = Items()
    items.start_mcp_call("c", "s", "t", None)
    items.add_arguments("c", "{}")
    assert items.prompt() == []
    items.await_outcome("c")
    assert [i["id"] for i in items.prompt()] == ["c"]
    before = items.weights()
    items.set_mcp_outcome("c", output="42")
    assert items.finish("c")["output"] == "42"
    assert items.prompt()[0]["output"] == "42"
    assert items.weights() != before


def test_a_tools_output_needs_its_call():
    items = Items()
    items.start_call("item_c", "call_9", "find_slots")
    items.add_arguments("item_c", '{"day":')
    items.add_arguments("item_c", "2}")
    assert items.finish("item_c") == {
        "id": "item_c",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_9",
        "name": "find_slots",
        "arguments": '{"day":2}',
    }
    made = items.create({"type": "function_call_output", "call_id": "call_9", "output": "none"})
    assert made["output"] == "none"


def test_user_audio_has_its_transcript_key_before_it_has_a_transcript():
    items = Items()
    made = items.add_user_audio("item_u", second(), PCM16)
    assert made["content"] == [{"type": "input_audio", "transcript": None}]
    assert items.audio_ms("item_u") == 1000
    items.set_transcript("item_u", "Hello.")
    assert items.wire("item_u")["content"][0]["transcript"] == "Hello."
    heard = items.retrieve("item_u")["content"][0]
    assert codec.b64decode(heard["audio"]) == second()


def test_with_transcription_off_only_the_brain_knows_the_words():
    items = Items()
    items.add_user_audio("item_u", second(), PCM16)
    items.set_transcript("item_u", "Hello.", public=False)
    assert items.wire("item_u")["content"][0]["transcript"] is None
    assert items.prompt()[0]["content"][0]["transcript"] == "Hello."
    items.set_transcript("gone", "after a delete")


def test_audio_without_words_is_found():
    items = Items()
    audio = {"type": "input_audio", "audio": codec.b64encode(b"\xff" * 800)}
    content = [{"type": "input_text", "text": "x"}, audio]
    made = items.create({**message(), "content": content}, input_format=PCMU)
    assert items.unheard() == [(made["id"], 1)]
    assert items.audio(made["id"], 1) == (b"\xff" * 800, PCMU)
    assert items.audio_ms(made["id"], 1) == 100
    items.set_transcript(made["id"], "yes", content_index=1, public=False)
    assert items.unheard() == []


def test_unknown_ids_have_their_codes():
    items = Items()
    for call, code in (
        (items.retrieve, "item_retrieve_invalid_item_id"),
        (items.delete, "item_delete_invalid_item_id"),
        (lambda i: items.truncate(i, 0, 0), "item_truncate_invalid_item_id"),
    ):
        error = refused(call, "nope")
        assert error.code == code
        assert error.message.endswith("item: the item with id 'nope' does not exist.")


def test_a_deleted_item_is_gone():
    items = Items()
    items.create(message(id="a"))
    items.create(message(id="b"))
    items.delete("a")
    assert "a" not in items
    assert items.previous_id("b") is None
    refused(items.delete, "a")


def test_an_item_deleted_while_it_is_written_is_written_to_its_end():
    items = Items()
    items.start_message("item_a")
    items.add_part("item_a", "output_audio")
    items.delete("item_a")
    refused(items.retrieve, "item_a")
    items.add_audio("item_a", 0, second(), "One.")
    assert items.finish("item_a")["content"] == [{"type": "output_audio", "transcript": "One."}]
    items.create(message(id="item_a"))
    assert items.ids() == ["item_a"]


# Truncation -------------------------------------------------------------------------------------


def test_what_was_heard_stays_and_the_rest_is_forgotten():
    items = Items()
    item_id = answer(items, ("We are open", 1.0), (" from nine to five.", 2.0))
    assert items.transcript(item_id) == "We are open from nine to five."
    items.truncate(item_id, 0, 2100)
    assert items.transcript(item_id) == "We are open from nine"
    assert items.audio_ms(item_id) == 2100
    assert len(items.audio(item_id)[0]) == 2100 * 48
    assert items.prompt()[0]["content"][0]["transcript"] == "We are open from nine"
    error = refused(items.truncate, item_id, 0, 2500)
    assert (error.code, error.param) == ("invalid_value", "audio_end_ms")
    assert error.message == "Audio content of 2100ms is already shorter than 2500ms"
    items.truncate(item_id, 0, 1000)
    assert items.transcript(item_id) == "We are open"


def test_a_clause_sent_in_pieces_is_cut_by_its_whole_length():
    items = Items()
    items.start_message("item_a")
    items.add_part("item_a", "output_audio", PCMU)
    items.add_audio("item_a", 0, b"\xff" * 800, "one two three four", ms=2000)
    items.add_audio("item_a", 0, b"\xff" * 8000)
    assert items.audio_ms("item_a") == 1100
    refused(items.truncate, "item_a", 0, 1200)
    items.truncate("item_a", 0, 1000)
    assert items.transcript("item_a") == "one two"


def test_after_a_truncation_nothing_more_was_heard():
    items = Items()
    items.start_message("item_a")
    items.add_part("item_a", "output_audio")
    items.add_audio("item_a", 0, second(), "One.")
    items.truncate("item_a", 0, 1000)
    items.add_audio("item_a", 0, second(), " Two.")
    assert items.finish("item_a", "incomplete")["content"][0]["transcript"] == "One."
    assert items.audio_ms("item_a") == 1000


def test_nothing_heard_is_nothing_said():
    items = Items()
    item_id = answer(items, ("Hello there.", 1.0))
    items.truncate(item_id, 0, 0)
    assert items.transcript(item_id) == ""
    assert items.prompt() == []
    assert items.wire(item_id)["content"] == [{"type": "output_audio", "transcript": ""}]


def test_the_whole_length_cuts_nothing():
    items = Items()
    item_id = answer(items, ("Hello", 0.3331), (" there.", 0.777))
    items.truncate(item_id, 0, 1111)
    assert items.transcript(item_id) == "Hello there."


@pytest.mark.parametrize("index", [0, 1])
def test_only_the_agents_audio_can_be_truncated(index):
    items = Items()
    items.add_user_audio("item_u", second(), PCM16)
    items.create(message("assistant", id="item_t"))
    items.start_call("item_c", "call_1", "f")
    items.start_message("item_e")
    for item_id in ("item_u", "item_c", "item_e") + (("item_t",) if index == 0 else ()):
        error = refused(items.truncate, item_id, index, 0)
        assert error.code == "unsupported_content_type"
        assert error.message == "Only model output audio messages can be truncated"


def test_a_part_that_is_not_there_cannot_be_truncated():
    items = Items()
    item_id = answer(items, ("Hello.", 1.0))
    assert refused(items.truncate, item_id, 1, 0).param == "content_index"


clauses = st.lists(
    st.tuples(st.text("ab .,é", min_size=1, max_size=30), st.integers(1, 3000)),
    min_size=1,
    max_size=5,
)


@given(clauses, st.data())
def test_a_cut_is_a_prefix_in_whole_words_and_grows_with_time(made, data):
    items = Items()
    items.start_message("item_a")
    items.add_part("item_a", "output_audio")
    for text, ms in made:
        items.add_audio("item_a", 0, PCM16.silence * (24 * ms), text)
    whole = items.transcript("item_a")
    total = int(items.audio_ms("item_a"))
    times = sorted(data.draw(st.lists(st.integers(0, total), min_size=1, max_size=5)), reverse=True)
    longest = whole
    for ms in times:
        items.truncate("item_a", 0, ms)
        cut = items.transcript("item_a")
        assert longest.startswith(cut)
        assert cut == whole or cut == cut.rstrip()
        rest = whole[len(cut) :]
        ends = {sum(len(t) for t, _ in made[: i + 1]) for i in range(len(made))}
        assert not rest or not cut or rest[0].isspace() or len(cut) in ends
        assert items.audio_ms("item_a") <= ms
        longest = cut


# Limits -----------------------------------------------------------------------------------------


def test_a_long_call_lets_its_oldest_audio_go(monkeypatch):
    monkeypatch.setattr(module, "MAX_AUDIO_KEPT", 100_000)
    items = Items()
    for i in range(4):
        items.add_user_audio(f"item_{i}", second(), PCM16)
    kept = [len(items.audio(f"item_{i}")[0]) for i in range(4)]
    assert kept == [0, 0, 48000, 48000]
    assert items.audio_ms("item_0") == 1000
    assert items.retrieve("item_0")["content"][0]["audio"] == ""


def test_a_brain_sees_what_is_finished():
    items = Items()
    items.create(message("user", "hi"))
    items.start_call("item_x", "call_x", "f")
    items.finish("item_x", "incomplete")
    items.start_message("item_a")
    items.add_part("item_a", "output_text")
    items.add_text("item_a", 0, "Hel")
    assert [i["role"] for i in items.prompt()] == ["user"]
    items.add_text("item_a", 0, "lo.")
    items.finish("item_a")
    assert items.prompt()[1]["content"] == [{"type": "output_text", "text": "Hello."}]
