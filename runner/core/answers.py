"""What the server says of its answers: one handler an event type of ``response.*`` and of the
buffer that it plays from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.effects import Effects, Notify
from runner.core.events import (
    AgentEnd,
    AgentStart,
    AudioStopped,
    Interrupted,
    SessionError,
    TranscriptDelta,
    Usage,
)
from runner.core.playback import rate_of
from runner.core.tools import whole
from runner.core.turns import Response
from runner.core.watch import Watch
from runner.errors import FATAL

Event = Mapping[str, Any]


class Answers(Watch):
    def _response_created(self, event: Event, now: float) -> None:
        response = event["response"]
        response_id = response["id"]
        if response_id not in self._turns.open and not self._turns.is_over(response_id):
            self._begin(response_id, response, now)

    def _begin(self, response_id: str, wire: Event, now: float) -> Response:
        request, unwanted = self._responses.created(response_id, wire.get("metadata"), now)
        self._link.owed_until = None
        audio = (wire.get("audio") or {}).get("output") or {}
        response = Response(
            response_id,
            self._view,
            made_by="server" if request is None else request.kind,
            purpose="" if request is None else request.purpose,
            rate=rate_of(audio.get("format"), self._rate),
            beside=request is not None and request.beside,
        )
        if request is not None:
            response.params = request.params
            response.interruptible = request.interruptible
        if response.beside:
            self._beside[response_id] = None
        self._turns.begin(response)
        self._out.tell(AgentStart(response.agent, response_id))
        if unwanted:
            self._playback.refuse(response_id)
            self._cancel(response)
            response.go("cut")
        return response

    def _response_done(self, event: Event, now: float) -> None:
        wire = event["response"]
        response_id = wire["id"]
        response = self._turns.open.get(response_id)
        if response is None:
            if self._turns.is_over(response_id):
                return
            response = self._begin(response_id, wire, now)
        if response.done:
            return
        status = str(wire.get("status") or "completed")
        details = wire.get("status_details") or {}
        self._tell_texts(wire)
        response.go("done")
        self._responses.done(response_id)
        if self._ledger.response_done(response_id, cancelled=status == "cancelled"):
            self._responses.add("auto")
        usage = wire.get("usage") or {}
        self._usage.add(usage)
        text = _last_text(wire.get("output") or ())
        self._out.tell(
            AgentEnd(response.agent, response_id, status, text, details.get("reason"), usage)
        )
        self._out.tell(Usage(response_id, usage, self._usage.total()))
        if response.view.rules.debounce is not None and response.judged:
            self._look_at_end(response, wire)
        if status == "failed":
            error = details.get("error") or {}
            code = str(error.get("code") or error.get("type") or "response_failed")
            message = str(error.get("message") or "the server could not make a response")
            self._out.tell(SessionError(code, message, code in FATAL))

    def _tell_texts(self, wire: Event) -> None:
        """The texts of items that no other event has finished."""
        for item in wire.get("output") or ():
            entry = self._history.get(item.get("id", ""))
            if entry is not None and entry.role == "assistant":
                self._tell_text(entry)

    def _output_item(self, event: Event, now: float) -> None:
        item = event["item"]
        response = self._turns.open.get(event["response_id"])
        if event["response_id"] in self._beside:
            return
        entry, new = self._history.upsert(event["type"], event)
        self._tell_item(entry, new)
        if entry is None:
            return
        if entry.kind == "message" and response is not None:
            response.item_id = entry.item_id
        if event["type"] != "response.output_item.done":
            return
        if entry.kind == "function_call":
            if item.get("status") in ("completed", None):
                call_id = item.get("call_id") or item["id"]
                arguments = item.get("arguments") or ""
                owner = self._turns.owner(event["response_id"], self._view)
                self._call(owner, item["id"], call_id, item["name"], arguments, now)
        else:
            self._tell_text(entry)

    def _arguments_done(self, event: Event, now: float) -> None:
        response = self._turns.owner(event["response_id"], self._view)
        if response.beside:
            return
        entry = self._history.get(event["item_id"])
        name = event.get("name") or (None if entry is None else entry.name)
        # Cut off in the middle, a server closes the arguments as they are.
        if name and whole(event["arguments"]):
            call_id = event.get("call_id") or event["item_id"]
            if entry is not None and entry.arguments is None:
                # A line that breaks before the item is done must not lose the call.
                entry.arguments = event["arguments"]
                entry.touch()
            self._call(response, event["item_id"], call_id, name, event["arguments"], now)

    def _content_part(self, event: Event, now: float) -> None:
        if event["response_id"] in self._beside:
            return
        entry = self._history.assistant(event["item_id"])
        if entry is not None:
            audio = event["part"].get("type") in ("audio", "output_audio")
            entry.part(event["content_index"], "output_audio" if audio else "output_text")

    def _audio_text_delta(self, event: Event) -> Effects:
        return self._spoken_delta(event, "output_audio")

    def _text_delta(self, event: Event) -> Effects:
        return self._spoken_delta(event, "output_text")

    def _spoken_delta(self, event: Event, kind: str) -> Effects:
        item_id, delta = event["item_id"], event["delta"]
        if not self._beside or event.get("response_id") not in self._beside:
            self._history.delta(item_id, event["content_index"], delta, kind)
        out = self._out
        out.effects.append(Notify(TranscriptDelta("assistant", item_id, delta)))
        if self._debounce is not None:
            self._look_at_delta(event["response_id"], item_id, delta)
        return out.take()

    def _look_at_delta(self, response_id: str, item_id: str, delta: str) -> None:
        response = self._turns.open.get(response_id)
        if response is None or not response.judged or self._guard.tripped(response_id):
            return
        debounce = response.view.rules.debounce
        text = None if debounce is None else self._guard.delta(item_id, delta, debounce)
        if text is not None:
            self._look("output", response.agent, response_id, item_id, text, False)

    def _audio_text_done(self, event: Event, now: float) -> None:
        self._spoken(event, event["transcript"], "output_audio")

    def _text_done(self, event: Event, now: float) -> None:
        self._spoken(event, event["text"], "output_text")

    def _spoken(self, event: Event, text: str, kind: str) -> None:
        response = self._turns.open.get(event["response_id"])
        if response is not None:
            response.wrote = True
        if event["response_id"] in self._beside:
            return
        entry = self._history.assistant(event["item_id"])
        if entry is not None:
            self._history.finish_text(entry, event.get("content_index") or 0, text, kind)
            self._tell_item(entry, False)
            self._tell_text(entry)

    def _audio_done(self, event: Event, now: float) -> None:
        self._playback.complete(event["item_id"], event.get("content_index") or 0)
        response = self._turns.open.get(event["response_id"])
        if response is not None:
            response.wrote = True
            self._settings.voiced = True
        self._out.tell(AudioStopped(event["response_id"]))

    # -- playback, where the server owns it ------------------------------------------------
    def _buffer_started(self, event: Event, now: float) -> None:
        response = self._turns.open.get(event["response_id"])
        if self._server_plays and response is not None and response.playing_since is None:
            response.playing_since = now
            self._sounds(response, "", now)

    def _buffer_stopped(self, event: Event, now: float) -> None:
        self._stop_sounding(event["response_id"], now)

    def _buffer_cleared(self, event: Event, now: float) -> None:
        response = self._stop_sounding(event["response_id"], now)
        if response is not None:
            entry = self._history.get(response.item_id)
            # The server's own truncation is exact; what we saw of its buffer is near it.
            exact = None if entry is None else entry.heard_ms
            heard = int(response.played_ms) if exact is None else exact
            response.go("cut")
            self._out.tell(Interrupted(response.agent, response.item_id, heard))

    def _stop_sounding(self, response_id: str, now: float) -> Response | None:
        response = self._turns.open.get(response_id)
        if response is None or response.playing_since is None:
            return None
        response.played_ms += (now - response.playing_since) * 1000
        response.playing_since = None
        return response


def _last_text(output: Any) -> str:
    """The text of the last message that has one; a call after it does not hide it."""
    for item in reversed(output):
        if item.get("type") == "message":
            for part in reversed(item.get("content") or ()):
                text = part.get("text") or part.get("transcript")
                if text:
                    return str(text)
    return ""
