"""How a program listens to a session: ``on``, ``once``, ``off`` and ``async for``, typed by event.

A handler gets the event. Two are as the SDK has them: ``history_added`` gets the item itself and
``history_updated`` the whole history.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args, overload

from runner.core.events import (
    AgentEnd,
    AgentStart,
    Audio,
    AudioStart,
    AudioStopped,
    Connection,
    Dtmf,
    GuardrailTripped,
    Handoff,
    HistoryAdded,
    HistoryUpdated,
    IdleTimeout,
    Interrupted,
    Item,
    McpCallCompleted,
    McpToolsChanged,
    RateLimits,
    Reconnected,
    SessionError,
    SessionEvent,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
    SpeechStarted,
    SpeechStopped,
    ToolApproval,
    ToolEnd,
    ToolStart,
    Transcript,
    TranscriptDelta,
    Transfer,
    TurnEnd,
    Usage,
)
from runner.errors import UserError
from runner.listeners import Handler, Listeners

#: Events an iterator may lag behind before it loses the oldest.
EVENT_QUEUE = 1024
#: Told to listeners by name as the SDK does it: the item, and the whole history.
_HISTORY = frozenset({HistoryAdded.type, HistoryUpdated.type})
NAMES = ("*", *(event.type for event in get_args(SessionEvent)))

T = TypeVar("T")
To = Callable[[T], Any]


class On(Protocol):
    """The signature of ``on`` and ``once``: a name, and a sync or async handler of its payload."""

    @overload
    def __call__(self, name: Literal["agent_start"], handler: To[AgentStart]) -> None: ...
    @overload
    def __call__(self, name: Literal["agent_end"], handler: To[AgentEnd]) -> None: ...
    @overload
    def __call__(self, name: Literal["turn_end"], handler: To[TurnEnd]) -> None: ...
    @overload
    def __call__(self, name: Literal["speech_started"], handler: To[SpeechStarted]) -> None: ...
    @overload
    def __call__(self, name: Literal["speech_stopped"], handler: To[SpeechStopped]) -> None: ...
    @overload
    def __call__(self, name: Literal["transcript_delta"], handler: To[TranscriptDelta]) -> None: ...
    @overload
    def __call__(self, name: Literal["transcript"], handler: To[Transcript]) -> None: ...
    @overload
    def __call__(self, name: Literal["audio_start"], handler: To[AudioStart]) -> None: ...
    @overload
    def __call__(self, name: Literal["audio_stopped"], handler: To[AudioStopped]) -> None: ...
    @overload
    def __call__(self, name: Literal["audio"], handler: To[Audio]) -> None: ...
    @overload
    def __call__(self, name: Literal["audio_interrupted"], handler: To[Interrupted]) -> None: ...
    @overload
    def __call__(self, name: Literal["history_added"], handler: To[Item]) -> None: ...
    @overload
    def __call__(self, name: Literal["history_updated"], handler: To[tuple[Item, ...]]) -> None: ...
    @overload
    def __call__(self, name: Literal["agent_tool_start"], handler: To[ToolStart]) -> None: ...
    @overload
    def __call__(self, name: Literal["agent_tool_end"], handler: To[ToolEnd]) -> None: ...
    @overload
    def __call__(
        self, name: Literal["tool_approval_requested"], handler: To[ToolApproval]
    ) -> None: ...
    @overload
    def __call__(
        self, name: Literal["mcp_tool_call_completed"], handler: To[McpCallCompleted]
    ) -> None: ...
    @overload
    def __call__(
        self, name: Literal["mcp_tools_changed"], handler: To[McpToolsChanged]
    ) -> None: ...
    @overload
    def __call__(
        self, name: Literal["guardrail_tripped"], handler: To[GuardrailTripped]
    ) -> None: ...
    @overload
    def __call__(self, name: Literal["usage"], handler: To[Usage]) -> None: ...
    @overload
    def __call__(self, name: Literal["reconnected"], handler: To[Reconnected]) -> None: ...
    @overload
    def __call__(self, name: Literal["agent_handoff"], handler: To[Handoff]) -> None: ...
    @overload
    def __call__(self, name: Literal["settings_pending"], handler: To[SettingsPending]) -> None: ...
    @overload
    def __call__(self, name: Literal["settings_applied"], handler: To[SettingsApplied]) -> None: ...
    @overload
    def __call__(self, name: Literal["settings_refused"], handler: To[SettingsRefused]) -> None: ...
    @overload
    def __call__(self, name: Literal["rate_limits"], handler: To[RateLimits]) -> None: ...
    @overload
    def __call__(self, name: Literal["idle_timeout"], handler: To[IdleTimeout]) -> None: ...
    @overload
    def __call__(self, name: Literal["dtmf"], handler: To[Dtmf]) -> None: ...
    @overload
    def __call__(self, name: Literal["transfer"], handler: To[Transfer]) -> None: ...
    @overload
    def __call__(self, name: Literal["connection_change"], handler: To[Connection]) -> None: ...
    @overload
    def __call__(self, name: Literal["error"], handler: To[SessionError]) -> None: ...
    @overload
    def __call__(self, name: Literal["transport_event"], handler: To[dict[str, Any]]) -> None: ...
    @overload
    def __call__(self, name: Literal["*"], handler: To[SessionEvent]) -> None: ...


class Subscriptions(Listeners, ABC):
    """The listeners of a session and its one iterator."""

    transport: Listeners

    if TYPE_CHECKING:  # narrower than the base on purpose: a misspelt event is an error
        on: On  # type: ignore[assignment]
        once: On  # type: ignore[assignment]
    else:

        def on(self, name: str, handler: Handler) -> None:
            """Call ``handler`` with each event of this name, ``*`` for all; sync or async.
            ``transport_event`` gets every server event as it came. UserError for no event."""
            if name == "transport_event":
                self.transport.on("*", handler)
            elif name in NAMES:
                super().on(name, handler)
            else:
                near = get_close_matches(name, NAMES, n=1)
                hint = (
                    f"did you mean {near[0]}?"
                    if near
                    else "session.transport.on() takes those of the server"
                )
                raise UserError(f"a session has no event {name}", hint)

    def off(self, name: str, handler: Handler) -> None:
        """Take a handler back; one that is not there is no error."""
        if name == "transport_event":
            self.transport.off("*", handler)
        else:
            super().off(name, handler)

    def __init__(self) -> None:
        super().__init__()
        self._events: deque[SessionEvent] | None = None
        self._wakeup: asyncio.Event | None = None
        #: Events lost by an iterator that lagged more than 1,024 behind.
        self.lost_events = 0

    # -- what a session gives ----------------------------------------------------------------
    @property
    @abstractmethod
    def history(self) -> tuple[Item, ...]:
        """The conversation so far."""

    @abstractmethod
    def _over(self) -> bool:
        """Nothing more will be told."""

    # -- telling -----------------------------------------------------------------------------
    def emit(self, event: SessionEvent) -> None:
        """Hand an event to its listeners and to the iterator."""
        handlers, kind = self._handlers, event.type
        if kind in handlers:
            self.call(kind, self._payload(event) if kind in _HISTORY else event)
        if "*" in handlers:
            self.call("*", event)
        if self._events is not None:
            if len(self._events) == EVENT_QUEUE:
                self._events.popleft()
                self.lost_events += 1
            self._events.append(event)
            self._wake()

    def _payload(self, event: SessionEvent) -> Any:
        return event.item if isinstance(event, HistoryAdded) else self.history

    def wants(self, name: str) -> bool:
        """Does a listener or the iterator take events of this name?"""
        return name in self._handlers or "*" in self._handlers or self._events is not None

    def _wake(self) -> None:
        if self._wakeup is not None:
            self._wakeup.set()

    async def __aiter__(self) -> AsyncIterator[SessionEvent]:
        """Events from now on, until the session ends. One iterator at a time."""
        if self._events is not None:
            raise UserError(
                "the session is being iterated already", "use on() for a second listener"
            )
        events = self._events = deque()
        wakeup = self._wakeup = asyncio.Event()
        try:
            while True:
                while events:
                    yield events.popleft()
                if self._over():
                    return
                wakeup.clear()
                await wakeup.wait()
        finally:
            self._events = self._wakeup = None
