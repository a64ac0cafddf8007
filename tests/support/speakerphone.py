"""A call by a laptop's microphone beside its loudspeaker, through the real command: does the agent
stop itself, and can the caller stop it?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from support.command import Command
from support.laptop import Laptop
from support.room import RATE
from support.speech import flite, silence, write_wav
from support.until import until_sync

#: The echo against what is played, in dB: a caller of 3000 RMS is 18.8 and 6.8 dB over it.
QUIET, LOUD = -12.0, 0.0

SHOP = """\
name: shop
transport: {transport}
session:
  audio:
    input:
      turn_detection: {detection}
agents:
  desk:
    greeting: Spokes, how can I help?
    instructions: >
      You are the front desk of a bicycle shop called Spokes.
      We are open from 9 in the morning to 5 in the evening, Monday to Friday,
      and on the first Saturday of each month until noon.
      A repair costs 40 dollars.
"""
SERVER_VAD = "{ type: server_vad }"


class Phone:
    """``run`` is the command, ``laptop`` what it plays and hears by, ``file`` the deployment."""

    def __init__(self, run: Command, laptop: Laptop, file: Path) -> None:
        self.run = run
        self.laptop = laptop
        self.file = file

    def say(self, text: str, *, wait: bool = True) -> None:
        pcm = flite(text) + silence(0.5)
        self.laptop.say(write_wav(self.file.parent / "said.wav", pcm), wait=wait)

    def ask(self, text: str, answer: str) -> None:
        """A question whose answer has ``answer`` in it. AssertionError when something stopped the
        agent before the end of it."""
        before = len(self.run.of("interrupted"))
        self.say(text)
        self.run.wait_for("transcript", lambda row: answer in row["text"])
        self.run.wait_for("turn_end")
        assert len(self.run.of("interrupted")) == before, self.run.story()

    def quiet(self) -> None:
        """Return when what was said is answered, and nothing more is heard for three seconds."""
        self.run.wait_for("transcript", lambda row: row["role"] == "user")
        self.run.wait_for("transcript", lambda row: row["role"] == "assistant")
        start = len(self.laptop.played())

        def silent() -> bool:
            sound = self.laptop.played()[start:][-3 * RATE :]
            return len(sound) == 3 * RATE and not np.abs(sound).max() > 1000

        until_sync(silent, 40)

    def cut(self, question: str, words: str) -> float:
        """Speak into an answer; milliseconds of it that were heard."""
        self.say(question)
        self.run.wait_for("transcript", lambda row: row["role"] == "assistant")
        played = len(self.laptop.played())
        until_sync(lambda: np.abs(self.laptop.played()[played:]).max(initial=0) > 1000)
        self.say(words, wait=False)
        return float(self.run.wait_for("interrupted")["heard_ms"])

    def hang_up(self) -> None:
        self.run.process.send_signal(signal.SIGINT)
        assert self.run.finish() == 0, self.run.story()


@contextmanager
def on_the_phone(
    folder: Path,
    *arguments: str,
    gain_db: float,
    transport: str = "websocket",
    detection: str = SERVER_VAD,
    drift_ppm: float = 0.0,
    devices: int = 1,
    absent: Path | None = None,
) -> Iterator[Phone]:
    """The greeting is over when it begins. ``absent``: a folder of modules in the place of
    installed ones."""
    file = folder / "shop.yaml"
    file.write_text(SHOP.format(transport=transport, detection=detection))
    laptop = Laptop(folder / "laptop", gain_db=gain_db, drift_ppm=drift_ppm, devices=devices)
    if absent is not None:
        laptop.env["PYTHONPATH"] = f"{absent}{os.pathsep}{laptop.env['PYTHONPATH']}"
    with Command("run", str(file), "--engine", "local", *arguments, env=laptop.env) as run:
        run.wait_for("turn_end")
        assert not run.of("interrupted"), run.story()
        yield Phone(run, laptop, file)


def push_to_talk(phone: Phone) -> None:
    """The file is edited to have no turn detection: a turn begins and ends with a key, here a
    line of standard input."""
    run = phone.run
    text = phone.file.read_text()
    phone.file.write_text(text.replace(SERVER_VAD, "null"))
    run.wait_for("config_applied")
    until_sync(lambda: any("press Enter" in line for line in run.errors), 30)
    phone.say("This is not for you.")
    run.type("")
    phone.say("How much is a repair?")
    run.type("")
    said = run.wait_for("transcript", lambda row: row["role"] == "user")
    assert "for you" not in said["text"].lower(), "the key was not pressed then"
    run.wait_for("transcript", lambda row: "40" in row["text"])
    run.type("")  # over the answer
    run.wait_for("interrupted")
    run.type("")  # and slipped: too short for a turn
