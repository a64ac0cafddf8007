"""A conversation over RTP with the real ears and the real voice, followed by a control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from support.engine import Puppet, Serving, serving, speech_models, spoken
from support.hearing import died_away
from support.phones.laid import laid
from support.until import until

COUNTING = "Say exactly:\n\nOne, two, three, four, five, six, seven, eight, nine, ten, eleven."


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), speech_models()) as running:
        yield running


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
            phone.say(spoken("A table for two, please."))
            await until(lambda: phone.spoken)
            phone.hush()
            stopped = await client.until("input_audio_buffer.speech_stopped")
            await client.until("response.done")
            assert stopped["audio_end_ms"] < 5000

    asyncio.run(main())
