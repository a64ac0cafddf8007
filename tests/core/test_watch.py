"""From a lost line to the next: what is told again, what is asked for again, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import (
    Event,
    Playbook,
    created,
    done,
    error,
    function_call,
    item,
    message,
    output_item,
    speech_started,
    speech_stopped,
    spoken_delta,
    text_delta,
    transcribed,
    user_audio,
    user_text,
    view,
)

from runner.core.effects import FlushAudio, RunTool
from runner.core.events import (
    AgentEnd,
    Connection,
    Handoff,
    Interrupted,
    SessionError,
    SettingsApplied,
    SettingsRefused,
    ToolApproval,
    TurnEnd,
)
from runner.core.replay import GO_ON, cut_text, items_of
from runner.core.view import AgentView, Rules
from runner.core.watch import UNAPPROVED

pytestmark = pytest.mark.quick


def lose(play: Playbook, reason: str = "the connection broke") -> Playbook:
    return play.do(play.core.disconnected, reason=reason, away=True)


def next_line(play: Playbook) -> Playbook:
    """The next line, up to its echo; ``sent`` shows what it was told first."""
    play.session = {"id": "sess_2"}
    return play.do(play.core.connected)


def replayed(play: Playbook) -> list[Event]:
    return [e["item"] for e in play.sent("conversation.item.create")]


def words(items: list[Event]) -> list[tuple[str, str]]:
    return [(i["role"], i["content"][0]["text"]) for i in items if i["type"] == "message"]


def typed(play: Playbook, text: str) -> Playbook:
    """A typed turn that the server has confirmed."""
    play.do(play.core.send_message, text)
    name = play.sent("conversation.item.create")[0]["item"]["id"]
    return play >> item("done", user_text(name, text))


def calling(play: Playbook, name: str = "find_slots", call: str = "c1") -> Playbook:
    return play >> output_item("done", "r1", function_call(f"f_{call}", call, name))


# -- the history ---------------------------------------------------------------------------
def test_the_next_line_gets_the_settings_and_then_the_history_in_order() -> None:
    play = typed(Playbook().open(), "My name is Ada.")
    play.begin("r1").speak("r1", "a1", text="Hello Ada.").drained()
    play >> speech_started("u2") >> speech_stopped("u2") >> item("added", user_audio("u2"))
    play >> transcribed("u2", "Are you open?")
    play.begin("r2", ours=False).speak("r2", "a2", text="We are.").drained()
    lose(play)
    assert play.told(Connection) == [Connection("reconnecting", "the connection broke")]
    next_line(play)
    assert play.sent()[0]["type"] == "session.update"
    assert words(replayed(play)) == [
        ("user", "My name is Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Are you open?"),
        ("assistant", "We are."),
    ]
    assert play.told(Connection) == [Connection("connected")]
    assert not play.sent("response.create")  # nothing was owed


def test_the_line_is_whole_when_every_item_was_confirmed() -> None:
    play = typed(Playbook().open(), "one")
    play.begin("r1").speak("r1", "a1").drained()
    next_line(lose(play))
    first, second = replayed(play)
    play >> play.echo()
    assert play.core.ready
    assert not play.core.whole
    before = play.core.history
    play >> item("added", {**first, "status": "completed"}, previous_item_id=None)
    assert not play.core.whole
    play >> item("added", {**second, "status": "completed"}, previous_item_id=first["id"])
    assert play.core.whole
    assert [i.item_id for i in play.core.history] == [i.item_id for i in before]
    assert [i.text for i in play.core.history] == ["one", "We are open."]
    assert len(play.core.history) == 2


def test_an_item_that_the_next_line_refuses_does_not_hold_it_up() -> None:
    play = typed(Playbook().open(), "one")
    next_line(lose(play))
    play >> play.echo()
    (event,) = play.ever_sent("conversation.item.create")[-1:]
    play >> error("invalid_value", event["event_id"])
    assert play.core.whole


def test_of_an_answer_that_was_cut_the_words_are_told_that_were_heard() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello", respond=True).begin("r1")
    play.speak("r1", "a1", ms=1000, text="We are open every day of the week.")
    play.heard("a1", 500) >> speech_started()
    play >> item("done", user_text("u1", "x"))
    next_line(lose(play))
    assert ("assistant", "We are open every") not in words(replayed(play))
    assert ("assistant", "We are open") in words(replayed(play))


@pytest.mark.parametrize(
    ("share", "left"),
    [(1.0, "one two three"), (0.99, "one two"), (0.5, "one"), (0.1, ""), (0.0, ""), (-1, "")],
)
def test_a_word_that_was_being_spoken_counts_as_not_heard(share: float, left: str) -> None:
    assert cut_text("one two three", share) == left


def test_a_call_goes_with_its_output_and_one_without_waits() -> None:
    play = typed(Playbook().open(), "slots?")
    play.begin("r1")
    calling(play, call="c1")
    calling(play, "book_slot", "c2")
    play.do(play.core.tool_finished, "c1", output="nine")
    next_line(lose(play))
    kinds = [(i["type"], i.get("call_id")) for i in replayed(play)[1:]]
    assert kinds == [
        ("function_call", "c1"),
        ("function_call_output", "c1"),
        ("function_call", "c2"),
    ]
    assert not play.sent("response.create")  # both outputs first
    play.do(play.core.tool_finished, "c2", output="booked")
    assert [i["call_id"] for i in replayed(play)] == ["c2"]
    assert len(play.sent("response.create")) == 1
    assert len([e for e in play.last if isinstance(e, RunTool)]) == 0


def test_a_tool_that_ends_without_a_line_is_told_on_the_next_one() -> None:
    play = typed(Playbook().open(), "slots?")
    calling(play.begin("r1"))
    lose(play)
    play.do(play.core.tool_finished, "c1", output="nine")
    assert not play.sent()
    next_line(play)
    outputs = [i for i in replayed(play) if i["type"] == "function_call_output"]
    assert [o["output"] for o in outputs] == ["nine"]
    assert len(play.sent("response.create")) == 1
    # Told again later, it changes nothing.
    play.do(play.core.tool_finished, "c1", output="ten")
    assert not play.sent()


def test_outputs_that_were_given_before_their_response_was_done_get_an_answer() -> None:
    play = typed(Playbook().open(), "slots?")
    calling(play.begin("r1"))
    play.do(play.core.tool_finished, "c1", output="nine")
    assert not play.sent("response.create")  # r1 still writes
    next_line(lose(play))
    assert len(play.sent("response.create")) == 1


def test_a_call_that_was_never_whole_is_not_told() -> None:
    play = typed(Playbook().open(), "slots?")
    play.begin("r1") >> output_item("added", "r1", function_call("f1", "c1", "find_slots", ""))
    next_line(lose(play))
    assert [i["type"] for i in replayed(play)] == ["message"]


def test_what_a_hosted_server_answered_is_told_in_words_once() -> None:
    play = Playbook().open()
    call = {
        "id": "m1", "type": "mcp_call", "name": "stock", "arguments": "{}", "output": "seven",
        "server_label": "shop", "status": "completed",
    }  # fmt: skip
    play >> item("done", call)
    for _ in range(2):
        next_line(lose(play))
        (told,) = replayed(play)
        assert told["content"][0]["text"] == "The tool stock was called with {}: seven"
        play >> play.echo() >> item("added", told) >> item("done", told)
        assert play.core.whole
    assert [(i.kind, i.output) for i in play.core.history] == [("mcp_call", "seven")]


def test_messages_that_nobody_confirmed_and_those_sent_meanwhile_follow_the_history() -> None:
    play = typed(Playbook().open(), "one")
    play.begin("r1").speak("r1", "a1", text="Yes.").drained()
    play.do(play.core.send_message, "two", respond=False)
    lose(play)
    play.do(play.core.send_message, "three")
    assert not play.sent()
    next_line(play)
    assert [w for _, w in words(replayed(play))] == ["one", "Yes.", "two", "three"]
    assert len(play.sent("response.create")) == 1
    # Broken again before anything was confirmed: the same once more.
    next_line(lose(play))
    assert [w for _, w in words(replayed(play))] == ["one", "Yes.", "two", "three"]


def test_nothing_of_a_line_that_is_gone_counts_on_the_next() -> None:
    play = typed(Playbook().open(), "one")
    play.begin("r1") >> speech_started("u9")
    next_line(lose(play))
    play >> play.echo()
    assert not play.core.caller_speaking
    # The old response's end, should a server repeat it, starts and ends nothing.
    play >> done("r1")
    assert not play.told(AgentEnd)
    assert not play.told(TurnEnd)


# -- what is asked for again ---------------------------------------------------------------
def test_a_request_that_no_response_met_is_made_again() -> None:
    play = typed(Playbook().open(), "hello")
    play.do(play.core.say, "One moment.")
    next_line(lose(play))
    asked = [e["response"].get("instructions", "") for e in play.sent("response.create")]
    assert asked == [""]
    play >> play.echo()
    play.begin("r1").speak().drained()
    assert "One moment." in play.ever_sent("response.create")[-1]["response"]["instructions"]


def test_an_answer_of_which_nothing_was_heard_is_asked_for_again() -> None:
    play = typed(Playbook().open(), "hello")
    play.begin("r1")
    next_line(lose(play))
    assert len(play.sent("response.create")) == 1
    assert GO_ON not in [w for _, w in words(replayed(play))]


def test_an_answer_that_broke_off_is_gone_on_with() -> None:
    play = typed(Playbook().open(), "hello")
    play.begin("r1") >> output_item("added", "r1", message("a1"))
    play >> spoken_delta("r1", "a1", "We are open on Monday.")
    play.audio("r1", "a1", 800)  # the text runs ahead of the voice
    lose(play)
    assert not [e for e in play.last if isinstance(e, FlushAudio)]  # what came is played
    assert not play.told(Interrupted)
    assert play.told(AgentEnd)[0].status == "failed"
    next_line(play)
    assert words(replayed(play)) == [
        ("user", "hello"),
        ("assistant", "We are open"),
        ("system", GO_ON),
    ]
    assert len(play.sent("response.create")) == 1
    next_line(lose(play))  # broken again before the server had it
    assert [w for _, w in words(replayed(play))].count(GO_ON) == 1


def test_an_answer_that_came_whole_is_not_made_again() -> None:
    play = typed(Playbook().open(), "hello")
    play.begin("r1").speak("r1", "a1", text="We are open.")
    next_line(lose(play))
    assert not play.sent("response.create")
    assert play.core.speaking
    play.drained()
    assert [t.response_id for t in play.told(TurnEnd)] == ["r1"]


def test_an_answer_that_was_cut_off_is_not_made_again() -> None:
    play = typed(Playbook().open(), "hello")
    play.begin("r1")
    play.audio("r1", "a1", 500)
    play.do(play.core.interrupt)
    next_line(lose(play))
    assert not play.sent("response.create")


def test_words_that_had_to_be_said_are_said_again() -> None:
    play = Playbook().open()
    play.do(play.core.say, "Nine is free.", purpose="notice").begin("r1")
    next_line(lose(play))
    (again,) = play.sent("response.create")
    assert again["response"]["instructions"].endswith("Nine is free.")
    assert again["response"]["metadata"]["purpose"] == "notice"


def greeted(play: Playbook, heard: float) -> Playbook:
    words = "Welcome to the dentist. How can I help you?"
    play.do(play.core.say, words, purpose="greeting", interruptible=False).begin("r1")
    play >> output_item("added", "r1", message("a1")) >> spoken_delta("r1", "a1", words)
    if heard:
        play.audio("r1", "a1", heard)
    return next_line(lose(play))


def test_a_greeting_that_nobody_heard_is_said_on_the_next_line() -> None:
    play = greeted(Playbook().open(), 0)
    (again,) = play.sent("response.create")
    assert again["response"]["instructions"].endswith("How can I help you?")
    assert not replayed(play)
    assert play.core.holding  # it is still not to be cut off


def test_a_greeting_that_broke_off_is_gone_on_with_and_not_said_twice() -> None:
    play = greeted(Playbook().open(), 1500)
    (again,) = play.sent("response.create")
    assert "instructions" not in again["response"]
    assert words(replayed(play)) == [("assistant", "Welcome to the"), ("system", GO_ON)]
    assert play.core.holding  # what came of it still sounds
    play.drained()
    assert not play.core.holding


def test_a_greeting_that_came_whole_is_not_said_again() -> None:
    play = Playbook().open()
    play.do(play.core.say, "Welcome.", purpose="greeting").begin("r1")
    play.speak("r1", "a1", text="Welcome.")
    next_line(lose(play))
    assert not play.sent("response.create")


def test_how_far_the_voice_came_is_told_by_the_pace_of_the_answers_before() -> None:
    play = typed(Playbook().open(), "hello")
    # Thirty characters in one second: a fast voice.
    play.begin("r1").speak("r1", "a1", ms=1000, text="We are open on every Thursday.").drained()
    play.begin("r2", ours=False) >> output_item("added", "r2", message("a2"))
    play >> spoken_delta("r2", "a2", "We are closed on all of the Mondays.")
    play.audio("r2", "a2", 800)
    next_line(lose(play))
    assert ("assistant", "We are closed on all of") in words(replayed(play))


def test_a_written_answer_that_broke_off_was_read() -> None:
    play = typed(Playbook().open(), "hello")
    play.begin("r1") >> output_item("added", "r1", message("a1"))
    play >> text_delta("r1", "a1", "We are ")
    next_line(lose(play))
    assert words(replayed(play))[1:] == [("assistant", "We are "), ("system", GO_ON)]


def test_an_answer_that_was_owed_is_asked_for_when_the_words_are_known() -> None:
    play = Playbook().open()
    play >> speech_started() >> speech_stopped() >> item("added", user_audio("u1"))
    play >> transcribed("u1", "Are you open?")
    next_line(lose(play))
    assert words(replayed(play)) == [("user", "Are you open?")]
    assert len(play.sent("response.create")) == 1


# -- the caller's audio --------------------------------------------------------------------
def pass_audio(play: Playbook, ms: float, *, commit: bool = False) -> None:
    play.now += ms / 1000
    play.core.audio_in(ms, play.now, commit=commit)


def test_of_the_caller_what_has_no_words_yet_is_to_be_sent_again() -> None:
    play = Playbook().open()
    pass_audio(play, 5000)
    assert play.core.unheard_ms == 300  # somebody may have begun to speak
    play >> speech_started("u1", 4000)
    pass_audio(play, 1000)
    assert play.core.unheard_ms == 2300
    play >> speech_stopped("u1", 5800) >> item("added", user_audio("u1"))
    play >> speech_started("u2", 5900)
    pass_audio(play, 100)
    assert play.core.unheard_ms == 2400
    play >> transcribed("u1", "one")
    assert play.core.unheard_ms == 500
    play >> speech_stopped("u2") >> transcribed("u2", "two")
    assert play.core.unheard_ms == 300


def test_a_buffer_that_is_cleared_holds_no_turn() -> None:
    play = Playbook().open()
    pass_audio(play, 2000)
    play >> speech_started("u1", 500) >> {"type": "input_audio_buffer.cleared"}
    assert play.core.unheard_ms == 300


def push_to_talk() -> Playbook:
    return Playbook(view(over={"audio": {"input": {"turn_detection": None}}})).open()


def test_in_push_to_talk_the_whole_turn_is_sent_again() -> None:
    play = push_to_talk()
    pass_audio(play, 1000, commit=True)
    assert play.core.unheard_ms == 1000
    play >> {"type": "input_audio_buffer.committed", "item_id": "u1"}
    pass_audio(play, 500)
    assert play.core.unheard_ms == 1500
    play >> transcribed("u1", "one")
    assert play.core.unheard_ms == 500


def test_an_answer_waits_for_the_turn_that_stands_before_it() -> None:
    play = push_to_talk()
    lose(play)
    play.do(play.core.turn_held)
    play.do(play.core.create_response, None)
    next_line(play)
    play >> play.echo()
    assert not play.ever_sent("response.create")
    play.do(play.core.turn_let_go)
    assert len(play.sent("response.create")) == 1


def test_a_turn_that_is_heard_anew_is_neither_kept_nor_answered_twice() -> None:
    play = Playbook().open()
    pass_audio(play, 3000)
    play >> speech_started("u1", 500) >> speech_stopped("u1", 2500)
    play >> item("added", user_audio("u1"))
    play.begin("r1", ours=False)
    lose(play)
    assert play.core.history == ()
    next_line(play)
    assert not play.sent("response.create")  # the server answers by itself


# -- settings ------------------------------------------------------------------------------
def test_an_edit_that_waited_comes_with_the_next_line() -> None:
    play = Playbook().open()
    play.do(play.core.apply, view(over={"instructions": "one"}), 1, between_turns=False)
    lose(play)
    assert not play.told(SettingsApplied)
    play.do(play.core.apply, view(over={"instructions": "two"}), 2, between_turns=True)
    next_line(play)
    (update,) = play.sent("session.update")
    assert update["session"]["instructions"] == "two"
    play >> play.echo()
    assert [e.revision for e in play.told(SettingsApplied)] == [1, 2]


def test_an_edit_that_the_next_line_refuses_does_not_cost_the_call() -> None:
    play = Playbook().open()
    lose(play)
    play.do(play.core.apply, view(over={"instructions": "poison"}), 7, between_turns=False)
    next_line(play)
    (update,) = play.sent("session.update")
    play >> error("invalid_value", update["event_id"])
    assert [e.revision for e in play.told(SettingsRefused)] == [7]
    assert play.told(SessionError)[0].fatal  # of this line: the next has the old ones
    next_line(lose(play))
    assert play.sent("session.update")[0]["session"]["instructions"] == "You are desk."
    play >> play.echo()
    assert play.core.ready


def test_a_call_that_ends_without_a_line_answers_every_edit() -> None:
    play = Playbook().open()
    play.do(play.core.apply, view(over={"instructions": "one"}), 1, between_turns=False)
    lose(play)
    play.do(play.core.apply, view(over={"instructions": "two"}), 2, between_turns=False)
    play.do(play.core.disconnected, reason="no way")
    assert [(e.revision, e.code) for e in play.told(SettingsRefused)] == [
        (1, "disconnected"),
        (2, "disconnected"),
    ]
    assert play.told(Connection) == [Connection("disconnected", "no way", lost=True)]


def test_a_handoff_that_was_on_its_way_has_happened_on_the_next_line() -> None:
    play = typed(Playbook().open(), "the bill, please")
    calling(play.begin("r1"), "transfer_to_billing")
    play.do(play.core.agent_ready, view("billing"), call_id="c1")
    assert play.sent("session.update")
    lose(play)
    next_line(play)
    assert play.sent("session.update")[0]["session"]["instructions"] == "You are billing."
    outputs = [i["output"] for i in replayed(play) if i["type"] == "function_call_output"]
    assert outputs == ['{"assistant":"billing"}']
    assert play.ever_told(Handoff) == [Handoff("desk", "billing")]
    assert play.core.agent == "billing"
    assert len(play.sent("response.create")) == 1


def test_an_agent_that_gets_ready_without_a_line_has_the_next_one() -> None:
    play = typed(Playbook().open(), "the bill, please")
    calling(play.begin("r1"), "transfer_to_billing")
    lose(play)
    play.do(play.core.agent_ready, view("billing"), call_id="c1")
    assert play.core.agent == "billing"
    next_line(play)
    assert play.sent("session.update")[0]["session"]["instructions"] == "You are billing."
    outputs = [i["output"] for i in replayed(play) if i["type"] == "function_call_output"]
    assert outputs == ['{"assistant":"billing"}']


# -- approvals -----------------------------------------------------------------------------
def test_what_waited_for_a_yes_is_refused_in_words_and_may_be_asked_again() -> None:
    base = view()
    agent = AgentView("desk", base.settings, base.handoffs, Rules(checked=frozenset({"book_slot"})))
    play = typed(Playbook(agent).open(), "book it")
    calling(play.begin("r1"), "book_slot")
    play.do(play.core.tool_asks, "c1")
    assert play.told(ToolApproval)
    lose(play)
    assert not play.core.approvals
    next_line(play)
    (output,) = [i for i in replayed(play) if i["type"] == "function_call_output"]
    assert output["output"] == UNAPPROVED
    assert len(play.sent("response.create")) == 1
    play.do(play.core.approve, "c1")
    assert not [e for e in play.last if isinstance(e, RunTool)]


# -- what still sounds ---------------------------------------------------------------------
def test_old_audio_that_the_caller_cuts_is_told_to_the_new_line_in_words() -> None:
    play = typed(Playbook().open(), "hello")
    play.begin("r1").speak("r1", "a1", ms=1000, text="We are open every day.")
    next_line(lose(play))
    play >> play.echo()
    play.heard("a1", 500) >> speech_started("u2")
    kinds = [e["type"] for e in play.sent()]
    assert kinds == ["conversation.item.delete", "conversation.item.create"]
    assert not play.sent("conversation.item.truncate")  # this server has no audio of it
    made = play.sent("conversation.item.create")[0]
    assert made["item"]["content"][0]["text"] == "We are"
    before = play.core.history
    play >> {"type": "conversation.item.deleted", "item_id": "a1"}
    play >> item("done", {**made["item"], "status": "completed"})
    assert [i.item_id for i in play.core.history] == [i.item_id for i in before]


def test_a_line_that_is_not_renewed_ends_everything() -> None:
    play = typed(Playbook().open(), "hello")
    calling(play.begin("r1"))
    play.do(play.core.disconnected, reason="goodbye")
    assert play.told(Connection) == [Connection("disconnected", "goodbye", lost=True)]
    play.do(play.core.tool_finished, "c1", output="nine")
    assert not play.sent()
    assert play.core.history[-1].output == "nine"
    assert not play.core.busy


def test_an_attached_line_is_not_told_what_its_server_knows() -> None:
    play = typed(Playbook().open(), "hello")
    lose(play)
    play.do(play.core.connected, attached=True)
    assert [e["type"] for e in play.sent()] == ["session.update", "response.create"]


def test_an_attached_line_gets_what_could_not_be_sent() -> None:
    play = typed(Playbook().open(), "hello")
    calling(play.begin("r1"))
    play.do(play.core.send_message, "on its way", respond=False)
    lose(play)
    play.do(play.core.tool_finished, "c1", output="nine")
    play.do(play.core.send_message, "and then")
    play.do(play.core.connected, attached=True)
    sent = [i.get("output") or i["content"][0]["text"] for i in replayed(play)]
    assert sent == ["nine", "on its way", "and then"]
    first = play.sent("conversation.item.create")[1]
    play >> error("item_already_exists", first["event_id"])  # it had arrived after all
    assert not play.told(SessionError)


def test_a_response_that_the_next_line_makes_is_its_own() -> None:
    play = typed(Playbook().open(), "hello")
    play.begin("r1")
    next_line(lose(play))
    play >> play.echo() >> created("r1")  # a server that counts from the start again
    assert not [e for e in play.ever_told(SessionError)]


def test_items_of_entries_without_words_are_left_out() -> None:
    play = Playbook().open()
    play >> item("added", user_audio("u1")) >> item("added", message("a1"))
    entries: list[Any] = play.core._history.entries()
    assert items_of(entries) == []
