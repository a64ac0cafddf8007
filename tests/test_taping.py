"""`records: { audio: ... }`: both sides of a call on one tape."""

from __future__ import annotations

import asyncio
import resource
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.refusing import refusing_server
from support.until import until

from runner.audio.formats import AudioFormat
from runner.audio.g711 import ulaw_encode
from runner.audio.sink import RealTimeSink
from runner.config.load import load
from runner.core.events import SessionError
from runner.desk import Address, Desk
from runner.errors import ConnectError
from runner.media import wav
from runner.toolbox import load_tools

FILE = """\
transport: websocket
timezone: none
session:
  audio: { input: { format: g711_ulaw, turn_detection: null }, output: { format: FORMAT } }
agents: { desk: { instructions: x } }
records: { audio: "kept/{call.id}.wav" }
"""


def tone(hz: int, rate: int, seconds: float) -> bytes:
    wave = np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    return (wave * 12000).astype("<i2").tobytes()


def sides(file: Path) -> tuple[int, Any, Any]:
    """The rate of a recording, the caller's samples and the agent's."""
    data = file.read_bytes()
    [rate] = struct.unpack_from("<I", data, 24)
    both = np.frombuffer(data[44:], "<i2").reshape(-1, 2)
    return rate, both[:, 0], both[:, 1]


def pitch(samples: Any, rate: int) -> float:
    loud = np.flatnonzero(np.abs(samples) > 300)
    heard = samples[loud[0] : loud[-1]]
    return float(np.argmax(np.abs(np.fft.rfft(heard))) * rate / len(heard))


class Scene:
    def __init__(self, folder: Path, url: str, text: str) -> None:
        (folder / "x.yaml").write_text(text)
        loaded = load(folder / "x.yaml", env={})
        self.seen: list[Any] = []
        self.folder = folder
        self.desk = Desk(
            loaded.deployment,
            load_tools(loaded),
            Address(url, "key"),
            lambda call, event: self.seen.append(event),
        )

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / "kept").iterdir())


@pytest.mark.parametrize("name", ["pcm16", "g711_ulaw"])
def test_the_caller_left_and_the_agent_right(tmp_path: Path, name: str) -> None:
    """What was cut before it was heard is not on it, nor what was said while muted."""

    async def main() -> None:
        async with refusing_server() as server, asyncio.timeout(60):
            it = Scene(tmp_path, server.url, FILE.replace("FORMAT", name))
            form = it.desk.deployment.session.get("audio.output.format")
            ear = RealTimeSink(AudioFormat.from_wire(form))
            call = await it.desk.open(sink=ear)
            said = ulaw_encode(tone(600, 8000, 0.4))
            for at in range(0, len(said), 160):
                call.session.send_audio(said[at : at + 160])
            call.session.mute(True)
            call.session.send_audio(ulaw_encode(tone(1500, 8000, 0.4)))
            rate = 24000 if name == "pcm16" else 8000
            pcm = tone(1000, rate, 5)
            assert call.sink is not None
            call.sink.play("i", 0, pcm if name == "pcm16" else ulaw_encode(pcm))
            await until(lambda: call.sink is not None and call.sink.heard("i", 0) > rate // 4)
            call.sink.flush()
            assert ear.idle
            heard = ear.heard("i", 0) / rate
            await it.desk.hang_up(call)
            await call.ended.wait()
            await it.desk.close()
            assert [e for e in it.seen if isinstance(e, SessionError)] == []
            [file] = it.files
            assert call.recording == file
            assert file.name == f"{call.id}.wav"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            rate, caller, agent = sides(file)
            assert wav.read_wav(file).seconds == pytest.approx(len(caller) / rate)
            assert abs(pitch(caller, rate) - 600) < 20
            assert abs(pitch(agent, rate) - 1000) < 20
            sounded = np.flatnonzero(np.abs(agent) > 300)
            assert abs((sounded[-1] - sounded[0]) / rate - heard) < 0.05

    asyncio.run(main())


def test_a_call_without_a_sound_has_no_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with refusing_server() as server, asyncio.timeout(60):
            it = Scene(tmp_path, server.url, FILE.replace("FORMAT", "pcm16"))
            await it.desk.open(sink=RealTimeSink())
            server.unknown.add(it.desk.deployment.model)
            with pytest.raises(ConnectError):
                await it.desk.open(sink=RealTimeSink())
            await it.desk.close()
            assert it.files == []

    asyncio.run(main())


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_disk_that_does_not_take_it(tmp_path: Path, when: str) -> None:
    """The call goes on, and it is told once."""

    async def main() -> None:
        async with refusing_server() as server, asyncio.timeout(60):
            it = Scene(tmp_path, server.url, FILE.replace("FORMAT", "pcm16"))
            if when == "at once":
                (tmp_path / "kept").write_text("a file")
            call = await it.desk.open()
            if when == "later":
                # No file may grow any more: the system answers as of a full disk.
                hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
                for _ in range(20):
                    call.session.send_audio(bytes(160))
                hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            troubles = [e for e in it.seen if isinstance(e, SessionError)]
            assert [e.code for e in troubles] == ["recording_failed"]
            assert "cannot write" in troubles[0].message
            assert not troubles[0].fatal
            assert call.session.connected
            await it.desk.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
