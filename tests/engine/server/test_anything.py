"""Whatever a client sends, in whatever order: the engine answers, and nothing of it breaks."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import pytest
from support.engine import Client, Puppet, Serving, connected, spoken
from support.speech import silence

JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**12, "", "x" * 600, "item_0", "ключ", [], {}, [None], {"a": []},
)  # fmt: skip


def event(chance: random.Random) -> dict[str, Any]:
    """One client event, mostly right; some of its values are not."""
    ids = [f"item_{n}" for n in range(4)]
    kinds: list[dict[str, Any]] = [
        {"type": "session.update", "session": _session(chance)},
        {"type": "input_audio_buffer.append", "audio": _audio(chance)},
        {"type": "input_audio_buffer.append", "audio": _audio(chance)},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "output_audio_buffer.clear"},
        {"type": "conversation.item.create", "item": _item(chance, ids)},
        {"type": "conversation.item.delete", "item_id": chance.choice(ids)},
        {"type": "conversation.item.retrieve", "item_id": chance.choice(ids)},
        {
            "type": "conversation.item.truncate",
            "item_id": chance.choice(ids),
            "content_index": 0,
            "audio_end_ms": chance.randrange(3000),
        },
        {"type": "response.create", "response": _response(chance, ids)},
        {"type": "response.create"},
        {"type": "response.cancel"},
        {"type": "no.such.event"},
    ]
    made = chance.choice(kinds)
    if chance.random() < 0.2:
        made[chance.choice([*made, "extra"])] = chance.choice(JUNK)
    return made


def _session(chance: random.Random) -> dict[str, Any]:
    detection: list[Any] = [
        None,
        {"type": "server_vad", "silence_duration_ms": chance.choice([0, 100, 500])},
        {"type": "semantic_vad", "eagerness": chance.choice(["low", "high", "auto"])},
        {"type": "server_vad", "interrupt_response": False, "idle_timeout_ms": 5000},
        chance.choice(JUNK),
    ]
    forms: list[Any] = [
        {"type": "audio/pcm", "rate": 24000},
        {"type": "audio/pcmu"},
        {"type": "audio/pcma"},
        chance.choice(JUNK),
    ]
    return {
        "type": "realtime",
        "output_modalities": chance.choice([["text"], ["audio"], ["text"], chance.choice(JUNK)]),
        "audio": {
            "input": {"turn_detection": chance.choice(detection), "format": chance.choice(forms)},
            "output": {"format": chance.choice(forms), "speed": chance.choice([1.0, 1.5, 99])},
        },
    }


def _audio(chance: random.Random) -> str:
    sound = spoken("What time do you open?") + silence(0.7)
    start = chance.randrange(len(sound))
    return base64.b64encode(sound[start : start + chance.randrange(30_000)]).decode()


def _item(chance: random.Random, ids: list[str]) -> dict[str, Any]:
    return chance.choice(
        [
            {
                "id": chance.choice(ids),
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hello"}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_audio", "audio": _audio(chance)}],
            },
            {"type": "function_call_output", "call_id": "call_none", "output": "1"},
            {"type": chance.choice(JUNK), "content": chance.choice(JUNK)},
        ]
    )


def _response(chance: random.Random, ids: list[str]) -> dict[str, Any]:
    return {
        "conversation": chance.choice(["auto", "none", "none"]),
        "output_modalities": chance.choice([["text"], ["audio"]]),
        "input": chance.choice(
            [[], [{"type": "item_reference", "id": chance.choice(ids)}], [_item(chance, ids)]]
        ),
        "max_output_tokens": chance.choice(["inf", 5, 4096, -1]),
        "metadata": chance.choice([None, {"a": "b"}, {"a": 1}]),
    }


@pytest.mark.parametrize("seed", range(6))
def test_the_engine_survives(
    engine: Serving, puppet: Puppet, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def settle(client: Client) -> None:
        """Until the engine has answered all of it."""
        await client.send("session.update", session={"type": "realtime"}, event_id="last")
        await client.until("session.updated", within=30)
        while client.types().count("response.created") > client.types().count("response.done"):
            await client.receive(30)

    async def story() -> None:
        chance = random.Random(seed)
        async with connected(engine, judge=False) as client:
            for _ in range(150):
                await client.socket.send(json.dumps(event(chance)))
                if chance.random() < 0.05:
                    await settle(client)
            await settle(client)
            ours = [e for e in client.of("error") if e["error"]["type"] == "server_error"]
            assert ours == []

    asyncio.run(story())
    assert [r.getMessage() for r in caplog.records if r.name == "runner.engine"] == []
