"""Edits that race turns, tools, handoffs, barge-in, newer edits and a server with its moods.

Whatever happens, every call ends on one revision, whole: what the server has is what the
deployment in force says for the agent on the line, and so is what the call itself runs by.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from support.refusing import RefusingServer
from support.until import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

import runner.core.settings as timing
from runner.agent import RealtimeAgent
from runner.config.load import load
from runner.core.difference import MISSING, OFF, contained, lookup
from runner.core.events import SessionEvent, SettingsRefused
from runner.desk import Address, Call, Desk
from runner.model.settings import merge
from runner.reload.apply import Applied, Applier, Outcome, Rejected
from runner.staff import build_agents
from runner.toolbox import load_tools

#: Seconds that a call waits for session.updated here; five in earnest.
PATIENCE = 0.04
CALLS = 3

SHOP = """\
name: shop
transport: websocket
timezone: none
session:
  output_modalities: [text]
{session}
agents:
  desk:
    instructions: This is desk {number}.
    tools: [price]
    handoffs: [{{ to: night, when: "It is night {number}." }}]
  night:
    instructions: This is night {number}.
    tools: [price]
    handoffs: [{{ to: desk }}]
tools:
  price: {{ python: "price{code}.py:price", description: Price {number}. }}
{line}
"""
#: What a line that is open cannot take.
ANOTHER_LINE = "model: model-{number}\nreload: {{ in_call: {policy} }}"


def deployment(number: int, dice: random.Random) -> str:
    session = [f"  max_output_tokens: {100 + number}", "  tool_choice: required", ""]
    policy = dice.choice(["reconnect", "reconnect", "live_only"])
    line = dice.choice(["", ANOTHER_LINE.format(number=number, policy=policy)])
    return SHOP.format(number=number, session=dice.choice(session), code=number % 2, line=line)


class MoodyServer(RefusingServer):
    """Answers with turns of its own, and takes a session.update as the dice fall."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self.moody = 0.0
        self.moods: Counter[str] = Counter()
        self._made = 0
        self._later: set[asyncio.Task[None]] = set()
        self._running: dict[int, str] = {}

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._dice.random() < self.moody / 2:
            self.moods["away"] += 1
            return connection.respond(503, "not now\n")
        return None

    async def _update(self, number: int, event: dict[str, Any]) -> None:
        # A handoff is not an edit: what a server half takes of one is another test's.
        now, new = self.sessions[number].get("instructions", ""), event["session"]
        other = "night" if "desk" in now else "desk"
        mood = "well"
        if now and other not in new.get("instructions", "") and self._dice.random() < self.moody:
            mood = self._dice.choice(["refuses", "deaf", "mute", "late", "partly"])
        self.moods[mood] += 1
        self.updates[number].append(event["session"])
        if mood == "refuses":
            error = {"type": "invalid_request_error", "code": "invalid_value",
                     "message": "not today", "event_id": event.get("event_id")}  # fmt: skip
            await self.send(number, {"type": "error", "error": error})
            return
        if mood == "deaf":
            return
        given = dict(event["session"])
        if mood == "partly":
            given.pop("instructions", None)
        self.sessions[number] = merge(self.sessions[number], given)
        if mood == "mute":
            return
        if mood == "late":
            self._soon(self._echo_late(number))
        else:
            await self.echo(number)

    async def _echo_late(self, number: int) -> None:
        await asyncio.sleep(PATIENCE * 1.5)
        # What it has by then: no server tells of an older state behind a newer one.
        await self.echo(number)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _hear(self, number: int, event: dict[str, Any]) -> None:
        match event["type"]:
            case "response.create":
                if number in self._running:
                    error = {"type": "invalid_request_error", "message": "one at a time",
                             "code": "conversation_already_has_active_response",
                             "event_id": event.get("event_id")}  # fmt: skip
                    await self.send(number, {"type": "error", "error": error})
                else:
                    self._soon(self.turn(number, asked=event.get("response", {})))
            case "response.cancel":
                await self._end(number, "cancelled")
            case "conversation.item.create":
                item = {"status": "completed", **event["item"]}
                await self.send(number, {"type": "conversation.item.added", "item": item})
                await self.send(number, {"type": "conversation.item.done", "item": item})

    async def turn(self, number: int, *, asked: dict[str, Any] | None = None) -> None:
        """One answer: words, a tool, or the other agent."""
        while (running := self._running.get(number)) is not None:
            await until(lambda: self._running.get(number) != running)
        self._made += 1
        response_id = self._running[number] = f"resp_{self._made}"
        response = {"id": response_id, "object": "realtime.response", "status": "in_progress",
                    "metadata": (asked or {}).get("metadata")}  # fmt: skip
        await self.send(number, {"type": "response.created", "response": response})
        await asyncio.sleep(self._dice.uniform(0, 0.02))
        if self._running.get(number) != response_id:
            return
        kind = "words" if asked is not None else self._dice.choice(["words", "tool", "handoff"])
        item: dict[str, Any] = {"id": f"item_{self._made}", "status": "completed"}
        names = [tool["name"] for tool in self.sessions[number].get("tools", ())]
        ways = [name for name in names if name.startswith("transfer_to_")]
        if kind == "words" or not ways:
            said = {"type": "output_text", "text": "Well."}
            item |= {"type": "message", "role": "assistant", "content": [said]}
        else:
            name = "price" if kind == "tool" else ways[0]
            arguments = '{"item": "pen"}' if kind == "tool" else "{}"
            item |= {"type": "function_call", "name": name, "arguments": arguments,
                     "call_id": f"call_{self._made}"}  # fmt: skip
        body = {"response_id": response_id, "output_index": 0, "item": item}
        await self.send(number, {"type": "response.output_item.added", **body})
        await self.send(number, {"type": "response.output_item.done", **body})
        await self._end(number, "completed", [item])

    async def _end(self, number: int, status: str, output: list[Any] | None = None) -> None:
        response_id = self._running.pop(number, None)
        if response_id is not None:
            response = {"id": response_id, "object": "realtime.response", "status": status,
                        "output": output or []}  # fmt: skip
            await self.send(number, {"type": "response.done", "response": response})

    async def barge_in(self, number: int) -> None:
        self._made += 1
        item = {"item_id": f"item_{self._made}"}
        began = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, **item}
        await self.send(number, began)
        await self._end(number, "cancelled")
        await asyncio.sleep(self._dice.uniform(0, 0.01))
        ended = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 0, **item}
        await self.send(number, ended)
        await self.send(number, {"type": "input_audio_buffer.committed", **item})
        await self.turn(number)

    async def send(self, number: int, event: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionClosed):
            await super().send(number, event)

    async def close(self) -> None:
        for task in tuple(self._later):
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)


class Race:
    """One seed: a shop on the desk, and everything at once."""

    def __init__(self, seed: int, folder: Path, server: MoodyServer) -> None:
        self._dice = random.Random(seed)
        self.file = folder / "shop.yaml"
        for code in (0, 1):
            text = f"def price(item: str) -> str:\n    return '{code} dollars'\n"
            (folder / f"price{code}.py").write_text(text)
        self._number = 0
        self.file.write_text(deployment(0, self._dice))
        self.server = server
        loaded = load(self.file, env={})
        address = Address(server.url, "key")
        self.desk = Desk(loaded.deployment, load_tools(loaded), address, self._heard)
        self.applier = Applier(self.desk, loaded, lambda: load(self.file, env={}))
        self._tasks: set[asyncio.Task[Any]] = set()
        self.outcomes: Counter[str] = Counter()
        self.calls: list[Call] = []
        #: The number of the line that each call has, or had last.
        self._lines: dict[str, int] = {}

    def _line(self, call: Call) -> int:
        if name := call.session.effective.get("id"):
            self._lines[call.id] = int(str(name).removeprefix("sess_"))
        return self._lines[call.id]

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

    def _heard(self, call: Call, event: SessionEvent) -> None:
        if isinstance(event, SettingsRefused):
            self._spawn(self._undo(call, event))

    async def _undo(self, call: Call, event: SettingsRefused) -> None:
        if (undone := await self.applier.refused_later(call, event)) is not None:
            self._count(undone)

    def _count(self, outcome: Outcome) -> None:
        self.outcomes[type(outcome).__name__] += 1
        if isinstance(outcome, Applied) and outcome.pending:
            self.outcomes["pending"] += 1

    async def _save(self) -> None:
        self._number += 1
        self.file.write_text(deployment(self._number, self._dice))
        self._count(await self.applier.saved(time.monotonic()))

    async def run(self) -> None:
        dice, server = self._dice, self.server
        for _ in range(CALLS):
            self.calls.append(call := await self.desk.open())
            self._line(call)
        server.moody = dice.choice([0.0, 0.1, 0.4])
        for _ in range(dice.randint(4, 10)):
            call = dice.choice(self.calls)
            number = self._line(call)
            match dice.choice(["edit", "edit", "turn", "turn", "barge-in", "say"]):
                case "edit":
                    self._spawn(self._save())
                case "turn":
                    self._spawn(server.turn(number))
                case "barge-in":
                    self._spawn(server.barge_in(number))
                case "say":
                    call.session.send_message("Hello.")
            await asyncio.sleep(dice.choice([0.0, 0.001, dice.uniform(0, 0.02)]))
        await self._rest()
        await self.judge()
        # And whatever it was, the next good save mends it all.
        server.moody = 0.0
        timing.ANSWER_WITHIN = 5.0  # a busy machine is no mood
        self._number += 1
        self.file.write_text(deployment(self._number, self._dice))
        outcome = await self.applier.saved(time.monotonic())
        assert isinstance(outcome, Applied), outcome
        await self._rest()
        assert not any(call.degraded for call in self.calls)
        await self.judge()

    async def _rest(self) -> None:
        """Until nobody has anything to do any more."""

        def over() -> bool:
            self._tasks = {task for task in self._tasks if not task.done() or task.result()}
            return not (self._tasks or self.server._later) and all(map(self._rests, self.calls))

        await until(over, 4)

    def _rests(self, call: Call) -> bool:
        has_it = call.revision == self.desk.revision or bool(call.degraded)
        return has_it and call.session.connected and not call.session.busy

    async def judge(self) -> None:
        for call in self.calls:
            number = self._line(call)
            assert not call.ended.is_set(), f"call {number} ended"
            assert call.session.connected
            if call.degraded:
                self.outcomes["degraded"] += 1
                continue
            desk = self.desk
            agents = build_agents(desk.deployment, desk.tools, call.about, call.started)
            await self._whole(number, call, agents[call.session.agent.name])

    async def _whole(self, number: int, call: Call, agent: RealtimeAgent) -> None:
        resolved = await agent.resolve(self.desk.deployment.session, None)
        has, wanted = self.server.sessions[number], dict(resolved.view.settings.leaves())
        rest = {path: value for path, value in OFF.items() if path not in wanted}
        for path, value in {**wanted, **rest}.items():
            found = lookup(has, path)
            off = path in rest and found is MISSING
            assert off or path == "model" or contained(value, found), (
                f"call {number}, {path}: it has {found!r}, wanted is {value!r}"
            )
        # What it runs by itself is of the same revision.
        mine = call.session.agent
        assert mine.instructions == agent.instructions, (
            f"call {number}: {mine.instructions!r}, wanted is {agent.instructions!r}"
        )
        assert mine.tools == agent.tools, f"call {number} has another revision's tools"
        assert call.session.settings.wire == resolved.view.settings.wire

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.desk.close()


async def run(seed: int, folder: Path) -> Counter[str]:
    """What came of the saves and the moods. AssertionError names the seed."""
    timing.ANSWER_WITHIN, earnest = PATIENCE, timing.ANSWER_WITHIN
    server = MoodyServer(random.Random(seed + 1_000_000))
    listening = serve(server._serve, "127.0.0.1", 0, process_request=server._request)
    async with listening as listener:
        port = listener.sockets[0].getsockname()[1]
        server.url = f"ws://127.0.0.1:{port}/v1/realtime"
        race = Race(seed, folder, server)
        try:
            await race.run()
        except (AssertionError, TimeoutError) as error:
            states = [(c.session.busy, c.revision, c.degraded) for c in race.calls]
            raise AssertionError(
                f"seed {seed}: {error!r}; desk {race.desk.revision}, calls {states}, "
                f"{dict(race.outcomes)}, {dict(server.moods)}"
            ) from error
        finally:
            timing.ANSWER_WITHIN = earnest
            await race.close()
            await server.close()
    return race.outcomes + server.moods


def rejected(outcomes: Counter[str]) -> int:
    return outcomes[Rejected.__name__]
