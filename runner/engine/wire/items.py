"""The default conversation: its items, their order, their audio, and what was heard of it."""

from __future__ import annotations

from typing import Any

from runner.audio.formats import PCM16, AudioFormat


class Items:
    """``wire`` views never hold audio bytes and always hold ``transcript`` on input_audio."""

    # What clients ask for ------------------------------------------------------------------
    def create(
        self,
        item: Any,
        previous_item_id: str | None = None,
        *,
        input_format: AudioFormat = PCM16,
        event_id: str | None = None,
    ) -> dict[str, Any]:
        """A client's item, validated and stored; its wire view, status completed."""
        raise NotImplementedError

    def delete(self, item_id: str) -> None:
        raise NotImplementedError

    def retrieve(self, item_id: str) -> dict[str, Any]:
        """The wire view with base64 audio."""
        raise NotImplementedError

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut audio and transcript of an assistant message to what was heard."""
        raise NotImplementedError

    # What the engine adds ------------------------------------------------------------------
    def add_user_audio(self, item_id: str, audio: bytes, format: AudioFormat) -> dict[str, Any]:
        """A committed input buffer: a completed user message of one input_audio part."""
        raise NotImplementedError

    def set_transcript(
        self, item_id: str, text: str, *, content_index: int = 0, public: bool = True
    ) -> None:
        """What was recognised. Not ``public``: for the brain alone (transcription is off)."""
        raise NotImplementedError

    def start_message(self, item_id: str) -> dict[str, Any]:
        """An assistant message, in_progress and empty, at the end of the conversation."""
        raise NotImplementedError

    def start_call(self, item_id: str, call_id: str, name: str) -> dict[str, Any]:
        """A function call, in_progress, arguments ''."""
        raise NotImplementedError

    def add_part(self, item_id: str, kind: str, format: AudioFormat = PCM16) -> int:
        """An empty ``output_audio`` or ``output_text`` part; its content_index."""
        raise NotImplementedError

    def add_text(self, item_id: str, content_index: int, text: str) -> None:
        """More text of an output_text part."""
        raise NotImplementedError

    def add_audio(
        self,
        item_id: str,
        content_index: int,
        audio: bytes,
        text: str = "",
        ms: float | None = None,
    ) -> None:
        """``audio`` was sent to the client, in the part's format. ``text`` is the clause that
        begins with this audio and lasts ``ms`` (left out: as long as this audio); it is joined
        to the transcript. Pieces of a clause after the first carry no text."""
        raise NotImplementedError

    def add_arguments(self, item_id: str, arguments: str) -> None:
        """More JSON text of a function call."""
        raise NotImplementedError

    def finish(self, item_id: str, status: str = "completed") -> dict[str, Any]:
        """Close an item as ``completed`` or ``incomplete``; its wire view."""
        raise NotImplementedError

    # Views ---------------------------------------------------------------------------------
    def __contains__(self, item_id: object) -> bool:
        raise NotImplementedError

    def previous_id(self, item_id: str) -> str | None:
        """The id before this item, None for the first."""
        raise NotImplementedError

    def last_id(self) -> str | None:
        """The id at the end of the conversation, None when it is empty."""
        raise NotImplementedError

    def wire(self, item_id: str) -> dict[str, Any]:
        """The item as events carry it, without audio."""
        raise NotImplementedError

    def prompt(self) -> list[dict[str, Any]]:
        """All finished items for a brain, user audio with what was recognised filled in."""
        raise NotImplementedError

    def audio_ms(self, item_id: str, content_index: int = 0) -> float:
        """Milliseconds of audio of a part: received, or sent."""
        raise NotImplementedError
