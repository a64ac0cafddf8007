"""Two microphones and two speakers, which are pulled out and put in again in mid-call."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.laptop import Laptop
from support.until import until

from runner.errors import DeviceError
from runner.media import device
from runner.media.devices import Microphone, Speaker

SOFTCARD = Path(__file__).parents[1] / "support" / "softcard"


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    laptop = Laptop(tmp_path / "laptop", gain_db=-60, devices=2)
    for name, value in laptop.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(SOFTCARD))
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(device, "RETURN_SECONDS", 0.2)
    monkeypatch.setattr(device, "FIRST_SOUND", 1.0)
    monkeypatch.setattr(device, "SILENT_FOR", 1.0)
    yield laptop
    card = sys.modules["sounddevice"]._card  # type: ignore[attr-defined]
    card.over = True
    card.join(10)


class Caller:
    """A speaker and a microphone, and all that is told of them."""

    def __init__(self, **chosen: Any) -> None:
        self.told: list[str] = []
        self.blocks: list[bytes] = []
        self.speaker = Speaker(device=chosen.get("output"), **self._hear("speaker"))
        self.microphone = Microphone(
            self.blocks.append, device=chosen.get("input"), **self._hear("microphone")
        )

    def _hear(self, what: str) -> dict[str, Any]:
        def gone(error: DeviceError) -> None:
            self.told.append(f"{what}: none")

        return {
            "on_failure": gone,
            "on_moved": lambda old, new: self.told.append(f"{old} -> {new}"),
            "on_back": lambda name: self.told.append(f"{name} back"),
        }

    @property
    def names(self) -> tuple[str, str]:
        return self.speaker.name, self.microphone.name

    async def heard(self, seconds: float = 0.2) -> None:
        """What is played sounds, and the microphone hears."""
        before = len(self.blocks)
        self.speaker.play(f"item{before}", 0, bytes(2 * int(24_000 * seconds)))
        await until(lambda: self.speaker.idle and len(self.blocks) > before + 5)

    def close(self) -> None:
        self.speaker.close()
        self.microphone.close()


def test_what_is_put_in_again_is_used_again(laptop: Laptop) -> None:
    async def main() -> None:
        caller = Caller(output="speaker 1", input="1")
        await caller.heard()
        assert caller.names == ("speaker 1", "microphone 0")
        laptop.unplug(2)
        await until(lambda: caller.told == ["speaker 1 -> speaker 0"])
        await caller.heard()
        # Until it was seen that it is away, it cannot come back.
        await until(lambda: caller.speaker._there == {"speaker 0"})
        laptop.unplug()
        await until(lambda: caller.told[1:] == ["speaker 1 back"])
        await until(lambda: caller.names == ("speaker 1", "microphone 0"))
        await caller.heard()

        laptop.unplug(0, 1, 2, 3)
        await until(lambda: {"speaker: none", "microphone: none"} <= set(caller.told))
        del caller.told[:]
        laptop.unplug(1, 2)  # the others are there again
        await until(lambda: len(caller.told) == 2)
        assert set(caller.told) == {"speaker 0 back", "microphone 1 back"}
        await caller.heard()
        caller.close()

    asyncio.run(main())
