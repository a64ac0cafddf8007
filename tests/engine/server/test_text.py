"""Typed turns, function calls, and what a client may do to responses and items."""

from __future__ import annotations

import asyncio
import json

import pytest
from support.engine import Puppet, Serving, connected, last_words

from runner.engine.ports import BrainError, Call, Prompt

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TEXT = {"output_modalities": ["text"]}
ORDER_OF_A_TEXT_ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "rate_limits.updated",
    "response.done",
]


def error_code(event: dict) -> str:
    return event["error"]["code"]


def test_a_text_turn_has_the_services_order_of_events(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(**TEXT)
            done = await client.ask("hello", metadata={"turn": "1"})
            start = client.types().index("response.created")
            assert client.types()[start:] == ORDER_OF_A_TEXT_ANSWER
            response = done["response"]
            assert response["status"] == "completed"
            assert response["metadata"] == {"turn": "1"}
            [item] = response["output"]
            assert item["content"] == [{"type": "output_text", "text": "You said: hello"}]
            usage = response["usage"]
            assert usage["output_tokens"] == usage["output_token_details"]["text_tokens"] > 0
            assert usage["input_tokens"] > 0

    asyncio.run(story())


def test_a_typed_turn_is_answered_in_speech_when_the_session_speaks(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            done = await client.ask("good morning")
            [item] = done["response"]["output"]
            assert item["content"][0]["transcript"] == "You said: good morning"
            assert len(client.audio()) > 48000 * 0.8
            assert done["response"]["usage"]["output_token_details"]["audio_tokens"] > 10

    asyncio.run(story())


def test_nothing_is_answered_until_a_response_is_asked_for(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(**TEXT)
            await client.type_in("hello")
            await client.type_in("are you there")
            await client.send("response.create")
            await client.until("response.done")
            assert len(client.of("response.created")) == 1
            assert [last_words(p) for p in puppet.prompts] == ["are you there"]

    asyncio.run(story())


def test_a_function_call_goes_out_and_its_output_is_spoken_of(
    engine: Serving, puppet: Puppet
) -> None:
    def answer(prompt: Prompt) -> list:
        if prompt.items[-1]["type"] == "function_call_output":
            return [f"It is {json.loads(last_words(prompt))['sky']}."]
        assert prompt.tools[0]["name"] == "weather"
        return ["Let me look. ", Call("weather", json.dumps({"city": "Paris, in the north"}))]

    puppet.answer = answer

    async def story() -> None:
        async with connected(engine) as client:
            await client.update(**TEXT, tools=[WEATHER])
            done = await client.ask("the weather in Paris?")
            message, call = done["response"]["output"]
            assert message["content"][0]["text"] == "Let me look. "
            assert (call["type"], call["name"], call["status"]) == (
                "function_call",
                "weather",
                "completed",
            )
            deltas = [e["delta"] for e in client.of("response.function_call_arguments.delta")]
            assert len(deltas) > 1
            assert json.loads("".join(deltas)) == {"city": "Paris, in the north"}
            finished = client.of("response.function_call_arguments.done")[0]
            assert finished["call_id"] == call["call_id"]
            assert finished["output_index"] == 1
            output = {"type": "function_call_output", "call_id": call["call_id"]}
            await client.send(
                "conversation.item.create", item={**output, "output": '{"sky": "clear"}'}
            )
            await client.send("response.create")
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "It is clear."

    asyncio.run(story())


def test_a_second_response_is_refused_while_one_runs(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.send("response.create", response={"instructions": LONG})
            await client.until("response.output_audio.delta")
            await client.send("response.create", event_id="second")
            error = await client.until("error")
            assert error_code(error) == "conversation_already_has_active_response"
            assert error["error"]["event_id"] == "second"
            await client.send("response.cancel")
            await client.until("response.done")

    asyncio.run(story())


LONG = "Say exactly:\n\n" + "This goes on and on, and it will not stop for a good long while. " * 6


def test_cancel_closes_off_what_was_streamed(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.send("response.create", response={"instructions": LONG})
            await client.until("response.output_audio.delta")
            await client.send("response.cancel")
            done = await client.until("response.done")
            response = done["response"]
            assert response["status"] == "cancelled"
            assert response["status_details"]["reason"] == "client_cancelled"
            [item] = response["output"]
            assert item["status"] == "incomplete"
            streamed = "".join(
                e["delta"] for e in client.of("response.output_audio_transcript.delta")
            )
            assert item["content"][0]["transcript"] == streamed
            assert streamed.count("on and on") < 6
            # The conversation goes on.
            assert (await client.ask("still there?"))["response"]["status"] == "completed"
            assert client.types().count("response.done") == 2

    asyncio.run(story())


def test_cancel_with_nothing_running_is_an_error_of_its_own(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.send("response.cancel", event_id="c1")
            error = await client.until("error")
            assert error_code(error) == "response_cancel_not_active"
            assert error["error"]["message"].startswith("Cancellation failed")
            assert error["error"]["event_id"] == "c1"
            await client.send("response.cancel", response_id="resp_none")
            assert error_code(await client.until("error")) == "response_cancel_not_active"

    asyncio.run(story())


def test_out_of_band_responses_run_beside_and_leave_no_trace(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.send("response.create", response={"instructions": LONG})
            await client.until("response.output_audio.delta")
            asked = {"type": "message", "role": "user"}
            asked["content"] = [{"type": "input_text", "text": "a side question"}]
            await client.send(
                "response.create",
                response={
                    **TEXT,
                    "conversation": "none",
                    "input": [asked],
                    "metadata": {"topic": "side"},
                },
            )
            done = await client.until(
                "response.done", lambda e: e["response"]["conversation_id"] is None
            )
            assert done["response"]["metadata"] == {"topic": "side"}
            [item] = done["response"]["output"]
            assert item["content"][0]["text"] == "You said: a side question"
            assert item["id"] not in [e["item"]["id"] for e in client.of("conversation.item.added")]
            await client.send("response.cancel")
            await client.until("response.done")
            await client.ask("what do you know", **TEXT)
            known = json.dumps(puppet.prompts[-1].items)
            assert "side question" not in known

    asyncio.run(story())


def test_max_output_tokens_cuts_the_answer(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            for modalities in (["text"], ["audio"]):
                await client.send(
                    "response.create",
                    response={
                        "instructions": LONG,
                        "output_modalities": modalities,
                        "max_output_tokens": 30,
                    },
                )
                response = (await client.until("response.done"))["response"]
                assert response["status"] == "incomplete"
                assert response["status_details"]["reason"] == "max_output_tokens"
                assert 20 <= response["usage"]["output_tokens"] <= 30
                assert response["output"][0]["status"] == "incomplete"

    asyncio.run(story())


def test_a_brain_that_fails_is_spoken_about(engine: Serving, puppet: Puppet) -> None:
    puppet.answer = lambda prompt: [
        BrainError("endpoint_down", "connection refused", "I cannot think right now.")
    ]

    async def story() -> None:
        async with connected(engine) as client:
            response = (await client.ask("hello"))["response"]
            assert response["status"] == "failed"
            assert response["status_details"]["error"]["code"] == "endpoint_down"
            assert response["status_details"]["error"]["message"] == "connection refused"
            assert response["output"][0]["content"][0]["transcript"] == "I cannot think right now."
            assert len(client.audio()) > 48000 // 2
            # A brain that breaks in a way nobody planned for.
            puppet.answer = lambda prompt: ["Well, ", ZeroDivisionError("oh")]
            response = (await client.ask("hello"))["response"]
            assert response["status"] == "failed"
            assert "something went wrong" in response["output"][0]["content"][0]["transcript"]
            puppet.answer = puppet.repeat
            assert (await client.ask("and now"))["response"]["status"] == "completed"

    asyncio.run(story())


def test_items_keep_the_order_the_client_asks_for(engine: Serving, puppet: Puppet) -> None:
    def message(item_id: str) -> dict:
        content = [{"type": "input_text", "text": item_id}]
        return {"id": item_id, "type": "message", "role": "user", "content": content}

    async def story() -> None:
        async with connected(engine) as client:
            await client.update(**TEXT)
            for item_id, before in (("b", None), ("a", "root"), ("c", "b"), ("a2", "a")):
                extra = {"previous_item_id": before} if before else {}
                await client.send("conversation.item.create", item=message(item_id), **extra)
            await client.send(
                "conversation.item.create", item=message("x"), previous_item_id="nowhere"
            )
            assert (await client.until("error"))["error"]["param"] == "previous_item_id"
            await client.send("conversation.item.delete", item_id="b")
            await client.until("conversation.item.deleted")
            await client.send("conversation.item.delete", item_id="b")
            assert error_code(await client.until("error")) == "item_delete_invalid_item_id"
            await client.send("conversation.item.retrieve", item_id="a2")
            found = await client.until("conversation.item.retrieved")
            assert found["item"]["content"][0]["text"] == "a2"
            await client.send("conversation.item.retrieve", item_id="b")
            assert error_code(await client.until("error")) == "item_retrieve_invalid_item_id"
            await client.send("response.create")
            await client.until("response.done")
            assert [i["id"] for i in puppet.prompts[-1].items] == ["a", "a2", "c"]

    asyncio.run(story())


def test_an_item_deleted_while_it_is_spoken_does_no_harm(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine, judge=False) as client:
            await client.send("response.create", response={"instructions": LONG})
            item_id = (await client.until("response.output_audio.delta"))["item_id"]
            await client.send("conversation.item.delete", item_id=item_id)
            await client.until("conversation.item.deleted")
            await client.send("response.cancel")
            done = await client.until("response.done")
            assert done["response"]["status"] == "cancelled"
            assert (await client.ask("hello"))["response"]["status"] == "completed"
            assert item_id not in [i["id"] for i in puppet.prompts[-1].items]

    asyncio.run(story())


def test_a_bad_update_is_refused_whole(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            before = (await client.update(instructions="Be brief."))["session"]
            bad = {
                "type": "realtime",
                "instructions": "Be long.",
                "audio": {"output": {"speed": 9}},
            }
            await client.send("session.update", session=bad, event_id="u1")
            error = await client.until("error")
            assert error["error"]["event_id"] == "u1"
            assert error["error"]["param"] == "session.audio.output.speed"
            assert (await client.update())["session"] == before

    asyncio.run(story())


def test_the_model_is_fixed_once_it_was_named(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine, query="?model=gpt-realtime-mini") as client:
            session = {"type": "realtime", "model": "gpt-realtime"}
            await client.send("session.update", session=session)
            assert (await client.until("error"))["error"]["param"] == "session.model"
        # Without ?model= the first update may name one: the agents SDK always does.
        async with connected(engine, query="", judge=False) as client:
            updated = await client.update(model="gpt-realtime-2.1")
            assert updated["session"]["model"] == "gpt-realtime-2.1"
            await client.send("session.update", session=session)
            assert (await client.until("error"))["error"]["param"] == "session.model"

    asyncio.run(story())


def test_the_voice_is_fixed_once_it_was_heard(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(audio={"output": {"voice": "cedar"}})
            await client.ask("hello")
            session = {"type": "realtime", "audio": {"output": {"voice": "ash"}}}
            await client.send("session.update", session=session)
            assert error_code(await client.until("error")) == "cannot_update_voice"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type": "no.such.event", "event_id": "e1"}', "invalid_value"),
        ("{not json", "invalid_json"),
        ("[1, 2]", "invalid_event"),
        ('{"event_id": "e1"}', "missing_required_parameter"),
        ('{"type": "input_audio_buffer.append", "audio": "*?"}', "invalid_value"),
        ('{"type": "output_audio_buffer.clear"}', "invalid_event"),
    ],
)
def test_what_is_no_event_is_answered_and_survived(
    engine: Serving, puppet: Puppet, message: str, code: str
) -> None:
    async def story() -> None:
        async with connected(engine, judge=False) as client:
            await client.socket.send(message)
            error = await client.until("error")
            assert error_code(error) == code
            assert error["error"]["event_id"] == ("e1" if "e1" in message else None)
            await client.socket.send(message.encode())  # binary frames are read too
            assert error_code(await client.until("error")) == code
            await client.update()

    asyncio.run(story())


def test_without_models_sessions_are_text_and_say_so(typed: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(typed) as client:
            assert client.events[0]["session"]["output_modalities"] == ["text"]
            done = await client.ask("hello")
            assert done["response"]["output"][0]["content"][0]["text"] == "You said: hello"
            session = {"type": "realtime", "output_modalities": ["audio"]}
            await client.send("session.update", session=session)
            error = await client.until("error")
            assert error_code(error) == "audio_unavailable"
            assert "moonshine-voice" in error["error"]["message"]
            await client.send("response.create", response={"output_modalities": ["audio"]})
            assert error_code(await client.until("error")) == "audio_unavailable"
            for _ in range(3):
                await client.append(bytes(4800))
            await client.send("input_audio_buffer.commit")
            assert error_code(await client.until("error")) == "audio_unavailable"
            await client.update()
            # One for the appends together, one for the commit.
            assert len(client.of("error")) == 4

    asyncio.run(story())
