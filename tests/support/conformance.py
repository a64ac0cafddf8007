"""A judge of one Realtime session: every event on the wire, both ways, against OpenAI's own types
and the order in which the service sends them.

Feed a :class:`Checker` with what the client sends (:meth:`Checker.client`) and what the server
sends (:meth:`Checker.server`), in the order of the wire; call :meth:`Checker.end` when the
session is over or quiet. The first fault raises :class:`ConformanceError` with the last events.
"""

from __future__ import annotations

import base64
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from support import matrix
from support.mcp_rules import McpRules, no_keys
from support.openai_types import check_types
from support.response_rules import ConformanceError, require

__all__ = ["Checker", "ConformanceError"]


class Checker:
    """``rtc``: the session's audio goes over WebRTC or SIP. ``record``: what is seen counts as
    reached by the running test (docs/conformance.md)."""

    def __init__(self, *, rtc: bool = False, record: bool = True) -> None:
        self.rtc = rtc
        self.record = record
        self.server_types: Counter[str] = Counter()
        self.client_types: Counter[str] = Counter()
        self.errors: list[dict[str, Any]] = []
        self.session: dict[str, Any] | None = None
        self.order: list[str] = []
        self.items: dict[str, dict[str, Any]] = {}
        self.responses = McpRules(self)
        self._log: deque[str] = deque(maxlen=25)
        self._event_ids: set[str] = set()
        self._client_ids: set[str] = set()
        self._updates = 0
        self._updated = 0
        self._deleted: set[str] = set()
        self._done: set[str] = set()
        self._committed: dict[str, str | None] = {}
        self._speaking: str | None = None
        self._stopped: str | None = None
        self._started_ms = 0
        self._commits = 0
        self._deltas: dict[str, str] = {}
        self._transcribed: set[str] = set()
        self._truncates: list[dict[str, Any]] = []
        self.truncated: set[str] = set()
        self._retrieves: Counter[str] = Counter()
        self._creates: list[str] = []

    # ---------------------------------------------------------------------------------------
    def client(self, event: Mapping[str, Any]) -> None:
        """An event that the client is about to send."""
        kind = event.get("type")
        self._log.append(f"-> {_brief(event)}")
        if not isinstance(kind, str):
            return
        self.client_types[kind] += 1
        # Over a WebSocket this one is only refused.
        if self.record and (self.rtc or kind != "output_audio_buffer.clear"):
            matrix.reached("client", kind)
        if isinstance(event.get("event_id"), str):
            self._client_ids.add(event["event_id"])
        match kind:
            case "session.update":
                self._updates += 1
            case "conversation.item.truncate":
                self._truncates.append(dict(event))
            case "conversation.item.retrieve":
                self._retrieves[str(event.get("item_id"))] += 1
            case "conversation.item.create":
                item = event.get("item")
                if isinstance(item, Mapping):
                    self.responses.item_asked(item)
                    if isinstance(item.get("id"), str):
                        self._creates.append(item["id"])
            case "input_audio_buffer.commit":
                self._commits += 1
            case "response.create":
                self.responses.asked(event)
            case "response.cancel":
                self.responses.cancel_asked()

    def server(self, event: Mapping[str, Any]) -> None:
        """An event that the server sent. ConformanceError at the first fault."""
        self._log.append(f"<- {_brief(event)}")
        try:
            self._server(dict(event))
        except ConformanceError as fault:
            recent = "\n  ".join(self._log)
            raise ConformanceError(f"{fault}\n  {recent}") from None

    def end(self) -> None:
        """Nothing may be left open: every response done, every item done, every update
        answered."""
        self.responses.end()
        may_stay = self._done | self.responses.waiting()
        open_items = [i for i in self.order if i not in may_stay]
        require(not open_items, f"items were added and never done: {open_items}")
        answered = self._updated + len(self.errors)
        require(
            self._updated <= self._updates <= answered,
            f"{self._updates} session.update got {self._updated} session.updated and "
            f"{len(self.errors)} errors",
        )
        if not self.errors:
            lost = [i for i in self._creates if i not in self.items and i not in self._deleted]
            require(not lost, f"items were created and never added: {lost}")

    # ---------------------------------------------------------------------------------------
    def _server(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        check_types(event)
        assert isinstance(kind, str)
        self.server_types[kind] += 1
        if self.record:
            matrix.reached("server", kind)
        if kind != "input_audio_buffer.dtmf_event_received":
            event_id = event["event_id"]
            require(event_id not in self._event_ids, f"event_id {event_id} was used before")
            require(event_id not in self._client_ids, f"event_id {event_id} is the client's")
            self._event_ids.add(event_id)
        require(
            (self.session is not None) != (kind == "session.created"),
            "session.created comes first, and once",
        )
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, event)
        elif kind.startswith("mcp_list_tools."):
            self.responses.listing(event)
        elif kind.startswith(("response.", "output_audio_buffer.")):
            self.responses.event(kind, event)

    def _created(self, event: dict[str, Any]) -> None:
        self.session = event["session"]
        _full_session(event["session"])

    def _session_updated(self, event: dict[str, Any]) -> None:
        self._updated += 1
        require(self._updated <= self._updates, "session.updated without a session.update")
        session = event["session"]
        assert self.session is not None
        for key in ("id", "object", "type", "model", "expires_at"):
            require(
                session.get(key) == self.session.get(key), f"session.{key} changed in the session"
            )
        _full_session(session)
        if _turns(session) != _turns(self.session):
            self._speaking = self._stopped = None
        self.session = session

    def _error(self, event: dict[str, Any]) -> None:
        error = event["error"]
        self.errors.append(error)
        require(
            error["type"] in ("invalid_request_error", "server_error"),
            f"an error of type {error['type']!r}",
        )
        require(bool(error["message"]), "an error without a message")
        for key in ("code", "param", "event_id"):
            require(key in error, f"an error without the key {key}")
        about = error["event_id"]
        require(
            about is None or about in self._client_ids,
            f"an error about the event {about!r}, which the client did not send",
        )

    # Items ---------------------------------------------------------------------------------
    def _item_added(self, event: dict[str, Any]) -> None:
        item, before = event["item"], event.get("previous_item_id")
        require("previous_item_id" in event, "item.added without previous_item_id")
        item_id = item.get("id")
        require(isinstance(item_id, str), "an added item without an id")
        require(item_id not in self.items, f"{item_id} was added twice")
        require(before is None or before in self.order, f"previous_item_id {before} is not there")
        require(item_id != self._stopped, f"{item_id} was spoken and added, not committed")
        _shape(item)
        _no_audio(item)
        self.items[item_id] = item
        self.order.insert(self.order.index(before) + 1 if before else 0, item_id)
        if item_id in self._committed:
            require(
                before == self._committed[item_id],
                f"{item_id} was committed after {self._committed[item_id]}, added after {before}",
            )
            require(item.get("status") == "completed", "a committed item is completed")
            require(
                [c["type"] for c in item["content"]] == ["input_audio"],
                "a committed item is one input_audio",
            )
        self.responses.item_added(item)

    def _item_done(self, event: dict[str, Any]) -> None:
        item = event["item"]
        item_id = item.get("id")
        require(item_id in self.items or item_id in self._deleted, f"{item_id} done, never added")
        require(item_id not in self._done, f"{item_id} was done twice")
        require(item.get("status") != "in_progress", f"{item_id} is done and in_progress")
        _shape(item)
        _no_audio(item)
        self._done.add(item_id)
        self.items[item_id] = item
        self.responses.item_done(item)

    def _item_deleted(self, event: dict[str, Any]) -> None:
        item_id = event["item_id"]
        require(item_id in self.order, f"{item_id} was deleted and is not there")
        self.order.remove(item_id)
        self._deleted.add(item_id)

    def _item_retrieved(self, event: dict[str, Any]) -> None:
        item_id = event["item"].get("id")
        require(self._retrieves[item_id] > 0, f"{item_id} was retrieved, nobody asked")
        self._retrieves[item_id] -= 1
        require(item_id in self.order, f"{item_id} was retrieved and is not there")
        _shape(event["item"])
        for content in event["item"].get("content", ()):
            if content.get("audio") is not None:
                _decoded(content["audio"])

    def _item_truncated(self, event: dict[str, Any]) -> None:
        keys = ("item_id", "content_index", "audio_end_ms")
        self.truncated.add(event["item_id"])
        if self.rtc:
            return
        for asked in self._truncates:
            if all(asked.get(k) == event[k] for k in keys):
                self._truncates.remove(asked)
                return
        require(False, "item.truncated that nobody asked for")

    def _legacy(self, event: dict[str, Any]) -> None:
        require(False, f"{event['type']} is the beta's name")

    # The caller's audio --------------------------------------------------------------------
    def _speech_started(self, event: dict[str, Any]) -> None:
        require(self._speaking is None, f"speech started while {self._speaking} is being spoken")
        require(self._stopped is None, f"{self._stopped} was spoken and not committed")
        self._speaking = event["item_id"]
        self._started_ms = event["audio_start_ms"]
        require(event["item_id"] not in self.items, "speech started on an item that exists")
        self.responses.speech_started()

    def _speech_stopped(self, event: dict[str, Any]) -> None:
        require(self._speaking == event["item_id"], "speech stopped on another item")
        require(event["audio_end_ms"] >= self._started_ms, "speech stopped before it started")
        self._stopped, self._speaking = self._speaking, None

    def _buffer_committed(self, event: dict[str, Any]) -> None:
        require("previous_item_id" in event, "committed without previous_item_id")
        before, item_id = event["previous_item_id"], event["item_id"]
        require(before is None or before in self.order, f"previous_item_id {before} is not there")
        require(item_id not in self._committed, f"{item_id} was committed twice")
        require(item_id not in self.items, f"{item_id} was committed after it was added")
        if self._speaking is not None:
            require(self._commits > 0, "committed in the middle of speech, nobody asked")
        self._commits = max(0, self._commits - 1)
        if self._stopped is not None:
            require(item_id == self._stopped, f"{self._stopped} was spoken, {item_id} committed")
        self._committed[item_id] = before
        self._stopped = self._speaking = None

    def _buffer_cleared(self, event: dict[str, Any]) -> None:
        self._speaking = self._stopped = None

    def _transcription_delta(self, event: dict[str, Any]) -> None:
        self._transcribable(event)
        item_id = event["item_id"]
        self._deltas[item_id] = self._deltas.get(item_id, "") + (event.get("delta") or "")

    def _transcription_completed(self, event: dict[str, Any]) -> None:
        self._transcribable(event)
        item_id = event["item_id"]
        if item_id in self._deltas:
            require(
                self._deltas[item_id] == event["transcript"],
                f"the deltas of {item_id} make {self._deltas[item_id]!r}, completed says "
                f"{event['transcript']!r}",
            )
        usage = event["usage"]
        if usage["type"] == "tokens":
            require(
                usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"],
                "the transcription's usage does not add up",
            )
        self._transcribed.add(item_id)

    def _transcription_failed(self, event: dict[str, Any]) -> None:
        self._transcribable(event)
        require(all(v is not None for v in event["error"].values()), "null inside a failed's error")
        self._transcribed.add(event["item_id"])

    def _transcribable(self, event: dict[str, Any]) -> None:
        item_id = event["item_id"]
        item = self.items.get(item_id)
        require(item is not None, f"{item_id} is transcribed and was never added")
        assert item is not None
        content = item["content"][event.get("content_index", 0)]
        require(content["type"] == "input_audio", "what is transcribed is no input_audio")
        require(item_id not in self._transcribed, f"{item_id} was transcribed before")


_HANDLERS: dict[str, Callable[[Checker, dict[str, Any]], None]] = {
    "session.created": Checker._created,
    "session.updated": Checker._session_updated,
    "error": Checker._error,
    "conversation.item.added": Checker._item_added,
    "conversation.item.done": Checker._item_done,
    "conversation.item.created": Checker._legacy,
    "conversation.item.deleted": Checker._item_deleted,
    "conversation.item.retrieved": Checker._item_retrieved,
    "conversation.item.truncated": Checker._item_truncated,
    "input_audio_buffer.speech_started": Checker._speech_started,
    "input_audio_buffer.speech_stopped": Checker._speech_stopped,
    "input_audio_buffer.committed": Checker._buffer_committed,
    "input_audio_buffer.cleared": Checker._buffer_cleared,
    "conversation.item.input_audio_transcription.delta": Checker._transcription_delta,
    "conversation.item.input_audio_transcription.completed": Checker._transcription_completed,
    "conversation.item.input_audio_transcription.failed": Checker._transcription_failed,
}


def _full_session(session: dict[str, Any]) -> None:
    """The echo is whole: the keys that clients read are there."""
    keys = {"type", "id", "object", "expires_at", "audio", "include"}
    if session["type"] == "realtime":
        keys |= {
            "model", "output_modalities", "instructions", "tools", "tool_choice",
            "max_output_tokens", "truncation", "tracing", "prompt",
        }  # fmt: skip
        output = session["audio"].get("output", {})
        lost = {"format", "voice", "speed"} - set(output)
        require(not lost, f"session.audio.output lacks {sorted(lost)}")
    lost = keys - set(session)
    require(not lost, f"the session lacks {sorted(lost)}")
    lost = {"format", "transcription", "noise_reduction", "turn_detection"} - set(
        session["audio"]["input"]
    )
    require(not lost, f"session.audio.input lacks {sorted(lost)}")
    no_keys(session)


def _turns(session: dict[str, Any]) -> Any:
    return session["audio"]["input"]["turn_detection"]


def _shape(item: dict[str, Any]) -> None:
    if item["type"] in ("message", "function_call", "function_call_output"):
        require(item.get("status") is not None, f"an item of type {item['type']} has no status")
    for content in item.get("content") or ():
        if content["type"] == "input_audio":
            require("transcript" in content, "input_audio without the key transcript")
    if item["type"] == "mcp_call":
        require("output" in item, "mcp_call without the key output")


def _no_audio(item: dict[str, Any]) -> None:
    for content in item.get("content") or ():
        require(content.get("audio") is None, "audio bytes outside item.retrieved")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ConformanceError("audio that is not base64") from None


def _brief(event: Mapping[str, Any]) -> str:
    """An event in one line, its long texts cut."""
    parts = []
    for key, value in event.items():
        if key == "type":
            continue
        if isinstance(value, Mapping):
            short = {k: value[k] for k in ("id", "type", "status", "code", "message") if k in value}
            parts.append(f"{key}={short}")
        else:
            text = str(value)
            parts.append(f"{key}={text[:40]}{'…' if len(text) > 40 else ''}")
    return f"{event.get('type')} {' '.join(parts)}"
