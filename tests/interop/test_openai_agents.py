"""openai-agents' RealtimeRunner, unchanged, on the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from support.engine import Puppet, Serving, last_words, spoken
from support.speech import silence

from runner.engine.ports import Call, Prompt

MONOLOGUE = "This goes on and on, and it will not stop for a good long while. " * 8


@asynccontextmanager
async def session_of(engine: Serving, agent: RealtimeAgent) -> AsyncIterator[RealtimeSession]:
    runner = RealtimeRunner(
        agent,
        config={
            "model_settings": {
                "model_name": "gpt-realtime",
                "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {
                    "type": "server_vad",
                    "silence_duration_ms": 300,
                    "interrupt_response": True,
                },
            }
        },
    )
    model = {"url": f"{engine.url}?model=gpt-realtime", "api_key": "sk-interop"}
    async with await runner.run(model_config=model) as session:
        yield session


async def speak(session: RealtimeSession, pcm: bytes) -> None:
    for start in range(0, len(pcm), 4800):
        await session.send_audio(pcm[start : start + 4800])


async def until(session: RealtimeSession, kind: str, seen: list[Any] | None = None) -> Any:
    async with asyncio.timeout(20):
        async for event in session:
            if seen is not None:
                seen.append(event)
            assert event.type != "error", event
            if event.type == kind:
                return event
    raise AssertionError(f"the session ended before {kind}")


async def responses(session: RealtimeSession, count: int, seen: list[Any]) -> list[dict]:
    """The wire's response.done of so many responses."""
    async with asyncio.timeout(20):
        async for event in session:
            seen.append(event)
            assert event.type != "error", event
            if len(done := raw(seen, "response.done")) == count:
                return [e["response"] for e in done]
    raise AssertionError("the session ended early")


def raw(events: list[Any], kind: str) -> list[dict]:
    """Events of the wire among what the SDK told."""
    found = []
    for event in events:
        data = getattr(event, "data", None)
        if getattr(data, "type", "") == "raw_server_event" and data.data.get("type") == kind:
            found.append(data.data)
    return found


def test_a_voice_conversation_with_a_tool_call(engine: Serving, puppet: Puppet) -> None:
    asked: list[str] = []

    @function_tool
    def opening_hours(day: str) -> str:
        """When we are open."""
        asked.append(day)
        return "ten"

    def answer(prompt: Prompt) -> list:
        if prompt.items[-1]["type"] == "function_call_output":
            return [f"We open at {last_words(prompt)}."]
        assert prompt.tools[0]["name"] == "opening_hours"
        assert "Saturday" in last_words(prompt)
        return [Call("opening_hours", '{"day": "Saturday"}')]

    puppet.answer = answer
    agent = RealtimeAgent(name="shop", instructions="You are a shop.", tools=[opening_hours])

    async def story() -> None:
        async with session_of(engine, agent) as session:
            await speak(session, spoken("What time do you open on Saturday?") + silence(1.0))
            seen: list[Any] = []
            await until(session, "tool_end", seen)
            assert asked == ["Saturday"]
            await responses(session, 2, seen)
            said = raw(seen, "response.output_audio_transcript.done")
            assert [e["transcript"] for e in said] == ["We open at ten."]
            assert sum(len(e.audio.data) for e in seen if e.type == "audio") > 20_000

    asyncio.run(story())


def test_an_interruption(engine: Serving, puppet: Puppet) -> None:
    puppet.answer = lambda prompt: [
        MONOLOGUE if last_words(prompt) == "tell me everything" else "All right."
    ]
    agent = RealtimeAgent(name="talker", instructions="You talk.")

    async def story() -> None:
        async with session_of(engine, agent) as session:
            await session.send_message("tell me everything")
            seen: list[Any] = []
            await until(session, "audio", seen)
            await speak(session, spoken("Stop please.") + silence(1.0))
            await until(session, "audio_interrupted", seen)
            cut, whole = await responses(session, 2, seen)
            assert cut["status_details"]["reason"] == "turn_detected"
            assert whole["status"] == "completed"
            assert raw(seen, "conversation.item.truncated")
            assert raw(seen, "error") == []

    asyncio.run(story())


def test_history_follows_the_conversation(engine: Serving, puppet: Puppet) -> None:
    agent = RealtimeAgent(name="echo", instructions="Repeat.")

    async def story() -> None:
        async with session_of(engine, agent) as session:
            seen: list[Any] = []
            await session.send_message("good morning")
            await responses(session, 1, seen)
            # Before the caller speaks: into an answer that still sounds, the SDK cuts it.
            assert "You said: good morning" in str(session._history)
            await speak(session, spoken("What time is it now?") + silence(1.0))
            await responses(session, 2, seen)
            history = [e for e in seen if e.type in ("history_updated", "history_added")]
            assert history
            assert "You said: What time is it now?" in str(session._history)

    asyncio.run(story())
