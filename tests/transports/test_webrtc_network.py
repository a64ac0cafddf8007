"""OpenAIRealtimeWebRTC on the real engine, with a bad network or a busy machine in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.engine import Puppet, Serving, serving, speech_models, spoken
from support.hearing import share
from support.relay import Relay
from support.rtccalls import Call
from support.until import until

from runner.core.events import Interrupted, Reconnected, Transcript, TurnEnd
from runner.transports import rtcpeer

QUESTION = "What time do you open on Saturday?"
Test = Callable[[Call, Relay], Awaitable[None]]


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), speech_models()) as running:
        yield running


def on_a_network(engine: Serving, patch: pytest.MonkeyPatch, test: Test) -> None:
    """The first call goes through a relay, one that takes its place would not."""
    post = rtcpeer.post_offer

    async def main() -> None:
        call = Call()
        async with Relay() as relay:

            def through(url: str, headers: Any, offer: str, session: Any) -> Any:
                patch.setattr(rtcpeer, "post_offer", post)
                answer = post(url, headers, relay.offered(offer), session)
                return replace(answer, sdp=relay.answered(answer.sdp))

            patch.setattr(rtcpeer, "post_offer", through)
            try:
                await call.session.connect(api_key="key", url=engine.url)
                await test(call, relay)
                assert relay.passed
            finally:
                await call.session.close()
        await until(lambda: not len(engine.engine.calls), 10)

    asyncio.run(main())


def said(call: Call, role: str) -> list[str]:
    return [event.text for event in call.of(Transcript) if event.role == role]


def loud_ms(pcm: bytes) -> float:
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > 300)
    return float(loud[-1] - loud[0]) / 24


def test_packets_that_are_lost_late_and_overtaken(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 % of all are lost and each is up to 30 ms late: what is said is understood, and an answer
    that is cut was heard as far as the session says."""

    async def test(call: Call, relay: Relay) -> None:
        relay.lose, relay.late_ms = 0.05, 30
        heard: list[bytes] = []
        truncated: list[Any] = []
        call.transport.on("conversation.item.truncated", truncated.append)
        call.session.on("audio_interrupted", lambda event: heard.append(call.ear.sound))
        await call.say(QUESTION)
        await until(lambda: call.ear.sound, 20)  # which repeats it
        await call.say("Stop please, that is enough.")
        await until(lambda: call.of(Interrupted), 10)
        [cut] = call.of(Interrupted)
        # That it was cut may come late by a packet that had to be sent again, and says so about.
        # What the session keeps of it is what was heard.
        await until(lambda: truncated)
        [kept] = [item for item in call.session.history if item.item_id == cut.item_id]
        assert abs((kept.heard_ms or 0) - loud_ms(heard[0])) < 400
        await until(lambda: said(call, "user"))
        # The recogniser is a tiny one: where a loss falls on a word, it may hear another.
        assert share(QUESTION, said(call, "user")[0]) > 0.5
        assert relay.lost > 20

    on_a_network(engine, monkeypatch, test)


def test_a_network_that_is_gone_for_two_seconds(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call waits for it and goes on."""

    async def test(call: Call, relay: Relay) -> None:
        first = call.transport.call_id
        relay.dark = True
        await asyncio.sleep(2)  # of which nobody hears
        relay.dark = False
        call.session.send_message("still here?")
        await until(lambda: call.of(TurnEnd), 20)
        assert call.ear.sound
        assert call.transport.call_id == first

    on_a_network(engine, monkeypatch, test)


def test_a_far_end_that_vanishes_is_noticed_at_both_ends(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session has another line with its history, the engine one call."""

    async def test(call: Call, relay: Relay) -> None:
        call.session.send_message("remember me")
        await until(lambda: call.of(TurnEnd), 10)
        first = call.transport.call_id
        relay.dark = True
        await until(lambda: call.of(Reconnected), 15)
        assert call.transport.call_id != first
        await until(lambda: engine.engine.calls.find(first) is None)
        assert len(engine.engine.calls) == 1
        assert [item.text for item in call.session.history][:1] == ["remember me"]
        call.session.send_message("again")
        await until(lambda: len(call.of(TurnEnd)) == 2, 10)

    on_a_network(engine, monkeypatch, test)


def test_a_machine_that_stands_still_while_the_caller_speaks(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said then is sent late and whole: it is heard as long as it is, with no silence in
    the middle."""
    stalls = [0.15, 0.3, 0.25, 0.3]

    async def busy() -> None:
        for stall in stalls:
            await asyncio.sleep(0.2)
            time.sleep(stall)  # noqa: ASYNC251  # as under load

    async def test(call: Call, relay: Relay) -> None:
        heard: dict[str, int] = {}
        for kind, key in (("started", "audio_start_ms"), ("stopped", "audio_end_ms")):
            name = f"input_audio_buffer.speech_{kind}"
            call.transport.on(name, lambda event, key=key: heard.setdefault(key, event[key]))
        await asyncio.gather(call.say(QUESTION), busy())
        await until(lambda: call.of(TurnEnd), 30)
        assert share(QUESTION, said(call, "user")[0]) > 0.7
        length = heard["audio_end_ms"] - heard["audio_start_ms"]
        # server_vad: with 300 ms before it and the 500 ms of silence that end it.
        assert length - 800 < loud_ms(spoken(QUESTION)) + 300

    on_a_network(engine, monkeypatch, test)
