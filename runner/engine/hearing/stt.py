"""Speech to text: Moonshine tiny (English) on one thread.

The library is called directly with a pointer to float32 samples: its own list interface holds the
interpreter lock while it converts, which stops the event loop for 20 ms. It is not thread-safe and
its result is valid until its next call only, so one thread calls it and copies the words out.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
from typing import Any

import numpy as np

from runner.engine.hearing.vad import INSTALL_HINT
from runner.engine.worker import worker
from runner.errors import MissingModels

RATE = 16000
_SHORTEST = RATE // 10  # below 100 ms there is no word
_LONGEST = 15 * RATE  # 4 s take 0.3 s, 30 s take 10 s
_SEARCH = 4 * RATE  # where before the limit the quietest place is looked for
_PAD = RATE // 4
_QUIET = 0.002  # peak of full scale under which there is nothing but line noise

_Samples = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class MoonshineEars:
    """ports.Ears. Loading happens on its thread: :meth:`load` blocks until it is done."""

    def __init__(self) -> None:
        self._thread = worker("rtrun-stt")
        self._model: Any = None
        self._transcript_type: Any = None

    def load(self) -> None:
        """Load the model. MissingModels when moonshine-voice is not installed or cannot run."""
        self._thread.submit(self._load).result()

    def warm(self) -> None:
        """Use the model once, so that the first caller does not wait. Blocking."""
        noise = np.random.default_rng(0).normal(0, 600, RATE).astype("<i2")
        self._thread.submit(self.transcribe_now, noise.tobytes()).result()

    async def transcribe(self, pcm16k: bytes) -> str:
        """The words, '' when there are none. Cancelling drops it while it waits for its turn."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.transcribe_now, pcm16k)

    def close(self) -> None:
        """Wait for the work at hand, drop what waits, free the model. Idempotent."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._model is not None:
            self._model.close()
            self._model = None

    # -- on the STT thread -----------------------------------------------------------------

    def _load(self) -> None:
        if self._model is not None:
            return
        try:
            from moonshine_voice.moonshine_api import ModelArch, TranscriptC
            from moonshine_voice.transcriber import Transcriber
            from moonshine_voice.utils import get_model_path

            # Read by the library. With a thread for each core a sentence takes as long or longer
            # and twice the processor time: the threads wait for each other by turning.
            os.environ.setdefault("MOONSHINE_ORT_SINGLE_THREAD", "1")
            self._transcript_type = TranscriptC
            self._model = Transcriber(
                get_model_path("tiny-en"),
                ModelArch.TINY,
                # The caller's turns are found already; nothing may be dropped here.
                options={"vad_threshold": "0", "return_audio_data": "false"},
            )
        except (ImportError, OSError) as error:  # OSError: the shared library does not load
            raise MissingModels(f"speech recognition cannot start: {error}", INSTALL_HINT) from None
        except Exception as error:  # the library's own, when the weights are not in the wheel
            raise MissingModels(
                f"speech recognition cannot start: {error}", INSTALL_HINT
            ) from error

    def transcribe_now(self, pcm16k: bytes) -> str:
        """Blocking, on the STT thread only."""
        samples = np.frombuffer(pcm16k, "<i2", count=len(pcm16k) // 2).astype(np.float32)
        samples *= np.float32(1 / 32768)
        if len(samples) < _SHORTEST or float(np.abs(samples).max()) < _QUIET:
            return ""
        words = [self._recognise(piece) for piece in cut(samples)]
        return " ".join(w for w in words if w)

    def _recognise(self, samples: _Samples) -> str:
        padded = np.concatenate([np.zeros(_PAD, np.float32), samples, np.zeros(_PAD, np.float32)])
        result = ctypes.POINTER(self._transcript_type)()
        model = self._model
        failed = model._lib.moonshine_transcribe_without_streaming(
            model._handle,
            padded.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            len(padded),
            RATE,
            0,
            ctypes.byref(result),
        )
        if failed or not result:
            raise RuntimeError(f"speech recognition failed with code {failed}")
        lines = result.contents
        texts = [
            ctypes.string_at(lines.lines[n].text).decode("utf-8", "replace")
            for n in range(lines.line_count)
            if lines.lines[n].text
        ]
        return clean(" ".join(texts), len(samples) / RATE)


def cut(samples: _Samples) -> list[_Samples]:
    """Pieces of at most 15 s, cut at the quietest place of the last 4 s before the limit."""
    pieces: list[_Samples] = []
    while len(samples) > _LONGEST:
        window = samples[_LONGEST - _SEARCH : _LONGEST]
        step = RATE // 50
        energy = (window[: len(window) // step * step].reshape(-1, step) ** 2).sum(axis=1)
        # Over 100 ms, so that a closed stop inside a word is no place to cut.
        smooth = np.convolve(energy, np.ones(5), mode="same")
        at = _LONGEST - _SEARCH + int(smooth[2:-2].argmin() + 2) * step + step // 2
        pieces.append(samples[:at])
        samples = samples[at:]
    return [*pieces, samples]


def clean(text: str, seconds: float) -> str:
    """The words without what the model makes up.

    Measured: noise, hum, clicks and coughs all come out as "You". A model that has lost its
    place repeats itself, or writes more words than anybody can say in the time.
    """
    # Control characters would be the trace of a second thread; they are no words either way.
    text = re.sub(r"[\s\x00-\x1f\x7f]+", " ", text).strip()
    if not any(c.isalnum() for c in text) or re.sub(r"\W", "", text).lower() == "you":
        return ""
    # One to four words, five times or more in a row: said once at most.
    text = re.sub(r"\b((?:[\w']+\W+){1,4})(?:\1){4,}", r"\1", text, flags=re.IGNORECASE)
    if len(text.split()) > 4 + 8 * seconds:
        return ""
    return text


__all__ = ["RATE", "MoonshineEars", "clean", "cut"]
