"""Every constructor makes what OpenAI's types take, and together they cover the voice session."""

from __future__ import annotations

import pytest
from support.openai_types import check_types, server_types

from runner.audio.formats import PCM16
from runner.engine.wire import (
    Items,
    ResponseParams,
    Settings,
    WireError,
    events,
    failure,
    response_object,
    usage,
)
from runner.engine.wire import errors as wire_errors

pytestmark = pytest.mark.quick

NOT_MADE = {"conversation.item.created"}
"""The beta's name."""


def params(**more) -> ResponseParams:
    return ResponseParams.parse(more or None, Settings("m", "s"), Items())


def response(**more):
    return response_object("resp_1", params(), "conv_1", **more)


def all_events():
    items = Items()
    user = items.add_user_audio("item_u", b"\0\0" * 2400, PCM16)
    call = items.start_call("item_c", "call_1", "f")
    session = Settings("gpt-realtime", "sess_1").effective()
    out = events.Output("resp_1", "item_c", 0)
    spent = usage.Usage(input_text=3, output_text=2)
    return [
        events.session_created(session),
        events.session_updated(session),
        events.conversation_created("conv_1"),
        events.error(WireError("no", code="invalid_value", event_id="e")),
        events.rate_limits_updated(39_000, 40_000),
        events.conversation_item_added(user, None),
        events.conversation_item_done(user, "item_x"),
        events.conversation_item_deleted("item_u"),
        events.conversation_item_retrieved(items.retrieve("item_u")),
        events.conversation_item_truncated("item_a", 0, 100),
        events.transcription_delta("item_u", "Hel"),
        events.transcription_completed("item_u", "Hello", usage.transcription("gpt", 900, "Hello")),
        events.transcription_completed("item_u", "Hello", usage.transcription("whisper-1", 9, "")),
        events.transcription_segment("item_u", "Hello", 0.0, 0.9, "A"),
        events.transcription_failed("item_u", "no"),
        events.input_audio_buffer_speech_started("item_u", 100),
        events.input_audio_buffer_speech_stopped("item_u", 900),
        events.input_audio_buffer_committed("item_u", None),
        events.input_audio_buffer_cleared(),
        events.input_audio_buffer_timeout_triggered("item_u", 100, 6100),
        events.input_audio_buffer_dtmf_event_received("5", 1_800_000_000),
        events.output_audio_buffer_started("resp_1"),
        events.output_audio_buffer_stopped("resp_1"),
        events.output_audio_buffer_cleared("resp_1"),
        events.response_created(response()),
        events.response_done(response(status="completed", output=[call], usage=spent)),
        out.added(call),
        out.done(call),
        *(events.mcp_list_tools(step, "item_l") for step in ("in_progress", "completed", "failed")),
        out.mcp_arguments_delta("{"),
        out.mcp_arguments_done("{}"),
        *(out.mcp_call(step) for step in ("in_progress", "completed", "failed")),
        out.part_added("audio"),
        out.part_added("text"),
        out.part_done("audio", "Hello"),
        out.part_done("text", "Hello"),
        out.audio_delta(b"\0\0"),
        out.audio_done(),
        out.transcript_delta("Hel"),
        out.transcript_done("Hello"),
        out.text_delta("Hel"),
        out.text_done("Hello"),
        out.arguments_delta("call_1", "{"),
        out.arguments_done("call_1", "f", "{}"),
    ]


@pytest.mark.parametrize("event", all_events(), ids=lambda e: e["type"])
def test_openais_types_take_it(event):
    check_types(event)


def test_every_event_of_a_voice_session_can_be_made():
    assert {e["type"] for e in all_events()} == set(server_types()) - NOT_MADE


def test_every_event_has_an_id_of_its_own():
    ids = [e["event_id"] for e in all_events() if "event_id" in e]
    assert len(ids) == len(set(ids)) == len(all_events()) - 1


def test_a_part_begins_as_the_service_sends_it():
    part = events.Output("r", "i", 0).part_added("audio")["part"]
    assert part == {"type": "audio", "transcript": ""}


def test_a_created_response_is_empty():
    created = response()
    assert created["status"] == "in_progress"
    assert created["output"] == []
    assert created["usage"] is created["status_details"] is created["metadata"] is None
    assert created["conversation_id"] == "conv_1"


@pytest.mark.parametrize(
    ("more", "details"),
    [
        ({"status": "completed"}, None),
        (
            {"status": "cancelled", "reason": "turn_detected"},
            {"type": "cancelled", "reason": "turn_detected"},
        ),
        (
            {"status": "incomplete", "reason": "max_output_tokens"},
            {"type": "incomplete", "reason": "max_output_tokens"},
        ),
        (
            {"status": "failed", "error": failure("brain_unreachable", "no answer")},
            {
                "type": "failed",
                "error": {
                    "type": "server_error",
                    "code": "brain_unreachable",
                    "message": "no answer",
                },
            },
        ),
    ],
)
def test_the_ends_of_a_response(more, details):
    done = response(usage=usage.Usage(), **more)
    assert done["status_details"] == details
    check_types(events.response_done(done))


def test_out_of_band_has_no_conversation_and_metadata_comes_back():
    asked = params(conversation="none", metadata={"a": "b"}, output_modalities=["text"])
    made = response_object("resp_1", asked, "conv_1")
    assert made["conversation_id"] is None
    assert made["metadata"] == {"a": "b"}
    assert made["output_modalities"] == ["text"]


@pytest.mark.parametrize(
    ("error", "code", "begins"),
    [
        (
            wire_errors.active_response("resp_9"),
            "conversation_already_has_active_response",
            "Conversation already has an active response in progress: resp_9.",
        ),
        (
            wire_errors.cancel_not_active(),
            "response_cancel_not_active",
            "Cancellation failed: no active response found",
        ),
        (
            wire_errors.commit_empty(12.5),
            "input_audio_buffer_commit_empty",
            "Error committing input audio buffer: buffer too small. Expected at least 100ms of "
            "audio, but buffer only has 12.50ms of audio.",
        ),
        (wire_errors.session_expired(), "session_expired", "Your session hit the maximum"),
    ],
)
def test_the_errors_that_clients_know(error, code, begins):
    event = error.about("e1").event()
    check_types(event)
    assert event["error"]["code"] == code
    assert event["error"]["event_id"] == "e1"
    assert event["error"]["message"].startswith(begins)


def test_a_fault_of_ours_says_so():
    assert wire_errors.server_error("oh").event()["error"]["type"] == "server_error"
