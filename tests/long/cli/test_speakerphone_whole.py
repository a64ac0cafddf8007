"""A whole call from a laptop: the microphone stays open while the agent speaks from a loudspeaker
beside it. Forty seconds at real time, on a machine that has the time for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.speakerphone import LOUD, on_the_phone, push_to_talk
from support.until import until_sync


def test_a_call_by_loudspeaker(tmp_path: Path) -> None:
    with on_the_phone(tmp_path, gain_db=LOUD, drift_ppm=80, devices=2) as phone:
        run = phone.run
        phone.ask("How much is a repair?", "40")
        heard = phone.cut("What are your opening hours?", "Wait, please stop a moment.")
        assert 0 < heard < 6000, run.story()
        phone.quiet()

        phone.laptop.unplug(0, 1)
        until_sync(lambda: sum("takes its place" in line for line in run.errors) == 2, 30)
        told = "".join(run.errors)
        assert "the speaker speaker 0 is gone; speaker 1 takes its place" in told
        assert "the microphone microphone 0 is gone; microphone 1 takes its place" in told
        before = len(phone.laptop.played())
        phone.ask("How much is a repair?", "40")  # heard by the other microphone
        assert np.abs(phone.laptop.played()[before:]).max() > 1000, "and told by the other speaker"

        push_to_talk(phone)
        phone.laptop.unplug(0, 1, 2, 3)
        until_sync(lambda: sum("the call goes on" in line for line in run.errors) == 2, 30)
        phone.hang_up()
    assert "half duplex" not in run.story()
    assert not run.of("error"), run.story()
