"""The order of a response's events: what is open, what was streamed, what must close first."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.conformance import Checker

_REASONS = {
    "cancelled": {"turn_detected", "client_cancelled"},
    "incomplete": {"max_output_tokens", "content_filter"},
}


class ConformanceError(AssertionError):
    """The session broke a rule of the protocol."""


def require(condition: object, message: str) -> None:
    if not condition:
        raise ConformanceError(message)


@dataclass
class Part:
    kind: str
    text: str = ""
    audio_bytes: int = 0
    closed: set[str] = field(default_factory=set)
    done: bool = False


@dataclass
class Out:
    """An output item of a running response."""

    item: dict[str, Any]
    mirrored: bool = False
    mirror_done: bool = False
    parts: list[Part] = field(default_factory=list)
    arguments: str = ""
    arguments_done: bool = False
    done: dict[str, Any] | None = None


@dataclass
class Running:
    id: str
    out_of_band: bool
    modalities: list[str]
    outputs: list[Out] = field(default_factory=list)
    speech: bool = False
    cancel: bool = False


class ResponseRules:
    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self.running: dict[str, Running] = {}
        self.finished: set[str] = set()
        self.done: list[dict[str, Any]] = []
        self._asked: list[dict[str, Any] | None] = []
        self._buffer: dict[str, str] = {}

    # What the client did, what the rest of the session saw -----------------------------------
    def asked(self, event: Any) -> None:
        response = event.get("response")
        metadata = response.get("metadata") if isinstance(response, dict) else None
        self._asked.append(metadata)

    def cancel_asked(self) -> None:
        for response in self.running.values():
            response.cancel = True

    def speech_started(self) -> None:
        for response in self.running.values():
            response.speech = True

    def item_added(self, item: dict[str, Any]) -> None:
        for response in self.running.values():
            for out in response.outputs:
                if out.item["id"] == item["id"]:
                    require(not response.out_of_band, "an out-of-band item in the conversation")
                    require(out.done is None, "conversation.item.added after output_item.done")
                    require(item.get("status") == "in_progress", "an answer is added in_progress")
                    require(not item.get("content"), "an answer is added empty")
                    out.mirrored = True

    def item_done(self, item: dict[str, Any]) -> None:
        for response in self.running.values():
            for out in response.outputs:
                if out.item["id"] == item["id"]:
                    require(all(p.done for p in out.parts), "item.done before content_part.done")
                    self._same_text(out, item)
                    out.mirror_done = True

    def end(self) -> None:
        require(not self.running, f"responses without response.done: {sorted(self.running)}")

    # What the server sent --------------------------------------------------------------------
    def event(self, kind: str, event: dict[str, Any]) -> None:
        if kind.startswith("output_audio_buffer."):
            self._audio_buffer(kind, event)
            return
        if kind == "response.created":
            self._created(event["response"])
            return
        if kind == "response.done":
            self._done(event["response"])
            return
        if kind.startswith("response.mcp_call.") and "response_id" not in event:
            return
        response_id = event["response_id"]
        require(response_id not in self.finished, f"{kind} after response.done")
        require(response_id in self.running, f"{kind} of a response that was not created")
        response = self.running[response_id]
        if kind == "response.output_item.added":
            self._output_added(response, event)
            return
        require(event["output_index"] < len(response.outputs), f"{kind} before output_item.added")
        out = response.outputs[event["output_index"]]
        if kind == "response.output_item.done":
            self._output_done(response, out, event["item"])
            return
        require(event["item_id"] == out.item["id"], f"{kind} with another item_id")
        require(out.done is None, f"{kind} after output_item.done")
        require(out.mirrored or response.out_of_band, f"{kind} before conversation.item.added")
        if "arguments" in kind:
            self._arguments(kind, out, event)
        else:
            self._content(kind, response, out, event)

    def _created(self, response: dict[str, Any]) -> None:
        response_id = response["id"]
        require(
            response_id not in self.running and response_id not in self.finished,
            f"{response_id} was created twice",
        )
        require(response["status"] == "in_progress", "a created response is in_progress")
        require(response["output"] == [], "a created response has an empty output")
        require(response.get("usage") is None, "a created response has no usage yet")
        out_of_band = response["conversation_id"] is None
        if not out_of_band:
            others = [r.id for r in self.running.values() if not r.out_of_band]
            require(not others, f"{response_id} was created while {others} is in progress")
        metadata = response.get("metadata")
        if metadata:
            require(metadata in self._asked, f"metadata that nobody sent: {metadata}")
            self._asked.remove(metadata)
        require(
            response["output_modalities"] in (["audio"], ["text"]),
            f"modalities {response['output_modalities']}",
        )
        self.running[response_id] = Running(response_id, out_of_band, response["output_modalities"])

    def _output_added(self, response: Running, event: dict[str, Any]) -> None:
        item = event["item"]
        require(event["output_index"] == len(response.outputs), "output_index has a gap")
        require(isinstance(item.get("id"), str), "an output item without an id")
        require(item.get("status", "in_progress") == "in_progress", "an output begins in_progress")
        require(not item.get("content"), "an output item begins empty")
        if item["type"] == "function_call":
            require(item["arguments"] == "", "a function call begins with arguments ''")
            require(bool(item.get("call_id")), "a function call without a call_id")
        response.outputs.append(Out(item))

    def _content(self, kind: str, response: Running, out: Out, event: dict[str, Any]) -> None:
        index = event["content_index"]
        if kind == "response.content_part.added":
            require(index == len(out.parts), "content_index has a gap")
            require(out.item["type"] == "message", "a content part outside a message")
            out.parts.append(Part(event["part"]["type"]))
            return
        require(index < len(out.parts), f"{kind} before content_part.added")
        part = out.parts[index]
        require(not part.done, f"{kind} after content_part.done")
        name = kind.removeprefix("response.")
        stem = name.rpartition(".")[0]
        require(stem not in part.closed, f"{kind} after {stem}.done")
        wanted = {"output_text": "text"}.get(stem, "audio")
        if stem != "content_part":
            require(part.kind == wanted, f"{kind} in a part of type {part.kind}")
        match name:
            case "output_audio.delta":
                require(not self._checker.rtc, "audio deltas on a WebRTC or SIP session")
                require("audio" in response.modalities, "audio in a text response")
                part.audio_bytes += len(_audio(event["delta"]))
            case "output_audio_transcript.delta" | "output_text.delta":
                part.text += event["delta"]
            case "output_audio.done":
                part.closed.add(stem)
            case "output_audio_transcript.done" | "output_text.done":
                said = event.get("transcript", event.get("text"))
                require(said == part.text, f"{name} says {said!r}, its deltas {part.text!r}")
                part.closed.add(stem)
            case "content_part.done":
                needed = (
                    {"output_text"}
                    if part.kind == "text"
                    else {"output_audio", "output_audio_transcript"}
                )
                require(needed <= part.closed, f"content_part.done before {needed - part.closed}")
                said = event["part"].get("transcript" if part.kind == "audio" else "text")
                require(said == part.text, f"{name} says {said!r}, its deltas {part.text!r}")
                part.done = True

    def _arguments(self, kind: str, out: Out, event: dict[str, Any]) -> None:
        require(not out.arguments_done, f"{kind} after its done")
        if "call_id" in event:
            require(event["call_id"] == out.item["call_id"], f"{kind} with another call_id")
        if kind.endswith(".delta"):
            out.arguments += event["delta"]
            return
        require(
            event["arguments"] == out.arguments,
            f"arguments.done says {event['arguments']!r}, its deltas {out.arguments!r}",
        )
        if "name" in event:
            require(event["name"] == out.item["name"], "arguments.done with another name")
        out.arguments_done = True

    def _output_done(self, response: Running, out: Out, item: dict[str, Any]) -> None:
        require(out.done is None, "output_item.done twice")
        require(item["id"] == out.item["id"], "output_item.done with another item")
        require(all(p.done for p in out.parts), "output_item.done before content_part.done")
        require(
            item.get("status") in ("completed", "incomplete") or item["type"].startswith("mcp_"),
            f"an output item is done with status {item.get('status')}",
        )
        require(response.out_of_band or out.mirrored, "an output item was never added")
        if item["type"] == "function_call":
            require(item["call_id"] == out.item["call_id"], "the call_id changed")
            if item["status"] == "completed":
                require(out.arguments_done, "output_item.done before arguments.done")
                require(item["arguments"] == out.arguments, "the arguments changed")
        self._same_text(out, item)
        out.done = item

    def _same_text(self, out: Out, item: dict[str, Any]) -> None:
        if item["type"] != "message" or item["id"] in self._checker.truncated:
            return
        content = item["content"]
        require(len(content) == len(out.parts), f"{len(content)} parts, {len(out.parts)} streamed")
        for part, made in zip(out.parts, content, strict=True):
            require(
                made["type"] == f"output_{part.kind}", f"a {part.kind} part ends {made['type']}"
            )
            said = made.get("transcript" if part.kind == "audio" else "text")
            require(said == part.text, f"the item says {said!r}, its deltas {part.text!r}")

    def _done(self, response: dict[str, Any]) -> None:
        response_id = response["id"]
        require(response_id in self.running, f"{response_id} is done and was not in progress")
        running = self.running.pop(response_id)
        self.finished.add(response_id)
        self.done.append(response)
        status, details = response["status"], response.get("status_details")
        require(status != "in_progress", "a done response is in_progress")
        for out in running.outputs:
            require(out.done is not None, "response.done before output_item.done")
            require(
                running.out_of_band or out.mirror_done,
                "response.done before conversation.item.done",
            )
        require(
            [i["id"] for i in response["output"]] == [o.item["id"] for o in running.outputs],
            "response.done's output is not what was streamed",
        )
        for out, item in zip(running.outputs, response["output"], strict=True):
            self._same_text(out, item)
            if status == "completed":
                require(item.get("status") != "incomplete", "completed with an incomplete item")
        self._details(running, status, details)
        require(
            (response["conversation_id"] is None) == running.out_of_band,
            "conversation_id changed",
        )
        if response.get("usage") is not None:
            _adds_up(response["usage"])
        else:
            require(status == "failed", "a done response without usage")

    def _details(self, running: Running, status: str, details: dict[str, Any] | None) -> None:
        if status == "completed":
            return
        require(details is not None, f"{status} without status_details")
        assert details is not None
        require(details["type"] == status, "status_details is of another status")
        if status == "failed":
            require(bool((details.get("error") or {}).get("message")), "failed without a message")
            return
        reason = details.get("reason")
        require(reason in _REASONS[status], f"{status} for the reason {reason!r}")
        if reason == "turn_detected":
            require(running.speech, "turn_detected and nobody spoke")
        if reason == "client_cancelled":
            require(running.cancel, "client_cancelled and the client did not")

    def _audio_buffer(self, kind: str, event: dict[str, Any]) -> None:
        require(self._checker.rtc, f"{kind} is for WebRTC and SIP alone")
        response_id, state = event["response_id"], kind.rpartition(".")[2]
        require(
            response_id in self.running or response_id in self.finished,
            f"{kind} of an unknown response",
        )
        before = self._buffer.get(response_id)
        if state == "started":
            require(before is None, "output_audio_buffer.started twice")
        else:
            require(before == "started", f"{kind} after {before}")
        if state == "stopped":
            require(response_id in self.finished, "the buffer drained before response.done")
        self._buffer[response_id] = state


def _audio(delta: str) -> bytes:
    try:
        return base64.b64decode(delta, validate=True)
    except ValueError:
        raise ConformanceError("an audio delta that is not base64") from None


def _adds_up(usage: dict[str, Any]) -> None:
    read, wrote = usage["input_token_details"], usage["output_token_details"]
    cached = read["cached_tokens_details"]
    require(
        usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"],
        "usage: total is not input and output",
    )
    require(
        usage["input_tokens"]
        == read["text_tokens"] + read["audio_tokens"] + read.get("image_tokens", 0),
        "usage: the input's details do not add up",
    )
    require(
        usage["output_tokens"] == wrote["text_tokens"] + wrote["audio_tokens"],
        "usage: the output's details do not add up",
    )
    require(
        read["cached_tokens"]
        == cached["text_tokens"] + cached["audio_tokens"] + cached.get("image_tokens", 0),
        "usage: the cache's details do not add up",
    )
    for kind in ("text_tokens", "audio_tokens"):
        require(cached[kind] <= read[kind], f"usage: more {kind} cached than read")
