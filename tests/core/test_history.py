"""The history: order, texts, what is told, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import (
    Playbook,
    arguments_done,
    audio_done,
    created,
    done,
    function_call,
    item,
    message,
    output_item,
    part,
    speech_started,
    spoken_delta,
    spoken_done,
    transcribed,
    user_audio,
    user_text,
)

from runner.core.events import (
    HistoryAdded,
    HistoryUpdated,
    Item,
    SessionError,
    Transcript,
    TranscriptDelta,
)

pytestmark = pytest.mark.quick


def ids(play: Playbook) -> list[str]:
    return [i.item_id for i in play.core.history]


def texts(play: Playbook) -> list[tuple[str, str | None]]:
    return [(i.item_id, i.text) for i in play.core.history]


def test_items_stand_after_the_one_they_name() -> None:
    play = Playbook().open()
    play >> item("added", user_text("a", "1"), previous_item_id=None)
    play >> item("added", user_text("c", "3"), previous_item_id="a")
    play >> item("added", user_text("b", "2"), previous_item_id="a")
    play >> item("added", user_text("d", "4"), previous_item_id="c")
    play >> item("added", user_text("e", "5"), previous_item_id="nobody")
    play >> item("added", user_text("f", "6"))
    assert ids(play) == ["a", "b", "c", "d", "e", "f"]


def test_root_and_null_are_the_front_where_the_server_names_predecessors() -> None:
    play = Playbook().open()
    play >> item("added", user_text("a", "1"), previous_item_id=None)
    play >> item("added", user_text("b", "2"), previous_item_id="a")
    play >> item("added", user_text("0", "0"), previous_item_id=None)
    play >> item("added", user_text("00", "0"), previous_item_id="root")
    assert ids(play) == ["00", "0", "a", "b"]


def test_a_server_that_always_says_null_appends() -> None:
    play = Playbook().open()
    for name in "abc":
        play >> item("added", user_text(name, name), previous_item_id=None)
    assert ids(play) == ["a", "b", "c"]


def test_an_item_added_without_place_moves_when_its_place_is_named() -> None:
    play = Playbook().open()
    play >> item("added", user_text("u1", "1"), previous_item_id=None)
    play >> output_item("added", "r1", message("a1"))
    play >> item("added", user_text("u2", "2"), previous_item_id="u1")
    assert ids(play) == ["u1", "u2", "a1"]
    play >> item("added", message("a1"), previous_item_id="u2")
    assert ids(play) == ["u1", "u2", "a1"]
    play >> output_item("added", "r2", message("a2"))
    play >> item("added", message("a2"), previous_item_id="u1")
    assert ids(play) == ["u1", "a2", "u2", "a1"]


def test_the_first_sight_of_an_item_is_history_added() -> None:
    play = Playbook().open()
    play >> item("added", user_text("u1", "hello"))
    assert [e.item.item_id for e in play.told(HistoryAdded)] == ["u1"]
    assert play.told(HistoryUpdated) == [HistoryUpdated("u1")]
    play >> item("done", user_text("u1", "hello"))
    assert not play.told(HistoryAdded)


def test_deltas_are_joined_when_read_and_tell_no_update() -> None:
    play = Playbook().open()
    play >> output_item("added", "r1", message("a1"))
    for word in ("We ", "are ", "open."):
        play >> spoken_delta("r1", "a1", word)
        assert play.effects[0].event == TranscriptDelta("assistant", "a1", word)
        assert not play.told(HistoryUpdated)
    assert texts(play) == [("a1", "We are open.")]


def test_a_snapshot_is_the_same_until_something_changes() -> None:
    play = Playbook().open()
    play >> item("added", user_text("u1", "hello"))
    play >> output_item("added", "r1", message("a1"))
    before = play.core.history
    assert play.core.history is before
    play >> spoken_delta("r1", "a1", "Hi")
    after = play.core.history
    assert after is not before
    assert after[0] is before[0]  # an item that did not change is not built again
    assert before[1].text is None  # a snapshot never changes


def test_the_final_text_replaces_the_deltas_and_late_ones_are_passed_over() -> None:
    play = Playbook().open()
    play >> output_item("added", "r1", message("a1"))
    play >> spoken_delta("r1", "a1", "We aer")
    play >> spoken_done("r1", "a1", "We are open.")
    play >> spoken_delta("r1", "a1", " late")
    assert texts(play) == [("a1", "We are open.")]


def test_a_part_without_transcript_keeps_the_words_we_have() -> None:
    play = Playbook().open()
    play >> output_item("added", "r1", message("a1"))
    play >> spoken_delta("r1", "a1", "We are open.")
    bare = {**message("a1", "completed"), "content": [{"type": "output_audio"}]}
    play >> item("done", bare)
    (entry,) = play.core.history
    assert (entry.text, entry.status) == ("We are open.", "completed")
    assert entry.content == ({"type": "output_audio", "transcript": "We are open."},)


def test_audio_bytes_are_not_kept() -> None:
    play = Playbook().open()
    content = [{"type": "input_audio", "audio": "AAAA", "transcript": "hello"}]
    play >> item("retrieved", {**user_audio("u1"), "content": content})
    assert play.core.history[0].content == ({"type": "input_audio", "transcript": "hello"},)


def test_images_are_in_the_history() -> None:
    play = Playbook().open()
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    play >> item("added", {**user_text("u1", ""), "content": [image]})
    assert play.core.history[0].content == (image,)


def test_the_old_names_of_assistant_parts_become_the_new_ones() -> None:
    play = Playbook().open()
    content = [{"type": "audio", "transcript": "Hi"}, {"type": "text", "text": " there"}]
    play >> item("done", {**message("a1", "completed"), "content": content})
    kinds = [p["type"] for p in play.core.history[0].content]
    assert kinds == ["output_audio", "output_text"]
    assert play.core.history[0].text == "Hi there"


def test_what_the_caller_said_comes_when_it_is_transcribed() -> None:
    play = Playbook().open()
    play >> item("added", user_audio("u1")) >> item("done", user_audio("u1"))
    assert texts(play) == [("u1", None)]
    assert not play.ever_told(Transcript)
    play >> transcribed("u1", "Are you open?")
    assert play.told(Transcript) == [Transcript("user", "u1", "Are you open?")]
    assert texts(play) == [("u1", "Are you open?")]
    play >> transcribed("u1", "Are you open?")
    assert not play.told(Transcript)


def test_a_transcript_before_its_item_is_not_lost() -> None:
    play = Playbook().open()
    play >> item("added", message("a0"), previous_item_id=None)
    play >> transcribed("u1", "hello")
    play >> item("added", user_audio("u1"), previous_item_id="a0")
    assert texts(play) == [("a0", None), ("u1", "hello")]
    assert len(play.ever_told(Transcript)) == 1


def test_a_failed_transcription_is_told() -> None:
    play = Playbook().open()
    play >> item("added", user_audio("u1"))
    play >> {
        "type": "conversation.item.input_audio_transcription.failed", "item_id": "u1",
        "content_index": 0, "error": {"code": "audio_unintelligible", "message": "unclear"},
    }  # fmt: skip
    assert [(e.code, e.message) for e in play.told(SessionError)] == [
        ("audio_unintelligible", "unclear")
    ]


def test_a_typed_message_is_told_once_when_the_server_has_it() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    assert not play.told(Transcript)
    play >> item("added", user_text("u1", "hello"))
    play >> item("done", user_text("u1", "hello"))
    assert play.ever_told(Transcript) == [Transcript("user", "u1", "hello")]


def test_a_system_message_is_history_and_no_transcript() -> None:
    play = Playbook().open()
    play >> item("done", {**user_text("s1", "Be brief."), "role": "system"})
    assert play.core.history[0].role == "system"
    assert not play.ever_told(Transcript)


def test_one_transcript_per_answer_whatever_finishes_it() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False).speak()
    assert play.ever_told(Transcript) == [Transcript("assistant", "a1", "We are open.")]


def test_an_answer_without_transcript_done_is_told_by_its_item() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False)
    play >> output_item("added", "r1", message("a1")) >> spoken_delta("r1", "a1", "Hi")
    play >> item("done", message("a1", "completed", "Hi."))
    assert play.told(Transcript) == [Transcript("assistant", "a1", "Hi.")]


def test_events_of_an_answer_that_nobody_added_make_its_item() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False)
    play >> {**part("r1", "a1"), "type": "response.content_part.added"}
    play >> spoken_delta("r1", "a1", "Hi")
    play >> spoken_done("r1", "a1", "Hi.")
    assert texts(play) == [("a1", "Hi.")]


def test_deleted_items_stay_deleted_until_they_are_added_again() -> None:
    play = Playbook().open()
    play >> output_item("added", "r1", message("a1"))
    play >> {"type": "conversation.item.deleted", "item_id": "a1"}
    assert play.told(HistoryUpdated) == [HistoryUpdated("a1")]
    play >> spoken_done("r1", "a1", "Hi.")
    play >> output_item("done", "r1", message("a1", "completed", "Hi."))
    play >> {"type": "conversation.item.deleted", "item_id": "a1"}
    assert ids(play) == []
    play >> item("added", message("a1", "completed", "Hi again."))
    assert texts(play) == [("a1", "Hi again.")]


def test_truncated_keeps_the_item_and_says_what_was_heard() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False).speak()
    play >> {
        "type": "conversation.item.truncated", "item_id": "a1", "content_index": 0,
        "audio_end_ms": 420,
    }  # fmt: skip
    assert play.core.history[0].heard_ms == 420
    assert play.core.history[0].text == "We are open."


def test_a_call_and_its_output_are_one_item_and_keep_the_order_of_their_successors() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False)
    play >> item("added", user_text("u1", "x"), previous_item_id=None)
    call = function_call("f1", "c1", "find_slots", '{"day":"Tue"}')
    play >> item("added", {**call, "status": "in_progress", "arguments": ""}, previous_item_id="u1")
    play >> arguments_done("r1", "f1", "c1", "find_slots", '{"day":"Tue"}')
    play >> output_item("done", "r1", call)
    play.do(play.core.tool_finished, "c1", "nine")
    out = {"id": "o1", "type": "function_call_output", "call_id": "c1", "output": "nine"}
    play >> item("added", out, previous_item_id="f1")
    play >> item("added", message("a2"), previous_item_id="o1")
    play >> item("added", user_text("u2", "y"), previous_item_id="o1")
    assert ids(play) == ["u1", "f1", "u2", "a2"]
    entry = play.core.history[1]
    assert entry == Item(
        "f1", "function_call", None, "completed", None, "find_slots", '{"day":"Tue"}', "nine", "c1"
    )
    assert entry.type == "function_call"


def test_a_status_never_goes_back() -> None:
    play = Playbook().open()
    play >> item("done", message("a1", "incomplete", "Hi"))
    play >> item("added", message("a1"))
    assert play.core.history[0].status == "incomplete"
    assert play.core.history[0].text == "Hi"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": ["x"]},
        {"type": "conversation.item.added"},
        {"type": "conversation.item.added", "item": {"id": ["x"], "type": "message"}},
        {"type": "conversation.item.added", "item": {"id": "x"}},
        {"type": "conversation.item.added", "item": {"id": "x", "type": "message", "content": 5}},
        {"type": "conversation.item.added", "previous_item_id": {},
         "item": {"id": "x", "type": "message"}},
        {"type": "session.updated", "session": None},
        {"type": "error"},
        {"type": "response.created", "response": {}},
        {"type": "response.done", "response": 3},
        spoken_delta("r1", "a1", None),
        {**spoken_delta("r1", "a1", "x"), "content_index": 10**9},
        {**spoken_delta("r1", "a1", "x"), "content_index": -1},
        {"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": "soon"},
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_read_is_told_and_breaks_nothing(event: dict[str, Any]) -> None:
    play = Playbook().open()
    play >> output_item("added", "r1", message("a1"))
    play >> event
    assert [e.code for e in play.told(SessionError)] == ["bad_event"]
    play >> item("added", user_text("x", "fine"))
    assert ids(play) == ["a1", "x"]


def test_events_nobody_knows_are_passed_over() -> None:
    play = Playbook().open()
    play >> {"type": "response.thinking.delta", "delta": 5}
    play >> {"type": "mcp_list_tools.completed", "item_id": "m1"}
    assert not play.last


def test_out_of_band_responses_write_no_history() -> None:
    play = Playbook().open()
    play.do(play.core.create_response, {"conversation": "none"}).begin("r1")
    play >> output_item("added", "r1", message("a1"))
    play >> {**part("r1", "a1"), "type": "response.content_part.added"}
    play >> spoken_delta("r1", "a1", "secret") >> spoken_done("r1", "a1", "secret")
    play >> output_item("done", "r1", message("a1", "completed", "secret"))
    play >> audio_done("r1", "a1")
    assert not play.core.history
    assert not play.ever_told(Transcript)


def test_everything_unknown_about_unknown_things_is_tolerated() -> None:
    play = Playbook().open()
    play >> spoken_delta("r9", "a9", "x") >> audio_done("r9", "a9")
    play >> {"type": "conversation.item.deleted", "item_id": "nobody"}
    play >> {"type": "conversation.item.truncated", "item_id": "nobody", "audio_end_ms": 1}
    play >> {"type": "output_audio_buffer.stopped", "response_id": "r9"}
    play >> created("r9") >> speech_started()
    assert not play.ever_told(SessionError)


def test_words_of_the_caller_come_in_pieces_too() -> None:
    play = Playbook().open()
    play >> item("added", user_audio("u1"))
    for word in ("Are you ", "open"):
        play >> {
            "type": "conversation.item.input_audio_transcription.delta", "item_id": "u1",
            "content_index": 0, "delta": word,
        }  # fmt: skip
        assert play.effects[0].event == TranscriptDelta("user", "u1", word)
    assert texts(play) == [("u1", "Are you open")]
    play >> transcribed("u1", "Are you open?")
    assert texts(play) == [("u1", "Are you open?")]


def test_a_piece_for_a_part_that_was_not_announced_makes_it() -> None:
    play = Playbook().open()
    play >> output_item("added", "r1", message("a1"))
    play >> {**spoken_delta("r1", "a1", "two"), "content_index": 1}
    play >> {**spoken_delta("r1", "a1", "one "), "content_index": 0}
    assert texts(play) == [("a1", "one two")]


def test_an_answer_told_only_by_response_done_is_told() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False)
    play >> output_item("added", "r1", message("a1")) >> spoken_delta("r1", "a1", "Hi")
    play >> done("r1", output=[message("a1", "completed", "Hi")])
    assert play.told(Transcript) == [Transcript("assistant", "a1", "Hi")]
