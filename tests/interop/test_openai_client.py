"""OpenAI's own Python client, unchanged, on the engine."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from support.engine import Puppet, Serving, last_words, spoken
from support.speech import silence

from runner.engine.ports import Call, Prompt

LONG = "Say exactly:\n\n" + "This goes on and on, and it will not stop for a good long while. " * 6
TOOL = {
    "type": "function",
    "name": "opening_hours",
    "description": "When we are open.",
    "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
}


@asynccontextmanager
async def connection(engine: Serving) -> AsyncIterator[Any]:
    async with (
        AsyncOpenAI(
            api_key="sk-interop",
            base_url=engine.http,
            websocket_base_url=f"ws://127.0.0.1:{engine.port}/v1",
        ) as client,
        client.realtime.connect(model="gpt-realtime") as session,
    ):
        yield session


async def until(session: Any, kind: str, seen: list[Any] | None = None) -> Any:
    async with asyncio.timeout(20):
        async for event in session:
            if seen is not None:
                seen.append(event)
            assert event.type != "error", event
            if event.type == kind:
                return event
    raise AssertionError(f"the session ended before {kind}")


async def speak(session: Any, pcm: bytes) -> None:
    for start in range(0, len(pcm), 4800):
        chunk = base64.b64encode(pcm[start : start + 4800]).decode()
        await session.input_audio_buffer.append(audio=chunk)


def test_a_voice_conversation_with_a_tool_call(engine: Serving, puppet: Puppet) -> None:
    def answer(prompt: Prompt) -> list:
        if prompt.items[-1]["type"] == "function_call_output":
            return [f"We open at {last_words(prompt)}."]
        return [Call("opening_hours", '{"day": "Saturday"}')]

    puppet.answer = answer

    async def story() -> None:
        async with connection(engine) as session:
            await session.session.update(
                session={
                    "type": "realtime",
                    "instructions": "You are a shop.",
                    "tools": [TOOL],
                    "audio": {
                        "input": {
                            "transcription": {"model": "gpt-4o-mini-transcribe"},
                            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
                        }
                    },
                }
            )
            updated = await until(session, "session.updated")
            assert updated.session.instructions == "You are a shop."
            await speak(session, spoken("What time do you open on Saturday?") + silence(1.0))
            seen: list[Any] = []
            done = await until(session, "response.done", seen)
            [call] = done.response.output
            assert json.loads(call.arguments) == {"day": "Saturday"}
            words = [e.transcript for e in seen if e.type.endswith("transcription.completed")]
            assert words == ["What time do you open on Saturday?"]
            await session.conversation.item.create(
                item={"type": "function_call_output", "call_id": call.call_id, "output": "ten"}
            )
            await session.response.create()
            seen = []
            done = await until(session, "response.done", seen)
            assert done.response.output[0].content[0].transcript == "We open at ten."
            audio = [e.delta for e in seen if e.type == "response.output_audio.delta"]
            assert len(base64.b64decode("".join(audio[:1]))) >= 4800

    asyncio.run(story())


def test_an_interruption(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connection(engine) as session:
            await session.response.create(response={"instructions": LONG})
            first = await until(session, "response.output_audio.delta")
            await speak(session, spoken("Stop please.") + silence(0.6))
            await until(session, "input_audio_buffer.speech_started")
            done = await until(session, "response.done")
            assert done.response.status == "cancelled"
            assert done.response.status_details.reason == "turn_detected"
            await session.conversation.item.truncate(
                item_id=first.item_id, content_index=0, audio_end_ms=200
            )
            truncated = await until(session, "conversation.item.truncated")
            assert truncated.audio_end_ms == 200
            await speak(session, silence(0.6))
            done = await until(session, "response.done")
            assert done.response.status == "completed"

    asyncio.run(story())


def test_speech_over_rest(engine: Serving) -> None:
    async def story() -> bytes:
        async with AsyncOpenAI(api_key="sk-interop", base_url=engine.http) as client:
            models = await client.models.list()
            assert "gpt-realtime" in [m.id for m in models.data]
            made = await client.audio.speech.create(
                model="tts-1", voice="coral", input="Good morning.", response_format="pcm"
            )
            return await made.aread()

    assert len(asyncio.run(story())) > 20_000
