"""Requests for a response that collide with those of others, on the real engine.

Another trigger beside our queue asks for responses too: a raw ``response.create`` of the program,
or the server's own at the end of speech. Whoever loses gets an error; no answer that was asked for
may be lost, and none may come twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.engine import Puppet, Serving, spoken
from support.speech import silence
from support.until import until

from runner import RealtimeAgent, RealtimeSession
from runner.engine.ports import Call, Prompt, Say

TEXT = {"output_modalities": ["text"]}
ACTIVE = "conversation_already_has_active_response"


class Slow(Puppet):
    """Takes a moment for each answer, so that there is something to collide with."""

    async def think(self, prompt: Prompt) -> AsyncIterator[Say | Call]:
        await asyncio.sleep(0.003)
        async for piece in super().think(prompt):
            yield piece


class Racing:
    """A session, what it told, and how often requests collided."""

    def __init__(self) -> None:
        self.session = RealtimeSession(RealtimeAgent("desk", "Be kind."), config=TEXT)
        self.collisions = 0
        self.errors: list[Any] = []
        self.session.transport.on("error", self._error)
        self.session.on("error", self.errors.append)
        self._others = 0

    def _error(self, event: dict[str, Any]) -> None:
        ours = str(event["error"].get("event_id")).startswith("rtrun_")
        self.collisions += ours and event["error"]["code"] == ACTIVE

    def other(self) -> None:
        """Somebody else asks, past our queue."""
        self._others += 1
        self.session.transport.send_event(
            {"type": "response.create", "event_id": f"other_{self._others}"}
        )

    def said(self) -> list[str]:
        return [i.text or "" for i in self.session.history if i.role == "assistant"]

    def judge(self, asked: list[str]) -> None:
        told = [text for text in self.said() if text in asked]
        assert told == asked, f"{asked} were asked for, {told} came"
        ours = [e for e in self.errors if not (e.event_id or "").startswith("other_")]
        assert not ours, ours


@asynccontextmanager
async def racing(server: Serving) -> AsyncIterator[Racing]:
    """A race on an open line, closed whatever comes of it: the next test has the engine alone."""
    race = Racing()
    try:
        await race.session.connect(api_key="key", url=server.url)
        yield race
    finally:
        await race.session.close()


async def typed(seed: int, server: Serving) -> int:
    """Words that must be said, while somebody else asks too; how many collisions there were."""
    dice = random.Random(seed)
    async with racing(server) as race:
        asked = []
        for number in range(6):
            if dice.random() < 0.7:
                race.other()
            if dice.random() < 0.5:
                await asyncio.sleep(dice.uniform(0, 0.004))
            asked.append(f"This is number {number}.")
            race.session.say(asked[-1])
            if dice.random() < 0.4:
                race.other()
            await asyncio.sleep(dice.uniform(0, 0.008))
        await until(lambda: set(asked) <= set(race.said()) and not race.session.busy, 30)
        race.judge(asked)
        return race.collisions


async def aloud(seed: int, server: Serving) -> int:
    """The caller ends a sentence in the moment in which the program has something to say."""
    dice = random.Random(seed)
    detection = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}}
    async with racing(server) as race:
        await race.session.reconfigure(
            {"desk": RealtimeAgent("desk", "Be kind.")},
            race.session.settings.merged({"audio": {"input": detection}}),
            1,
        )
        asked = []
        for number in range(3):
            asked.append(f"This is number {number}.")
            words = spoken("I want to order a large pizza.") + silence(0.6)
            race.session.send_audio(words[: len(words) // 2])
            race.session.send_audio(words[len(words) // 2 :])
            await asyncio.sleep(dice.uniform(0, 0.25))
            race.session.say(asked[-1])
            await until(
                lambda n=number: (
                    sum(t.startswith("You said") for t in race.said()) > n
                    and asked[-1] in race.said()
                    and not race.session.busy
                ),
                30,
            )
        race.judge(asked)
        return race.collisions
