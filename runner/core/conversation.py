"""Conversation: the whole state of one call, sans-I/O. Events and intents in, effects out.

The shell calls a method with the present time (seconds of any monotonic clock) and carries out
the effects in the order given. Nothing here waits, reads a clock, throws dice or logs, so the
same calls give the same effects, always.

The audio lane is two plain calls beside it: ``audio_out`` counts a chunk and gives the verdict,
``heard`` tells what the sink has really played.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from runner.core.dispatch import Dispatch
from runner.core.edits import edits
from runner.core.effects import Effects
from runner.core.events import Connection, Item, Role, SessionError
from runner.core.machinery import quoted
from runner.core.view import AgentView
from runner.model.settings import Json

#: The one way to make the agent speak given words; the words follow.
SAY = "Say exactly the following words to the caller, nothing before and nothing after:\n\n"


class Conversation(Dispatch):
    """``playback`` says who knows how much of an answer was heard: ``client`` and ``transport``
    are told by ``heard``; with ``server`` the service truncates by itself. ``prefix`` begins the
    ids of our events; two connections to one server session must not share it.
    """

    def __init__(
        self,
        view: AgentView,
        *,
        playback: Literal["client", "transport", "server"] = "client",
        prefix: str = "rtrun",
    ) -> None:
        super().__init__(view, playback=playback, prefix=prefix)

    # -- the line --------------------------------------------------------------------------
    def connected(self, now: float, *, session_sent: bool = False) -> Effects:
        """The line is open. Sends the first session.update, unless it travelled with the offer
        (``session_sent``); what the server's echo lacks is then sent as soon as it came."""
        self._touched = now
        self._out.online = True
        self._caller.reset()
        self._settings.connect(self._view, sent=session_sent)
        self._out.tell(Connection("connected"))
        return self._finish(now)

    def disconnected(self, now: float, reason: str) -> Effects:
        """The line is gone. Running tools go on; their outputs reach the history only."""
        if self._out.online:
            self._out.online = False
            self._ledger.reset()
            self._settings.reset()
            for response in tuple(self._turns.open.values()):
                response.playing_since = None
                if not response.done:
                    self._give_up(response, "disconnected")
            self._responses.reset()
            self._caller.reset()
            self._owed_until = self._arrived = None
            self._gated = False
            self._out.tell(Connection("disconnected", reason))
        return self._finish(now)

    # -- audio -----------------------------------------------------------------------------
    def audio_in(self, ms: float, now: float) -> None:
        """``ms`` of the caller's audio were handed to the transport."""
        self._caller.audio(ms, now)

    def audio_out(
        self, response_id: str, item_id: str, content_index: int, samples: int, now: float
    ) -> bool:
        """Audio of an answer arrived: True to play it, False to drop it (the answer was cut).

        The first chunk of a response leaves an AudioStart behind: look at ``fresh`` and run
        what ``take()`` gives; otherwise it comes with the next effects.
        """
        self._touched = now
        track = self._playback.tracks.get((item_id, content_index))
        if track is None:
            track = self._first_audio(response_id, item_id, content_index, now)
        if track.cut:
            return False
        track.received += samples
        return True

    @property
    def fresh(self) -> bool:
        """Effects wait for ``take()``."""
        return bool(self._out.effects)

    def take(self) -> Effects:
        """Effects that no call has returned yet."""
        return self._out.take()

    def heard(self, item_id: str, content_index: int, samples: int, now: float) -> None:
        """The sink has played ``samples`` of this item so far. To be called before anything
        that may cut the answer: speech_started, ``interrupt``, ``drained``."""
        self._playback.heard(item_id, content_index, samples)

    def drained(self, now: float) -> Effects:
        """The sink has nothing left to play."""
        self._playback.drained(self._turns.open)
        return self._finish(now)

    def tick(self, now: float) -> Effects:
        """Time has passed: deadlines. Call it when the last ``Wake`` says, or later."""
        self._told_wake = None
        if self._owed_until is not None and now >= self._owed_until:
            self._owed_until = None
        for response_id in self._responses.tick(now, self._touched):
            response = self._turns.open.get(response_id)
            self._out.tell(SessionError("response_stalled", "nothing more came of a response"))
            if response is not None:
                self._cancel(response)
                self._give_up(response, "stalled")
            self._responses.done(response_id)
        outcome = self._settings.tick(now)
        if outcome is not None:
            self._settled(outcome)
        return self._finish(now)

    # -- intents ---------------------------------------------------------------------------
    def send_message(
        self,
        content: str | Sequence[Mapping[str, Any]],
        now: float,
        *,
        respond: bool = True,
        role: Role = "user",
    ) -> Effects:
        """Add a message: a text, or content parts as the wire has them; ``respond`` asks for an
        answer to it."""
        if not self._require_line("send a message"):
            return self._finish(now)
        kind = "output_text" if role == "assistant" else "input_text"
        parts = [{"type": kind, "text": content}] if isinstance(content, str) else list(content)
        item = {"type": "message", "role": role, "content": parts}
        self._out.send("conversation.item.create", "message", item=item)
        if respond:
            if role == "user":
                self._turns.ask(now)
            self._responses.add("auto")
        return self._finish(now)

    def say(self, text: str, now: float, purpose: str = "say") -> Effects:
        """Make the agent speak ``text`` word for word, after what it is saying now. ``purpose``
        (greeting, filler, farewell ...) travels as metadata."""
        if self._require_line("speak"):
            params = {
                "instructions": SAY + text,
                "tool_choice": "none",
                "metadata": {"rtrun": "say", "purpose": purpose},
            }
            self._responses.add("say", params, purpose)
        return self._finish(now)

    def create_response(self, params: Mapping[str, Any] | None, now: float) -> Effects:
        """Ask for a response; ``params`` is the ``response`` of response.create. Never merged
        with another request."""
        if self._require_line("ask for a response"):
            self._responses.add("manual", params)
        return self._finish(now)

    def interrupt(self, now: float) -> Effects:
        """Stop the answer: silence here, the response cancelled, the server told what was heard."""
        self._responses.give_up_pending()
        if self._server_plays:
            running = self._turns.running()
            for response in running.values():
                self._cancel(response)
                response.go("cut")
            if running or self._sounding():
                self._out.send("output_audio_buffer.clear", "clear")
        else:
            self._cut(cancel=True)
        return self._finish(now)

    def tool_finished(
        self, call_id: str, output: str, now: float, *, respond: bool = True
    ) -> Effects:
        """The output of a RunTool, whatever became of the tool. Told twice, the first counts.
        ``respond`` False: no answer because of this call alone."""
        call = self._ledger.open(call_id)
        first = call is not None and self._answer(call, output, respond=respond)
        if call is not None and first and call.target is None:
            self._tool_ended(call, output)
        return self._finish(now)

    # -- agents ----------------------------------------------------------------------------
    def agent_ready(self, view: AgentView, call_id: str, now: float) -> Effects:
        """The agent of a handoff is resolved, from the newest revision given to ``apply``. Its
        settings go out, then the output of the call; the next response waits for both."""
        call = self._ledger.open(call_id)
        if call is not None and call.target is not None and self._ledger.ready(call):
            if call.lost:
                self._answer(call, f'{{"assistant":{quoted(view.name)}}}')
            else:
                self._arrived = (view, call.target)
                self._gated = True
                self._want(view)
        return self._finish(now)

    def agent_failed(self, call_id: str, message: str, now: float) -> Effects:
        """The agent of a handoff could not be resolved: the old one goes on and is told so."""
        call = self._ledger.open(call_id)
        if call is not None and call.target is not None and call.state == "preparing":
            self._out.tell(SessionError("handoff_failed", message))
            for sibling in self._ledger.of_target(call.target):
                self._answer(sibling, message)
        return self._finish(now)

    def update_agent(self, view: AgentView, now: float) -> Effects:
        """The program switches to another agent, at once."""
        arrived, self._arrived = self._arrived, None
        previous = self._view
        self._switch(view)
        self._want(view, previous=previous)
        if arrived is not None:
            for call in self._ledger.of_target(arrived[1]):
                self._answer(call, f'{{"assistant":{quoted(view.name)}}}')
        return self._finish(now)

    def apply(self, view: AgentView, revision: int, now: float, *, between_turns: bool) -> Effects:
        """Settings of an edited file: at once, or held until the turn is over. Ends in one
        SettingsApplied or SettingsRefused; a newer revision that takes its place carries it."""
        self._want(view, revision=revision, between_turns=between_turns)
        return self._finish(now)

    # -- history ---------------------------------------------------------------------------
    def update_history(self, items: Iterable[Item], now: float) -> Effects:
        """Make the server's conversation this list. The history follows as it confirms.
        UserError, and nothing sent, when an item cannot be created."""
        if self._require_line("change the history"):
            for kind, fields in edits(self.history, items, self._history.anchor):
                self._out.send(kind, "edit", **fields)
        return self._finish(now)

    def delete_item(self, item_id: str, now: float) -> Effects:
        """Delete one item from the server's conversation."""
        if self._require_line("delete an item"):
            self._out.send("conversation.item.delete", "edit", item_id=item_id)
        return self._finish(now)

    def _require_line(self, what: str) -> bool:
        if not self._out.online:
            self._out.tell(SessionError("not_connected", f"no line is open to {what}"))
        return self._out.online

    # -- reading ---------------------------------------------------------------------------
    @property
    def history(self) -> tuple[Item, ...]:
        """The items in order. The same tuple until something changes."""
        return self._history.snapshot()

    @property
    def agent(self) -> str:
        """The name of the active agent."""
        return self._view.name

    @property
    def view(self) -> AgentView:
        """The active agent with the settings in force."""
        return self._view

    @property
    def busy(self) -> bool:
        """A turn is running: an answer made, asked for or sounding, a tool at work, the caller
        speaking, or an answer owed."""
        return self._turn_runs()

    @property
    def speaking(self) -> bool:
        """The agent's audio is sounding, or waits to be played."""
        return self._sounding()

    @property
    def caller_speaking(self) -> bool:
        return self._caller.speaking

    @property
    def ready(self) -> bool:
        """The server has acknowledged the first session.update."""
        return self._settings.ready

    @property
    def effective(self) -> Mapping[str, Json]:
        """The session object as the server last echoed it, empty before it has. Not to be
        changed."""
        return self._settings.effective

    @property
    def output_rate(self) -> int:
        """Samples per second of the agent's audio."""
        return self._rate
