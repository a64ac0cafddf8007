"""Other people's clients on `rtrun engine` itself: a process of its own, with its own brain."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner
from openai import AsyncOpenAI
from support.command import environment
from support.engine import spoken
from support.speech import silence

KEY = "sk-command"
SHOP = """You are the front desk of a bicycle shop called Spokes.
We are open from 9 to 5, Monday to Friday. A flat tyre costs 12 dollars to repair."""
MONOLOGUE = "Say exactly:\n\n" + "This goes on and on, and it will not stop for a long while. " * 6


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where `rtrun engine` listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", "engine", "--port", "0", "--log-format", "json"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(RTRUN_ENGINE_KEY=KEY),
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    timer.cancel()
    yield ready["urls"]["ws"]
    process.terminate()
    with process.stdout:
        assert process.wait(10) == 0


class Talk:
    """One session of the agents SDK."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.seen: list[Any] = []

    async def say(self, text: str) -> None:
        pcm = spoken(text) + silence(1.0)
        for start in range(0, len(pcm), 4800):
            await self.session.send_audio(pcm[start : start + 4800])

    async def until(self, kind: str) -> Any:
        async with asyncio.timeout(20):
            async for event in self.session:
                self.seen.append(event)
                assert event.type != "error", event
                if event.type == kind:
                    return event
        raise AssertionError(f"the session ended before {kind}")

    async def response(self) -> dict[str, Any]:
        """The wire's next response.done."""
        while True:
            event = await self.until("raw_model_event")
            data = event.data
            if data.type == "raw_server_event" and data.data.get("type") == "response.done":
                return data.data["response"]


def talk(url: str, agent: RealtimeAgent, story: Any) -> None:
    detection = {"type": "semantic_vad", "interrupt_response": True}
    runner = RealtimeRunner(agent, config={"model_settings": {"turn_detection": detection}})

    async def run() -> None:
        model = {"url": url, "api_key": KEY}
        async with await runner.run(model_config=model) as session:
            await story(Talk(session))

    asyncio.run(run())


def words(response: dict[str, Any]) -> str:
    return " ".join(
        part["transcript"] for item in response["output"] for part in item.get("content", ())
    )


def test_the_agents_sdk_holds_a_conversation(url: str) -> None:
    async def story(talk: Talk) -> None:
        await talk.say("What are your opening hours?")
        assert "9 to 5" in words(await talk.response())
        await talk.say("How much does it cost to repair a flat tire?")
        assert "12 dollars" in words(await talk.response())
        assert sum(len(e.audio.data) for e in talk.seen if e.type == "audio") > 48_000

    talk(url, RealtimeAgent(name="desk", instructions=SHOP), story)


def test_the_agents_sdk_runs_a_tool(url: str) -> None:
    asked: list[str] = []

    @function_tool
    def get_weather(city: str) -> str:
        """The weather in a city right now."""
        asked.append(city)
        return "sunny, 21 degrees"

    async def story(talk: Talk) -> None:
        await talk.say("What is the weather in Paris?")
        called = await talk.response()
        assert called["output"][-1]["name"] == "get_weather"
        assert "21 degrees" in words(await talk.response())
        assert asked == ["Paris"]

    talk(url, RealtimeAgent(name="desk", instructions=SHOP, tools=[get_weather]), story)


def test_the_agents_sdk_is_interrupted(url: str) -> None:
    async def story(talk: Talk) -> None:
        await talk.session.send_message("go on")
        await talk.until("audio")
        await talk.say("Stop please.")
        await talk.until("audio_interrupted")
        cut = await talk.response()
        assert cut["status_details"]["reason"] == "turn_detected"

    talk(url, RealtimeAgent(name="talker", instructions=MONOLOGUE), story)


def test_openais_client_holds_a_typed_conversation(url: str) -> None:
    async def story() -> None:
        base = url.removesuffix("/realtime")
        async with (
            AsyncOpenAI(api_key=KEY, websocket_base_url=base) as client,
            client.realtime.connect(model="gpt-realtime-2.1") as session,
            asyncio.timeout(20),
        ):
            await session.session.update(session={"type": "realtime", "instructions": SHOP})
            content = [{"type": "input_text", "text": "When are you open?"}]
            await session.conversation.item.create(
                item={"type": "message", "role": "user", "content": content}
            )
            await session.response.create()
            async for event in session:
                assert event.type != "error", event
                if event.type == "response.done":
                    assert "9 to 5" in event.response.output[0].content[0].transcript
                    return

    asyncio.run(story())
