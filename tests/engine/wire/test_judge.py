"""The judge of sessions lets a good session pass and sees every fault put into it."""

from __future__ import annotations

import copy

import pytest
from support.conformance import Checker, ConformanceError

from runner.audio.formats import PCM16
from runner.engine.wire import Items, ResponseParams, Settings, events, response_object, usage

pytestmark = pytest.mark.quick

SPENT = usage.Usage(input_text=5, input_audio=3, cached_text=2, output_text=2, output_audio=4)


def spoken_turn(items: Items, settings: Settings, n: int = 1, cut: bool = False) -> list:
    """(side, event) of an audio turn with server VAD and, after the words, a function call."""
    user, said, called, rid = f"item_u{n}", f"item_a{n}", f"item_c{n}", f"resp_{n}"
    params = ResponseParams.parse(None, settings, items)
    out: list = []

    def server(event):
        out.append(("server", copy.deepcopy(event)))

    server(events.input_audio_buffer_speech_started(user, 100))
    server(events.input_audio_buffer_speech_stopped(user, 900))
    before = items.last_id()
    server(events.input_audio_buffer_committed(user, before))
    item = items.add_user_audio(user, b"\0\0" * 2400, PCM16)
    server(events.conversation_item_added(item, before))
    server(events.conversation_item_done(item, before))
    server(events.response_created(response_object(rid, params, "conv_1")))
    server(events.transcription_delta(user, "Hel"))
    server(events.transcription_delta(user, "lo"))
    server(events.transcription_completed(user, "Hello", usage.transcription("g", 100, "Hello")))

    one = events.Output(rid, said, 0)
    item = items.start_message(said)
    server(one.added(item))
    server(events.conversation_item_added(item, user))
    items.add_part(said, "output_audio")
    server(one.part_added("audio"))
    for text in ("Hi", " there."):
        items.add_audio(said, 0, b"\0\0" * 2400, text)
        server(one.transcript_delta(text))
        server(one.audio_delta(b"\0\0" * 2400))
    if cut:
        server(events.input_audio_buffer_speech_started(f"item_u{n + 1}", 1000))
    server(one.audio_done())
    server(one.transcript_done("Hi there."))
    server(one.part_done("audio", "Hi there."))
    item = items.finish(said, "incomplete" if cut else "completed")
    server(events.conversation_item_done(item, user))
    server(one.done(item))
    output = [item]
    if not cut:
        two = events.Output(rid, called, 1)
        call = items.start_call(called, f"call_{n}", "find")
        server(two.added(call))
        server(events.conversation_item_added(call, said))
        for text in ('{"a"', ":1}"):
            items.add_arguments(called, text)
            server(two.arguments_delta(f"call_{n}", text))
        server(two.arguments_done(f"call_{n}", "find", '{"a":1}'))
        call = items.finish(called)
        server(events.conversation_item_done(call, said))
        server(two.done(call))
        output.append(call)
    server(events.rate_limits_updated(10, 10))
    ended = {"status": "cancelled", "reason": "turn_detected"} if cut else {"status": "completed"}
    done = response_object(rid, params, "conv_1", output=output, usage=SPENT, **ended)
    server(events.response_done(done))
    return out


def session(cut: bool = False) -> list:
    settings, items = Settings("gpt-realtime", "sess_1"), Items()
    out = [
        ("client", {"type": "session.update", "session": {"type": "realtime"}, "event_id": "c1"}),
        ("server", events.session_created(settings.effective())),
        ("server", events.session_updated(settings.effective())),
        *spoken_turn(items, settings, cut=cut),
    ]
    if cut:
        ask = {"item_id": "item_a1", "content_index": 0, "audio_end_ms": 100}
        out.append(("client", {"type": "conversation.item.truncate", **ask}))
        items.truncate("item_a1", 0, 100)
        out.append(("server", events.conversation_item_truncated(**ask)))
        out.append(("client", {"type": "conversation.item.retrieve", "item_id": "item_a1"}))
        out.append(("server", events.conversation_item_retrieved(items.retrieve("item_a1"))))
    return out


def play(script: list, **more) -> Checker:
    judge = Checker(record=False, **more)
    for side, event in script:
        getattr(judge, side)(event)
    judge.end()
    return judge


def passes(script: list, **more) -> bool:
    try:
        play(script, **more)
    except ConformanceError:
        return False
    return True


def test_a_good_session_passes():
    judge = play(session())
    assert judge.server_types["response.output_audio.delta"] == 2
    assert judge.client_types == {"session.update": 1}
    assert judge.order == ["item_u1", "item_a1", "item_c1"]


def test_an_interrupted_session_passes():
    judge = play(session(cut=True))
    assert judge.responses.done[0]["status"] == "cancelled"
    assert judge.truncated == {"item_a1"}


@pytest.mark.parametrize("cut", [False, True])
def test_no_event_of_the_order_can_be_lost(cut):
    """Each event taken out of a good session is missed, but for those that stand alone."""
    script = session(cut)
    free = {
        "response.output_audio.delta",
        "rate_limits.updated",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.truncated",
        "conversation.item.retrieved",
    }
    if cut:
        free |= {"conversation.item.retrieve"}
    for i, (side, event) in enumerate(script):
        if side == "client" or event["type"] in free:
            continue
        assert not passes(script[:i] + script[i + 1 :]), f"nobody missed {event['type']}"


def test_no_event_can_come_twice():
    script = session()
    for i, (side, event) in enumerate(script):
        if side == "server":
            assert not passes([*script[: i + 1], (side, event), *script[i + 1 :]])


def faults():
    """A word for a fault, and what puts it into the script of a good session."""

    def edit(kind, change):
        def put(script):
            event = next(e for s, e in script if s == "server" and e["type"] == kind)
            change(event)
            return script

        return put

    def swap(first, then):
        def put(script):
            at = {e["type"]: i for i, (s, e) in reversed(list(enumerate(script))) if s == "server"}
            i, j = at[first], at[then]
            script[i], script[j] = script[j], script[i]
            return script

        return put

    def late(kind):
        def put(script):
            event = next(e for s, e in script if s == "server" and e["type"] == kind)
            script.append(("server", {**event, "event_id": "event_late"}))
            return script

        return put

    def put_in(path, value):
        def change(event):
            for key in path[:-1]:
                event = event[key]
            event[path[-1]] = value

        return change

    added, done = "conversation.item.added", "response.done"
    return {
        "enum": edit(done, put_in(["response", "status"], "finished")),
        "type": edit(added, put_in(["item", "content"], "x")),
        "undeclared": edit(added, put_in(["item", "formatted"], {})),
        "lost key": edit(added, lambda e: e["item"]["content"][0].pop("transcript")),
        "audio in item": edit(added, put_in(["item", "content", 0, "audio"], "AAAA")),
        "status": edit(added, put_in(["item", "status"], "in_progress")),
        "previous": edit(added, put_in(["previous_item_id"], "item_zz")),
        "echo": edit("session.updated", lambda e: e["session"].pop("tools")),
        "other id": edit("session.updated", put_in(["session", "id"], "sess_2")),
        "early usage": edit("response.created", put_in(["response", "usage"], {})),
        "metadata": edit("response.created", put_in(["response", "metadata"], {"a": "b"})),
        "words": edit("response.output_audio_transcript.done", put_in(["transcript"], "Hi")),
        "part words": edit("response.content_part.done", put_in(["part", "transcript"], "Hi")),
        "item words": edit(
            "response.output_item.done", put_in(["item", "content", 0, "transcript"], "Hi")
        ),
        "caller's words": edit(
            "conversation.item.input_audio_transcription.completed", put_in(["transcript"], "x")
        ),
        "arguments": edit("response.function_call_arguments.done", put_in(["arguments"], "{}")),
        "call id": edit("response.function_call_arguments.done", put_in(["call_id"], "call_x")),
        "base64": edit("response.output_audio.delta", put_in(["delta"], "???")),
        "sum": edit(done, put_in(["response", "usage", "total_tokens"], 1)),
        "cached": edit(
            done,
            put_in(["response", "usage", "input_token_details", "cached_tokens"], 99),
        ),
        "output": edit(done, lambda e: e["response"]["output"].pop()),
        "order of done": swap("response.content_part.done", "response.output_audio.done"),
        "response first": swap("response.created", "response.output_item.added"),
        "mirror late": swap("response.content_part.added", "response.output_item.added"),
        "after done": late("response.output_audio.delta"),
        "second commit": late("input_audio_buffer.committed"),
        "second created": late("session.created"),
        "unasked update": late("session.updated"),
    }


@pytest.mark.parametrize("fault", faults())
def test_a_fault_is_seen(fault):
    with pytest.raises(ConformanceError):
        play(faults()[fault](session()))


def test_two_responses_at_once_are_seen():
    settings = Settings("m", "s")
    params = ResponseParams.parse(None, settings, Items())
    aside = ResponseParams.parse({"conversation": "none"}, settings, Items())
    judge = Checker(record=False)
    judge.server(events.session_created(settings.effective()))
    judge.server(events.response_created(response_object("resp_1", params, "conv_1")))
    judge.server(events.response_created(response_object("resp_2", aside, "conv_1")))
    with pytest.raises(ConformanceError, match="in progress"):
        judge.server(events.response_created(response_object("resp_3", params, "conv_1")))


def test_a_cancel_needs_its_cause():
    script = session(cut=True)
    without = [
        (s, e)
        for s, e in script
        if not (e["type"] == "input_audio_buffer.speech_started" and e["item_id"] == "item_u2")
    ]
    with pytest.raises(ConformanceError, match="nobody spoke"):
        play(without)


def test_a_truncation_needs_its_request():
    script = [x for x in session(cut=True) if x[1]["type"] != "conversation.item.truncate"]
    with pytest.raises(ConformanceError, match="nobody asked"):
        play(script)


def test_an_error_names_an_event_that_was_sent():
    judge = Checker(record=False)
    judge.server(events.session_created(Settings("m", "s").effective()))
    judge.client({"type": "response.cancel", "event_id": "mine"})
    from runner.engine.wire.errors import cancel_not_active

    judge.server(cancel_not_active().about("mine").event())
    with pytest.raises(ConformanceError, match="did not send"):
        judge.server(cancel_not_active().about("yours").event())


def test_played_audio_is_told_on_webrtc_alone():
    script = session()
    assert not passes([*script, ("server", events.output_audio_buffer_started("resp_1"))])
    quiet = [x for x in script if x[1]["type"] != "response.output_audio.delta"]
    end = [
        ("server", events.output_audio_buffer_started("resp_1")),
        ("server", events.output_audio_buffer_stopped("resp_1")),
    ]
    assert passes([*quiet, *end], rtc=True)
    assert not passes(script, rtc=True)
    assert not passes([*quiet, *reversed(end)], rtc=True)
