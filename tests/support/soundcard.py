"""A sound card made of PulseAudio null sinks: play into the microphone, record the speaker.

Debian: pulseaudio pulseaudio-utils libasound2-plugins libportaudio2.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.until import until_sync

RATE = 48_000


class SoundCard:
    """``env`` is what a process needs to use it. ``kill()`` pulls the plug, ``start()`` puts it in
    again."""

    def __init__(self, folder: Path) -> None:
        self.env = {"XDG_RUNTIME_DIR": str(folder), "PULSE_SERVER": f"unix:{folder}/socket"}
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """Put the plug in: at the beginning, and again after ``kill()``."""
        folder = self._folder
        self.server = self._run(
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit=no",
            "--use-pid-file=no", f"--log-target=file:{folder}/log",
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={folder}/socket",
            f"--load=module-null-sink sink_name=spk rate={RATE}",
            f"--load=module-null-sink sink_name=micbus rate={RATE}",
            "--load=module-remap-source source_name=mic master=micbus.monitor",
        )  # fmt: skip
        until_sync(lambda: self.control("info").returncode == 0)
        self.control("set-default-sink", "spk")
        self.control("set-default-source", "mic")

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env=os.environ | self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._started.append(process)
        return process

    def control(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ("pactl", *arguments), env=os.environ | self.env, capture_output=True, check=False
        )

    def speak(self, wav: Path) -> None:
        """Play a WAV file into the microphone, to its end."""
        self._run("paplay", "--device=micbus", str(wav)).wait(30)

    @contextmanager
    def recorded(self, raw: Path) -> Iterator[Path]:
        """What the speaker plays meanwhile, as mono PCM16 at 48 kHz in ``raw``."""
        recorder = self._run(
            "parec", "--device=spk.monitor", f"--rate={RATE}", "--channels=1",
            "--format=s16le", "--latency-msec=20", str(raw),
        )  # fmt: skip
        until_sync(lambda: raw.exists() and raw.stat().st_size > 0)
        try:
            yield raw
        finally:
            recorder.terminate()
            recorder.wait(10)

    def kill(self) -> None:
        self.server.kill()
        self.server.wait(10)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.terminate()
        for process in self._started:
            process.wait(10)


@contextmanager
def sound_card() -> Iterator[SoundCard]:
    with tempfile.TemporaryDirectory(prefix="pulse") as folder:
        os.chmod(folder, 0o700)
        card = SoundCard(Path(folder))
        try:
            yield card
        finally:
            card.close()
