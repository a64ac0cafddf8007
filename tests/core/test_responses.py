"""The response queue: one in flight, collisions retried, a deadline on every request."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import Playbook, created, done, error, speech_stopped

from runner.core.events import AgentStart, SessionError
from runner.core.responses import (
    ASKED,
    COLLIDED,
    COLLISION_RETRIES,
    CREATED_WITHIN,
    FREE,
    REQUEST_KEY,
    RUNNING,
    STALLED_AFTER,
    TABLE,
)

pytestmark = pytest.mark.quick

ACTIVE = "conversation_already_has_active_response"


def creates(play: Playbook) -> list[Any]:
    return play.ever_sent("response.create")


def test_a_request_goes_at_once_and_carries_its_mark_and_an_event_id() -> None:
    play = Playbook().open()
    play.do(play.core.create_response, {"instructions": "x", "metadata": {"mine": "1"}})
    (sent,) = play.sent("response.create")
    assert sent["event_id"]
    assert sent["response"]["instructions"] == "x"
    assert sent["response"]["metadata"]["mine"] == "1"
    assert sent["response"]["metadata"][REQUEST_KEY]


def test_the_params_of_the_program_are_not_changed() -> None:
    play = Playbook().open()
    params = {"metadata": {"mine": "1"}}
    play.do(play.core.create_response, params)
    assert params == {"metadata": {"mine": "1"}}


def test_only_one_is_in_flight() -> None:
    play = Playbook().open()
    play.do(play.core.create_response, None).do(play.core.create_response, None)
    assert len(creates(play)) == 1
    play.begin("r1")
    assert len(creates(play)) == 1
    play >> done("r1")
    assert len(creates(play)) == 2


def test_auto_requests_coalesce_and_manual_ones_never() -> None:
    """WS44: a request with a payload of its own stays separate from the automatic one, in order."""
    play = Playbook().open()
    play.do(play.core.create_response, {"instructions": "one"})
    play.do(play.core.send_message, "a").do(play.core.send_message, "b")
    play.do(play.core.create_response, {"instructions": "two"})
    play.do(play.core.say, "three")
    play.do(play.core.send_message, "c").do(play.core.send_message, "d")
    for n in range(8):
        if len(creates(play)) == n:
            break
        play.begin(f"r{n}") >> done(f"r{n}")
    said = [s["response"].get("instructions", "auto") for s in creates(play)]
    assert said[:3] == ["one", "auto", "two"]
    assert said[3].endswith("three")
    assert said[4:] == ["auto"]


def test_an_auto_request_made_after_the_one_in_flight_gets_its_own_response() -> None:
    """WS40: two messages at once: item, request, item; the second request waits for its turn."""
    play = Playbook().open()
    play.do(play.core.send_message, "a").do(play.core.send_message, "b")
    play.begin("r1") >> done("r1")
    assert len(creates(play)) == 2


def test_a_collision_is_retried_after_response_done() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    first = creates(play)[0]
    play.begin("r_vad", ours=False)
    play >> error(ACTIVE, first["event_id"])
    assert not play.told(SessionError)
    assert len(creates(play)) == 1
    play >> done("r_vad")
    assert len(creates(play)) == 2
    second = creates(play)[1]
    assert second["event_id"] != first["event_id"]
    play.begin("r1")
    play.wait(CREATED_WITHIN + 1)
    assert not play.ever_told(SessionError)


def test_the_servers_own_response_is_not_taken_for_ours() -> None:
    # The anchor's hole: the VAD response accepted our request, whose later error was ignored.
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    play.begin("r_vad", ours=False) >> done("r_vad")
    assert len(creates(play)) == 1  # it may still be accepted
    play >> error(ACTIVE, creates(play)[0]["event_id"])
    play.wait(1.0)
    assert len(creates(play)) == 2


def test_a_collision_without_event_id_is_understood() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r_vad", ours=False)
    play >> error(ACTIVE) >> done("r_vad")
    assert len(creates(play)) == 2


def test_an_error_of_others_without_event_id_has_nothing_said_twice() -> None:
    """Somebody else's request collided with ours, and the server does not say whose it was."""
    play = Playbook().open()
    play.do(play.core.say, "hello")
    play >> error(ACTIVE)
    play.begin("r1")
    assert play.told(AgentStart)
    play >> done("r1")
    play.wait(2.0)
    assert len(creates(play)) == 1
    assert not play.core.busy


def test_a_collision_with_a_response_we_never_saw_waits_a_moment() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    play >> error(ACTIVE, creates(play)[0]["event_id"])
    assert len(creates(play)) == 1
    assert play.wake is not None
    assert play.wake > play.now
    play.wait(play.wake - play.now)
    assert len(creates(play)) == 2


def test_collisions_are_retried_a_bounded_number_of_times() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    for _ in range(COLLISION_RETRIES + 1):
        play >> error(ACTIVE, creates(play)[-1]["event_id"])
        play.wait(1.0)
    assert len(creates(play)) == COLLISION_RETRIES + 1
    assert [e.code for e in play.ever_told(SessionError)] == [ACTIVE]


def test_however_often_others_are_faster_the_answer_comes() -> None:
    play = Playbook().open()
    play.do(play.core.say, "This must be said.")
    for n in range(COLLISION_RETRIES * 4):
        refusal = error(ACTIVE, creates(play)[-1]["event_id"])
        play.begin(f"other{n}", ours=False)
        if n % 2:  # the refusal comes before the end of what was in the way, or behind it
            play >> refusal >> done(f"other{n}")
        else:
            play >> done(f"other{n}") >> refusal
            play.wait(1.0)
        assert len(creates(play)) == n + 2
    play.begin("ours") >> done("ours")
    assert not play.ever_told(SessionError)
    assert not play.core.busy


def test_a_request_that_is_wrong_is_told_and_not_repeated() -> None:
    """WS43: a refusal that names our event releases the next request."""
    play = Playbook().open()
    play.do(play.core.create_response, {"max_output_tokens": -1})
    play.do(play.core.create_response, None)
    play >> error("invalid_value", creates(play)[0]["event_id"])
    (problem,) = play.told(SessionError)
    assert problem.code == "invalid_value"
    assert problem.event_id == creates(play)[0]["event_id"]
    assert len(creates(play)) == 2  # the queue goes on


def test_a_server_error_is_retried_once() -> None:
    play = Playbook().open()
    play.do(play.core.create_response, None)
    play >> error("oops", creates(play)[0]["event_id"], type="server_error")
    play.wait(1.0)
    play >> error("oops", creates(play)[1]["event_id"], type="server_error")
    play.wait(1.0)
    assert len(creates(play)) == 2
    assert len(play.ever_told(SessionError)) == 1


def test_errors_of_others_do_not_touch_the_queue() -> None:
    """SQ3, SQ5: only an error that names our event, or this kind of request, clears it."""
    play = Playbook().open()
    play.do(play.core.create_response, None)
    play >> error("invalid_value", "somebody_else")
    play.do(play.core.create_response, None)
    assert len(creates(play)) == 1


def test_no_answer_within_the_deadline_is_told_and_the_queue_goes_on() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "a")
    assert play.wake == play.now + CREATED_WITHIN
    play.do(play.core.create_response, {"instructions": "next"})
    play.wait(CREATED_WITHIN - 0.1)
    assert not play.ever_told(SessionError)
    play.wait(0.1)
    assert [e.code for e in play.told(SessionError)] == ["response_timeout"]
    assert len(play.sent("response.create")) == 1


def test_an_orphan_is_cancelled_when_it_shows_up_and_nothing_of_it_sounds() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "a")
    metadata = creates(play)[0]["response"]["metadata"]
    play.wait(CREATED_WITHIN)
    play >> created("r_late", metadata=metadata)
    assert [c["response_id"] for c in play.sent("response.cancel")] == ["r_late"]
    assert play.audio("r_late", "a1", 100) is False
    play.do(play.core.send_message, "b")
    assert not play.sent("response.create")
    play >> done("r_late", "cancelled")
    assert len(play.sent("response.create")) == 1


def test_a_late_error_of_a_request_given_up_is_not_told_twice() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "a")
    play.wait(CREATED_WITHIN)
    play >> error(ACTIVE, creates(play)[0]["event_id"])
    assert not play.told(SessionError)


def test_a_server_that_does_not_echo_metadata_is_found_out_once() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "a")
    play.begin("r1", ours=False) >> done("r1")
    play.wait(CREATED_WITHIN)
    assert not play.ever_told(SessionError)
    play.do(play.core.send_message, "b").begin("r2", ours=False) >> done("r2")
    play.do(play.core.send_message, "c")
    assert len(play.sent("response.create")) == 1


def test_out_of_band_requests_leave_the_conversation_free() -> None:
    play = Playbook().open()
    play.do(play.core.create_response, {"conversation": "none"})
    play.begin("r_side")
    play.do(play.core.send_message, "hello")
    assert len(play.sent("response.create")) == 1


def test_a_request_waits_for_a_response_of_the_server() -> None:
    play = Playbook().open()
    play >> speech_stopped()
    play.begin("r_vad", ours=False)
    play.do(play.core.send_message, "hello")
    assert not creates(play)
    play >> done("r_vad")
    assert len(creates(play)) == 1


def test_repeated_created_and_done_change_nothing() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "a").begin("r1")
    play.begin("r1")
    assert not play.effects
    play >> done("r1") >> done("r1")
    play.begin("r1")
    assert len(play.ever_told(AgentStart)) == 1
    assert not play.core.busy


def test_done_without_created_counts_as_both() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "a")
    metadata = creates(play)[0]["response"]["metadata"]
    play >> done("r1", metadata=metadata)
    play.do(play.core.send_message, "b")
    assert len(play.sent("response.create")) == 1


def test_a_response_from_which_nothing_comes_is_given_up() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "a").begin("r1")
    play.pass_time(STALLED_AFTER - 1)
    play >> {"type": "rate_limits.updated", "rate_limits": []}
    play.wait(2)
    assert not play.ever_told(SessionError)
    assert play.wake is not None
    play.wait(play.wake - play.now)
    assert [e.code for e in play.told(SessionError)] == ["response_stalled"]
    assert play.sent("response.cancel")
    play.do(play.core.send_message, "b")
    assert len(play.sent("response.create")) == 1


def test_interrupt_takes_back_a_request_that_has_no_response_yet() -> None:
    """The response is cancelled as soon as it shows up."""
    play = Playbook().open()
    play.do(play.core.send_message, "a").do(play.core.interrupt)
    play.begin("r1")
    assert [c["response_id"] for c in play.sent("response.cancel")] == ["r1"]
    assert play.audio("r1", "a1", 100) is False


def test_nothing_is_sent_off_line() -> None:
    """SQ2: a request that cannot be sent is told, and the queue is free on the next line."""
    play = Playbook()
    play.do(play.core.send_message, "a")
    assert not play.sent()
    assert [e.code for e in play.told(SessionError)] == ["not_connected"]
    play.open().do(play.core.send_message, "b")
    play.do(play.core.disconnected, reason="reset")
    play.do(play.core.say, "c")
    assert not play.sent()


def test_the_table_names_only_states_it_has() -> None:
    states = {FREE, ASKED, RUNNING, COLLIDED}
    assert set(TABLE.values()) <= states
    assert {state for state, _ in TABLE} == states


# -- the SDK's own cases ---------------------------------------------------------------------------
def test_two_messages_at_once_on_the_wire() -> None:
    """WS40: item, request, item; the second request when the first answer is done."""
    play = Playbook().open()
    play.all_sent.clear()
    play.do(play.core.send_message, "a").do(play.core.send_message, "b")
    item, create = "conversation.item.create", "response.create"
    assert [event["type"] for event in play.all_sent] == [item, create, item]
    play.begin("r1") >> done("r1")
    assert [event["type"] for event in play.all_sent] == [item, create, item, create]


def test_a_request_of_the_program_waits_and_keeps_its_payload() -> None:
    """WS42: while a turn runs; then it goes as it was given."""
    play = Playbook().open()
    play.begin("r_vad", ours=False)
    play.do(play.core.create_response, {"instructions": "x", "tool_choice": "none"})
    assert not creates(play)
    play >> done("r_vad")
    (sent,) = creates(play)
    assert sent["response"]["instructions"] == "x"
    assert sent["response"]["tool_choice"] == "none"


def test_after_a_refusal_the_messages_behind_it_are_one_request() -> None:
    """WS45: those that the refused request would have answered too."""
    play = Playbook().open()
    for words in "abc":
        play.do(play.core.send_message, words)
    play >> error("invalid_value", creates(play)[0]["event_id"])
    assert len(creates(play)) == 2
    play.begin("r1") >> done("r1")
    assert len(creates(play)) == 2


def test_a_cycle_with_a_cancel() -> None:
    """SQ1: ids of their own, free again at the end, and one cancel however often one asks."""
    play = Playbook().open()
    play.do(play.core.create_response, None)
    assert play.core.busy
    play.begin("r1")
    play.do(play.core.interrupt).do(play.core.interrupt)
    assert len(play.ever_sent("response.cancel")) == 1
    play >> done("r1", "cancelled")
    assert not play.core.busy
    play.do(play.core.create_response, None)
    one, two = creates(play)
    assert one["event_id"] != two["event_id"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (ACTIVE, "there is one"),
        ("response.create_failed", "no"),
        ("invalid_value", "response.create cannot be carried out"),
    ],
)
def test_an_error_that_names_no_event_but_the_request(code: str, message: str) -> None:
    """SQ4: by its code or by its message it ends the request that is on the wire."""
    play = Playbook().open()
    play.do(play.core.create_response, {"instructions": "one"})
    play.do(play.core.create_response, {"instructions": "two"})
    play >> error(code, message=message)
    play.wait(1.0)
    assert len(creates(play)) == 2


def test_what_waits_goes_with_the_line() -> None:
    """SQ5: at the end of the call nothing that was queued is sent."""
    play = Playbook().open()
    play.do(play.core.create_response, None).do(play.core.create_response, None)
    play.do(play.core.disconnected, reason="closed")
    play.open()
    assert len(creates(play)) == 1
