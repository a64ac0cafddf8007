"""One part of a message: its text, its audio, and which text was where in the audio."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from runner import codec
from runner.audio.formats import PCM16, AudioFormat

PartKind = Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters ``text_from`` to ``text_to`` of the transcript sound from ``start`` to ``end``
    milliseconds."""

    text_from: int
    text_to: int
    start: float
    end: float


@dataclass(slots=True)
class Part:
    """``text`` is the text or the transcript; None on input_audio means not (yet) recognised, or
    known to the brain alone. ``spoken`` is what was recognised, told or not. ``nbytes`` counts
    the audio also after ``audio`` was let go."""

    kind: PartKind
    text: str | None = None
    spoken: str | None = None
    format: AudioFormat = PCM16
    audio: bytearray = field(default_factory=bytearray)
    nbytes: int = 0
    marks: list[Mark] = field(default_factory=list)
    image: dict[str, Any] = field(default_factory=dict)
    cut: bool = False

    @property
    def ms(self) -> float:
        """Milliseconds of audio, received or sent."""
        return self.format.ms(self.nbytes)

    @property
    def audible(self) -> bool:
        return self.kind in ("input_audio", "output_audio")

    def add_audio(self, audio: bytes, text: str = "", ms: float | None = None) -> None:
        """See Items.add_audio."""
        # After a truncation the caller is known not to hear the rest of this part.
        if self.cut:
            return
        if text:
            begin = max(self.ms, self.marks[-1].end if self.marks else 0.0)
            lasts = self.format.ms(len(audio)) if ms is None else ms
            before = self.text or ""
            self.text = before + text
            self.marks.append(Mark(len(before), len(self.text), begin, begin + lasts))
        self.audio += audio
        self.nbytes += len(audio)

    def truncate(self, ms: int) -> None:
        """Keep the first ``ms`` milliseconds and the words that were whole by then."""
        self.text = self.heard(ms)
        keep = self.format.nbytes(ms)
        del self.audio[keep:]
        self.nbytes = min(self.nbytes, keep)
        end = len(self.text)
        self.marks = [
            Mark(m.text_from, min(m.text_to, end), m.start, min(m.end, ms))
            for m in self.marks
            if m.text_from < end and m.start < ms
        ]
        self.cut = True

    def heard(self, ms: float) -> str:
        """The transcript up to ``ms``, in whole words: between two marks a word counts when the
        time up to its end, in proportion to its letters, has passed."""
        text = self.text or ""
        end = 0
        for mark in self.marks:
            if ms >= mark.end:
                end = mark.text_to
                continue
            if ms > mark.start:
                share = (ms - mark.start) / (mark.end - mark.start)
                limit = mark.text_from + share * (mark.text_to - mark.text_from)
                for word in _WORD.finditer(text, mark.text_from, mark.text_to):
                    if word.end() > limit:
                        break
                    end = word.end()
            break
        else:
            end = len(text)
        return text[:end].rstrip() if end < len(text) else text

    def wire(self, *, audio: bool = False, told: bool = True) -> dict[str, Any]:
        """As it stands in an item. ``audio`` adds the bytes in base64; ``told`` False fills in
        what only the brain may know."""
        match self.kind:
            case "input_text" | "output_text":
                return {"type": self.kind, "text": self.text or ""}
            case "input_image":
                return {"type": self.kind, **self.image}
            case "input_audio":
                # Null until recognised: a client of OpenAI's own stops at a missing key.
                transcript = self.text if told else (self.spoken or self.text or "")
            case _:
                transcript = self.text or ""
        out: dict[str, Any] = {"type": self.kind, "transcript": transcript}
        if audio:
            out["audio"] = codec.b64encode(bytes(self.audio))
        return out
