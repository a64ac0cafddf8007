"""Line: one call of a session: the conversation, what sounds, and the connection under it.

It is the transport's receiver, carries the core's effects out, and renews the connection when it
breaks: the old one's state is thrown away whole in the core, the call goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any

from runner.agent import RealtimeAgent, ResolvedAgent
from runner.audio.sink import RealTimeSink
from runner.core.conversation import Conversation
from runner.core.effects import (
    CheckTool,
    CheckWords,
    Effects,
    FlushAudio,
    HangUp,
    Notify,
    PrepareAgent,
    RunTool,
    Send,
    TransferCall,
    Wake,
)
from runner.core.events import (
    Audio,
    Reconnected,
    SessionError,
    SessionEvent,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
    ToolApproval,
)
from runner.core.events import Handoff as HandedOver
from runner.core.view import AgentView
from runner.crew import Crew
from runner.errands import Errands
from runner.errors import CallOver, ConnectError, NotConnectedError, RtrunError
from runner.held import CallersAudio
from runner.host import Host
from runner.listeners import report
from runner.moving import Formats, Moving, Resolve, Way
from runner.moving import audio_format as audio_format
from runner.renewal import Patience, hopeless, renewable
from runner.tasks import Supervisor, call_at
from runner.transports.base import AudioSink, Closed

READY_SECONDS = 5.0
#: Events that concern one agent: its own listeners hear them, behind those of the session.
_OF_AGENT = frozenset(
    {"agent_start", "agent_end", "agent_handoff", "agent_tool_start", "agent_tool_end"}
)

Outcome = SettingsApplied | SettingsPending | SettingsRefused


class Line:
    """All that belongs to one call. Implements the transport's Receiver."""

    def __init__(self, session: Host, resolved: ResolvedAgent, sink: AudioSink | None) -> None:
        self.session = session
        self.transport = session.transport
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.crew = Crew(resolved)
        self.conversation = Conversation(
            resolved.view, playback=self.transport.playback, store_audio=session.store_audio
        )
        self.tasks = Supervisor(self._failed)
        self._errands = Errands(self)
        self.refusing = self._errands.refusing
        self._queue: deque[Any] = deque()
        self._running = False
        self._timer: asyncio.TimerHandle | None = None
        self._patience = Patience()
        #: The agent whose settings the newest connection was given.
        self._tried: AgentView | None = None
        #: Since when the line is whole.
        self._whole = self.now()
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._for_quiet: list[asyncio.Future[None]] = []
        self._playing: dict[tuple[str, int], None] = {}
        #: Set when the connection has what it needs, or will never have it.
        self._ready: asyncio.Future[None] = self._loop.create_future()
        #: The connection ended by itself, and the application was told.
        self.lost = False
        self.closing = self._closed = self._opened = False
        #: Why the call is being ended by us, empty while it is not.
        self.ending = ""
        settings = resolved.view.settings
        self.formats = Formats(audio_format(settings, "input"), audio_format(settings, "output"))
        self._callers = CallersAudio(self)
        self.moving = Moving(self)
        sink = sink or self.transport.sink
        self._own_sink = sink is None
        self._sink: AudioSink = sink or RealTimeSink(self.formats.ear)
        self._sink.on_drained = self._drained
        self.transport.ear = self._sink

    # -- the connection ----------------------------------------------------------------------
    async def open(self) -> None:
        """Connect, and wait until the server has what the conversation begins with."""
        await self._connect()
        self._opened = True

    async def _connect(self) -> None:
        self._ready = self._loop.create_future()
        self._tried = None
        self.transport.receiver = self
        options = await self.session.target(self.conversation.view.settings)
        await self.transport.connect(options)
        sent = self.transport.sends_session
        attached = self._opened and options.call_id is not None
        self._tried = self.conversation.view
        self.run(self.conversation.connected(self.now(), session_sent=sent, attached=attached))
        if self.conversation.whole and not self._ready.done():
            self._ready.set_result(None)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready
        except TimeoutError:
            raise ConnectError(
                f"the server did not take the session's settings within {READY_SECONDS:.0f} s"
            ) from None

    def on_closed(self, closed: Closed) -> None:
        if not self._ready.done():
            error = ConnectError(f"the line closed: {closed.reason}", code=closed.code)
            self._ready.set_exception(CallOver(closed.reason) if closed.over else error)
            return
        over = closed.over or bool(self.ending)
        if over or not (self.session.reconnect and renewable(closed)) or self.closing:
            self._end(self.ending or closed.reason, over=over)
            return
        self._patience.lost(self.now() - self._whole)
        # Before a listener hears of it, who may want to send more.
        self._callers.lost()
        self._lose(closed.reason)
        self.tasks.spawn(self._renew(closed.reason), "the next line")

    async def _renew(self, reason: str) -> None:
        """Try until the call has a line again, or the caller has waited long enough."""
        began = self.now()
        ends = began + self._patience.left
        while self.now() < ends:
            try:
                async with asyncio.timeout_at(ends):
                    await asyncio.sleep(self._patience.pause())
                    await self._connect()
            except CallOver as over:
                return self._end(self.ending or over.message, over=True)
            except Exception as error:  # a program's own, too, that gives the key
                reason = error.message if isinstance(error, RtrunError) else str(error) or reason
                self._lose(reason)
                await self.transport.close()
                # Where settings were refused, the next line may have older ones.
                if hopeless(error) and self._tried in (None, self.conversation.view):
                    break
                continue
            self._whole = self.now()
            self._patience.waited(self._whole - began)
            self.session.emit(Reconnected((self._whole - began) * 1000))
            self._callers.renewed()
            return
        self._end(self.ending or reason, over=bool(self.ending))  # put through meanwhile?

    async def leave(self, reason: str) -> None:
        """Give the line up; another one comes. What the caller says meanwhile is kept."""
        self._callers.lost()
        self._lose(reason)
        self.transport.receiver = None
        await self.transport.close()

    def onto(self, way: Way) -> Way:
        """The next line goes there; the way back."""
        back = self.session.onto(way)
        self.transport = self.session.transport
        settings = self.conversation.view.settings
        self.formats.change(way, audio_format(settings, "input"), audio_format(settings, "output"))
        return back

    async def enter(self) -> None:
        await self._connect()
        self._whole = self.now()
        self._callers.renewed()

    async def again(self, reason: str) -> None:
        """As after a loss: try until the call has a line."""
        self._patience = Patience()
        await self._renew(reason)

    def _lose(self, reason: str) -> None:
        self.note_heard()
        self.run(self.conversation.disconnected(self.now(), reason, away=True))

    def _end(self, reason: str, *, over: bool = False) -> None:
        """``over``: the call is, and nobody lost anything."""
        if not over:
            self.lost = True
            self.run(self.conversation.disconnected(self.now(), reason))
        self.tasks.spawn(self.session.close(reason), "close after loss")

    async def close(self) -> None:
        self.closing = self._closed = True
        self.transport.receiver = self.transport.ear = None
        if self._timer is not None:
            self._timer.cancel()
        self._callers.close()
        self._calm()
        waiting: list[asyncio.Future[Any]] = [self._ready, *self._waiting.values()]
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(NotConnectedError("the session was closed meanwhile"))
                waiter.exception()  # nobody may be left to take it
        self._sink.on_drained = None
        if self._own_sink:
            self._sink.close()
        await self.tasks.close()

    # -- receiver ----------------------------------------------------------------------------
    def on_event(self, event: dict[str, Any]) -> None:
        if event.get("type") == "input_audio_buffer.speech_started":
            self.note_heard()
        self.run(self.conversation.receive(event, self.now()))
        if self.conversation.whole and not self._ready.done():
            self._ready.set_result(None)
        if self._callers.holding:
            self._callers.let_go()

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        samples = len(data) // self.formats.output.bytes_per_sample
        conversation = self.conversation
        play = conversation.audio_out(response_id, item_id, content_index, samples, self.now())
        if conversation.fresh:
            self.run(conversation.take())
        if not play:
            return
        self._playing[item_id, content_index] = None
        data = self.formats.to_ear(data)
        self._sink.play(item_id, content_index, data)
        if self.session.wants("audio"):
            self.session.emit(Audio(data, response_id, item_id))

    def note_heard(self) -> None:
        """Tell the core what was really heard, before anything that may cut."""
        now = self.now()
        for item_id, index in self._playing:
            if self.transport.playback == "transport":
                ms = self.transport.heard_ms(item_id) or 0.0
                samples = int(ms * self.formats.output.rate / 1000)
            else:
                samples = self.formats.heard(self._sink.heard(item_id, index))
            self.conversation.heard(item_id, index, samples, now)

    def _drained(self) -> None:
        self.note_heard()
        self._playing.clear()
        self.run(self.conversation.drained(self.now()))
        if self._callers.holding:
            self._callers.let_go()

    # -- the caller's audio ------------------------------------------------------------------
    def send_audio(self, data: bytes, commit: bool) -> None:
        self.session.overhear(data)
        self._callers.send(data, commit)

    def hold_audio(self) -> None:
        self._callers.hold()

    @property
    def open_for_audio(self) -> bool:
        return self.transport.status == "connected" and self._ready.done()

    # -- effects -----------------------------------------------------------------------------
    def run(self, effects: Effects) -> None:
        """Carry effects out in order, also when a listener causes more of them on the way."""
        self._queue.extend(effects)
        if self._running:
            return
        self._running = True
        try:
            while self._queue:
                self._carry_out(self._queue.popleft())
        finally:
            self._running = False
        if self._for_quiet and not self.conversation.busy:
            self._calm()

    def _carry_out(self, effect: Any) -> None:
        match effect:
            case Send():
                # If the line is going, what it owed goes to the next one.
                with contextlib.suppress(NotConnectedError):
                    self.transport.send_event(effect.event)
            case Notify():
                self.notice(effect.event)
            case FlushAudio():
                self._sink.flush()
                self.transport.flush()
                self._playing.clear()
            case RunTool() | CheckTool() | CheckWords() | PrepareAgent() | TransferCall():
                if not self._closed:  # else nobody is there any more who could answer
                    self.tasks.spawn(*self._errands.of(effect))
            case HangUp():
                self.closing = True
                self.tasks.spawn(self.session.end(effect.reason), "hanging up")
            case Wake():
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                if effect.at is not None:
                    self._timer = call_at(self._loop, effect.at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.run(self.conversation.tick(self.now()))

    def notice(self, event: SessionEvent) -> None:
        match event:
            case SettingsApplied() | SettingsPending() | SettingsRefused():
                self._settled(event)
            case HandedOver():
                # Also the way back, when the server refused the new agent.
                self.crew.handed_to(event.to_agent)
            case SessionError() if event.fatal and not self._ready.done():
                self._ready.set_exception(
                    ConnectError(f"the server refused the session: {event.message}", code=1008)
                )
        self.session.emit(event)
        if event.type in _OF_AGENT:
            name: str = getattr(event, "agent", "") or getattr(event, "from_agent", "")
            listeners = self.crew.owner(name).agent.listeners
            if listeners is not None:
                listeners.call(event.type, event)

    def _settled(self, event: Outcome) -> None:
        if isinstance(event, SettingsApplied):
            self.crew.taken(event.revision)
        elif isinstance(event, SettingsRefused):
            self.crew.refused(event.revision)
        waiter = self._waiting.pop(event.revision, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(event)

    async def quiet(self) -> None:
        """Wait until no turn is running, or the line is closed."""
        if self.conversation.busy and not self._closed:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._for_quiet.append(waiter)
            await waiter

    def _calm(self) -> None:
        waiting, self._for_quiet = self._for_quiet, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def coming(self) -> ResolvedAgent:
        """Who has the line, or is on its way to it."""
        return self.crew.owner(self.conversation.coming)

    async def reconfigure(
        self,
        resolved: ResolvedAgent,
        revision: int,
        between_turns: bool,
        way: Way | None,
        resolve: Resolve,
    ) -> Outcome:
        """``way``: by a line opened anew, where the one that is open cannot take it; ``resolve``
        then gives the agent that has the line."""
        waiter: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiting[revision] = waiter
        self.crew.expect(revision, resolved)
        if way is not None and self.moving.needed(way, resolved.view.settings):
            self.moving.begin(revision, way, resolve, between_turns)
        else:
            apply, view = self.conversation.apply, resolved.view
            self.run(apply(view, revision, self.now(), between_turns=between_turns))
        return await waiter

    def agent_named(self, name: str) -> RealtimeAgent | None:
        known = self.crew.known(name)
        return self.session.agent_named(name) if known is None else known.agent

    def reject(self, request: ToolApproval, message: str | None, always: bool) -> Any:
        work = self._errands.reject(request, message, always)
        return None if work is None else self.tasks.spawn(work, "a rejection")

    def _failed(self, name: str, error: BaseException) -> None:
        self.session.emit(SessionError("internal", f"{name}: {type(error).__name__}: {error}"))
        report(f"{name} failed", error)
