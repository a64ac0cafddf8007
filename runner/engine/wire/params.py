"""What one response.create asks for, resolved against the session.

Source: RealtimeResponseCreateParams of OpenAI's API reference. What is given replaces the
session's value for this response alone; instructions are replaced, not appended to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.audio.formats import AudioFormat
from runner.engine.wire import fields
from runner.engine.wire.errors import WireError
from runner.engine.wire.items import Items
from runner.engine.wire.itemshape import check_item, check_reference
from runner.engine.wire.settings import Settings
from runner.engine.wire.shape import (
    METADATA,
    anything,
    array,
    boolean,
    invalid,
    nullable,
    one_of,
    record,
    text,
)

_RESPONSE = record(
    {
        "output_modalities": fields.modalities,
        "instructions": text(),
        "audio": record(
            {"output": record({"format": fields.audio_format, "voice": fields.voice}, nulls=True)},
            nulls=True,
        ),
        "tools": fields.tools,
        "tool_choice": fields.tool_choice,
        "parallel_tool_calls": boolean,
        "reasoning": fields.reasoning,
        "max_output_tokens": fields.max_output_tokens,
        "conversation": one_of("auto", "none"),
        "metadata": nullable(METADATA),
        "prompt": fields.prompt,
        "input": array(anything),
    },
    nulls=True,
)


@dataclass(frozen=True, slots=True)
class ResponseParams:
    """``input`` None: the conversation is the context; else it is the context itself, references
    resolved, and never stored. ``metadata`` None when none was sent. ``max_output_tokens`` is
    1 to 4096 or ``"inf"``."""

    modalities: tuple[str, ...]
    instructions: str
    output_format: AudioFormat
    voice: str
    speed: float
    tools: tuple[Mapping[str, Any], ...]
    tool_choice: Any
    max_output_tokens: int | str
    conversation: str = "auto"
    metadata: Mapping[str, str] | None = None
    input: tuple[Mapping[str, Any], ...] | None = None

    @property
    def out_of_band(self) -> bool:
        """It neither waits for nor writes to the default conversation."""
        return self.conversation == "none"

    @property
    def audio(self) -> bool:
        """Whether the answer is spoken."""
        return "audio" in self.modalities

    @classmethod
    def parse(
        cls,
        response: Any,
        settings: Settings,
        items: Items,
        *,
        audio_produced: bool = False,
        event_id: str | None = None,
    ) -> ResponseParams:
        """``response`` is the object of response.create, None (or {}) for the session's own
        settings, as when turn detection starts the response.

        WireError with the codes of session.update, ``param`` under ``response.``.
        """
        try:
            return cls._parse({} if response is None else response, settings, items, audio_produced)
        except WireError as error:
            raise error.about(event_id) from None

    @classmethod
    def _parse(
        cls, response: Any, settings: Settings, items: Items, audio_produced: bool
    ) -> ResponseParams:
        if settings.type == "transcription":
            raise WireError(
                "A transcription session does not create responses.", code="invalid_event"
            )
        asked = _RESPONSE(response, "response")
        output = asked.get("audio", {}).get("output", {})
        voice = output.get("voice", settings.voice)
        voice = voice["id"] if isinstance(voice, dict) else voice
        if audio_produced and voice != settings.voice:
            raise WireError(
                "Cannot update a conversation's voice if assistant audio is present.",
                code="cannot_update_voice",
            )
        given = asked.get("input")
        return cls(
            modalities=tuple(asked.get("output_modalities", settings.modalities)),
            instructions=asked.get("instructions", settings.instructions),
            output_format=(
                AudioFormat.from_wire(output["format"])
                if "format" in output
                else settings.output_format
            ),
            voice=voice,
            speed=settings.speed,
            tools=tuple(asked.get("tools", settings.tools)),
            tool_choice=asked.get("tool_choice", settings.tool_choice),
            max_output_tokens=asked.get("max_output_tokens", settings.max_output_tokens),
            conversation=asked.get("conversation", "auto"),
            metadata=asked.get("metadata"),
            input=None if given is None else _context(given, items),
        )


def _context(given: list[Any], items: Items) -> tuple[Mapping[str, Any], ...]:
    """The items of ``input``, each checked, each reference replaced by the item it names."""
    out = []
    for i, item in enumerate(given):
        path = f"response.input[{i}]"
        if isinstance(item, dict) and item.get("type") == "item_reference":
            item_id = check_reference(item, path)["id"]
            if item_id not in items:
                invalid(
                    f"{path}.id",
                    f"Invalid '{path}.id': the item with id '{item_id}' does not exist.",
                )
            out += items.prompt(item_id)
        else:
            out.append(check_item(item, path))
    return tuple(out)
