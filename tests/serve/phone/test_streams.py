"""Calls by Twilio on the real engine: `runner.testing.TwilioCaller` is the phone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from support.engine import Puppet, Serving, last_words, serving, speech_models, spoken
from support.hearing import words_in
from support.speech import silence
from support.twilio import LINE, Exchange, exchange
from support.until import until

from runner.audio.g711 import ulaw_decode
from runner.engine.ports import Call as ToolCall
from runner.engine.ports import Prompt
from runner.media.resample import resample
from runner.testing import TwilioCaller
from runner.testing.twiml import read_twiml

FILE = (
    LINE
    + """\
session: { audio: { input: { turn_detection: { type: server_vad } } } }
calls:
  - { from: anonymous, reject: 603 }
  - { to: "+15550111", transfer: "tel:+15550199" }
  - { to: "+15550122", transfer: "sip:desk@example.com" }
  - { answer: desk }
agents:
  desk:
    instructions: You answer ${call.to} for ${call.from}, ${call.id}.
    greeting: "Bakery."
    tools: [end_call, collect_digits]
    handoffs:
      - { to: billing }
      - { transfer: "tel:+15550177", when: The caller is upset. }
  billing:
    instructions: You do the bills.
"""
)
STORY = "This goes on and on, and it does not stop for a good long while. " * 4


def answer(prompt: Prompt) -> list[str | ToolCall | Exception]:
    if prompt.instructions.startswith("Say exactly"):
        return [prompt.instructions.partition("\n\n")[2]]
    if "could not be put through: the line is busy" in str(prompt.items[-1]):
        return ["It is busy there."]
    words = last_words(prompt).lower()
    for word, does in {
        "bye": ToolCall("end_call", "{}"),
        "account": ToolCall("collect_digits", '{"count": 4}'),
        "person": ToolCall("transfer_to_tel_15550177", "{}"),
    }.items():
        if word in words and prompt.items[-1]["type"] != "function_call_output":
            return [does]
    if "story" in words:
        return [STORY]
    if prompt.items[-1]["type"] == "function_call_output":
        return ["Yes."]
    return ["On Saturday." if "saturday" in words else "Yes."]


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    puppet = Puppet()
    puppet.answer = answer
    with serving(puppet, speech_models()) as running:
        yield running


Test = Callable[[Exchange, TwilioCaller], Awaitable[None]]


def on_the_phone(
    folder: Path, engine: Serving, test: Test, text: str = FILE, **phone: bool
) -> None:
    async def main() -> None:
        async with exchange(folder, engine.url, bakery=text) as it, asyncio.timeout(60):
            async with it.phone(**phone) as caller:
                await caller.connected.wait()
                await until(lambda: it.ears.of(caller, "turn_end"), 20)
                await test(it, caller)
            assert caller.failures == []

    asyncio.run(main())


async def turns(it: Exchange, caller: TwilioCaller, count: int) -> None:
    await until(lambda: len(it.ears.of(caller, "turn_end")) >= count, 30)


async def heard(caller: TwilioCaller, since: int = 0) -> str:
    pcm = resample(ulaw_decode(bytes(caller.played[since:])), 8_000, 16_000)
    return (await words_in(pcm)).lower()


def test_a_call_from_the_ring_to_the_last_word(tmp_path: Path, engine: Serving) -> None:
    """Greeted, heard and answered, keys, an edit in mid-call, a farewell, hung up by REST."""

    async def talk(it: Exchange, caller: TwilioCaller) -> None:
        call = it.call(caller)
        assert call.session.effective["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        told = f"You answer +15550100 for +15559999, {caller.call_sid}."
        assert told in call.session.effective["instructions"]
        caller.speak(spoken("When do you open on Saturday?") + silence(0.6))
        await turns(it, caller, 2)
        words = await heard(caller)
        assert "bakery" in words
        assert "saturday" in words
        (tmp_path / "bakery.yaml").write_text(FILE.replace("You answer", "You sing to"))
        await it.hall["bakery"].reload()
        await until(lambda: "You sing to +15550100" in call.session.effective["instructions"])
        assert call.session.effective["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        call.session.send_message("My account.")
        await until(lambda: it.ears.of(caller, "agent_tool_start"), 20)
        await caller.press("4711")
        await turns(it, caller, 3)
        outputs = [item for item in call.session.history if item.type == "function_call"]
        assert [item.output for item in outputs] == ["4711"]
        call.session.send_message("Bye.")
        await caller.over.wait()
        assert caller.reason == "hung up by REST"
        await until(lambda: it.ears.over)
        assert (call.reason, call.lost) == ("the agent ended the call", False)
        assert it.api.asked == [{"Status": "completed"}]

    on_the_phone(tmp_path, engine, talk)


def test_barge_in_is_cut_where_the_ear_was(tmp_path: Path, engine: Serving) -> None:
    """At the beginning of an answer, in its middle, and when all of it was heard."""

    async def talk(it: Exchange, caller: TwilioCaller) -> None:
        session = it.call(caller).session
        off = []

        async def answered(count: int) -> None:
            """So many times the agent has said Yes, and all of it was heard."""

            def said() -> int:
                texts = [event.text for event in it.ears.of(caller, "transcript")]  # type: ignore[attr-defined]
                return texts.count("Yes.")

            await until(lambda: said() >= count and not session.busy, 30)

        for share in (0.0, 0.5):
            before, frames = len(caller.played), len(caller.of("media"))
            session.send_message("Tell me a story.")
            cuts = len(caller.cleared)
            if share:
                await until(lambda: len(caller.played) > before + 4_000, 20)  # noqa: B023
                caller.speak(spoken("Stop.") + silence(0.6))
            else:  # a key is known at once: the first frame is hardly there
                await until(lambda: len(caller.of("media")) > frames, 20)  # noqa: B023
                await caller.press("5#")
            await until(lambda: len(caller.cleared) > cuts, 20)  # noqa: B023
            cut = it.ears.of(caller, "audio_interrupted")[-1]
            played = caller.cleared[-1] - before
            off.append(cut.heard_ms - played / 8)  # type: ignore[attr-defined]
            assert played < 4_000 or share
            await answered(len(off))
        # The frame that is being played, and on a busy machine one that waits to be told of.
        assert all(-20 <= ms <= 50 for ms in off), off
        assert min(map(abs, off)) <= 20, off
        cuts = len(caller.cleared)
        caller.speak(spoken("Hello.") + silence(0.6))
        await answered(3)
        assert len(caller.cleared) == cuts
        assert len(it.ears.of(caller, "audio_interrupted")) == cuts
        items = [i for i in session.history if i.type == "message" and i.role == "assistant"]
        assert [item.heard_ms is not None for item in items[1:4:2]] == [True, True], items

    on_the_phone(tmp_path, engine, talk)


def test_the_agent_puts_the_caller_through(tmp_path: Path, engine: Serving) -> None:
    """When Twilio refuses it, the agent stays with the caller; then it does not."""

    async def talk(it: Exchange, caller: TwilioCaller) -> None:
        session = it.call(caller).session
        it.api.refuses = 500
        session.send_message("A person, please.")
        await until(lambda: len(it.ears.of(caller, "transfer")) == 2, 20)
        assert not caller.over.is_set()
        await until(lambda: not session.busy, 20)
        it.api.refuses = 0
        session.send_message("A person, I said.")
        await caller.over.wait()
        assert caller.reason == "put through to +15550177"
        await until(lambda: it.ears.over)
        call = it.call(caller)
        assert (call.reason, call.lost) == ("put through to tel:+15550177", False)

    on_the_phone(tmp_path, engine, talk)


def test_nobody_takes_the_caller(tmp_path: Path, engine: Serving) -> None:
    """Busy there: the caller comes back to the agent, who knows what was said and says so."""

    async def talk(it: Exchange, caller: TwilioCaller) -> None:
        first, before = it.call(caller), len(caller.played)
        caller.dial_status = "busy"
        first.session.send_message("A person, please.")
        await until(lambda: it.call(caller) is not first, 20)
        assert (first.reason, first.lost) == ("put through to tel:+15550177", False)
        call = it.call(caller)
        await until(lambda: not call.session.busy and len(caller.played) > before + 8_000, 20)
        said = [item.text for item in call.session.history if item.type == "message"]
        assert said[0] == "Bakery."
        assert "A person, please." in said
        assert said[-1] == "It is busy there."
        # Twilio asks once: a second time means nothing.
        action = caller.done[1].attributes["action"]
        again = await caller._ask(action, caller._here(action, "http"), DialCallStatus="busy")
        assert [verb.name for verb in read_twiml(again)] == ["Hangup"]
        caller.dial_status = "completed"
        call.session.send_message("A person, I said.")
        await caller.over.wait()
        assert caller.reason == "put through to +15550177"
        await until(lambda: len(it.ears.over) == 2)
        assert [verb.name for verb in caller.done] == ["Connect", "Dial", "Connect", "Dial"]

    on_the_phone(tmp_path, engine, talk)
