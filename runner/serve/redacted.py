"""Calls as they may be shown: events and the wire without what `records: { redact }` names.

Whoever shows or keeps what is said listens by :meth:`House.overhear` and gets events that went
through here, once for all of them; the wire goes through :class:`Wire`. A number that is spread
over pieces of a text is held back until it has ended, so that no piece gives a part of it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from runner.core.events import Audio, Connection, Dtmf, SessionEvent, Transcript, TranscriptDelta
from runner.model.redaction import REDACTED, Redactor, Stream, fixed

#: The fields of a server event in which a text comes in pieces.
_PIECES = ("transcript.delta", "text.delta", "transcription.delta", "arguments.delta", ".segment")
_KEYS = "input_audio_buffer.dtmf_event_received"
#: A message of Twilio's, as `transport: twilio` shows it beside the events of the wire.
_TWILIO = "twilio_message"


class Redacted:
    """The events of all calls, for everybody who shows them."""

    def __init__(self) -> None:
        self._growing: dict[str, dict[str, Stream]] = {}

    def __call__(self, redactor: Redactor, call: str, event: SessionEvent) -> SessionEvent | None:
        """``event`` of ``call`` as it may be shown, None when nothing of it may be by now."""
        if isinstance(event, Connection) and event.status == "disconnected":
            self._growing.pop(call, None)
        if not redactor:
            return event
        match event:
            case TranscriptDelta():
                texts = self._growing.setdefault(call, {})
                piece = texts.setdefault(event.item_id, Stream(redactor)).feed(event.delta)
                return replace(event, delta=piece) if piece else None
            case Dtmf():
                return replace(event, key=REDACTED) if redactor.digits else event
            case Audio():
                return event
            case Transcript():
                self._growing.get(call, {}).pop(event.item_id, None)
        shown: SessionEvent = _clean(redactor, event)
        return shown


def _clean(redactor: Redactor, of: Any) -> Any:
    """An event, or an item in it: every text but names and ids."""
    new = {}
    for part in fields(of):
        if not fixed(part.name):
            value = getattr(of, part.name)
            nested = is_dataclass(value)
            new[part.name] = _clean(redactor, value) if nested else redactor.value(value)
    return replace(of, **new)


class Wire:
    """The events on the wire of one call, each way."""

    def __init__(self) -> None:
        self._growing: dict[str, dict[str, Stream]] = {}

    def __call__(self, redactor: Redactor, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """``event`` as it may be shown, a copy. Sound is left as it is."""
        if not redactor:
            return event
        kind = str(event.get("type", ""))
        item = str(event.get("item_id", ""))
        piece = "text" if kind.endswith(".segment") else "delta"
        if kind.endswith(_PIECES) and isinstance(event.get(piece), str):
            texts = self._growing.setdefault(item, {})
            part = f"{kind} {event.get('content_index', 0)}"
            return {**event, piece: texts.setdefault(part, Stream(redactor)).feed(event[piece])}
        if kind.endswith("audio.delta"):
            return event
        if kind == _KEYS and redactor.digits:
            return {**event, "event": REDACTED}
        if kind == _TWILIO:
            return {**event, "message": _of_twilio(redactor, event.get("message"))}
        if kind.endswith((".done", ".completed", ".failed")):
            self._growing.pop(item, None)
        clean: Mapping[str, Any] = redactor.value(event)
        return clean


def _of_twilio(redactor: Redactor, message: Any) -> Any:
    """Sound stays as it is, and so do the ids and numbers of a stream."""
    kind = message.get("event") if isinstance(message, Mapping) else None
    if kind == "dtmf" and redactor.digits:
        return {**message, "dtmf": {**message.get("dtmf", {}), "digit": REDACTED}}
    return redactor.value(message) if kind == "start" else message


class Rows:
    """The rows of a recorded call (:mod:`runner.core.record`). What it is told and what it makes
    of that have the same pieces taken out, so that it replays."""

    def __init__(self) -> None:
        self._got, self._sent, self._told = Wire(), Wire(), Redacted()

    def __call__(self, redactor: Redactor, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if not redactor:
            return row
        out = dict(row)
        if out.get("call") == "receive":
            out["args"] = [self._got(redactor, event) for event in out["args"]]
        for key in ("args", "kwargs", "conversation"):
            if key in out and out.get("call") != "receive":
                out[key] = redactor.value(out[key])
        if "effects" in out:
            out["effects"] = [self._effect(redactor, effect) for effect in out["effects"]]
        return out

    def _effect(self, redactor: Redactor, effect: Mapping[str, Any]) -> Mapping[str, Any]:
        event = effect.get("event")
        if effect["effect"] == "Send":
            return {**effect, "event": self._sent(redactor, event or {})}
        if isinstance(event, Mapping) and event.get("event") == TranscriptDelta.type:
            rest = {key: value for key, value in event.items() if key != "event"}
            shown = self._told(redactor, "", TranscriptDelta(**rest))
            delta = shown.delta if isinstance(shown, TranscriptDelta) else ""
            return {**effect, "event": {**event, "delta": delta}}
        clean: Mapping[str, Any] = redactor.value(effect)
        return clean
