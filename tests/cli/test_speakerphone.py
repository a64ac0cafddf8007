"""The microphone stays open while the agent speaks from a loudspeaker beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.speakerphone import LOUD, QUIET, SHOP, Phone, on_the_phone
from support.until import until_sync


def test_a_call_by_loudspeaker_and_its_devices_that_are_unplugged(tmp_path: Path) -> None:
    with on_the_phone(tmp_path, gain_db=LOUD, drift_ppm=80, devices=2) as phone:
        the_caller_cuts_the_agent_and_its_echo_does_not(phone)
        run = phone.run
        phone.laptop.unplug(0, 1)
        until_sync(lambda: sum("takes its place" in line for line in run.errors) == 2, 30)
        told = "".join(run.errors)
        assert "the speaker speaker 0 is gone; speaker 1 takes its place" in told
        assert "the microphone microphone 0 is gone; microphone 1 takes its place" in told
        before = len(phone.laptop.played())
        phone.ask("How much is a repair?", "40")  # heard by the other microphone
        assert np.abs(phone.laptop.played()[before:]).max() > 1000, "and told by the other speaker"
        phone.laptop.unplug(0, 1, 2, 3)
        until_sync(lambda: sum("the call goes on" in line for line in run.errors) == 2, 30)
        phone.hang_up()
    assert "half duplex" not in phone.run.story()


def test_a_call_as_media_whose_file_is_edited_to_push_to_talk(tmp_path: Path) -> None:
    with on_the_phone(tmp_path, gain_db=QUIET, transport="webrtc") as phone:
        the_caller_cuts_the_agent_and_its_echo_does_not(phone)
        run = phone.run
        (tmp_path / "shop.yaml").write_text(SHOP.format(transport="webrtc", detection="null"))
        run.wait_for("config_applied")
        until_sync(lambda: any("press Enter" in line for line in run.errors))
        phone.say("This is not for you.")
        run.type("")
        phone.say("How much is a repair?")
        run.type("")
        said = run.wait_for("transcript", lambda row: row["role"] == "user")
        assert "repair" in said["text"].lower(), run.story()
        assert "for you" not in said["text"].lower(), "the key was not pressed then"
        run.wait_for("transcript", lambda row: row["role"] == "assistant")
        run.type("")  # over the answer
        run.wait_for("interrupted")
        run.type("")  # and slipped: too short for a turn
        phone.hang_up()
    assert not phone.run.of("error"), phone.run.story()


def the_caller_cuts_the_agent_and_its_echo_does_not(phone: Phone) -> None:
    phone.ask("How much is a repair?", "40")
    heard = phone.cut("What are your opening hours?", "Wait, please stop a moment.")
    assert 0 < heard < 6000, phone.run.story()
    phone.quiet()
