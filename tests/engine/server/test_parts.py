"""The small machines of a connection, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.engine import Puppet
from support.until import until

from runner.audio.formats import PCMU
from runner.engine.ports import BrainError, Call, Prompt, Say, Spoken
from runner.engine.server.answer import Answer, Failure, Speaker
from runner.engine.server.auth import allowed, presented_key
from runner.engine.server.budget import Budget
from runner.engine.server.context import Context
from runner.engine.server.idle import IdleTimer
from runner.engine.server.options import EngineOptions
from runner.engine.server.outbox import DeadPeer, Outbox
from runner.engine.server.sound import Encoder, chunks
from runner.engine.server.transcription import Transcription
from runner.engine.wire import Items, Settings
from runner.tasks import Supervisor

pytestmark = pytest.mark.quick

SECOND = bytes(48_000)


class SlowVoice:
    """A second of silence a clause; ``said`` is what it was asked for."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def say(self, text: str, voice: str, speed: float) -> AsyncIterator[Spoken]:
        self.said.append(text)
        await asyncio.sleep(0)
        if text.startswith("broken"):
            raise RuntimeError("no voice today")
        yield Spoken(text, SECOND)


class Deaf:
    """Ears that nobody asks."""

    async def transcribe(self, pcm16k: bytes) -> str:
        raise AssertionError("nothing is to be recognised")


def answer(pieces: list[Any], voice: SlowVoice | None, *, held: bool = False) -> Answer:
    puppet = Puppet()
    puppet.answer = lambda prompt: pieces
    return Answer(puppet, Prompt("", []), Speaker(voice), held)


async def everything(made: Answer) -> list[Any]:
    pieces = []
    while (piece := await made.take()) is not None:
        pieces.append(piece)
    return pieces


def run(made: Answer) -> list[Any]:
    async def story() -> list[Any]:
        made.attach(asyncio.get_running_loop().create_task(made.make()))
        return await everything(made)

    return asyncio.run(story())


def test_an_answer_is_spoken_clause_by_clause_and_calls_keep_their_place() -> None:
    voice = SlowVoice()
    call = Call("book", "{}")
    pieces = run(answer(["One moment, ple", "ase. I will ", "look", call, "Done."], voice))
    assert "".join(p.text for p in pieces if isinstance(p, Spoken)) == (
        "One moment, please. I will lookDone."
    )
    assert pieces.index(call) == len(pieces) - 2
    assert voice.said[-1] == "Done."


def test_a_held_answer_goes_as_far_as_its_first_clause() -> None:
    voice = SlowVoice()

    async def story() -> None:
        made = answer(["First. ", "Second. ", "Third. "], voice, held=True)
        task = asyncio.get_running_loop().create_task(made.make())
        made.attach(task)
        await until(lambda: voice.said)
        for _ in range(20):
            await asyncio.sleep(0)
        assert voice.said == ["First. "]
        made.release()
        assert [p.text for p in await everything(made)] == ["First. ", "Second. ", "Third. "]

    asyncio.run(story())


def test_a_dropped_answer_stops_and_gives_nothing() -> None:
    voice = SlowVoice()

    async def story() -> None:
        made = answer(["First. ", "Second. "], voice, held=True)
        task = asyncio.get_running_loop().create_task(made.make())
        made.attach(task)
        await until(lambda: voice.said)
        made.drop()
        assert await made.take() is None
        await asyncio.wait([task])
        assert voice.said == ["First. "]

    asyncio.run(story())


def test_an_answer_is_not_made_far_ahead_of_what_was_taken() -> None:
    voice = SlowVoice()

    async def story() -> None:
        made = answer([f"Number {n} is here. " for n in range(60)], voice)
        made.attach(asyncio.get_running_loop().create_task(made.make()))
        await until(lambda: len(voice.said) > 20)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(voice.said) <= 22
        assert len(await everything(made)) == 60

    asyncio.run(story())


def test_failures_are_spoken_about() -> None:
    down = BrainError("timeout", "30 s passed", "That took too long.")
    pieces = run(answer(["Well, ", down], SlowVoice()))
    assert [p.text for p in pieces if isinstance(p, Spoken)][-1] == "That took too long."
    assert pieces[-1] == Failure("timeout", "30 s passed")
    # The voice is what failed: nothing can be heard, but it is told.
    [*_, told] = run(answer(["broken word."], SlowVoice()))
    assert isinstance(told, Failure)
    assert "no voice today" in told.message
    assert run(answer([down], None)) == [
        Say("That took too long."),
        Failure("timeout", "30 s passed"),
    ]


def test_the_budget_cuts_between_words() -> None:
    budget = Budget(10)
    assert budget.text(whole := Say("Twenty letters here.")) is whole
    assert budget.text(Say("And this is more than is left.")) == Say("And this is more ")
    assert budget.spent <= 10
    budget = Budget(30)
    spoken = Spoken("The first clause is a second long, about. ", SECOND * 2)
    cut = budget.speech(spoken)
    assert cut is not spoken
    assert spoken.text.startswith(cut.text)
    assert cut.text.endswith(" ")
    assert 0 < len(cut.pcm24k) < len(spoken.pcm24k)
    assert budget.spent <= 30
    assert Budget(3).call(Call("a_long_name", '{"with": "arguments"}')) is None
    assert Budget("inf").speech(spoken) is spoken


def test_sound_goes_out_in_100_to_200_ms() -> None:
    for data, sizes in (
        (SECOND, [4800] * 8 + [9600]),
        (SECOND[:9598], [9598]),
        (SECOND[:20], [20]),
        (b"", []),
    ):
        pieces = list(chunks(data))
        assert b"".join(pieces) == data
        if sizes[0:1] == [4800]:
            assert all(4800 <= len(p) < 9600 for p in pieces)
        else:
            assert [len(p) for p in pieces] == sizes


def test_g711_is_encoded_as_one_stream() -> None:
    whole = Encoder(PCMU)
    parts = [whole.encode(SECOND[:30_000]), whole.encode(SECOND[30_000:]), whole.flush()]
    assert len(b"".join(parts)) == pytest.approx(8000, abs=8)


def test_the_outbox_keeps_the_order_and_gives_up_on_a_dead_peer() -> None:
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    async def never(text: str) -> None:
        await asyncio.Event().wait()

    async def story() -> None:
        box = Outbox(send, stall_seconds=1)
        event = {"type": "a", "part": {"text": "now"}}
        box.put(event)
        event["part"]["text"] = "later"
        box.put({"type": "b"})
        box.close()
        await box.run()
        assert [json.loads(t) for t in sent] == [
            {"type": "a", "part": {"text": "now"}},
            {"type": "b"},
        ]
        stalled = Outbox(never, stall_seconds=0.01)
        stalled.put({"type": "a"})
        with pytest.raises(DeadPeer, match="nothing was read"):
            await stalled.run()
        full = Outbox(send, stall_seconds=1, max_bytes=100)
        for _ in range(20):
            full.put({"type": "a"})
        with pytest.raises(DeadPeer, match="100 bytes"):
            await full.run()

    asyncio.run(story())


def test_the_idle_timer_obeys_what_is_in_force_when_it_ends() -> None:
    async def story() -> None:
        fired: list[int] = []
        seconds: list[float | None] = [0.01]
        timer = IdleTimer(lambda: seconds[0], lambda: fired.append(1))
        timer.start(0.0)
        await until(lambda: fired)
        timer.start(0.0)
        seconds[0] = None
        await asyncio.sleep(0.05)
        assert fired == [1]
        timer.start(0.0)
        timer.stop()

    asyncio.run(story())


def test_keys() -> None:
    assert presented_key({"authorization": "Bearer abc"}) == "abc"
    assert presented_key({"authorization": "bearer  abc "}) == "abc"
    assert presented_key({}, ["realtime", "openai-insecure-api-key.xyz"]) == "xyz"
    assert presented_key({"authorization": "Basic abc"}) == ""
    assert allowed("", "")
    assert allowed("k", "k")
    assert not allowed("k", "")
    assert not allowed("k", "ключ")


# -- the words of a turn -------------------------------------------------------------------------
def test_a_response_that_begins_in_the_step_in_which_words_come_reads_them() -> None:
    async def nowhere(text: str) -> None:
        pass

    async def story() -> str:
        context = Context(
            options=EngineOptions(),
            brain=Puppet(),
            models=None,
            no_speech="",
            settings=Settings("m", "sess_1"),
            items=Items(),
            outbox=Outbox(nowhere, stall_seconds=1.0),
            tasks=Supervisor(lambda name, error: None),
        )
        loop = asyncio.get_running_loop()
        words: asyncio.Future[str] = loop.create_future()
        context.items.add_user_audio("item_1", bytes(800), PCMU)
        Transcription(context, Deaf()).publish("item_1", words, 100.0)

        async def read() -> str:
            params = context.params()
            await context.all_heard(params)
            (item,) = context.prompt(params).items
            return str(item["content"][0].get("transcript"))

        reading = loop.create_task(read())
        words.set_result("How much is it?")  # its item gets it in the step after this one
        assert context.unheard()
        heard = await reading
        assert not context.unheard()
        await context.tasks.close()
        return heard

    assert asyncio.run(story()) == "How much is it?"
