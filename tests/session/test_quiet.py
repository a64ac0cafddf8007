"""Greeting, silence and farewell of a live session, against a server that speaks on request."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

from support.lines import Lines, lines
from support.until import until

from runner import RealtimeAgent, RealtimeSession
from runner.model.deployment import Silence
from runner.tools.builtin import EndCall

Test = Callable[[RealtimeSession, Lines, list[Any]], Awaitable[None]]


def on_lines(test: Test, agent: RealtimeAgent, **options: Any) -> None:
    async def main() -> None:
        async with lines() as server:
            session = RealtimeSession(agent, **options)
            seen: list[Any] = []
            session.on("*", seen.append)
            await session.connect(api_key="key", url=server.url)
            try:
                async with asyncio.timeout(20):
                    await test(session, server, seen)
            finally:
                await session.close()

    asyncio.run(main())


def of(seen: list[Any], kind: str) -> list[Any]:
    return [e for e in seen if e.type == kind]


def asked(server: Lines, number: int, purpose: str) -> list[dict[str, Any]]:
    creates = [e["response"] for e in server.of(number, "response.create")]
    return [r for r in creates if (r.get("metadata") or {}).get("purpose") == purpose]


async def say(
    server: Lines, number: int, name: str, ms: int, text: str, *, ends: bool = True
) -> None:
    """Answer the newest request of this line with so much audio."""
    request = server.of(number, "response.create")[-1]["response"]
    item = {"id": f"i{name}", "type": "message", "role": "assistant", "content": []}
    wire = {"id": name, "output": [], "metadata": request.get("metadata")}
    at = {"response_id": name, "item_id": f"i{name}", "output_index": 0, "content_index": 0}
    data = base64.b64encode(b"\1\0" * (ms * 24)).decode()
    await server.send(
        number,
        {"type": "response.created", "response": wire},
        {"type": "response.output_item.added", "response_id": name, "item": item},
        {"type": "response.output_audio_transcript.delta", **at, "delta": text},
        {"type": "response.output_audio.delta", **at, "delta": data},
    )
    if ends:
        await finish(server, number, name, text)


async def finish(server: Lines, number: int, name: str, text: str) -> None:
    at = {"response_id": name, "item_id": f"i{name}", "output_index": 0, "content_index": 0}
    content = [{"type": "output_audio", "transcript": text}]
    item = {"id": f"i{name}", "type": "message", "role": "assistant", "status": "completed"}
    await server.send(
        number,
        {"type": "response.output_audio.done", **at},
        {"type": "response.output_audio_transcript.done", **at, "transcript": text},
        {
            "type": "response.done",
            "response": {"id": name, "output": [{**item, "content": content}]},
        },
    )


HELLO = RealtimeAgent("desk", "Be kind.", greeting="Welcome to the desk, how can I help you?")


def test_the_greeting_is_said_once_in_a_call() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await until(lambda: asked(server, 0, "greeting"))
        assert asked(server, 0, "greeting")[0]["instructions"].endswith(HELLO.greeting)
        await say(server, 0, "r1", 50, HELLO.greeting)
        await until(lambda: of(seen, "turn_end"))
        server.reset()
        await until(lambda: of(seen, "reconnected"))
        assert [i["content"][0]["text"] for i in server.items(1)] == [HELLO.greeting]
        session.send_message("hello")
        await until(lambda: server.of(1, "response.create"))
        assert not asked(server, 1, "greeting")
        assert len(server.of(1, "response.create")) == 1

    on_lines(test, HELLO)


def test_a_greeting_lost_before_a_word_of_it_was_heard_is_said_on_the_next_line() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await until(lambda: asked(server, 0, "greeting"))
        server.reset()
        await until(lambda: of(seen, "reconnected"))
        await until(lambda: asked(server, 1, "greeting"))

    on_lines(test, HELLO)


def test_what_the_caller_says_into_a_greeting_not_to_be_cut_is_heard_after_it() -> None:
    agent = RealtimeAgent(
        "desk", "Be kind.", greeting="This call is recorded.", interruptible_greeting=False
    )

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await until(lambda: asked(server, 0, "greeting"))
        session.send_audio(b"\2\0" * 480)
        await say(server, 0, "r1", 300, "This call is recorded.")
        await until(lambda: of(seen, "audio"))
        session.send_audio(b"\3\0" * 480)
        assert not server.audio(0)
        await until(lambda: server.audio(0))
        assert of(seen, "turn_end"), "the greeting was played to its end first"
        await until(lambda: server.audio(0) == b"\2\0" * 480 + b"\3\0" * 480)
        assert not of(seen, "audio_interrupted")
        session.send_audio(b"\4\0" * 480)
        await until(lambda: server.audio(0).endswith(b"\4\0" * 480))

    on_lines(test, agent)


def test_the_silent_caller_is_asked_and_then_hung_up_on() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await until(lambda: asked(server, 0, "silence"))
        assert asked(server, 0, "silence")[0]["instructions"].endswith("Still there?")
        await say(server, 0, "r1", 50, "Still there?")
        # Comfort noise: the server believes in speech, and no words come of it.
        for kind in ("speech_started", "speech_stopped"):
            await server.send(0, {"type": f"input_audio_buffer.{kind}", "item_id": "u1"})
        await server.send(
            0,
            {
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": "u1", "content_index": 0, "transcript": "",
            },
        )  # fmt: skip
        await until(lambda: of(seen, "connection_change")[-1].status == "disconnected")
        assert of(seen, "connection_change")[-1].reason == "the caller was silent"
        assert len(asked(server, 0, "silence")) == 1

    silence = Silence(ask_after=0.2, say="Still there?", hang_up_after=0.8)
    config = {
        "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}
    }
    on_lines(test, RealtimeAgent("desk"), silence=silence, config=config)


def test_the_agent_ends_the_call_when_its_farewell_was_played() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        session.send_message("bye")
        await until(lambda: server.of(0, "response.create"))
        await say(server, 0, "r1", 300, "Goodbye.", ends=False)
        call = {
            "id": "f1", "type": "function_call", "call_id": "c1", "name": "end_call",
            "arguments": "{}", "status": "completed",
        }  # fmt: skip
        await server.send(
            0, {"type": "response.output_item.done", "response_id": "r1", "item": call}
        )
        await finish(server, 0, "r1", "Goodbye.")
        await until(lambda: of(seen, "connection_change")[-1].status == "disconnected")
        assert of(seen, "connection_change")[-1].reason == "the agent ended the call"
        kinds = [e.type for e in seen]
        assert kinds.index("turn_end") < len(kinds) - 1
        assert [e.played_ms for e in of(seen, "turn_end")] == [300]
        assert len(server.of(0, "response.create")) == 1  # the goodbye was said already

    on_lines(test, RealtimeAgent("desk", tools=[EndCall()]))


def test_a_caller_who_answers_the_farewell_keeps_the_call() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        session.say("Goodbye.", purpose="farewell")
        session.hang_up("closing time")
        await until(lambda: server.of(0, "response.create"))
        await say(server, 0, "r1", 50, "Goodbye.")
        await until(lambda: of(seen, "turn_end"))
        session.send_message("One more thing!")
        await until(lambda: len(server.of(0, "response.create")) == 2)
        await say(server, 0, "r2", 1500, "Of course.")
        await until(lambda: len(of(seen, "turn_end")) == 2)
        assert session.connected

    on_lines(test, RealtimeAgent("desk"))
