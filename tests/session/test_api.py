"""The session as a program uses it: options, events, history, what goes to the line."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from support.onaline import OnALine, on_a_line, settled
from support.until import until

from runner import (
    OpenAIRealtimeWebSocket,
    RealtimeAgent,
    RealtimeSession,
    SessionOptions,
    guardrail,
)
from runner.core.events import Interrupted
from runner.errors import ConnectError, NotConnectedError, UserError
from runner.model.silence import Silence
from runner.options import SessionKeywords
from runner.subscriptions import EVENT_QUEUE
from runner.testing import ScriptedTransport, server

pytestmark = pytest.mark.quick


def user(item_id: str, text: str, **more: Any) -> dict[str, Any]:
    item = {"id": item_id, "type": "message", "role": "user", "status": "completed"}
    item["content"] = [{"type": "input_text", "text": text}]  # type: ignore[assignment]
    return {"type": "conversation.item.done", "item": {**item, **more}}


# -- options -------------------------------------------------------------------------------
def test_keywords_and_options_are_the_same() -> None:
    """What an editor offers as keywords is what the dataclass has."""
    hints = get_type_hints(SessionKeywords)
    assert list(hints) == [field.name for field in fields(SessionOptions)]


@pytest.mark.parametrize(
    "options",
    [
        {"keywords": {"model": "gpt-realtime-mini", "workflow_name": "calls"}},
        {"object": SessionOptions(model="gpt-realtime-mini", workflow_name="calls")},
        {"object": {"model": "gpt-realtime-mini", "workflowName": "calls"}},
        {"object": {"workflowName": "calls"}, "keywords": {"model": "gpt-realtime-mini"}},
    ],
)
def test_options_in_each_spelling(options: dict[str, Any]) -> None:
    """As keywords, as an object, as the SDK's dict, or mixed."""
    agent = RealtimeAgent("desk")
    session = RealtimeSession(agent, options.get("object"), **options.get("keywords", {}))
    assert session.model == "gpt-realtime-mini"
    assert session.settings.get("tracing") == {"workflow_name": "calls"}


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"modle": "x"}, "did you mean model?"),
        ({"outputGuardrail": []}, "did you mean output_guardrails?"),
        ({"apiKey": "a", "api_key": "b"}, "given twice"),
        ({"output_guardrail_settings": {"debounce": 3}}, "debounce_text_length"),
        ({"outputGuardrailSettings": {"debounceTextLength": "3"}}, "it is a int"),
        ({"tool_execution": {"preApprovalInputGuardrails": 1}}, "it is a bool"),
        ({"guardrails": [3]}, "use guardrail"),
        ({"group_id": "g"}, "workflow_name"),
        ({"config": {"voise": "ash"}}, "voice"),
    ],
)
def test_what_a_session_does_not_know_is_named(given: dict[str, Any], hint: str) -> None:
    """SE14. Defect 8: unknown and mixed keys are refused, with what was probably meant."""
    with pytest.raises(UserError) as told:
        RealtimeSession(RealtimeAgent("desk"), given)
    assert hint in f"{told.value.message} {told.value.hint}"


def test_which_transport() -> None:
    """SE13: by name, as an object; a websocket when nothing is said."""
    agent = RealtimeAgent("desk")
    own = ScriptedTransport()
    assert RealtimeSession(agent, transport=own).transport is own
    for session in (RealtimeSession(agent), RealtimeSession(agent, transport="websocket")):
        assert type(session.transport) is OpenAIRealtimeWebSocket
    with pytest.raises(UserError, match="no transport 'webtrc'"):
        RealtimeSession(agent, transport="webtrc")


@pytest.mark.parametrize(
    ("options", "tracing"),
    [
        ({"tracing_disabled": True}, None),
        ({"workflow_name": "w", "group_id": "g", "trace_metadata": {"a": 1}},
         {"workflow_name": "w", "group_id": "g", "metadata": {"a": 1}}),
        ({}, "nothing"),
    ],
)  # fmt: skip
def test_tracing(options: dict[str, Any], tracing: Any) -> None:
    """SE8, SE20, BA43: off is sent as null, a workflow as an object. What was not asked for is
    not sent, since not every server takes it."""

    async def story(on: OnALine) -> None:
        first = on.line.sent[0]["session"]
        assert first.get("tracing", "nothing") == tracing

    on_a_line(story, **options)


def test_the_first_settings() -> None:
    """SE19, SE20: transcription is on by default; stored prompts and instructions are asked at
    that moment; overrides stand on top."""

    async def prompt(context: Any, agent: RealtimeAgent) -> dict[str, Any]:
        return {"promptId": "pmpt_1", "variables": {"who": context["who"]}}

    async def main() -> None:
        agent = RealtimeAgent("desk", lambda context, agent: agent.name, prompt=prompt)
        session = RealtimeSession(agent, context={"who": "Ada"}, model="gpt-realtime")
        config = await session.initial_session_config({"audio": {"output": {"speed": 1.2}}})
        assert config["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
        assert config["prompt"] == {"id": "pmpt_1", "variables": {"who": "Ada"}}
        assert config["instructions"] == "desk"
        assert config["audio"]["output"]["speed"] == 1.2
        assert (config["type"], config["model"]) == ("realtime", "gpt-realtime")
        assert session.transport.status == "disconnected"

    asyncio.run(main())


# -- the line ------------------------------------------------------------------------------
def test_where_it_connects_to() -> None:
    """SE16, SE17: url, call id, model and headers of connect() reach the transport. The key is a
    function's as well.

    Defect 10: connect() does not ignore the model."""

    async def key() -> str:
        return "ek_1"

    async def story(on: OnALine) -> None:
        call = on.line.calls[0]
        assert call.method == "connect"
        asked = call.values
        assert (asked["url"], asked["call_id"]) == ("ws://x", "rtc_1")
        assert (asked["model"], asked["api_key"]) == ("gpt-realtime-mini", "ek_1")
        assert asked["headers"] == {"x-org": "1"}

    where = {"url": "ws://x", "call_id": "rtc_1", "model": "gpt-realtime-mini"}
    on_a_line(story, connect={**where, "headers": {"x-org": "1"}}, api_key=key)


def test_what_goes_through_to_the_line() -> None:
    """SE11: message, audio, mute, interrupt and close."""

    async def story(on: OnALine) -> None:
        session = on.session
        session.send_message("Hello")
        [message] = on.items("message")
        assert message["content"] == [{"type": "input_text", "text": "Hello"}]
        assert on.asked == 1
        await session.send_audio(b"\1\0", commit=True)
        assert on.line.calls[-1].values == {"data": b"\1\0", "commit": True}
        session.mute(True)
        assert session.muted
        on.emit(server.response_created("r", on.request))
        session.interrupt()
        assert len(on.sent("response.cancel")) == 1
        await session.close()
        on.line.assert_closed()

    on_a_line(story)


def test_mute_before_connect_counts() -> None:
    """Defect 10: the flag is there when the line opens."""

    line = ScriptedTransport()
    line.mute(True)

    async def story(on: OnALine) -> None:
        assert on.session.muted
        on.session.send_audio(b"\1\0")
        assert [call for call in line.calls if call.method == "send_audio"] == []
        on.session.mute(False)
        on.session.send_audio(b"\1\0")
        assert line.calls[-1].values["data"] == b"\1\0"

    on_a_line(story, line=line)


class Telephone(ScriptedTransport):
    audio_format = {"type": "audio/pcmu"}  # noqa: RUF012  as a user would write it


@pytest.mark.parametrize(
    ("config", "formats"),
    [
        (None, ("audio/pcmu", "audio/pcmu")),
        ({"turnDetection": {"type": "server_vad"}}, ("audio/pcmu", "audio/pcmu")),
        ({"audio": {"output": {"voice": "ash"}}}, ("audio/pcmu", "audio/pcmu")),
        ({"audio": {"input": {"format": "g711_alaw"}}}, ("audio/pcma", "audio/pcmu")),
    ],
)
def test_a_line_that_decides_its_audio(config: Any, formats: tuple[str, str]) -> None:
    """Defect 3: the SDK's telephone calls are noise unless the configuration names audio. Here
    the line's format counts where none is named, also for the next agent."""

    async def story(on: OnALine) -> None:
        def now() -> tuple[str, str]:
            audio = on.session.effective["audio"]
            return audio["input"]["format"]["type"], audio["output"]["format"]["type"]

        assert now() == formats
        await on.session.update_agent(RealtimeAgent("other", "Be brief."))
        await until(lambda: on.session.effective["instructions"] == "Be brief.")
        assert now() == formats

    on_a_line(story, line=Telephone(), config=config)


def test_messages_in_each_shape() -> None:
    """The SDK's message object, parts, pictures with what travels beside them; BA41."""

    async def story(on: OnALine) -> None:
        session = on.session
        session.send_message({"role": "system", "content": "Be brief."}, respond=False)
        picture = {"type": "input_image", "image": "data:image/png;base64,AA=="}
        more = {"providerData": {"detail": "low"}}
        session.send_message([{"type": "input_text", "text": "What is it?"}, {**picture, **more}])
        session.add_image("https://x.example/a.png", respond=False)
        assert on.asked == 1
        first, second, third = on.items("message")
        assert (first["role"], first["content"][0]["text"]) == ("system", "Be brief.")
        image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
        assert second["content"][1] == image
        assert third["content"] == [{"type": "input_image", "image_url": "https://x.example/a.png"}]

    on_a_line(story)


@pytest.mark.parametrize(
    "message",
    [
        [],
        [{"text": "x"}],
        {"role": "robot", "content": "x"},
        {"type": "audio"},
        {"content": []},
    ],
)
def test_messages_that_are_none(message: Any) -> None:
    async def story(on: OnALine) -> None:
        with pytest.raises(UserError):
            on.session.send_message(message)
        assert on.items("message") == []
        with pytest.raises(UserError, match="data: or https:"):
            on.session.add_image("picture.png")

    on_a_line(story)


def test_connecting_twice() -> None:
    """SE18: once while connected is an error; again after close() works, with each listener once
    and the history of the new conversation."""

    async def story(on: OnALine) -> None:
        with pytest.raises(UserError, match="connected already"):
            await on.session.connect()
        on.emit(user("u1", "Hello"))
        await on.session.close()
        await on.session.close()
        assert [item.text for item in on.session.history] == ["Hello"]
        await on.session.connect()
        assert on.session.history == ()
        on.seen.clear()
        on.emit(user("u2", "Again"))
        assert len(on.of("history_added")) == 1

    on_a_line(story)


def test_two_connects_at_once() -> None:
    """One of them gets the line, the other is told; nothing is opened twice."""

    async def main() -> None:
        line = ScriptedTransport()
        session = RealtimeSession(RealtimeAgent("desk"), transport=line)
        serving = asyncio.ensure_future(line.accept())
        both = await asyncio.gather(session.connect(), session.connect(), return_exceptions=True)
        await serving
        [refused] = [one for one in both if isinstance(one, BaseException)]
        assert isinstance(refused, UserError)
        assert "being connected already" in refused.message
        assert [call.method for call in line.calls].count("connect") == 1
        assert session.connected
        await session.close()

    asyncio.run(main())


@pytest.mark.parametrize("stage", ["the line is asked for", "the settings are taken"])
def test_closed_while_it_is_being_connected(stage: str) -> None:
    """connect() does not pretend: it raises, nothing is left open, and the next one works."""

    async def main() -> None:
        line = ScriptedTransport()
        session = RealtimeSession(RealtimeAgent("desk"), transport=line)
        connecting = asyncio.ensure_future(session.connect())
        await (line.expect("connect") if stage == "the line is asked for" else line.accept())
        await session.close()
        with pytest.raises((ConnectError, NotConnectedError)):
            await connecting
        assert not session.connected
        line.assert_closed()
        await line.expect("close")
        serving = asyncio.ensure_future(line.accept())
        await session.connect()
        await serving
        assert session.connected
        await session.close()

    asyncio.run(main())


def test_without_a_line() -> None:
    session = RealtimeSession(RealtimeAgent("desk"), transport=ScriptedTransport())
    calls: list[Any] = [
        lambda: session.send_message("x"),
        lambda: session.send_audio(b""),
        lambda: session.interrupt(),
        lambda: session.update_history([]),
        lambda: session.approve("x"),
        lambda: session.say("x"),
        lambda: session.hang_up(),
        lambda: session.respond(),
    ]
    for call in calls:
        with pytest.raises(NotConnectedError):
            call()
    assert (session.history, session.usage, session.approvals, session.mcp_tools) == (
        (),
        {},
        (),
        (),
    )
    assert not session.connected
    assert not session.busy


def test_a_refused_line_leaves_the_session_as_it_was() -> None:
    async def main() -> None:
        line = ScriptedTransport()
        session = RealtimeSession(RealtimeAgent("desk"), transport=line)
        line.fail_next("connect", ConnectError("no", status=401))
        with pytest.raises(ConnectError, match="no"):
            await session.connect()
        assert not session.connected
        on = OnALine(session, line)
        await on.session.close()

    asyncio.run(main())


# -- events --------------------------------------------------------------------------------
def test_listeners_by_name() -> None:
    """on, once, off; sync and async; the item and the history as the SDK gives them."""

    async def story(on: OnALine) -> None:
        session, items, histories, once = on.session, [], [], []

        async def later(item: Any) -> None:
            items.append(item)

        session.on("history_added", later)
        session.on("history_updated", histories.append)
        session.once("history_added", once.append)
        on.emit(user("u1", "Hello"))
        on.emit(user("u2", "Again"))
        await until(lambda: len(items) == 2)
        assert [item.type for item in items] == ["message", "message"]
        assert [len(history) for history in histories] == [1, 2]
        assert [item.item_id for item in once] == ["u1"]
        session.off("history_added", later)
        on.emit(user("u3", "More"))
        await settled()
        assert len(items) == 2
        with pytest.raises(UserError, match="no event histroy_added") as told:
            session.on("histroy_added", later)  # type: ignore[call-overload]
        assert told.value.hint == "did you mean history_added?"

    on_a_line(story)


def test_raw_events_are_what_came() -> None:
    """SE12: also those that nobody knows, with all their fields."""

    async def story(on: OnALine) -> None:
        raw: list[Any] = []
        on.session.on("transport_event", raw.append)
        strange = {"type": "something.new", "deep": {"er": [1, None]}}
        on.emit(strange)
        assert raw == [strange]
        on.session.off("transport_event", raw.append)
        on.emit(strange)
        assert raw == [strange]

    on_a_line(story)


def test_async_iteration() -> None:
    """Events from now on, until the session ends; one iterator at a time."""

    async def story(on: OnALine) -> None:
        seen: list[str] = []

        async def follow() -> None:
            seen.extend([event.type async for event in on.session])

        following = asyncio.ensure_future(follow())
        await settled()
        with pytest.raises(UserError, match="iterated already"):
            await anext(aiter(on.session))
        on.emit(user("u1", "Hello"))
        await on.session.close()
        await following
        assert seen[0] == "history_added"
        assert seen[-1] == "connection_change"

    on_a_line(story)


def test_an_iterator_that_sleeps_loses_the_oldest() -> None:
    """And the session counts what it lost, so that a slow reader costs bounded memory."""

    async def story(on: OnALine) -> None:
        events = aiter(on.session)
        first = asyncio.ensure_future(anext(events))
        await settled()
        on.emit(server.speech_started("first"))
        assert (await first).item_id == "first"
        for number in range(EVENT_QUEUE + 3):
            on.emit(server.speech_started(f"u{number}"))
        assert on.session.lost_events == 3
        assert (await anext(events)).item_id == "u3"

    on_a_line(story)


def test_listeners_of_one_agent() -> None:
    """They hear their own agent alone, after the session's listeners."""
    heard: list[str] = []
    agent, other = RealtimeAgent("desk"), RealtimeAgent("billing")
    for one in (agent, other):
        one.on("agent_start", lambda event, by=one.name: heard.append(f"{by}: {event.agent}"))
        one.on("agent_end", lambda event, by=one.name: heard.append(f"{by}: {event.text}"))

    async def story(on: OnALine) -> None:
        on.session.on("agent_start", lambda event: heard.append(f"session: {event.agent}"))
        on.emit(*server.written("Hello."))
        assert heard == ["session: desk", "desk: desk", "desk: Hello."]
        heard.clear()
        await on.session.update_agent(other)
        on.emit(*server.written("Money."))
        assert heard == ["session: billing", "billing: billing", "billing: Money."]
        assert on.session.current_agent is other

    on_a_line(story, agent)


def test_usage_and_interruptions_are_told() -> None:
    """SE102: summed over the call, a response without numbers is a request all the same.

    Defect 4: connection changes, speech and deltas are events of the session too."""
    tokens = {"input_tokens": 10, "output_tokens": 4}
    tokens["input_token_details"] = {"text_tokens": 3, "audio_tokens": 7}  # type: ignore[assignment]

    async def story(on: OnALine) -> None:
        on.emit(server.response_created("r1"), server.response_done("r1", usage=tokens))
        on.emit(server.response_created("r2"), server.response_done("r2"))
        total = on.session.usage
        assert (total["requests"], total["input_tokens"], total["input_audio"]) == (2, 10, 7)
        assert [event.total["requests"] for event in on.of("usage")] == [1, 2]
        on.emit(server.response_created("r3"), server.audio_delta("r3", "a", b"\1\0" * 2400))
        on.emit(server.speech_started("u"))
        [cut] = on.of("audio_interrupted")
        assert isinstance(cut, Interrupted)
        assert cut.item_id == "a"
        assert on.of("speech_started")[0].item_id == "u"
        await on.session.close()
        assert on.session.usage["requests"] == 2
        states = [event.status for event in on.of("connection_change")]
        assert states == ["connecting", "connected", "disconnected"]

    on_a_line(story)


def test_audio_starts_once_a_turn() -> None:
    """SE103: however many chunks come."""

    async def story(on: OnALine) -> None:
        for turn in ("r1", "r2"):
            on.emit(server.response_created(turn))
            for _ in range(3):
                on.emit(server.audio_delta(turn, f"a_{turn}", b"\1\0" * 24))
            on.emit(server.response_done(turn))
        assert [event.response_id for event in on.of("audio_start")] == ["r1", "r2"]

    on_a_line(story)


def test_what_the_session_shows() -> None:
    """SE15: its transport, agents, context, usage, history, options."""
    agent = RealtimeAgent("desk")

    async def story(on: OnALine) -> None:
        session = on.session
        assert session.transport is on.line
        assert (session.agent, session.current_agent, session.initial_agent) == (agent,) * 3
        assert session.context == {"who": "Ada"}
        assert session.options.context == {"who": "Ada"}
        assert session.history == ()
        assert session.muted is False
        assert session.connected

    on_a_line(story, agent, context={"who": "Ada"})


# -- history -------------------------------------------------------------------------------
def test_a_placeholder_gets_its_words() -> None:
    """SE29, UT11: a finished transcription fills the caller's item in, which is complete then."""

    async def story(on: OnALine) -> None:
        part = {"type": "input_audio", "transcript": None}
        on.emit(
            {"type": "conversation.item.added",
             "item": {"id": "u", "type": "message", "role": "user", "content": [part]}},
            {"type": "conversation.item.input_audio_transcription.completed",
             "item_id": "u", "content_index": 0, "transcript": "Hello there."},
        )  # fmt: skip
        [item] = on.session.history
        assert (item.text, item.status) == ("Hello there.", "completed")

    on_a_line(story)


@pytest.mark.parametrize(
    ("given", "status"),
    [(None, "completed"), ("completed", "completed"), ("incomplete", "incomplete")],
)
def test_the_status_of_an_item_that_is_done(given: str | None, status: str) -> None:
    """SE105, SE106, BA31: completed when it is not said, else as it is said."""

    async def story(on: OnALine) -> None:
        item = {"id": "a", "type": "message", "role": "assistant", "content": []}
        if given:
            item["status"] = given
        on.emit({"type": "response.output_item.done", "response_id": "r", "item": item})
        assert on.session.history[0].status == status

    on_a_line(story)


def test_events_that_cannot_be_read_are_errors() -> None:
    """SE31: one of them ends neither the history nor the call."""

    async def story(on: OnALine) -> None:
        on.emit({"type": "conversation.item.deleted"}, {"type": "conversation.item.done"})
        on.emit(user("u", "Hello", content=3))
        assert on.errors() == ["bad_event"] * 3
        on.emit(user("u", "Hello"))
        assert [item.text for item in on.session.history] == ["Hello"]

    on_a_line(story)


def test_an_edited_history() -> None:
    """SE7, SE21, HR3: a list, or what a function makes of it; only what differs is sent, and
    what stays keeps its place."""

    async def story(on: OnALine) -> None:
        on.emit(user("u1", "One"), user("u2", "Two"), user("u3", "Three"))
        on.session.update_history(lambda items: [item for item in items if item.text != "Two"])
        assert [e["item_id"] for e in on.sent("conversation.item.delete")] == ["u2"]
        assert on.sent("conversation.item.create") == []
        on.emit({"type": "conversation.item.deleted", "item_id": "u2"})
        on.session.update_history(on.session.history[1:])
        assert [e["item_id"] for e in on.sent("conversation.item.delete")] == ["u2", "u1"]

    on_a_line(story)


def test_pictures_stand_in_the_history() -> None:
    """Defect 9: the SDK loses them."""

    async def story(on: OnALine) -> None:
        on.session.add_image("data:image/png;base64,AA==", respond=False)
        await until(lambda: on.session.history)
        [item] = on.session.history
        assert item.content[0]["image_url"] == "data:image/png;base64,AA=="

    on_a_line(story)


# -- the rest ------------------------------------------------------------------------------
def test_a_greeting_and_a_farewell() -> None:
    """The greeting is said once, as it is written; hang_up waits for what is being said."""
    agent = RealtimeAgent("desk", greeting="Northwind, hello.")

    async def story(on: OnALine) -> None:
        assert on.request.event["response"]["instructions"].endswith("Northwind, hello.")
        on.emit(*server.spoken("Northwind, hello.", b"\1\0" * 240, to=on.request))
        on.session.hang_up("done")
        assert on.session.connected
        await until(lambda: not on.session.connected)
        last = on.of("connection_change")[-1]
        assert (last.status, last.reason, last.lost) == ("disconnected", "done", False)

    on_a_line(story, agent)


def test_silence_is_an_option_of_the_session() -> None:
    async def story(on: OnALine) -> None:
        await until(lambda: on.asked)
        assert on.sent("response.create")[0]["response"]["instructions"].endswith("Hello?")

    on_a_line(story, silence=Silence(ask_after=0.01, say="Hello?"))


def test_guardrails_in_the_sdk_s_shape() -> None:
    """GR1, GR2, GR3: a map of name and execute; the hint is told to the model, the name is it
    when there is none; 100 characters are awaited between two looks."""
    seen: list[str] = []

    def look(args: Any) -> dict[str, Any]:
        seen.append(args.agent_output)
        return {"tripwireTriggered": "bad" in args.agent_output, "outputInfo": {"word": "bad"}}

    given = [{"name": "words", "execute": look, "policyHint": "No bad words."}]

    async def story(on: OnALine) -> None:
        on.emit(server.response_created("r"))
        delta = {"type": "response.output_text.delta", "response_id": "r", "item_id": "a"}
        item = {"id": "a", "type": "message", "role": "assistant", "content": []}
        on.emit({"type": "response.output_item.added", "response_id": "r", "item": item})
        for text in ("x" * 99, "bad"):
            on.emit({**delta, "content_index": 0, "delta": text})
        tripped = await on.told("guardrail_tripped")
        assert (tripped.name, tripped.info) == ("words", {"word": "bad"})
        assert seen == ["x" * 99 + "bad"]
        await until(lambda: on.items("message"))
        words = on.items("message")[0]["content"][0]["text"]
        assert "No bad words." in words
        assert '{"word":"bad"}' in words

    on_a_line(story, output_guardrails=given)
    assert "words" in guardrail(look, name="words").feedback(_Nothing())


class _Nothing:
    output_info = None
