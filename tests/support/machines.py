"""State machines that throw a whole call, with its accidents, at the core.

``CallMachine`` plays a server that obeys the protocol over a line that repeats and reorders, and
a program that wants things at random. ``HistoryMachine`` compares the history with a slow oracle.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import playbook as pb
from support.playbook import Event, Playbook, view

from runner.core.effects import PrepareAgent, RunTool, Send
from runner.core.events import (
    AgentEnd,
    AgentStart,
    SessionError,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
    Transcript,
    TurnEnd,
)
from runner.core.record import Recorder, replay
from runner.core.responses import CREATED_WITHIN, REQUEST_KEY

NAMES = ["find_slots", "book_slot", "transfer_to_billing", "transfer_to_sales", "make_coffee"]
few = st.integers(0, 3)


class Server:
    """The other end: answers client events in order and makes responses of its own."""

    def __init__(self) -> None:
        self.line: list[Event] = []
        self.session: Event = {"id": "sess_1"}
        self.running: str | None = None
        self.metadata: Any = None
        self.count = 0
        self.audio: dict[str, int] = {}
        self.items: dict[str, str] = {}

    def take(self, event: Event, accept: bool) -> None:
        kind = event["type"]
        if kind == "session.update" and accept:
            self.session = pb.merge(self.session, event["session"])
            self.line.append({"type": "session.updated", "session": dict(self.session)})
        elif kind == "session.update":
            self.line.append(pb.error("invalid_value", event["event_id"]))
        elif kind == "response.create":
            if self.running is not None:
                self.line.append(
                    pb.error("conversation_already_has_active_response", event["event_id"])
                )
            elif accept:
                self.begin(event["response"].get("metadata"))
            else:
                self.line.append(pb.error("invalid_value", event["event_id"]))
        elif kind == "response.cancel":
            if self.running == event["response_id"]:
                self.end("cancelled")
            else:
                self.line.append(pb.error("response_cancel_not_active", event["event_id"]))

    def begin(self, metadata: Any = None) -> None:
        self.count += 1
        self.running = f"r{self.count}"
        self.metadata = metadata
        self.line.append(pb.created(self.running, metadata=metadata))

    def speak(self) -> None:
        assert self.running is not None
        item = f"a{self.running}"
        if item not in self.items:
            self.items[item] = ""
            self.line.append(pb.output_item("added", self.running, pb.message(item)))
        self.items[item] += "word "
        self.line.append(pb.spoken_delta(self.running, item, "word "))
        self.line.append({"type": "audio", "response": self.running, "item": item})

    def call(self, name: str) -> None:
        assert self.running is not None
        self.count += 1
        call = pb.function_call(f"f{self.count}", f"c{self.count}", name)
        self.line.append(
            pb.arguments_done(self.running, call["id"], call["call_id"], name, call["arguments"])
        )
        self.line.append(pb.output_item("done", self.running, call))

    def end(self, status: str = "completed") -> None:
        assert self.running is not None
        item = f"a{self.running}"
        if item in self.items:
            done = pb.message(item, "completed", self.items[item])
            self.line.append(pb.spoken_done(self.running, item, self.items[item]))
            self.line.append(pb.output_item("done", self.running, done))
        self.line.append(pb.done(self.running, status, metadata=self.metadata))
        self.running = None


class CallMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.play = Playbook()
        self.recorder = Recorder(self.play.core)
        self.play.core = self.recorder  # type: ignore[assignment]
        self.seen: list[list[Any]] = []
        self.server = Server()
        self.in_flight: dict[str, tuple[float, Event]] = {}
        self.calls: dict[str, str] = {}
        self.outputs: dict[str, int] = {}
        self.received: dict[str, int] = {}
        self.revisions: set[int] = set()
        self.answered: list[int] = []
        self.revision = 0
        self.refusing = False
        self.after(self.play.do(self.play.core.connected))
        # The greeting shows that this server echoes metadata; servers that do not are found
        # out by time alone, which a line that stalls for ten seconds can fool.
        self.say()
        while self.server.line:
            self.deliver(self.server.line.pop(0))
        self.server.end()

    # -- looking at every step -------------------------------------------------------------
    def after(self, play: Playbook) -> None:
        for effect in play.last:
            if isinstance(effect, Send):
                self.on_send(effect.event)
            elif isinstance(effect, RunTool | PrepareAgent):
                assert effect.call_id not in self.calls, "a call was started twice"
                self.calls[effect.call_id] = effect.name
        for problem in play.told(SessionError):
            assert problem.code != "bad_event", problem.message
        for kind in (SettingsApplied, SettingsRefused):
            self.answered += [e.revision for e in play.told(kind)]

    def on_send(self, event: Event) -> None:
        if event["type"] == "response.create":
            assert not self.in_flight, "two response.create in flight"
            self.in_flight[event["event_id"]] = (self.play.now, event)
        elif event["type"] == "conversation.item.truncate":
            assert 0 <= event["audio_end_ms"] <= self.received.get(event["item_id"], 0)
        elif event["type"] == "conversation.item.create":
            item = event["item"]
            if item["type"] == "function_call_output":
                name = item["call_id"]
                self.outputs[name] = self.outputs.get(name, 0) + 1
                assert self.outputs[name] == 1, "two outputs for one call"
        self.server.take(event, not self.refusing)

    def settle(self, event: Event) -> None:
        """What this event, once delivered, says about the request in flight."""
        if event["type"] in ("response.created", "response.done"):
            mark = (event["response"].get("metadata") or {}).get(REQUEST_KEY)
            for name, (_, sent) in tuple(self.in_flight.items()):
                if mark == sent["response"]["metadata"][REQUEST_KEY]:
                    del self.in_flight[name]
        elif event["type"] == "error":
            self.in_flight.pop(event["error"]["event_id"], None)

    def deliver(self, event: Event) -> None:
        if event["type"] == "audio":
            if self.play.audio(event["response"], event["item"], 100):
                self.received[event["item"]] = self.received.get(event["item"], 0) + 100
            self.after(self.play)
            return
        self.settle(event)
        self.after(self.play >> event)

    # -- the line --------------------------------------------------------------------------
    @precondition(lambda self: self.server.line)
    @rule(count=st.integers(1, 8))
    def deliver_in_order(self, count: int) -> None:
        for _ in range(min(count, len(self.server.line))):
            self.deliver(self.server.line.pop(0))

    @precondition(lambda self: len(self.server.line) > 1)
    @rule(index=few)
    def deliver_out_of_order(self, index: int) -> None:
        self.deliver(self.server.line.pop(min(index, len(self.server.line) - 1)))

    @precondition(lambda self: self.server.line)
    @rule()
    def deliver_twice(self) -> None:
        event = self.server.line.pop(0)
        self.deliver(event)
        if event["type"] != "audio":
            self.deliver(event)

    @rule(kind=st.sampled_from(["response.thinking", "mcp_list_tools.completed", "x"]))
    def deliver_unknown(self, kind: str) -> None:
        self.after(self.play >> {"type": kind, "item_id": "a1", "response_id": "r1"})

    @rule(refusing=st.booleans())
    def change_temper(self, refusing: bool) -> None:
        self.refusing = refusing

    # -- the server on its own -------------------------------------------------------------
    @precondition(lambda self: self.server.running is None)
    @rule()
    def respond(self) -> None:
        self.server.begin()

    @precondition(lambda self: self.server.running is not None)
    @rule()
    def speak(self) -> None:
        self.server.speak()

    @precondition(lambda self: self.server.running is not None)
    @rule(name=st.sampled_from(NAMES))
    def call(self, name: str) -> None:
        self.server.call(name)

    @precondition(lambda self: self.server.running is not None)
    @rule(status=st.sampled_from(["completed", "completed", "cancelled", "failed"]))
    def finish(self, status: str) -> None:
        self.server.end(status)

    @rule()
    def speech(self) -> None:
        self.server.count += 1
        item = f"u{self.server.count}"
        self.server.line += [
            pb.speech_started(item),
            pb.speech_stopped(item),
            pb.item("added", pb.user_audio(item)),
            pb.transcribed(item, "hello"),
        ]

    # -- the program -----------------------------------------------------------------------
    @rule()
    def message(self) -> None:
        self.after(self.play.do(self.play.core.send_message, "hello"))

    @rule()
    def say(self) -> None:
        self.after(self.play.do(self.play.core.say, "hello"))

    @rule()
    def interrupt(self) -> None:
        self.after(self.play.do(self.play.core.interrupt))

    @rule(heard=st.integers(0, 300), drained=st.booleans())
    def listen(self, heard: int, drained: bool) -> None:
        for item in self.received:
            self.play.heard(item, heard)
        if drained:
            self.after(self.play.drained())

    @precondition(lambda self: self.calls)
    @rule(index=few, respond=st.booleans(), fails=st.booleans())
    def answer(self, index: int, respond: bool, fails: bool) -> None:
        waiting = [c for c in self.calls if c not in self.outputs] or list(self.calls)
        self.answer_call(waiting[index % len(waiting)], respond=respond, fails=fails)

    def answer_call(self, name: str, *, respond: bool = True, fails: bool = False) -> None:
        core, target = self.play.core, self.calls[name]
        if target in ("find_slots", "book_slot"):
            self.after(self.play.do(core.tool_finished, name, "done", respond=respond))
        elif fails:
            self.after(self.play.do(core.agent_failed, name, "no"))
        else:
            self.after(self.play.do(core.agent_ready, view(target), name))

    @rule(text=st.sampled_from(["one", "two"]), speed=st.sampled_from([1.0, 1.2]),
          between=st.booleans())  # fmt: skip
    def edit(self, text: str, speed: float, between: bool) -> None:
        self.revision += 1
        self.revisions.add(self.revision)
        over = {"instructions": text, "audio": {"output": {"speed": speed}}}
        agent = view(self.play.core.agent, over)
        self.after(self.play.do(self.play.core.apply, agent, self.revision, between_turns=between))

    @rule(name=st.sampled_from(["desk", "billing"]))
    def switch(self, name: str) -> None:
        self.after(self.play.do(self.play.core.update_agent, view(name)))

    @rule(seconds=st.sampled_from([0.5, 3.0, CREATED_WITHIN, 70.0]))
    def wait(self, seconds: float) -> None:
        self.play.now += seconds
        for name, (sent, _) in tuple(self.in_flight.items()):
            if self.play.now >= sent + CREATED_WITHIN:
                del self.in_flight[name]  # given up, whether told or not
        self.after(self.play.do(self.play.core.tick))

    # -- always ----------------------------------------------------------------------------
    @invariant()
    def nothing_happens_twice(self) -> None:
        self.each_response_begins_and_ends_once()
        self.each_item_is_told_once()
        self.each_revision_is_answered_once()
        self.history_can_be_read()

    def each_response_begins_and_ends_once(self) -> None:
        starts = [e.response_id for e in self.play.ever_told(AgentStart)]
        ends = [e.response_id for e in self.play.ever_told(AgentEnd)]
        turns = [e.response_id for e in self.play.ever_told(TurnEnd)]
        for found in (starts, ends, turns):
            assert len(found) == len(set(found))
        assert set(turns) <= set(ends) <= set(starts)

    def each_item_is_told_once(self) -> None:
        told = [e.item_id for e in self.play.ever_told(Transcript)]
        assert len(told) == len(set(told))

    def each_revision_is_answered_once(self) -> None:
        assert len(self.answered) == len(set(self.answered))
        assert set(self.answered) <= self.revisions
        pending = [e.revision for e in self.play.ever_told(SettingsPending)]
        assert len(pending) == len(set(pending))

    def history_can_be_read(self) -> None:
        names = [i.item_id for i in self.play.core.history]
        assert len(names) == len(set(names))

    def teardown(self) -> None:
        """Let everything come to its end: then nothing may be left open."""
        self.refusing = False
        for _ in range(200):
            for name in [c for c in self.calls if c not in self.outputs]:
                self.answer_call(name)
            if self.server.running is not None:
                self.server.end()
            while self.server.line:
                self.deliver(self.server.line.pop(0))
            self.after(self.play.drained())
            core = self.play.core
            calm = set(self.answered) == self.revisions and not core.busy
            if calm and not self.server.line and set(self.outputs) >= set(self.calls):
                break
            self.wait(3.0)
        assert not self.play.core.busy, "the call never came to rest"
        assert set(self.outputs) >= set(self.calls), "a call got no output"
        assert set(self.answered) == self.revisions, "a revision got no answer"
        self.replays()

    def replays(self) -> None:
        """The same calls on a fresh conversation give the same effects."""
        first = Playbook().core
        second = Playbook().core
        assert replay(self.recorder.rows, first) == replay(self.recorder.rows, second)
        assert first.history == self.play.core.history == second.history


class Oracle:
    """The history as one would write it without a thought for speed."""

    def __init__(self) -> None:
        self.items: list[Event] = []
        self.deleted: set[str] = set()
        self.chains = False

    def find(self, name: str) -> Event | None:
        return next((i for i in self.items if i["id"] == name), None)

    def place(self, entry: Event, event: Event) -> None:
        names = [i["id"] for i in self.items]
        previous = event.get("previous_item_id")
        entry["guessed"] = "previous_item_id" not in event
        at = len(self.items)
        if previous not in (None, "root"):
            self.chains = True
            if previous in names:
                at = names.index(previous) + 1
        elif previous == "root" or (self.chains and not entry["guessed"]):
            at = 0
        self.items.insert(at, entry)

    def upsert(self, event: Event, default: str, *, revives: bool) -> None:
        item = event["item"]
        entry = self.find(item["id"])
        if entry is None:
            if item["id"] in self.deleted and not revives:
                return
            self.deleted.discard(item["id"])
            entry = {"id": item["id"], "role": item["role"], "status": "in_progress",
                     "text": None, "final": False}  # fmt: skip
            self.place(entry, event)
        elif entry["guessed"] and "previous_item_id" in event:
            self.items.remove(entry)
            self.place(entry, event)
        status = item.get("status") or default
        if entry["status"] == "in_progress" or status != "in_progress":
            entry["status"] = status
        texts = [p.get("transcript") or p.get("text") for p in item["content"]]
        if texts and texts[0] and (status != "in_progress" or entry["text"] is None):
            entry["text"], entry["final"] = texts[0], False

    def apply(self, event: Event) -> None:
        kind = event["type"]
        name = event.get("item_id", "")
        entry = self.find(name)
        if kind.startswith("conversation.item.") and "item" in event:
            added = kind.endswith("added")
            self.upsert(event, "in_progress" if added else "completed", revives=added)
        elif kind == "response.output_item.added":
            self.upsert(event, "in_progress", revives=False)
        elif kind == "response.output_item.done":
            self.upsert(event, "completed", revives=False)
        elif kind.endswith("transcript.delta"):
            if entry is not None and not entry["final"]:
                entry["text"] = (entry["text"] or "") + event["delta"]
        elif kind.endswith("transcript.done"):
            if entry is None and name not in self.deleted:
                entry = {"id": name, "role": "assistant", "status": "in_progress", "text": None}
                self.place(entry, {})
            if entry is not None:
                entry["text"], entry["final"] = event["transcript"], True
        elif kind.endswith("transcription.completed"):
            if entry is None and name not in self.deleted:
                entry = {"id": name, "role": "user", "text": None}
                self.place(entry, {})
            if entry is not None:
                entry |= {"text": event["transcript"], "final": True, "status": "completed"}
        elif kind == "conversation.item.deleted":
            self.deleted.add(name)
            if entry is not None:
                self.items.remove(entry)


names = st.sampled_from(["a", "b", "c", "d", "e"])
words = st.sampled_from(["one ", "two ", "three"])
places = st.one_of(
    st.just({}),
    st.sampled_from([None, "root", "a", "b", "c", "nobody"]).map(lambda p: {"previous_item_id": p}),
)
statuses = st.sampled_from(["in_progress", "completed", "incomplete"])


class HistoryMachine(RuleBasedStateMachine):
    """Events in any order, any number of times, about five items."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Playbook().open()
        self.oracle = Oracle()
        self.sent: list[Event] = []

    def feed(self, event: Event) -> None:
        self.sent.append(event)
        self.play >> event
        assert not self.play.told(SessionError)
        self.oracle.apply(event)

    @rule(name=names, kind=st.sampled_from(["added", "done"]), place=places, status=statuses,
          text=st.none() | words)  # fmt: skip
    def item(self, name: str, kind: str, place: Event, status: str, text: str | None) -> None:
        self.feed(pb.item(kind, pb.message(name, status, text), **place))

    @rule(name=names, kind=st.sampled_from(["added", "done"]), status=statuses)
    def output_item(self, name: str, kind: str, status: str) -> None:
        self.feed(pb.output_item(kind, "r1", pb.message(name, status)))

    @rule(name=names, word=words)
    def delta(self, name: str, word: str) -> None:
        self.feed(pb.spoken_delta("r1", name, word))

    @rule(name=names, word=words)
    def spoken(self, name: str, word: str) -> None:
        self.feed(pb.spoken_done("r1", name, word))

    @rule(name=names, word=words)
    def transcription(self, name: str, word: str) -> None:
        self.feed(pb.transcribed(name, word))

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.feed({"type": "conversation.item.deleted", "item_id": name})

    @precondition(lambda self: self.sent)
    @rule(index=st.integers(0, 20))
    def again(self, index: int) -> None:
        self.feed(self.sent[-1 - index % len(self.sent)])

    @invariant()
    def equals_the_oracle(self) -> None:
        found = [(i.item_id, i.role, i.status, i.text) for i in self.play.core.history]
        keys = ("id", "role", "status", "text")
        assert found == [tuple(i.get(k) for k in keys) for i in self.oracle.items]
