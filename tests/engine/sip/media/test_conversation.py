"""A conversation over RTP with the real ears and the real voice, followed by a control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from support.engine import Puppet, Serving, serving, speech_models, spoken
from support.hearing import died_away, share, words_in
from support.phones.laid import laid
from support.until import until

from runner.media.resample import resample

COUNTING = "Say exactly:\n\nOne, two, three, four, five, six, seven, eight, nine, ten, eleven."


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), speech_models()) as running:
        yield running


@pytest.mark.parametrize(("payload_type", "secret"), [(8, True)])
def test_a_question_is_answered_and_keys_arrive(
    engine: Serving, payload_type: int, secret: bool
) -> None:
    async def main() -> None:
        async with laid(engine, payload_type=payload_type, secret=secret) as (_, phone, client):
            phone.say(spoken("What time do you open on Saturday?"))
            await until(lambda: phone.spoken)
            await phone.press(4)
            key = await client.until("input_audio_buffer.dtmf_event_received")
            assert key["event"] == "4"
            done = await client.until("response.done")
            await client.until("output_audio_buffer.stopped")
            assert not client.of("response.output_audio.delta")
            await until(lambda: died_away(bytes(phone.heard), 8000))
            heard = await words_in(resample(bytes(phone.heard), 8000, 16_000))
            assert share("You said what time do you open on Saturday", heard) > 0.7
            [item] = done["response"]["output"]
            await client.send("conversation.item.retrieve", item_id=item["id"])
            await client.until("conversation.item.retrieved")

    asyncio.run(main())


def test_speech_over_the_answer_cuts_it_at_what_was_played(engine: Serving) -> None:
    async def main() -> None:
        async with laid(engine) as (_, phone, client):
            await client.send("response.create", response={"instructions": COUNTING})
            await client.until("output_audio_buffer.started")
            await client.until("response.done")
            phone.say(spoken("Stop please, that is enough."))
            await client.until("input_audio_buffer.speech_started")
            await client.until("output_audio_buffer.cleared")
            cut = await client.until("conversation.item.truncated")
            await until(lambda: died_away(bytes(phone.heard), 8000))
            loud = np.flatnonzero(np.abs(np.frombuffer(bytes(phone.heard), "<i2")) > 300)
            assert abs((loud[-1] - loud[0]) / 8 - cut["audio_end_ms"]) < 200

    asyncio.run(main())


def test_a_phone_that_sends_nothing_in_a_pause_ends_its_turn(engine: Serving) -> None:
    async def main() -> None:
        async with laid(engine) as (_, phone, client):
            phone.say(spoken("I would like to book a table for two."))
            await until(lambda: phone.spoken)
            phone.hush()
            stopped = await client.until("input_audio_buffer.speech_stopped")
            await client.until("response.done")
            assert stopped["audio_end_ms"] < 6000

    asyncio.run(main())
