"""An item as it is kept: the wire's keys, and the parts that hold text and audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.audio.formats import AudioFormat
from runner.engine.wire import usage
from runner.engine.wire.client import decode_audio
from runner.engine.wire.ids import new_id
from runner.engine.wire.parts import Part

_ORDER = ("id", "type", "status", "role", "call_id", "name", "arguments", "output")


@dataclass(slots=True)
class Stored:
    """``fields`` are the wire's keys but for content, which is made from ``parts``."""

    fields: dict[str, Any]
    parts: list[Part] | None = None
    # Being written although its kind has no status on the wire, as those of MCP.
    running: bool = False
    # Whole but for a tool's answer: a prompt tells of it.
    awaits: bool = False
    # Deleted by the client while a response was still writing it.
    gone: bool = False
    # Counts the edits, so that a cached prefix with an edited item is no longer cached.
    edits: int = 0

    @property
    def type(self) -> str:
        return str(self.fields["type"])

    @property
    def status(self) -> str | None:
        status: str | None = self.fields.get("status")
        return status

    @property
    def unfinished(self) -> bool:
        return self.running or self.status == "in_progress"

    def wire(self, *, audio: bool = False, told: bool = True) -> dict[str, Any]:
        out = dict(self.fields)
        if self.parts is not None:
            out["content"] = [p.wire(audio=audio and p.audible, told=told) for p in self.parts]
        return out


def from_client(checked: Mapping[str, Any], input_format: AudioFormat) -> Stored:
    """A stored item from a checked one."""
    kind = checked["type"]
    fields = {k: v for k, v in checked.items() if k not in ("content", "object")}
    fields.setdefault("id", new_id("item"))
    if kind in ("message", "function_call", "function_call_output"):
        fields["status"] = "incomplete" if fields.get("status") == "incomplete" else "completed"
    if kind == "function_call":
        fields.setdefault("call_id", new_id("call"))
    if kind == "mcp_call":
        # A client of OpenAI's own stops at a missing key.
        fields = {"output": None, "error": None, "approval_request_id": None, **fields}
    ordered = {k: fields[k] for k in _ORDER if k in fields}
    ordered.update(fields)
    content = checked.get("content")
    if content is None:
        return Stored(ordered)
    parts = [_part_of(p, i, input_format) for i, p in enumerate(content)]
    return Stored(ordered, parts)


def _part_of(content: Mapping[str, Any], index: int, input_format: AudioFormat) -> Part:
    kind = content["type"]
    if kind == "input_image":
        return Part(kind, image={k: v for k, v in content.items() if k != "type"})
    if kind != "input_audio":
        return Part(kind, content.get("text", content.get("transcript")))
    audio = decode_audio(content.get("audio") or "", f"item.content[{index}].audio")
    transcript = content.get("transcript")
    return Part(kind, transcript, transcript, input_format, bytearray(audio), len(audio))


def weight_of(item: Stored) -> usage.Weight:
    """User audio is heard, not read; the agent's own audio counts beside its transcript."""
    fields, parts = item.fields, item.parts or ()
    written = "".join(str(fields.get(k) or "") for k in ("name", "arguments", "output"))
    text = usage.text_tokens(written)
    audio = image = 0
    for part in parts:
        match part.kind:
            case "input_audio":
                audio += usage.input_audio_tokens(part.ms)
            case "output_audio":
                audio += usage.output_audio_tokens(part.ms)
                text += usage.text_tokens(part.text or "")
            case "input_image":
                image += usage.IMAGE_TOKENS
            case _:
                text += usage.text_tokens(part.text or "")
    return usage.Weight((fields["id"], item.edits), text, audio, image)
