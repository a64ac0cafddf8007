"""Playbook tests of the core: a conversation written as events in, effects out.

    play = Playbook().open()
    play >> speech_started("u1")
    play << [Send(...), Notify(...)]        exactly these, Wake and history notices left out

``play.sent()`` and ``play.told(Type)`` look at the last step only, ``play.all_sent`` at the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from runner.core.conversation import Conversation
from runner.core.effects import Effect, Effects, Notify, Send, Wake
from runner.core.events import HistoryAdded, HistoryUpdated, SessionEvent
from runner.core.view import AgentView
from runner.model.settings import SessionSettings, merge

Event = dict[str, Any]
T = TypeVar("T", bound=SessionEvent)

TOOLS = [
    {"type": "function", "name": "find_slots", "parameters": {"type": "object"}},
    {"type": "function", "name": "book_slot", "parameters": {"type": "object"}},
    {"type": "function", "name": "transfer_to_billing"},
    {"type": "function", "name": "transfer_to_sales"},
]
HANDOFFS = {"transfer_to_billing": "billing", "transfer_to_sales": "sales"}


def view(
    name: str = "desk",
    over: Mapping[str, Any] | None = None,
    *,
    handoffs: Mapping[str, str] | None = None,
) -> AgentView:
    """An agent with two tools and two handoffs; ``over`` is laid on its session object."""
    base = SessionSettings().merged({"instructions": f"You are {name}.", "tools": TOOLS})
    return AgentView(name, base.merged(over or {}), HANDOFFS if handoffs is None else handoffs)


class Playbook:
    """One conversation, its clock, and what the last step gave."""

    def __init__(self, agent: AgentView | None = None, **options: Any) -> None:
        self.agent = agent or view()
        self.core = Conversation(self.agent, **options)
        self.now = 100.0
        self.last: Effects = []
        self.all_sent: list[Event] = []
        self.all_told: list[SessionEvent] = []
        #: What the server's session holds, for ``echo``.
        self.session: Event = {"id": "sess_1", "object": "realtime.session"}
        self._responses = 0

    # -- steps -----------------------------------------------------------------------------
    def open(self) -> Playbook:
        """Connect and have the first settings acknowledged."""
        self.do(self.core.connected)
        self >> self.echo()
        assert self.core.ready
        return self

    def do(self, method: Callable[..., Effects], *args: Any, **kwargs: Any) -> Playbook:
        """Call a method of the core with the present time."""
        return self._step(method(*args, now=self.now, **kwargs))

    def __rshift__(self, event: Event) -> Playbook:
        """The server sends this; it must not be changed by the core."""
        before = deepcopy(event)
        self._step(self.core.receive(event, self.now))
        assert event == before
        return self

    def __lshift__(self, effects: Sequence[Effect]) -> Playbook:
        """The last step gave exactly these effects, in this order."""
        assert self.effects == list(effects)
        return self

    def wait(self, seconds: float) -> Playbook:
        """Let time pass, with a tick at its end."""
        self.now += seconds
        return self.do(self.core.tick)

    def pass_time(self, seconds: float) -> Playbook:
        """Let time pass and nobody notice."""
        self.now += seconds
        return self

    def audio(self, response: str, item: str, ms: float, index: int = 0) -> bool:
        """Audio of an answer comes in, ``ms`` of it; the verdict."""
        samples = int(ms * self.core.output_rate / 1000)
        verdict = self.core.audio_out(response, item, index, samples, self.now)
        self._step(self.core.take())
        return verdict

    def heard(self, item: str, ms: float, index: int = 0) -> Playbook:
        """The sink has played ``ms`` of the item so far."""
        self.core.heard(item, index, int(ms * self.core.output_rate / 1000), self.now)
        return self

    def drained(self) -> Playbook:
        return self.do(self.core.drained)

    def _step(self, effects: Effects) -> Playbook:
        self.last = effects
        for effect in effects:
            if isinstance(effect, Send):
                self.all_sent.append(effect.event)
                if effect.event["type"] == "session.update":
                    self.session = merge(self.session, effect.event["session"])
            elif isinstance(effect, Notify):
                self.all_told.append(effect.event)
        return self

    # -- looking ---------------------------------------------------------------------------
    @property
    def effects(self) -> Effects:
        """The last effects without Wake and history notices."""
        quiet = (HistoryAdded, HistoryUpdated)
        return [
            e
            for e in self.last
            if not isinstance(e, Wake)
            and not (isinstance(e, Notify) and isinstance(e.event, quiet))
        ]

    def sent(self, kind: str | None = None) -> list[Event]:
        """Client events of the last step, of one type when given."""
        events = [e.event for e in self.last if isinstance(e, Send)]
        return [e for e in events if kind is None or e["type"] == kind]

    def ever_sent(self, kind: str) -> list[Event]:
        return [e for e in self.all_sent if e["type"] == kind]

    def told(self, kind: type[T]) -> list[T]:
        """Session events of this class in the last step."""
        return [e.event for e in self.last if isinstance(e, Notify) and isinstance(e.event, kind)]

    def ever_told(self, kind: type[T]) -> list[T]:
        return [e for e in self.all_told if isinstance(e, kind)]

    @property
    def wake(self) -> float | None:
        """When the last step wants to be woken."""
        found = [e.at for e in self.last if isinstance(e, Wake)]
        return found[-1] if found else None

    # -- whole scenes ----------------------------------------------------------------------
    def echo(self, **over: Any) -> Event:
        """session.updated with everything that was sent so far, ``over`` laid on top."""
        return {"type": "session.updated", "session": merge(self.session, over)}

    def begin(self, response: str = "r1", *, ours: bool = True, **fields: Any) -> Playbook:
        """response.created, as the answer to our newest request or made by the server."""
        metadata = self.ever_sent("response.create")[-1]["response"]["metadata"] if ours else None
        return self >> created(response, metadata=metadata, **fields)

    def speak(
        self, response: str = "r1", item: str = "a1", ms: float = 1000, text: str = "We are open."
    ) -> Playbook:
        """An audio answer up to response.done, its audio received and not played yet."""
        self >> output_item("added", response, message(item))
        self >> {**part(response, item), "type": "response.content_part.added"}
        self >> spoken_delta(response, item, text)
        assert self.audio(response, item, ms)
        self >> audio_done(response, item)
        self >> spoken_done(response, item, text)
        self >> output_item("done", response, message(item, "completed", text))
        return self >> done(response)


# -- server events -------------------------------------------------------------------------
def created(response: str, **fields: Any) -> Event:
    return {
        "type": "response.created",
        "response": {"id": response, "status": "in_progress", "output": [], **fields},
    }


def done(response: str, status: str = "completed", **fields: Any) -> Event:
    wire = {"id": response, "status": status, "output": [], "usage": None, **fields}
    return {"type": "response.done", "response": wire}


def cancelled(response: str, reason: str = "turn_detected") -> Event:
    return done(response, "cancelled", status_details={"type": "cancelled", "reason": reason})


def message(item: str, status: str = "in_progress", text: str | None = None) -> Event:
    content = [] if text is None else [{"type": "output_audio", "transcript": text}]
    return {
        "id": item, "type": "message", "role": "assistant", "status": status, "content": content,
    }  # fmt: skip


def user_audio(item: str) -> Event:
    content = [{"type": "input_audio", "transcript": None}]
    return {
        "id": item, "type": "message", "role": "user", "status": "completed", "content": content,
    }  # fmt: skip


def user_text(item: str, text: str) -> Event:
    content = [{"type": "input_text", "text": text}]
    return {
        "id": item, "type": "message", "role": "user", "status": "completed", "content": content,
    }  # fmt: skip


def function_call(
    item: str, call: str, name: str, arguments: str = "{}", status: str = "completed"
) -> Event:
    return {
        "id": item, "type": "function_call", "status": status, "call_id": call, "name": name,
        "arguments": arguments,
    }  # fmt: skip


def item(kind: str, item: Event, **fields: Any) -> Event:
    """conversation.item.added / done; pass previous_item_id where the server names one."""
    return {"type": f"conversation.item.{kind}", "item": item, **fields}


def output_item(kind: str, response: str, item: Event) -> Event:
    return {
        "type": f"response.output_item.{kind}", "response_id": response, "output_index": 0,
        "item": item,
    }  # fmt: skip


def part(response: str, item: str, kind: str = "audio") -> Event:
    return {
        "type": "", "response_id": response, "item_id": item, "output_index": 0,
        "content_index": 0, "part": {"type": kind, "transcript": ""},
    }  # fmt: skip


def _of_part(kind: str, response: str, item: str, **fields: Any) -> Event:
    return {
        "type": f"response.{kind}", "response_id": response, "item_id": item, "output_index": 0,
        "content_index": 0, **fields,
    }  # fmt: skip


def spoken_delta(response: str, item: str, delta: str) -> Event:
    return _of_part("output_audio_transcript.delta", response, item, delta=delta)


def spoken_done(response: str, item: str, text: str) -> Event:
    return _of_part("output_audio_transcript.done", response, item, transcript=text)


def text_delta(response: str, item: str, delta: str) -> Event:
    return _of_part("output_text.delta", response, item, delta=delta)


def text_done(response: str, item: str, text: str) -> Event:
    return _of_part("output_text.done", response, item, text=text)


def audio_done(response: str, item: str) -> Event:
    return _of_part("output_audio.done", response, item)


def arguments_done(response: str, item: str, call: str, name: str, arguments: str) -> Event:
    return {
        "type": "response.function_call_arguments.done", "response_id": response,
        "item_id": item, "output_index": 0, "call_id": call, "name": name, "arguments": arguments,
    }  # fmt: skip


def speech_started(item: str = "u1", ms: int = 0) -> Event:
    return {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": ms}


def speech_stopped(item: str = "u1", ms: int = 0) -> Event:
    return {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": ms}


def transcribed(item: str, text: str) -> Event:
    return {
        "type": "conversation.item.input_audio_transcription.completed", "item_id": item,
        "content_index": 0, "transcript": text, "usage": {"type": "duration", "seconds": 1.0},
    }  # fmt: skip


def error(code: str, event_id: str | None = None, **fields: Any) -> Event:
    body = {"type": "invalid_request_error", "code": code, "message": code, "event_id": event_id}
    return {"type": "error", "event_id": "event_1", "error": {**body, **fields}}
