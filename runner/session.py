"""RealtimeSession: the thin asyncio shell that carries out what the conversation core asks.

It sees transports and tools by their base only. What arrives goes through in one synchronous
call: transport -> core -> effects -> application. Everything that belongs to one connection
lives in one object, :class:`_Line`, thrown away whole.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

from runner.agent import RealtimeAgent, ResolvedAgent
from runner.audio.sink import RealTimeSink
from runner.core.conversation import Conversation
from runner.core.effects import Effects, FlushAudio, Notify, PrepareAgent, RunTool, Send, Wake
from runner.core.events import (
    AgentStart,
    Audio,
    Connection,
    Handoff,
    Item,
    SessionError,
    SessionEvent,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
    ToolEnd,
    ToolStart,
)
from runner.errors import ConnectError, NotConnectedError, RtrunError, ToolError, UserError
from runner.model.legacy import wire_settings
from runner.model.settings import DEFAULT_MODEL, SessionSettings
from runner.tasks import Supervisor
from runner.tools.base import Tool, ToolContext
from runner.transports.base import AudioSink, Closed, ConnectOptions, RealtimeTransportLayer
from runner.transports.registry import create

READY_SECONDS = 5.0
#: Events an iterator may lag behind before it loses the oldest.
EVENT_QUEUE = 1024

Handler = Callable[[Any], Any]
Outcome = SettingsApplied | SettingsPending | SettingsRefused


class RealtimeSession:
    """One conversation of one agent with one caller.

    ``transport`` is a name, ``module:Class`` or an object; ``config`` a session object in the
    wire's shape (the SDK's camelCase and flat names are understood). ``sink`` takes the agent's
    audio and knows what was heard; without one a virtual speaker plays it in real time and the
    application gets every chunk by ``on("audio")``.
    """

    def __init__(
        self,
        agent: RealtimeAgent,
        *,
        transport: str | RealtimeTransportLayer = "websocket",
        model: str | None = None,
        config: Mapping[str, Any] | SessionSettings | None = None,
        context: Any = None,
        sink: AudioSink | None = None,
        api_key: str | None = None,
    ) -> None:
        self.transport = create(transport) if isinstance(transport, str) else transport
        self.model = model or DEFAULT_MODEL
        self.context = context
        self._agent = agent
        self._api_key = api_key
        self._sink_given = sink
        self._settings, self._own_voice = _settings(config)
        self._line: _Line | None = None
        self._handlers: dict[str, list[Handler]] = {}
        self._events: deque[SessionEvent] | None = None
        self._wakeup: asyncio.Event | None = None
        #: Events lost by an iterator that lagged more than 1,024 behind.
        self.lost_events = 0
        self._history: tuple[Item, ...] = ()

    # -- life ------------------------------------------------------------------------------
    async def connect(
        self,
        *,
        api_key: str | None = None,
        url: str | None = None,
        call_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RealtimeSession:
        """Open the line and wait until the server has taken the session's settings.

        ConnectError when it cannot be reached, refuses, or refuses the settings."""
        if self._line is not None:
            raise UserError("the session is connected already", "close() it first")
        resolved = await self._resolve(self._agent)
        line = self._line = _Line(self, resolved)
        options = ConnectOptions(
            api_key=api_key or self._api_key,
            url=url,
            model=self.model,
            call_id=call_id,
            headers=headers or {},
            session=resolved.view.settings.wire,
        )
        self.emit(Connection("connecting"))
        try:
            await self.transport.connect(options)
            await line.open()
        except BaseException:
            await self.close()
            raise
        self.emit(Connection("connected"))
        return self

    async def close(self, reason: str = "closed") -> None:
        """End the conversation within a second. Idempotent."""
        line, self._line = self._line, None
        if line is not None:
            self._history = line.conversation.history
            await line.close()
            await self.transport.close()
            self.emit(Connection("disconnected", reason))
        if self._wakeup is not None:
            self._wakeup.set()

    @property
    def connected(self) -> bool:
        return self._line is not None and self.transport.status == "connected"

    async def __aenter__(self) -> RealtimeSession:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # -- what the application does ------------------------------------------------------------
    def send_message(self, content: str | list[dict[str, Any]], *, respond: bool = True) -> None:
        """A typed turn of the caller: text, or the wire's content parts."""
        line = self._need()
        line.run(line.conversation.send_message(content, line.now(), respond=respond))

    def send_audio(self, data: bytes, *, commit: bool = False) -> _Sent:
        """The caller's audio in the session's input format. May be called or awaited."""
        line = self._need()
        line.send_audio(data, commit)
        return _Sent()

    def say(self, text: str, *, purpose: str = "say") -> None:
        """Make the agent speak exactly these words, when it is its turn."""
        line = self._need()
        line.run(line.conversation.say(text, line.now(), purpose=purpose))

    def interrupt(self) -> None:
        """Cut the running answer off, as a caller who speaks would."""
        line = self._need()
        line.note_heard()
        line.run(line.conversation.interrupt(line.now()))

    def mute(self, muted: bool) -> None:
        self.transport.mute(muted)

    @property
    def muted(self) -> bool:
        return self.transport.muted

    @property
    def history(self) -> tuple[Item, ...]:
        """The conversation so far, a snapshot."""
        return self._line.conversation.history if self._line else self._history

    @property
    def agent(self) -> RealtimeAgent:
        """The agent that has the line now."""
        return self._line.resolved.agent if self._line else self._agent

    @property
    def busy(self) -> bool:
        """True while a turn runs: the caller speaks, an answer is made or is still sounding."""
        return self._line is not None and self._line.conversation.busy

    async def update_agent(self, agent: RealtimeAgent) -> None:
        """Give the line to another agent."""
        line = self._need()
        resolved = await self._resolve(agent)
        line.take(resolved)
        line.run(line.conversation.update_agent(resolved.view, line.now()))

    async def reconfigure(
        self,
        agents: Mapping[str, RealtimeAgent],
        settings: SessionSettings,
        revision: int,
        *,
        own_voice: bool = False,
        between_turns: bool = True,
    ) -> Outcome:
        """Take an edited deployment: the agent on the line becomes its namesake in ``agents``.

        Returns what the server said; SettingsPending when the turn has to end first, and the
        session then emits SettingsApplied or SettingsRefused by itself. An agent that is no
        longer there keeps the line as it was."""
        line = self._need()
        before = (self._settings, self._own_voice)
        agent = agents.get(line.resolved.agent.name, line.resolved.agent)
        self._settings, self._own_voice = settings, own_voice
        try:
            resolved = await self._resolve(agent)
        except BaseException:
            self._settings, self._own_voice = before
            raise
        return await line.reconfigure(resolved, revision, between_turns)

    # -- listeners -------------------------------------------------------------------------
    def on(self, name: str, handler: Handler) -> None:
        """Call ``handler(event)`` for one event type, or ``*`` for all; sync or async."""
        self._handlers.setdefault(name, []).append(handler)

    def off(self, name: str, handler: Handler) -> None:
        handlers = self._handlers.get(name, [])
        if handler in handlers:
            handlers.remove(handler)

    def once(self, name: str, handler: Handler) -> None:
        def run_once(event: Any) -> Any:
            self.off(name, run_once)
            return handler(event)

        self.on(name, run_once)

    def listens(self, name: str) -> bool:
        return bool(self._handlers.get(name) or self._handlers.get("*")) or self._events is not None

    def emit(self, event: SessionEvent) -> None:
        """Hand an event to its listeners and to the iterator."""
        for key in (event.type, "*"):
            for handler in tuple(self._handlers.get(key, ())):
                try:
                    result = handler(event)
                except Exception as error:
                    _loop_reports(f"handler of {event.type} raised", error)
                    continue
                if inspect.isawaitable(result):
                    self._carry(result)
        if self._events is not None:
            if len(self._events) == EVENT_QUEUE:
                self._events.popleft()
                self.lost_events += 1
            self._events.append(event)
            if self._wakeup is not None:
                self._wakeup.set()

    def _carry(self, work: Any) -> None:
        async def carry_on() -> None:
            await work

        if self._line is not None:
            self._line.tasks.spawn(carry_on(), "event handler")
        elif inspect.iscoroutine(work):
            work.close()

    async def __aiter__(self) -> AsyncIterator[SessionEvent]:
        """Events from now on, until the session ends. One iterator at a time."""
        if self._events is not None:
            raise UserError("the session is being iterated already", "use on() for a second listener")
        self._events, self._wakeup = deque(), asyncio.Event()
        try:
            while True:
                while self._events:
                    yield self._events.popleft()
                if self._line is None:
                    return
                self._wakeup.clear()
                await self._wakeup.wait()
        finally:
            self._events = self._wakeup = None

    # -- inside ----------------------------------------------------------------------------
    async def _resolve(self, agent: RealtimeAgent) -> ResolvedAgent:
        return await agent.resolve(self._settings, self.context, voice=not self._own_voice)

    def _need(self) -> _Line:
        if self._line is None:
            raise NotConnectedError("the session is not connected", "await session.connect() first")
        return self._line

    def make_sink(self) -> AudioSink:
        return self._sink_given or RealTimeSink(self._settings.get("audio.output.format"))


class _Line:
    """All that belongs to one connection. Implements the transport's Receiver."""

    def __init__(self, session: RealtimeSession, resolved: ResolvedAgent) -> None:
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
        self._waiting: dict[int, tuple[ResolvedAgent, asyncio.Future[Outcome]]] = {}
        self._next: dict[int, ResolvedAgent] = {}
        self._playing: dict[tuple[str, int], None] = {}
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._sink = session.make_sink()
        self._sink.on_drained = self._drained
        input_format = resolved.view.settings.get("audio.input.format") or {}
        self._input_per_ms = 48.0 if input_format.get("type", "audio/pcm") == "audio/pcm" else 8.0
        output = resolved.view.settings.get("audio.output.format") or {}
        self._sample_bytes = 2 if output.get("type", "audio/pcm") == "audio/pcm" else 1
        self._transport.receiver = self

    async def open(self) -> None:
        self.run(self.conversation.connected(self.now()))
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
        for _, waiter in self._waiting.values():
            waiter.cancel()
        self._sink.on_drained = None
        if self._session._sink_given is None:
            self._sink.close()
        await self.tasks.close()

    # -- receiver ----------------------------------------------------------------------------
    def on_event(self, event: dict[str, Any]) -> None:
        if event.get("type") == "input_audio_buffer.speech_started":
            self.note_heard()
        self.run(self.conversation.receive(event, self.now()))

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        samples = len(data) // self._sample_bytes
        conversation = self.conversation
        play = conversation.audio_out(response_id, item_id, content_index, samples, self.now())
        if conversation.fresh:
            self.run(conversation.take())
        if not play:
            return
        self._playing[item_id, content_index] = None
        self._sink.play(item_id, content_index, data)
        if self._session.listens("audio"):
            self._session.emit(Audio(data, response_id, item_id))

    def on_closed(self, closed: Closed) -> None:
        if not self._ready.done():
            self._ready.set_exception(ConnectError(f"the line closed: {closed.reason}"))
            return
        self.run(self.conversation.disconnected(self.now(), closed.reason))
        self.tasks.spawn(self._session.close(closed.reason), "close after loss")

    def note_heard(self) -> None:
        """Tell the core what was really heard, before anything that may cut."""
        now = self.now()
        for item_id, index in self._playing:
            if self._transport.playback == "transport":
                ms = self._transport.heard_ms(item_id) or 0.0
                samples = int(ms * (24 if self._sample_bytes == 2 else 8))
            else:
                samples = self._sink.heard(item_id, index)
            self.conversation.heard(item_id, index, samples, now)

    def _drained(self) -> None:
        self.note_heard()
        self._playing.clear()
        self.run(self.conversation.drained(self.now()))

    def send_audio(self, data: bytes, commit: bool) -> None:
        self._transport.send_audio(data, commit=commit)
        self.conversation.audio_in(len(data) / self._input_per_ms, self.now())

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
            case AgentStart() if not self._ready.done():
                self._ready.set_result(None)
        self._session.emit(event)

    def _settled(self, event: Outcome) -> None:
        if not self._ready.done():
            if isinstance(event, SettingsRefused):
                self._ready.set_exception(
                    ConnectError(f"the server refused the session: {event.message}")
                )
            elif isinstance(event, SettingsApplied):
                self._ready.set_result(None)
        if isinstance(event, SettingsApplied):
            resolved = self._next.pop(event.revision, None)
            if resolved is not None and resolved.view.name == self.resolved.view.name:
                self.take(resolved)
        elif isinstance(event, SettingsRefused):
            self._next.pop(event.revision, None)
        waiting = self._waiting.pop(event.revision, None)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(event)

    async def reconfigure(
        self, resolved: ResolvedAgent, revision: int, between_turns: bool
    ) -> Outcome:
        waiter: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiting[revision] = (resolved, waiter)
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
        conversation = self.conversation
        if tool is None:
            output = f"Tool {effect.name} not found"
            self._session.emit(SessionError("tool_not_found", output))
            self.run(conversation.tool_finished(effect.call_id, output, self.now()))
            return
        context = ToolContext(effect.agent, effect.name, effect.call_id, self._session.context)
        self._session.emit(
            ToolStart(effect.agent, effect.name, effect.call_id, effect.arguments or "{}")
        )
        try:
            output = await tool.run(effect.arguments, context)
        except ToolError as error:
            output = f"An error occurred while running the tool. {error.message}"
            self._session.emit(SessionError("tool_failed", f"{effect.name}: {error.message}"))
        self.run(conversation.tool_finished(effect.call_id, output, self.now()))
        self._session.emit(ToolEnd(effect.agent, effect.name, effect.call_id, output))

    async def _hand_over(self, effect: PrepareAgent) -> None:
        target = next(
            (a for a in self.resolved.ways.values() if a.name == effect.name), None
        )
        conversation = self.conversation
        try:
            if target is None:
                raise UserError(f"agent {self.resolved.agent.name} has no way to {effect.name}")
            resolved = await self._session._resolve(target)
        except Exception as error:
            words = error.message if isinstance(error, RtrunError) else str(error)
            self._session.emit(SessionError("handoff_failed", words))
            self.run(conversation.agent_failed(effect.call_id, words, self.now()))
            return
        self.take(resolved)
        self.run(conversation.agent_ready(resolved.view, effect.call_id, self.now()))

    def _failed(self, name: str, error: BaseException) -> None:
        self._session.emit(SessionError("internal", f"{name}: {type(error).__name__}: {error}"))
        _loop_reports(f"{name} failed", error)


class _Sent:
    """What send_audio gives: nothing to wait for, and awaitable all the same."""

    def __await__(self) -> Any:
        return iter(())


def _settings(config: Mapping[str, Any] | SessionSettings | None) -> tuple[SessionSettings, bool]:
    if isinstance(config, SessionSettings):
        return config, False
    given = wire_settings(config or {})
    given.pop("type", None)
    own_voice = isinstance(given.get("audio"), Mapping) and bool(
        (given["audio"].get("output") or {}).get("voice")
    )
    return SessionSettings().merged(given), own_voice


def _loop_reports(message: str, error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


Playback = Literal["client", "transport", "server"]

__all__ = ["Handoff", "RealtimeSession"]
