"""A minute at the microphone and the speaker, through PortAudio, ALSA and PulseAudio: no sound is
lost on the way."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from support.command import Command
from support.soundcard import sound_card
from support.speakerphone import SERVER_VAD, SHOP
from support.speech import flite, silence, write_wav

MINUTE = 60.0


def test_a_minute_without_an_underrun(tmp_path: Path) -> None:
    question = write_wav(tmp_path / "q.wav", flite("How much is a repair?") + silence(0.5))
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP.format(transport="websocket", detection=SERVER_VAD))
    with (
        sound_card() as card,
        Command("run", str(file), "--engine", "local", env=card.env) as run,
    ):
        run.wait_for("turn_end")
        began = time.monotonic()
        while time.monotonic() - began < MINUTE:
            card.speak(question)
            said = run.wait_for("transcript", lambda row: row["role"] == "user")
            assert "repair" in said["text"].lower(), run.story()
            run.wait_for("turn_end")
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 0, run.story()
    (end,) = run.of("session_end")
    assert "sound" not in end, end["sound"]
