"""A laptop for a run of the command: a speaker beside a microphone in a room that echoes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from support.until import until_sync

_HERE = Path(__file__).parent


class Laptop:
    """See softcard/sounddevice.py. ``env`` is what the command's process needs to have it."""

    def __init__(
        self, folder: Path, *, gain_db: float, drift_ppm: float = 0.0, devices: int = 1
    ) -> None:
        folder.mkdir()
        given = {"gain_db": gain_db, "drift_ppm": drift_ppm, "devices": devices}
        (folder / "room.json").write_text(json.dumps(given))
        (folder / "played").touch()
        self._folder = folder
        paths = (_HERE / "softcard", _HERE.parent, _HERE.parents[1])
        self.env = {"SOFTCARD": str(folder), "PYTHONPATH": os.pathsep.join(map(str, paths))}

    def say(self, wav: Path, *, wait: bool = True) -> None:
        """Into the microphone; with ``wait`` until the last of it is heard."""
        shutil.copy(wav, self._folder / "say.part")
        (self._folder / "say.part").rename(self._folder / "say.wav")
        if wait:
            until_sync(lambda: not (self._folder / "say.wav").exists(), 30)

    def played(self) -> np.ndarray:
        """All that the speaker has played, at 48 kHz."""
        data = (self._folder / "played").read_bytes()
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2")

    def unplug(self, *numbers: int) -> None:
        (self._folder / "unplugged").write_text(" ".join(map(str, numbers)))
