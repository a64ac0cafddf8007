"""RealtimeSession: the thin asyncio shell that carries out what the conversation core asks.

It sees transports and tools by their base only. What arrives goes through in one synchronous
call: transport -> core -> effects -> application (``line.py``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from runner.agent import RealtimeAgent, ResolvedAgent, namesake, reachable
from runner.content import image_part, message_of
from runner.core.conversation import Conversation
from runner.core.events import Connection, Item, SessionError, SettingsPending, ToolApproval
from runner.errors import ModelBehaviorError, NotConnectedError, UserError
from runner.guardrails import Guardrail
from runner.line import Line, Outcome
from runner.model.legacy import wire_settings
from runner.model.settings import DEFAULT_MODEL, SessionSettings, in_formats_of
from runner.model.silence import Silence
from runner.moving import Way
from runner.options import (
    SessionKeywords,
    SessionOptions,
    session_options,
    with_silence,
)
from runner.tasks import DONE, Done
from runner.telephone import Telephone
from runner.transports.base import ApiKey, ConnectOptions, RealtimeTransportLayer, given_key
from runner.transports.registry import create


class RealtimeSession(Telephone):
    """One conversation of one agent with one caller.

    Options are those of :class:`SessionOptions`, as an object, as a dict in the SDK's spelling,
    or as keywords. Without a ``sink`` a virtual speaker plays the agent's audio in real time and
    the application gets every chunk by ``on("audio")``.
    """

    def __init__(
        self,
        agent: RealtimeAgent,
        options: SessionOptions | Mapping[str, Any] | None = None,
        **keywords: Unpack[SessionKeywords],
    ) -> None:
        super().__init__()
        self.options = chosen = session_options(options, keywords)
        named = chosen.transport
        self.transport: RealtimeTransportLayer = create(named) if isinstance(named, str) else named
        self.model = chosen.model or DEFAULT_MODEL
        self.context = chosen.context
        self.reconnect = chosen.reconnect
        self.store_audio = chosen.history_store_audio
        self.approval_checks_first = chosen.approval_checks_first
        self.tool_error_formatter = chosen.tool_error_formatter
        self.initial_agent = agent
        self._settings, self._own_voice = chosen.settings(self.transport.audio_format)
        self._rules, self._checks = chosen.rules(), chosen.checks()
        self._agents: Mapping[str, RealtimeAgent] = chosen.agents or {}
        self._target = ConnectOptions(model=self.model)
        self._api_key: ApiKey | None = chosen.api_key
        self._line: Line | None = None
        self._history: tuple[Item, ...] = ()
        self._usage: dict[str, int] = {}
        #: The newest revision that reconfigure() was given.
        self._edition = 0

    # -- life ------------------------------------------------------------------------------
    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        url: str | None = None,
        model: str | None = None,
        call_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RealtimeSession:
        """Open the line, wait until the server has taken the session's settings, and greet.

        ConnectError when it cannot be reached, refuses, or refuses the settings."""
        if self._line is not None:
            raise UserError("the session is connected already", "close() it first")
        agent = self.initial_agent
        self.model = model or self.model
        self._api_key = api_key or self.options.api_key
        self._target = ConnectOptions(
            url=url, model=self.model, call_id=call_id, headers=headers or {}
        )
        resolved = await self.resolve(agent)
        if self._line is not None:
            raise UserError("the session is being connected already", "connect once")
        line = self._line = Line(self, resolved, self.options.sink)
        self.emit(Connection("connecting"))
        try:
            await line.open()
        except BaseException:
            await self._leave(line, "not connected")
            raise
        if self._line is not line:
            raise NotConnectedError("the session was closed while it was being connected")
        if agent.greeting:
            self.say(agent.greeting, purpose="greeting", interruptible=agent.interruptible_greeting)
        return self

    async def close(self, reason: str = "closed") -> None:
        """End the conversation within a second. Idempotent."""
        if self._line is not None:
            await self._leave(self._line, reason)
        self._wake()

    async def _leave(self, line: Line, reason: str) -> None:
        if self._line is line:
            self._line = None
            self._history = line.conversation.history
            self._usage = line.conversation.usage
        await line.close()
        await self.transport.close()
        if not line.lost:
            self.emit(Connection("disconnected", reason))
        await self.stop_listeners()

    @property
    def connected(self) -> bool:
        return self._line is not None and self.transport.status == "connected"

    async def __aenter__(self) -> RealtimeSession:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # -- what the application does ------------------------------------------------------------
    def send_message(
        self,
        message: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        respond: bool = True,
    ) -> None:
        """A typed turn of the caller: a text, content parts as the wire has them, or the SDK's
        message object. ``respond`` False: no answer is asked for."""
        role, content = message_of(message)
        line = self._need()
        line.run(line.conversation.send_message(content, line.now(), respond=respond, role=role))

    def add_image(self, image: str, *, respond: bool = True, detail: str | None = None) -> None:
        """Show a picture: a data: or https: URL."""
        self.send_message([image_part(image, detail)], respond=respond)

    def send_audio(self, data: bytes, *, commit: bool = False) -> Done:
        """The caller's audio in the session's input format. May be called or awaited."""
        self._need().send_audio(data, commit)
        return DONE

    def respond(self, params: Mapping[str, Any] | None = None) -> None:
        """Ask for an answer now; ``params`` is the ``response`` of response.create. In push to
        talk, after ``send_audio(..., commit=True)``."""
        line = self._need()
        line.run(line.conversation.create_response(params, line.now()))

    def say(self, text: str, *, purpose: str = "say", interruptible: bool = True) -> None:
        """Make the agent speak exactly these words, when it is its turn. Not ``interruptible``:
        what the caller says meanwhile is kept and heard afterwards."""
        line = self._need()
        if not interruptible:
            line.hold_audio()
        line.run(line.conversation.say(text, line.now(), purpose, interruptible=interruptible))

    def interrupt(self) -> None:
        """Cut the running answer off, as a caller who speaks would."""
        line = self._need()
        line.note_heard()
        line.run(line.conversation.interrupt(line.now()))

    def mute(self, muted: bool) -> None:
        self.transport.mute(muted)

    def update_history(
        self, items: Iterable[Item] | Callable[[tuple[Item, ...]], Iterable[Item]]
    ) -> None:
        """Make the server's conversation these items, or what a function makes of the history.
        The history follows as the server confirms. UserError when an item cannot be made."""
        line = self._need()
        wanted = items(self.history) if callable(items) else items
        line.run(line.conversation.update_history(wanted, line.now()))

    # -- approvals ---------------------------------------------------------------------------
    def approve(self, approval: ToolApproval | str, *, always: bool = False) -> Done:
        """Let a waiting call run; ``approval`` is the event or its call id. ``always``: later
        calls of this tool too. A second decision changes nothing. ModelBehaviorError when it is
        not what was asked, or belongs to a line that is gone. May be called or awaited."""
        line = self._need()
        if (request := self._asked(line, approval)) is not None:
            line.run(line.conversation.approve(request.call_id, line.now(), always=always))
        return DONE

    def reject(
        self, approval: ToolApproval | str, *, message: str | None = None, always: bool = False
    ) -> Awaitable[Any]:
        """Refuse a waiting call; ``message`` is told to the model. As for :meth:`approve`."""
        line = self._need()
        request = self._asked(line, approval)
        if request is None:
            return DONE
        return line.reject(request, message, always) or DONE

    def _asked(self, line: Line, approval: ToolApproval | str) -> ToolApproval | None:
        call_id = approval if isinstance(approval, str) else approval.call_id
        request = line.conversation.approval(call_id)
        if call_id in line.refusing:
            return None  # refused already, in words that are still being found
        if request is None:
            if line.conversation.decided(call_id):
                return None
            raise ModelBehaviorError(f"no approval of {call_id} is being waited for")
        if isinstance(approval, ToolApproval) and approval != request:
            raise ModelBehaviorError(f"this is not the call {call_id} that is to be approved")
        return request

    @property
    def approvals(self) -> tuple[ToolApproval, ...]:
        """What waits for an operator's yes."""
        if (line := self._line) is None:
            return ()
        return tuple(a for a in line.conversation.approvals if a.call_id not in line.refusing)

    # -- reading -----------------------------------------------------------------------------
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
        return self._line.crew.resolved.agent if self._line else self.initial_agent

    current_agent = agent

    @property
    def settings(self) -> SessionSettings:
        """The session object that the agent on the line wants; the server's echo is
        ``effective``."""
        return self._line.crew.resolved.view.settings if self._line else self._settings

    @property
    def effective(self) -> Mapping[str, Any]:
        """The session object as the server last echoed it; empty before it has."""
        return self._line.conversation.effective if self._line else {}

    @property
    def usage(self) -> dict[str, int]:
        """Tokens of the call by modality, see events.Usage."""
        return self._line.conversation.usage if self._line else self._usage

    @property
    def mcp_tools(self) -> tuple[Mapping[str, Any], ...]:
        """What hosted MCP servers offer to the agent on the line."""
        return self._line.conversation.mcp_tools if self._line else ()

    @property
    def busy(self) -> bool:
        """True while a turn runs: the caller speaks, an answer is made or is still sounding."""
        return self._line is not None and self._line.conversation.busy

    # -- agents ------------------------------------------------------------------------------
    async def initial_session_config(
        self, overrides: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The session object that this session would begin with, ``overrides`` on top. Nothing
        is connected."""
        resolved = await self.resolve(self.initial_agent)
        settings = resolved.view.settings.merged(wire_settings(overrides or {}))
        return {**settings.wire, "type": "realtime", "model": self.model}

    async def update_agent(self, agent: RealtimeAgent) -> RealtimeAgent:
        """Give the line to another agent, which is returned. The old one stays when this fails."""
        line = self._need()
        resolved = await self.resolve(agent)
        self._still(line)
        line.crew.take(resolved)
        line.run(line.conversation.update_agent(resolved.view, line.now()))
        return agent

    async def reconfigure(
        self,
        agents: Mapping[str, RealtimeAgent],
        settings: SessionSettings,
        revision: int,
        *,
        own_voice: bool = False,
        between_turns: bool = True,
        silence: Silence | None = None,
        guardrails: Sequence[Guardrail] | None = None,
        way: Way | None = None,
    ) -> Outcome:
        """Take an edited deployment: the agent on the line becomes its namesake in ``agents``.

        Returns what the server said; SettingsPending when the turn has to end first, and the
        session then emits SettingsApplied or SettingsRefused by itself. An agent that is no
        longer there keeps the line as it was. ``way``: what the line cannot take, a line opened
        anew may."""
        line = self._need()
        await line.moving.overtaken_by(revision)
        self._still(line)
        before = (self._settings, self._own_voice, self._rules, self._checks, self._agents)
        self._edition = edition = max(self._edition, revision)
        if way is None or self.transport.audio_format is not None:
            settings = in_formats_of(self._settings, settings)
        self._settings, self._own_voice = settings, own_voice
        self._rules = self._rules if silence is None else with_silence(self._rules, silence)
        self._checks = self._checks if guardrails is None else tuple(guardrails)
        self._agents = agents
        try:
            resolved = await self._as_coming(line, agents)
        except BaseException:
            if self._edition == edition:
                self._settings, self._own_voice, self._rules, self._checks, self._agents = before
            raise
        if revision < self._edition:
            return SettingsPending(revision)  # a newer one came meanwhile, and stands for it
        again = lambda: self._as_coming(line, self._agents)  # noqa: E731
        return await line.reconfigure(resolved, revision, between_turns, way, again)

    async def _as_coming(self, line: Line, agents: Mapping[str, RealtimeAgent]) -> ResolvedAgent:
        """The agent that has the line, or is about to, as it is in ``agents``."""
        while True:
            coming = line.coming
            resolved = await self.resolve(namesake(coming.agent, agents))
            self._still(line)
            if line.coming is coming:  # else the line was handed over while we asked
                return resolved

    async def quiet(self) -> None:
        """Wait until no turn is running, or the line is gone."""
        if self._line is not None:
            await self._line.quiet()

    def tap(self, wrap: Callable[[Conversation], Any]) -> None:
        """Put something before the conversation that looks like it (core.record.Recorder). To be
        done when ``connecting`` is told, before anything else."""
        line = self._need()
        line.conversation = wrap(line.conversation)

    # -- for the line ------------------------------------------------------------------------
    async def resolve(self, agent: RealtimeAgent) -> ResolvedAgent:
        """An agent as of now, on this session's settings."""
        voice, rules, checks = not self._own_voice, self._rules, self._checks
        resolved = await agent.resolve(
            self._settings, self.context, voice=voice, rules=rules, guardrails=checks
        )
        for words in resolved.troubles:
            self.emit(SessionError("mcp_server_failed", words))
        return resolved

    async def target(self, settings: SessionSettings) -> ConnectOptions:
        """Where the next connection goes, the key asked for anew."""
        key = await given_key(self._api_key)
        return replace(self._target, api_key=key, session=settings.wire)

    def onto(self, way: Way) -> Way:
        """The next line goes there; what leads back to where it goes now."""
        back = Way(self.model, self.transport, way.convert)
        self.model, self._target = way.model, replace(self._target, model=way.model)
        if way.transport is not None and way.transport is not self.transport:
            way.transport.take_over(self.transport)
            self.transport = way.transport
        return back

    def agent_named(self, name: str) -> RealtimeAgent | None:
        """An agent of the deployment, or one that handoffs lead to from the first."""
        return self._agents.get(name) or reachable(self.initial_agent).get(name)

    def _over(self) -> bool:
        return self._line is None

    def _still(self, line: Line) -> None:
        """Words for a line that is gone must not reach the one after it."""
        if self._line is not line:
            raise NotConnectedError("the session was closed meanwhile")

    def _need(self) -> Line:
        if self._line is None:
            raise NotConnectedError("the session is not connected", "await session.connect() first")
        return self._line


__all__ = ["RealtimeSession"]
