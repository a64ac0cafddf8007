"""Line: all that belongs to one connection of a session, thrown away whole with it.

It is the transport's receiver, carries the core's effects out, runs tools and handoffs, and
knows what of the agent's audio was heard.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

from runner.agent import RealtimeAgent, ResolvedAgent
from runner.audio.formats import PCM16, AudioFormat
from runner.audio.sink import RealTimeSink
from runner.core.conversation import Conversation
from runner.core.effects import Effects, FlushAudio, Notify, PrepareAgent, RunTool, Send, Wake
from runner.core.events import (
    Audio,
    Handoff,
    SessionError,
    SessionEvent,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
)
from runner.errors import ConnectError, NotConnectedError, RtrunError, ToolError, UserError
from runner.listeners import report
from runner.model.settings import SessionSettings
from runner.tasks import Supervisor
from runner.tools.base import BackgroundResult, Tool, ToolContext
from runner.transports.base import AudioSink, Closed, RealtimeTransportLayer

READY_SECONDS = 5.0

Outcome = SettingsApplied | SettingsPending | SettingsRefused


class Host(Protocol):
    """What a line needs of its session."""

    transport: RealtimeTransportLayer
    context: Any

    def emit(self, event: SessionEvent) -> None: ...

    def wants(self, name: str) -> bool: ...

    async def resolve(self, agent: RealtimeAgent) -> ResolvedAgent: ...

    async def close(self, reason: str = ...) -> None: ...


class Line:
    """All that belongs to one connection. Implements the transport's Receiver."""

    def __init__(self, session: Host, resolved: ResolvedAgent, sink: AudioSink | None) -> None:
        self._session = session
        self._transport = session.transport
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.resolved = resolved
        self._by_name: dict[str, ResolvedAgent] = {resolved.view.name: resolved}
        self.conversation = Conversation(resolved.view, playback=self._transport.playback)
        self.tasks = Supervisor(self._failed)
        self._queue: deque[Any] = deque()
        self._running = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        #: Agents of revisions that the server has not taken yet.
        self._next: dict[int, ResolvedAgent] = {}
        self._playing: dict[tuple[str, int], None] = {}
        self._ready: asyncio.Future[None] = self._loop.create_future()
        #: The connection ended by itself, and the application was told.
        self.lost = False
        self._taken = False
        self._input = audio_format(resolved.view.settings, "input")
        self._output = audio_format(resolved.view.settings, "output")
        self._own_sink = sink is None
        self._sink: AudioSink = sink or RealTimeSink(self._output)
        self._sink.on_drained = self._drained
        self._transport.receiver = self

    async def open(self) -> None:
        sent = self._transport.sends_session
        self.run(self.conversation.connected(self.now(), session_sent=sent))
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready
        except TimeoutError:
            raise ConnectError(
                f"the server did not take the session's settings within {READY_SECONDS:.0f} s"
            ) from None

    async def close(self) -> None:
        self._transport.receiver = None
        if self._timer is not None:
            self._timer.cancel()
        if not self._ready.done():
            self._ready.cancel()
        for waiter in self._waiting.values():
            waiter.cancel()
        self._sink.on_drained = None
        if self._own_sink:
            self._sink.close()
        await self.tasks.close()

    # -- receiver ----------------------------------------------------------------------------
    def on_event(self, event: dict[str, Any]) -> None:
        if event.get("type") == "input_audio_buffer.speech_started":
            self.note_heard()
        self.run(self.conversation.receive(event, self.now()))
        if not self._taken:
            self._look_whether_taken()

    def _look_whether_taken(self) -> None:
        if self.conversation.ready:
            self._taken = True
            if not self._ready.done():
                self._ready.set_result(None)

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        samples = len(data) // self._output.bytes_per_sample
        conversation = self.conversation
        play = conversation.audio_out(response_id, item_id, content_index, samples, self.now())
        if conversation.fresh:
            self.run(conversation.take())
        if not play:
            return
        self._playing[item_id, content_index] = None
        self._sink.play(item_id, content_index, data)
        if self._session.wants("audio"):
            self._session.emit(Audio(data, response_id, item_id))

    def on_closed(self, closed: Closed) -> None:
        if not self._ready.done():
            self._ready.set_exception(ConnectError(f"the line closed: {closed.reason}"))
            return
        self.lost = True
        self.run(self.conversation.disconnected(self.now(), closed.reason))
        self.tasks.spawn(self._session.close(closed.reason), "close after loss")

    def note_heard(self) -> None:
        """Tell the core what was really heard, before anything that may cut."""
        now = self.now()
        for item_id, index in self._playing:
            if self._transport.playback == "transport":
                ms = self._transport.heard_ms(item_id) or 0.0
                samples = int(ms * self._output.rate / 1000)
            else:
                samples = self._sink.heard(item_id, index)
            self.conversation.heard(item_id, index, samples, now)

    def _drained(self) -> None:
        self.note_heard()
        self._playing.clear()
        self.run(self.conversation.drained(self.now()))

    def send_audio(self, data: bytes, commit: bool) -> None:
        self._transport.send_audio(data, commit=commit)
        self.conversation.audio_in(self._input.ms(len(data)), self.now())

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

    def _carry_out(self, effect: Any) -> None:
        match effect:
            case Send():
                try:
                    self._transport.send_event(effect.event)
                except NotConnectedError:
                    self._queue.clear()  # the line is going; on_closed tells the rest
            case Notify():
                self._notice(effect.event)
            case FlushAudio():
                self._sink.flush()
                self._transport.flush()
                self._playing.clear()
            case RunTool():
                self.tasks.spawn(self._run_tool(effect), f"tool {effect.name}")
            case PrepareAgent():
                self.tasks.spawn(self._hand_over(effect), f"handoff to {effect.name}")
            case Wake():
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                if effect.at is not None:
                    self._timer = self._loop.call_at(effect.at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.run(self.conversation.tick(self.now()))

    def _notice(self, event: SessionEvent) -> None:
        match event:
            case SettingsApplied() | SettingsPending() | SettingsRefused():
                self._settled(event)
            case Handoff():
                # Also the way back, when the server refused the new agent.
                self.resolved = self._by_name.get(event.to_agent, self.resolved)
            case SessionError() if event.fatal and not self._ready.done():
                self._ready.set_exception(
                    ConnectError(f"the server refused the session: {event.message}")
                )
        self._session.emit(event)

    def _settled(self, event: Outcome) -> None:
        if isinstance(event, SettingsApplied):
            resolved = self._next.pop(event.revision, None)
            # Revisions that a newer one has overtaken are never answered.
            self._next = {r: later for r, later in self._next.items() if r > event.revision}
            if resolved is not None and resolved.view.name == self.resolved.view.name:
                self.take(resolved)
        elif isinstance(event, SettingsRefused):
            self._next.pop(event.revision, None)
        waiter = self._waiting.pop(event.revision, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(event)

    async def reconfigure(
        self, resolved: ResolvedAgent, revision: int, between_turns: bool
    ) -> Outcome:
        waiter: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiting[revision] = waiter
        self._next[revision] = resolved
        self.run(
            self.conversation.apply(
                resolved.view, revision, self.now(), between_turns=between_turns
            )
        )
        return await waiter

    # -- tools and handoffs --------------------------------------------------------------------
    def take(self, resolved: ResolvedAgent) -> None:
        self.resolved = resolved
        self._by_name[resolved.view.name] = resolved

    async def _run_tool(self, effect: RunTool) -> None:
        owner = self._by_name.get(effect.agent, self.resolved)
        tool: Tool | None = owner.tools.get(effect.name)
        context = ToolContext(effect.agent, effect.name, effect.call_id, self._session.context)
        background = False
        try:
            if tool is None:
                # A program may send tools of its own; what it does not run gets an answer too.
                raise ToolError(f"Tool {effect.name} not found")
            result = await tool.run(effect.arguments, context)
            background = isinstance(result, BackgroundResult)
            output = result.content if isinstance(result, BackgroundResult) else result
        except ToolError as error:
            output = f"An error occurred while running the tool. {error.message}"
            self._session.emit(SessionError("tool_failed", f"{effect.name}: {error.message}"))
        except BaseException:
            # Cancelled with the line, or a fault of ours: the model still gets its one output.
            output = "An error occurred while running the tool."
            self.run(self.conversation.tool_finished(effect.call_id, output, self.now()))
            raise
        self.run(
            self.conversation.tool_finished(
                effect.call_id, output, self.now(), respond=not background
            )
        )

    async def _hand_over(self, effect: PrepareAgent) -> None:
        conversation = self.conversation
        # The newest revision counts, also while it waits for this turn to end.
        newest = self._next[max(self._next)] if self._next else self.resolved
        ways = {**self.resolved.ways, **newest.ways}
        target = next((a for a in ways.values() if a.name == effect.name), None)
        try:
            if target is None:
                raise UserError(f"agent {self.resolved.agent.name} has no way to {effect.name}")
            resolved = await self._session.resolve(target)
        except Exception as error:
            words = error.message if isinstance(error, RtrunError) else str(error)
            self.run(conversation.agent_failed(effect.call_id, words, self.now()))
            return
        self._by_name[resolved.view.name] = resolved
        self.run(conversation.agent_ready(resolved.view, effect.call_id, self.now()))

    def _failed(self, name: str, error: BaseException) -> None:
        self._session.emit(SessionError("internal", f"{name}: {type(error).__name__}: {error}"))
        report(f"{name} failed", error)


def audio_format(settings: SessionSettings, side: str) -> AudioFormat:
    wire = settings.get(f"audio.{side}.format")
    try:
        return PCM16 if wire is None else AudioFormat.from_wire(wire)
    except ValueError as error:
        raise UserError(f"audio.{side}.format: {error}") from None
