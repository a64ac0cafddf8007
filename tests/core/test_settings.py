"""The settings machine: minimal updates, compared echoes, the end of the turn."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import (
    TOOLS,
    Playbook,
    done,
    error,
    function_call,
    output_item,
    speech_started,
    speech_stopped,
    transcribed,
    view,
)

from runner.core.effects import Notify, Send
from runner.core.events import (
    Connection,
    Handoff,
    SessionError,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
)
from runner.core.settings import ANSWER_WITHIN, HELD, SENT, SENT_HELD, SETTLED, TABLE
from runner.core.view import AgentView

pytestmark = pytest.mark.quick


def output(**fields: Any) -> dict[str, Any]:
    return {"audio": {"output": fields}}


def apply(
    play: Playbook, over: dict[str, Any], revision: int = 1, *, between: bool = False
) -> Playbook:
    return play.do(play.core.apply, view(over=over), revision, between_turns=between)


def update(play: Playbook) -> dict[str, Any]:
    """The session object of the one update that the last step sent."""
    (event,) = play.sent("session.update")
    return event["session"]


def answering(play: Playbook) -> Playbook:
    play.do(play.core.send_message, "hello")
    return play.begin("r1")


# -- the first update ----------------------------------------------------------------------
def test_the_first_update_goes_with_the_opening_and_has_everything_but_the_model() -> None:
    play = Playbook(view(over={"model": "gpt-realtime", **output(speed=1.1)}))
    play.do(play.core.connected)
    (event,) = play.sent()
    play << [Notify(Connection("connected")), Send(event)]
    assert event["type"] == "session.update"
    session = event["session"]
    assert session["type"] == "realtime"
    assert "model" not in session
    assert session["instructions"] == "You are desk."
    assert session["tools"] == TOOLS
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["audio"]["output"]["speed"] == 1.1
    assert not play.core.ready
    play >> {"type": "session.created", "session": {"id": "sess_1", "instructions": "default"}}
    assert not play.core.ready
    play >> play.echo()
    assert play.core.ready
    assert not play.effects
    assert play.core.effective["instructions"] == "You are desk."


def test_a_null_turns_a_thing_off_in_the_first_update() -> None:
    play = Playbook(view(over={"audio": {"input": {"turn_detection": None}}}))
    play.do(play.core.connected)
    assert update(play)["audio"]["input"]["turn_detection"] is None


def test_a_refused_first_update_is_fatal() -> None:
    play = Playbook()
    play.do(play.core.connected)
    play >> error("invalid_value", play.sent()[0]["event_id"], message="bad voice")
    assert play.told(SessionError) == [
        SessionError("invalid_value", "bad voice", True, play.all_sent[0]["event_id"])
    ]
    assert not play.core.ready


def test_a_server_that_never_answers_the_first_update_is_told_and_used() -> None:
    play = Playbook()
    play.do(play.core.connected)
    assert play.wake == play.now + ANSWER_WITHIN
    play.wait(ANSWER_WITHIN)
    assert [(e.code, e.fatal) for e in play.told(SessionError)] == [("settings_timeout", False)]
    assert play.core.ready


def test_another_transcription_model_in_the_first_echo_is_told_and_used() -> None:
    play = Playbook()
    play.do(play.core.connected)
    play >> play.echo(audio={"input": {"transcription": {"model": "whisper-1"}}})
    assert [(e.code, e.fatal) for e in play.told(SessionError)] == [("echo_mismatch", False)]
    assert "audio.input.transcription" in play.told(SessionError)[0].message
    assert play.core.ready


def test_another_audio_format_in_the_first_echo_is_fatal() -> None:
    play = Playbook()
    play.do(play.core.connected)
    play >> play.echo(audio={"output": {"format": {"type": "audio/pcmu"}}})
    assert [(e.code, e.fatal) for e in play.told(SessionError)] == [("echo_mismatch", True)]


def test_a_session_that_travelled_with_the_offer_is_not_sent_again() -> None:
    play = Playbook()
    play.do(play.core.connected, session_sent=True)
    assert not play.sent()
    session = {"id": "sess_1", **view().settings.wire}
    play >> {"type": "session.created", "session": session}
    assert play.core.ready
    assert not play.sent()


def test_what_the_offer_did_not_bring_is_sent_after_session_created() -> None:
    play = Playbook()
    play.do(play.core.connected, session_sent=True)
    session = {"id": "sess_1", **view().settings.wire, "instructions": "default"}
    play >> {"type": "session.created", "session": session}
    assert update(play) == {"type": "realtime", "instructions": "You are desk."}


# -- what is sent --------------------------------------------------------------------------
def test_only_what_changed_is_sent() -> None:
    play = apply(Playbook().open(), {"instructions": "new"})
    assert update(play) == {"type": "realtime", "instructions": "new"}


def test_union_objects_go_whole() -> None:
    old = {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.4}}}}
    new = {
        "audio": {
            "input": {
                "turn_detection": {"type": "server_vad", "threshold": 0.4, "prefix_padding_ms": 9}
            }
        }
    }
    play = apply(Playbook(view(over=old)).open(), new)
    assert (
        update(play)["audio"]["input"]["turn_detection"] == new["audio"]["input"]["turn_detection"]
    )


def test_a_key_taken_out_of_a_union_object_is_a_change() -> None:
    # The echo, full of defaults, still contains the shorter object.
    old = {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.4}}}}
    play = Playbook(view(over=old)).open()
    apply(play, {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    assert update(play)["audio"]["input"]["turn_detection"] == {"type": "server_vad"}


def test_defaults_that_the_server_adds_are_no_change() -> None:
    play = Playbook()
    play.do(play.core.connected)
    detection = {"type": "semantic_vad", "eagerness": "auto", "create_response": True}
    play >> play.echo(
        audio={"input": {"turn_detection": detection, "noise_reduction": None}, "output": {}},
        tool_choice="auto",
    )
    assert not play.told(SessionError)
    apply(play, {})
    play << [Notify(SettingsApplied(1))]


def test_no_change_is_applied_at_once_even_during_a_turn() -> None:
    play = answering(Playbook().open())
    apply(play, {}, 4)
    play << [Notify(SettingsApplied(4))]


def test_an_agent_without_tools_takes_them_away() -> None:
    play = Playbook().open()
    bare = AgentView("bare", view().settings.merged({"instructions": "x", "tools": []}))
    play.do(play.core.update_agent, bare)
    assert update(play)["tools"] == []


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        (output(speed=1.2), output(speed=1.0)),
        ({"tool_choice": "required"}, {"tool_choice": "auto"}),
        ({"max_output_tokens": 100}, {"max_output_tokens": "inf"}),
        (
            {"audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
            {"audio": {"input": {"noise_reduction": None}}},
        ),
    ],
)
def test_a_field_wanted_no_more_is_turned_off(
    old: dict[str, Any], expected: dict[str, Any]
) -> None:
    play = apply(Playbook(view(over=old)).open(), {})
    assert update(play) == {"type": "realtime", **expected}
    play >> play.echo()
    assert play.told(SettingsApplied) == [SettingsApplied(1)]
    apply(play, {}, 2)
    assert not play.sent()


def test_a_field_absent_from_the_echo_cannot_be_checked_and_is_sent_once() -> None:
    play = Playbook(view(over={"tracing": "auto"})).open()
    session = dict(play.session)
    del session["tracing"]
    play >> {"type": "session.updated", "session": session}
    apply(play, {"tracing": "auto", "instructions": "new"})
    assert update(play) == {"type": "realtime", "instructions": "new"}


def test_the_model_is_never_sent_and_a_new_one_is_deferred() -> None:
    play = Playbook(view(over={"model": "gpt-realtime"})).open()
    apply(play, {"model": "gpt-realtime-2.1"})
    play << [Notify(SettingsApplied(1, ("model",)))]


def test_an_unchanged_voice_is_never_sent() -> None:
    play = apply(Playbook().open(), {**output(voice="marin"), "instructions": "new"})
    assert "audio" not in update(play)


def test_the_voice_changes_until_the_agent_was_heard() -> None:
    play = apply(Playbook().open(), output(voice="cedar"))
    assert update(play) == {"type": "realtime", **output(voice="cedar")}
    play >> play.echo()
    play = answering(play).speak().drained()
    apply(play, {**output(voice="ash"), "instructions": "new"}, 2)
    assert update(play) == {"type": "realtime", "instructions": "new"}
    play >> play.echo()
    assert play.told(SettingsApplied) == [SettingsApplied(2, ("audio.output.voice",))]


def test_a_voice_alone_that_cannot_change_is_applied_and_deferred() -> None:
    play = answering(Playbook().open()).speak().drained()
    apply(play, output(voice="ash"))
    play << [Notify(SettingsApplied(1, ("audio.output.voice",)))]


def test_a_voice_overtaken_by_the_first_audio_does_not_cost_the_rest() -> None:
    play = answering(Playbook().open())
    apply(play, {**output(voice="ash"), "instructions": "new"})
    play >> error("cannot_update_voice", play.sent()[0]["event_id"])
    assert update(play) == {"type": "realtime", "instructions": "new"}
    play >> play.echo(audio={"output": {"voice": "marin"}})
    assert play.told(SettingsApplied) == [SettingsApplied(1, ("audio.output.voice",))]
    assert not play.ever_told(SessionError)


def test_a_trace_that_runs_is_left_alone() -> None:
    play = apply(Playbook(view(over={"tracing": "auto"})).open(), {"tracing": None})
    play << [Notify(SettingsApplied(1, ("tracing",)))]


# -- answers -------------------------------------------------------------------------------
def test_applied_means_echoed() -> None:
    play = apply(Playbook().open(), {"instructions": "new"}, 3)
    assert not play.told(SettingsApplied)
    assert play.core.view.settings.get("instructions") == "You are desk."
    play >> play.echo()
    assert play.told(SettingsApplied) == [SettingsApplied(3)]
    assert play.core.view.settings.get("instructions") == "new"


def test_an_error_with_our_event_id_is_a_refusal() -> None:
    play = apply(Playbook().open(), {"instructions": "new"}, 3)
    play >> error("invalid_value", play.sent()[0]["event_id"], message="too long")
    play << [Notify(SettingsRefused(3, "invalid_value", "too long"))]
    assert play.core.effective["instructions"] == "You are desk."
    assert play.core.view.settings.get("instructions") == "You are desk."
    apply(play, {}, 4)
    assert play.told(SettingsApplied) == [SettingsApplied(4)]


def test_an_error_without_event_id_that_names_the_session_is_one_too() -> None:
    play = apply(Playbook().open(), {"instructions": "new"}, 3)
    play >> error("invalid_value", param="session.instructions")
    assert [e.revision for e in play.told(SettingsRefused)] == [3]


def test_an_echo_that_says_something_else_is_a_mismatch() -> None:
    play = apply(Playbook().open(), {"instructions": "new", "tool_choice": "required"}, 3)
    play >> play.echo(instructions="You are desk.")
    (refused,) = play.told(SettingsRefused)
    assert (refused.revision, refused.code) == (3, "echo_mismatch")
    assert "instructions" in refused.message
    assert "tool_choice" not in refused.message
    assert not play.sent()  # and it is not tried again by itself


def test_no_echo_in_time_is_a_refusal() -> None:
    play = apply(Playbook().open(), {"instructions": "new"}, 3)
    assert play.wake == play.now + ANSWER_WITHIN
    play.wait(ANSWER_WITHIN)
    assert [(e.revision, e.code) for e in play.told(SettingsRefused)] == [(3, "timeout")]


def test_the_late_echo_of_an_update_given_up_does_not_answer_the_next() -> None:
    play = apply(Playbook().open(), {"instructions": "one"}, 1)
    late = play.echo()
    play.wait(ANSWER_WITHIN)
    apply(play, {"instructions": "two"}, 2)
    play >> late
    assert not play.told(SettingsRefused)
    play >> play.echo()
    assert play.told(SettingsApplied) == [SettingsApplied(2)]


def test_the_late_error_of_an_update_given_up_is_not_told_twice() -> None:
    play = apply(Playbook().open(), {"instructions": "one"}, 1)
    sent = play.sent()[0]
    play.wait(ANSWER_WITHIN)
    play >> error("invalid_value", sent["event_id"])
    assert not play.effects


def test_one_update_at_a_time_and_the_newest_wins() -> None:
    play = apply(Playbook().open(), {"instructions": "one"}, 1)
    echo = play.echo()
    apply(play, {"instructions": "two"}, 2)
    assert not play.sent()
    apply(play, {"instructions": "three"}, 3)
    assert not play.sent()
    play >> echo
    assert play.told(SettingsApplied) == [SettingsApplied(1)]
    assert update(play)["instructions"] == "three"
    play >> play.echo()
    # The newest carries the one it replaced: nobody who waits by number waits forever.
    assert play.told(SettingsApplied) == [SettingsApplied(2), SettingsApplied(3)]
    assert len(play.ever_sent("session.update")) == 3


def test_an_update_of_the_program_on_the_raw_line_is_taken_in() -> None:
    play = Playbook().open()
    play >> play.echo(instructions="raw")
    assert not play.effects
    apply(play, {}, 1)  # our own settings are wanted again
    assert update(play) == {"type": "realtime", "instructions": "You are desk."}


def test_what_waits_is_refused_when_the_line_goes() -> None:
    play = apply(Playbook().open(), {"instructions": "one"}, 1)
    apply(play, {"instructions": "two"}, 2)
    play.do(play.core.disconnected, reason="reset")
    assert [(e.revision, e.code) for e in play.told(SettingsRefused)] == [
        (1, "disconnected"),
        (2, "disconnected"),
    ]


# -- between turns -------------------------------------------------------------------------
def test_between_turns_goes_at_once_when_nothing_runs() -> None:
    play = apply(Playbook().open(), {"instructions": "new"}, between=True)
    assert update(play)["instructions"] == "new"
    assert not play.told(SettingsPending)


def test_it_waits_for_the_response_and_for_its_audio() -> None:
    play = answering(Playbook().open())
    apply(play, {"instructions": "new"}, 5, between=True)
    play << [Notify(SettingsPending(5))]
    play.speak()
    assert len(play.ever_sent("session.update")) == 1
    play.heard("a1", 500) >> {"type": "rate_limits.updated", "rate_limits": []}
    assert len(play.ever_sent("session.update")) == 1
    play.drained()
    assert update(play)["instructions"] == "new"
    assert len(play.ever_told(SettingsPending)) == 1
    play >> play.echo()
    assert play.told(SettingsApplied) == [SettingsApplied(5)]


def test_it_waits_for_the_caller_and_for_the_answer_that_is_owed() -> None:
    play = Playbook().open()
    play >> speech_started()
    apply(play, {"instructions": "new"}, between=True)
    assert play.told(SettingsPending)
    play >> speech_stopped()
    play >> transcribed("u1", "hello")
    assert not play.ever_sent("session.update")[1:]
    play.begin("r1", ours=False).speak().drained()
    assert update(play)["instructions"] == "new"


def test_a_cough_that_nobody_answers_does_not_hold_it_forever() -> None:
    play = Playbook().open()
    play >> speech_started()
    apply(play, {"instructions": "new"}, between=True)
    play >> speech_stopped()
    assert play.wake is not None
    play.wait(play.wake - play.now)
    assert update(play)["instructions"] == "new"


def test_it_waits_for_tools() -> None:
    play = answering(Playbook().open())
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots")) >> done("r1")
    apply(play, {"instructions": "new"}, between=True)
    assert play.told(SettingsPending)
    play.do(play.core.tool_finished, "c1", "nine")
    assert [e["type"] for e in play.sent()] == ["conversation.item.create", "response.create"]
    play.begin("r2").speak("r2", "a2").drained()
    assert update(play)["instructions"] == "new"


def test_it_waits_for_a_request_that_has_no_response_yet() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    apply(play, {"instructions": "new"}, between=True)
    assert play.told(SettingsPending)
    assert not play.sent()


def test_immediately_does_not_wait() -> None:
    play = answering(Playbook().open())
    apply(play, {"instructions": "new"})
    assert update(play)["instructions"] == "new"


def test_the_speed_never_changes_during_a_response() -> None:
    play = answering(Playbook().open())
    apply(play, {"instructions": "new", **output(speed=1.3)}, 6)
    assert update(play) == {"type": "realtime", "instructions": "new"}
    assert play.told(SettingsPending) == [SettingsPending(6)]
    play >> play.echo()
    assert not play.told(SettingsApplied)
    play >> done("r1")
    assert update(play) == {"type": "realtime", **output(speed=1.3)}
    play >> play.echo()
    assert play.told(SettingsApplied) == [SettingsApplied(6)]


def test_a_speed_alone_waits_for_the_response() -> None:
    play = answering(Playbook().open())
    apply(play, output(speed=1.3), 6)
    assert not play.sent()
    assert play.told(SettingsPending)
    play >> done("r1")
    assert update(play) == {"type": "realtime", **output(speed=1.3)}


def test_a_refusal_of_the_first_half_drops_the_speed() -> None:
    play = answering(Playbook().open())
    apply(play, {"instructions": "new", **output(speed=1.3)}, 6)
    play >> error("invalid_value", play.sent()[0]["event_id"])
    assert [e.revision for e in play.told(SettingsRefused)] == [6]
    play >> done("r1")
    assert not play.sent()
    assert play.core._settings.state == SETTLED


def test_a_held_revision_goes_along_with_a_handoff() -> None:
    play = answering(Playbook().open())
    apply(play, {"instructions": "new"}, 5, between=True)
    play >> output_item("done", "r1", function_call("f1", "c1", "transfer_to_billing"))
    play.do(play.core.agent_ready, view("billing"), "c1")
    assert update(play)["instructions"] == "You are billing."
    play >> play.echo()
    assert play.told(SettingsApplied) == [SettingsApplied(5)]


def test_a_later_patient_revision_does_not_hold_a_handoff_back() -> None:
    play = answering(Playbook().open())
    apply(play, {"instructions": "on the wire"}, 4)
    echo = play.echo()
    play >> output_item("done", "r1", function_call("f1", "c1", "transfer_to_billing"))
    play.do(play.core.agent_ready, view("billing"), "c1")
    play.do(play.core.apply, view("billing", {"instructions": "b2"}), 5, between_turns=True)
    play >> echo
    assert update(play)["instructions"] == "b2"
    assert play.core.agent == "billing"


# -- switches by the program ---------------------------------------------------------------
def test_update_agent_switches_at_once() -> None:
    play = answering(Playbook().open())
    play.do(play.core.update_agent, view("billing"))
    assert play.told(Handoff) == [Handoff("desk", "billing")]
    assert update(play)["instructions"] == "You are billing."
    assert not play.sent("response.create")
    assert play.core.agent == "billing"
    play >> play.echo()
    assert not play.effects


def test_a_refused_switch_goes_back() -> None:
    play = Playbook().open()
    play.do(play.core.update_agent, view("billing"))
    play >> error("invalid_value", play.sent()[0]["event_id"])
    assert play.core.agent == "desk"
    assert play.told(Handoff) == [Handoff("billing", "desk")]


def test_a_switch_during_a_handoff_answers_its_call() -> None:
    play = answering(Playbook().open())
    apply(play, {"instructions": "on the wire"}, 4)
    play >> output_item("done", "r1", function_call("f1", "c1", "transfer_to_billing"))
    play.do(play.core.agent_ready, view("billing"), "c1")
    play.do(play.core.update_agent, view("sales"))
    outputs = [e["item"]["output"] for e in play.sent("conversation.item.create")]
    assert outputs == ['{"assistant":"sales"}']
    assert play.core.agent == "sales"


def test_the_handoffs_of_an_edited_file_count_without_wire_traffic() -> None:
    play = Playbook().open()
    edited = AgentView("desk", view().settings, {"transfer_to_billing": "accounts"})
    play.do(play.core.apply, edited, 1, between_turns=True)
    assert not play.sent()
    assert play.core.view.handoffs == {"transfer_to_billing": "accounts"}


def test_the_table_names_only_states_it_has() -> None:
    assert set(TABLE.values()) | {s for s, _ in TABLE} == {SETTLED, HELD, SENT, SENT_HELD}
