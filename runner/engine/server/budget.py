"""max_output_tokens of one response: what fits, and what was spent."""

from __future__ import annotations

from runner.engine.ports import Call, Say, Spoken
from runner.engine.wire.usage import output_audio_tokens, output_ms, text_tokens

BYTES_A_MS = 48  # pcm24k
CHARACTERS_A_TOKEN = 4  # as usage.text_tokens counts them


class Budget:
    """Each of text(), speech() and call() takes what was made and gives what may be sent: the
    same object when it fits whole, a shorter one (None for a call) when the limit cuts it."""

    def __init__(self, limit: int | str) -> None:
        self._limit = limit if isinstance(limit, int) else None
        self.written = ""
        self.audio_ms = 0.0

    @property
    def spent(self) -> int:
        return text_tokens(self.written) + output_audio_tokens(self.audio_ms)

    def text(self, piece: Say) -> Say:
        self.written += piece.text
        if self._fits():
            return piece
        assert self._limit is not None
        before = self.written.removesuffix(piece.text)
        short = _words_of(piece.text, self._limit * CHARACTERS_A_TOKEN - len(before))
        self.written = before + short
        return Say(short)

    def speech(self, piece: Spoken) -> Spoken:
        ms = len(piece.pcm24k) / BYTES_A_MS
        before_text, before_ms = self.written, self.audio_ms
        self.written += piece.text
        self.audio_ms += ms
        if self._fits():
            return piece
        # A clause costs text and audio together; cut both where the budget ends.
        assert self._limit is not None
        whole = self.spent - text_tokens(before_text) - output_audio_tokens(before_ms)
        left = max(0, self._limit - text_tokens(before_text) - output_audio_tokens(before_ms))
        share = left / max(1, whole)
        text = _words_of(piece.text, int(len(piece.text) * share))
        self.written = before_text + text
        tokens = max(0, self._limit - text_tokens(self.written) - output_audio_tokens(before_ms))
        cut_ms = min(int(ms * share), output_ms(tokens))
        self.audio_ms = before_ms + cut_ms
        return Spoken(text, piece.pcm24k[: cut_ms * BYTES_A_MS])

    def call(self, piece: Call) -> Call | None:
        before = self.written
        self.written += piece.name + piece.arguments
        if self._fits():
            return piece
        self.written = before
        return None

    def _fits(self) -> bool:
        return self._limit is None or self.spent <= self._limit


def _words_of(text: str, characters: int) -> str:
    """At most so many characters, ending between two words."""
    if characters >= len(text):
        return text
    return text[: text.rfind(" ", 0, max(0, characters)) + 1]
