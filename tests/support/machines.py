"""A state machine that throws a whole call, with its accidents, at the core.

``CallMachine`` plays a server that obeys the protocol over a line that repeats, reorders and
breaks, and a program, an operator and guardrails that want things at random.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import playbook as pb
from support.playbook import Event, Playbook, view

from runner.core.effects import CheckTool, CheckWords, PrepareAgent, RunTool, Send
from runner.core.events import (
    AgentEnd,
    AgentStart,
    GuardrailTripped,
    SessionError,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
    ToolApproval,
    Transcript,
    TurnEnd,
)
from runner.core.record import Recorder, replay
from runner.core.responses import CREATED_WITHIN, REQUEST_KEY
from runner.core.view import AgentView, Rules

NAMES = ["find_slots", "book_slot", "transfer_to_billing", "transfer_to_sales", "make_coffee"]
few = st.integers(0, 3)
thens = st.sampled_from(["message", "interrupt", "say", "handoff", "hang_up", "log"])

#: What the conversation watches in these calls: something of everything.
RULES = Rules(
    checked=frozenset({"book_slot"}),
    fillers={"find_slots": "One moment."},
    debounce=10,
    checks_input=True,
    ask_after=30,
    ask="Are you there?",
    hang_up_after=60,
)


def agent(name: str = "desk", over: Any = None) -> AgentView:
    plain = view(name, over)
    return AgentView(name, plain.settings, plain.handoffs, RULES)


class Server:
    """The other end: answers client events in order and makes responses of its own."""

    def __init__(self, count: int = 0) -> None:
        self.line: list[Event] = []
        self.session: Event = {"id": "sess_1"}
        self.running: str | None = None
        self.metadata: Any = None
        self.count = count
        self.audio: dict[str, int] = {}
        self.items: dict[str, str] = {}

    def take(self, event: Event, accept: bool) -> None:
        kind = event["type"]
        if kind == "session.update" and accept:
            self.session = pb.merge(self.session, event["session"])
            self.line.append({"type": "session.updated", "session": dict(self.session)})
        elif kind == "session.update":
            self.line.append(pb.error("invalid_value", event["event_id"]))
        elif kind == "conversation.item.create" and accept:
            self.count += 1
            made = {"id": f"i{self.count}", **event["item"], "status": "completed"}
            self.line += [pb.item("added", made), pb.item("done", made)]
        elif kind == "conversation.item.create":
            self.line.append(pb.error("invalid_value", event["event_id"]))
        elif kind == "conversation.item.delete":
            self.line.append({"type": "conversation.item.deleted", "item_id": event["item_id"]})
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
        begun = {**call, "arguments": "", "status": "in_progress"}
        self.line.append(pb.output_item("added", self.running, begun))
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
        self.play = Playbook(agent())
        self.recorder = Recorder(self.play.core)
        self.play.core = self.recorder  # type: ignore[assignment]
        self.seen: list[list[Any]] = []
        self.server = Server()
        self.in_flight: dict[str, tuple[float, Event]] = {}
        self.calls: dict[str, str] = {}
        #: The output that each call got, on whichever line.
        self.outputs: dict[str, str] = {}
        #: Calls that got it on this line.
        self.told: set[str] = set()
        #: Calls somebody has to look at, calls and items that wait for a yes, and items answered.
        self.checking: dict[str, str] = {}
        self.asking: dict[str, ToolApproval] = {}
        self.decided: set[str] = set()
        self.looks: list[CheckWords] = []
        self.summoned: list[str] = []
        self.online = True
        self.broken = self.lost = False
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
            elif isinstance(effect, PrepareAgent) and not effect.call_id:
                self.summoned.append(effect.name)
            elif isinstance(effect, RunTool | PrepareAgent):
                assert effect.call_id not in self.calls, "a call was started twice"
                self.calls[effect.call_id] = effect.name
            elif isinstance(effect, CheckTool):
                assert effect.call_id not in self.checking, "a call was looked at twice"
                self.checking[effect.call_id] = effect.name
            elif isinstance(effect, CheckWords):
                self.looks.append(effect)
        for problem in play.told(SessionError):
            assert problem.code != "bad_event", problem.message
            # Settings that the next line refuses: the shell takes another one.
            self.broken = self.broken or problem.fatal
        for request in play.told(ToolApproval):
            assert request.call_id not in self.asking, "asked twice for one call"
            if request.asks == "operator":
                self.asking[request.call_id] = request
        for kind in (SettingsApplied, SettingsRefused):
            self.answered += [e.revision for e in play.told(kind)]

    def on_send(self, event: Event) -> None:
        assert self.online, "nothing can be sent without a line"
        if event["type"] == "response.create":
            assert not self.in_flight, "two response.create in flight"
            self.in_flight[event["event_id"]] = (self.play.now, event)
        elif event["type"] == "conversation.item.truncate":
            assert 0 <= event["audio_end_ms"] <= self.received.get(event["item_id"], 0)
        elif event["type"] == "conversation.item.create":
            item = event["item"]
            if item["type"] == "function_call_output":
                name = item["call_id"]
                assert name not in self.told, "two outputs for one call"
                self.told.add(name)
                assert self.outputs.setdefault(name, item["output"]) == item["output"]
            elif item["type"] == "mcp_approval_response":
                name = item["approval_request_id"]
                assert name not in self.decided, "one item was decided twice"
                self.decided.add(name)
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
        if self.broken:
            self.lose()

    # -- accidents of the line -------------------------------------------------------------
    @precondition(lambda self: self.online)
    @rule()
    def lose(self) -> None:
        self.broken, self.lost = False, True
        self.in_flight.clear()
        self.told.clear()
        self.asking.clear()
        self.server = Server(self.server.count)
        play = self.play.do(self.play.core.disconnected, reason="broke", away=True)
        self.online = False
        self.after(play)

    @precondition(lambda self: not self.online)
    @rule()
    def fail_to_connect(self) -> None:
        self.after(self.play.do(self.play.core.disconnected, reason="nobody", away=True))

    @precondition(lambda self: not self.online)
    @rule()
    def connect(self) -> None:
        before = self.play.core.history
        self.online = True
        self.after(self.play.do(self.play.core.connected))
        known = [i.item_id for i in before]
        told = [e["item"]["id"] for e in self.play.sent("conversation.item.create")
                if e["item"].get("id") in known]  # fmt: skip
        assert told == [i for i in known if i in told], "the history was told out of order"
        for item in before:
            spoken = item.kind == "message" and item.text and item.heard_ms is None
            assert not spoken or item.item_id in told, "a message was not told"
            ran = item.kind == "function_call" and item.output is not None
            assert not ran or item.call_id in self.told, "an output was not told"

    # -- the line --------------------------------------------------------------------------
    @precondition(lambda self: self.server.line)
    @rule(count=st.integers(1, 8))
    def deliver_in_order(self, count: int) -> None:
        for _ in range(count):
            if self.server.line:  # a line that breaks on the way takes the rest with it
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
        if event["type"] != "audio" and self.online:
            self.deliver(event)

    @rule(kind=st.sampled_from(["response.thinking", "mcp_list_tools.completed", "x"]))
    def deliver_unknown(self, kind: str) -> None:
        self.after(self.play >> {"type": kind, "item_id": "a1", "response_id": "r1"})

    @rule(refusing=st.booleans())
    def change_temper(self, refusing: bool) -> None:
        self.refusing = refusing

    # -- whole scenes, so that few steps go deep ---------------------------------------------
    def deliver_all(self) -> None:
        while self.server.line:
            self.deliver(self.server.line.pop(0))

    @precondition(lambda self: self.online)
    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=2), ends=st.booleans())
    def whole_calls(self, names: list[str], ends: bool) -> None:
        self.deliver_all()
        if self.online and self.server.running is None:
            self.server.begin()
        for name in names if self.online else ():
            self.server.call(name)
        if self.online and ends:
            self.server.end()
        self.deliver_all()

    @precondition(lambda self: self.online)
    @rule(words=st.integers(1, 4), ends=st.booleans())
    def whole_answer(self, words: int, ends: bool) -> None:
        self.deliver_all()
        if self.online and self.server.running is None:
            self.server.begin()
        for _ in range(words if self.online else 0):
            self.server.speak()
        if self.online and ends:
            self.server.end()
        self.deliver_all()

    @precondition(lambda self: self.online)
    @rule(takes=st.booleans())
    def new_line(self, takes: bool) -> None:
        self.lose()
        self.connect()
        if takes:
            self.deliver_all()

    # -- the server on its own -------------------------------------------------------------
    @precondition(lambda self: self.online and self.server.running is None)
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

    @precondition(lambda self: self.online)
    @rule()
    def ask_for_hosted(self) -> None:
        self.server.count += 1
        item = {"id": f"m{self.server.count}", "type": "mcp_approval_request", "name": "pay",
                "arguments": "{}", "server_label": "bank"}  # fmt: skip
        self.server.line.append(pb.item("done", item))

    @precondition(lambda self: self.online)
    @rule(words=st.sampled_from(["hello", "yes", "no", ""]))
    def speech(self, words: str) -> None:
        self.server.count += 1
        item = f"u{self.server.count}"
        self.server.line += [
            pb.speech_started(item),
            pb.speech_stopped(item),
            pb.item("added", pb.user_audio(item)),
            pb.transcribed(item, words),
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

    @rule(ms=st.sampled_from([20.0, 500.0]), commit=st.booleans())
    def audio(self, ms: float, commit: bool) -> None:
        if self.online:
            self.play.core.audio_in(ms, self.play.now, commit=commit)

    @precondition(lambda self: self.checking)
    @rule(index=few, how=st.sampled_from(["allow", "refuse", "operator", "caller"]))
    def look(self, index: int, how: str) -> None:
        names = list(self.checking)
        self.look_at(names[index % len(names)], how)

    def look_at(self, name: str, how: str) -> None:
        core = self.play.core
        if how == "allow":
            self.after(self.play.do(core.tool_allowed, name))
        elif how == "refuse":
            self.after(self.play.do(core.tool_refused, name, "no"))
        else:
            self.after(self.play.do(core.tool_asks, name, caller=how == "caller"))

    @precondition(lambda self: self.asking)
    @rule(index=few, yes=st.booleans(), always=st.booleans())
    def decide(self, index: int, yes: bool, always: bool) -> None:
        name = list(self.asking)[index % len(self.asking)]
        core = self.play.core
        method = core.approve if yes else core.reject
        self.after(self.play.do(method, name, always=always))

    @precondition(lambda self: self.looks)
    @rule(index=few, then=thens, keep=st.booleans())
    def trip(self, index: int, then: Any, keep: bool) -> None:
        look = self.looks[-1 - index % len(self.looks)]
        event = GuardrailTripped(look.agent, "rule", look.check, look.item_id,  # type: ignore[arg-type]
                                 look.response_id, then)  # fmt: skip
        self.after(self.play.do(self.play.core.guardrail_tripped, event, say="No.", to="billing"))
        if not keep:
            self.looks.remove(look)

    @precondition(lambda self: self.summoned)
    @rule()
    def arrive(self) -> None:
        self.after(self.play.do(self.play.core.update_agent, agent(self.summoned.pop())))

    @rule()
    def say_to_the_end(self) -> None:
        self.after(self.play.do(self.play.core.say, "Welcome.", interruptible=False))

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
            self.after(self.play.do(core.agent_ready, agent(target), name))

    @rule(text=st.sampled_from(["one", "two"]), speed=st.sampled_from([1.0, 1.2]),
          between=st.booleans())  # fmt: skip
    def edit(self, text: str, speed: float, between: bool) -> None:
        self.revision += 1
        self.revisions.add(self.revision)
        over = {"instructions": text, "audio": {"output": {"speed": speed}}}
        new = agent(self.play.core.agent, over)
        self.after(self.play.do(self.play.core.apply, new, self.revision, between_turns=between))

    @rule(name=st.sampled_from(["desk", "billing"]))
    def switch(self, name: str) -> None:
        self.after(self.play.do(self.play.core.update_agent, agent(name)))

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
            if not self.online:
                self.connect()
            for name in [c for c in self.checking if c not in self.outputs]:
                self.look_at(name, "allow")
            for name in [c for c in self.calls if c not in self.outputs]:
                self.answer_call(name)
            if self.server.running is not None:
                self.server.end()
            while self.server.line:
                self.deliver(self.server.line.pop(0))
            self.after(self.play.drained())
            core = self.play.core
            calm = set(self.answered) == self.revisions and not core.busy
            if calm and self.online and not self.server.line and not self.owing():
                break
            self.wait(3.0)
        assert not self.play.core.busy, "the call never came to rest"
        assert not self.owing(), "a call got no output"
        assert set(self.answered) == self.revisions, "a revision got no answer"
        self.replays()

    def owing(self) -> set[str]:
        """Calls without an output. One whose item never came is not known to a next line."""
        owed = (set(self.calls) | set(self.checking)) - set(self.outputs)
        return owed & {i.call_id for i in self.play.core.history} if self.lost else owed

    def replays(self) -> None:
        """The same calls on a fresh conversation give the same effects."""
        first = Playbook(agent()).core
        second = Playbook(agent()).core
        assert replay(self.recorder.rows, first) == replay(self.recorder.rows, second)
        assert first.history == self.play.core.history == second.history
