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

from runner.core.calls import SAY as SAY
from runner.core.decisions import Decisions
from runner.core.edits import edits
from runner.core.effects import Effects
from runner.core.events import (
    Connection,
    Item,
    Role,
    SessionError,
    SettingsRefused,
)
from runner.core.link import Arrived
from runner.core.machinery import quoted
from runner.core.view import AgentView
from runner.errors import UserError
from runner.model.settings import Json

#: Of audio in which nobody has begun to speak yet, as far as the server has told.
PREROLL_MS = 300.0


class Conversation(Decisions):
    """``playback`` says who knows how much of an answer was heard: ``client`` and ``transport``
    are told by ``heard``; with ``server`` the service truncates by itself. ``prefix`` begins the
    ids of our events; two connections to one server session must not share it. With
    ``store_audio`` the history keeps the base64 audio of items that come with it.
    """

    def __init__(
        self,
        view: AgentView,
        *,
        playback: Literal["client", "transport", "server"] = "client",
        prefix: str = "rtrun",
        store_audio: bool = False,
    ) -> None:
        super().__init__(view, playback=playback, prefix=prefix)
        self._history.store_audio = store_audio

    # -- the line --------------------------------------------------------------------------
    def connected(
        self, now: float, *, session_sent: bool = False, attached: bool = False
    ) -> Effects:
        """The line is open. Sends the first session.update, unless it travelled with the offer
        (``session_sent``); what the server's echo lacks is then sent as soon as it came. After
        a line that was lost the history follows, unless we are ``attached`` to a session that
        the server kept."""
        resumes, self._away = self._away, False
        self._touched = now
        self._out.online = True
        revisions, self._revisions = self._revisions, ()
        self._settings.connect(
            self._view, sent=session_sent, revisions=revisions, previous=self._in_force
        )
        if resumes:
            self._pump_settings(now)
            self._replay(attached)
        else:
            self._silence.begin(now)
        self._out.tell(Connection("connected"))
        return self._finish(now)

    def disconnected(self, now: float, reason: str, *, away: bool = False) -> Effects:
        """The line is gone. ``away``: another one comes, and what is asked for meanwhile waits
        for it. Running tools go on; at the end of the call their outputs reach the history only.
        """
        if self._out.online:
            self._out.online = False
            if away:
                self._leave_line(now)
            else:
                self._end_line(now)
            status = "reconnecting" if away else "disconnected"
            self._out.tell(Connection(status, reason, lost=not away))
        elif self._away and not away:
            self._end_line(now)
            self._out.tell(Connection("disconnected", reason, lost=True))
        return self._finish(now)

    def _end_line(self, now: float) -> None:
        self._away = False
        self._ledger.hang_up()
        self._approvals.new_line()
        self._fillers.clear()
        revisions = dict.fromkeys((*self._revisions, *self._settings.revisions()))
        for revision in revisions:
            self._out.tell(SettingsRefused(revision, "disconnected", "the line is gone"))
        for response in tuple(self._turns.open.values()):
            response.playing_since = None
            if not response.done:
                self._give_up(response, "disconnected")
        self._new_link()

    # -- audio -----------------------------------------------------------------------------
    def audio_in(self, ms: float, now: float, *, commit: bool = False) -> None:
        """``ms`` of the caller's audio were handed to the transport. ``commit``: the caller's
        turn ends with them (push to talk)."""
        self._caller.audio(ms, now)
        if commit:
            self._caller.commit()

    def turn_held(self, now: float) -> Effects:
        """A turn of the caller waits for a line (push to talk), and answers for the turn."""
        self.turn_waits = True
        return self._finish(now)

    def turn_let_go(self, now: float) -> Effects:
        self.turn_waits = False
        return self._finish(now)

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
        owed = self._link.owed_until
        if owed is not None and now >= owed:
            self._link.owed_until = None
        self._pump_approvals(now)
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
        parts = (
            [{"type": kind, "text": content}]
            if isinstance(content, str)
            else [dict(part) for part in content]
        )
        self._message(role, parts)
        if role == "user":
            self._ending.call_off()
        if respond:
            if role == "user":
                self._turns.ask(now)
            self._responses.add("auto")
        return self._finish(now)

    def say(
        self, text: str, now: float, purpose: str = "say", *, interruptible: bool = True
    ) -> Effects:
        """Make the agent speak ``text`` word for word, after what it is saying now. ``purpose``
        (greeting, filler, farewell ...) travels as metadata. Not ``interruptible``: the caller
        cannot cut it off; see ``holding``."""
        if self._require_line("speak"):
            self._say(text, purpose, interruptible=interruptible)
        return self._finish(now)

    def hang_up(self, now: float, reason: str) -> Effects:
        """End the call when what is being said has been played out; the caller may still speak
        and call it off."""
        self._ending.ask(reason, now)
        return self._finish(now)

    def create_response(self, params: Mapping[str, Any] | None, now: float) -> Effects:
        """Ask for a response; ``params`` is the ``response`` of response.create. Never merged
        with another request."""
        if self._require_line("ask for a response"):
            self._responses.add("manual", params)
        return self._finish(now)

    def interrupt(self, now: float) -> Effects:
        """Stop the answer: silence here, the response cancelled, the server told what was heard."""
        self._stop_answer()
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
            elif self._away:
                self._switch(view)
                self._hand_over_offline(call.target, view.name)
            else:
                self._link.arrived = Arrived(view, call.target)
                self._link.gated = True
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
        arrived, self._link.arrived = self._link.arrived, None
        previous = self._view
        self._switch(view)
        self._want(view, previous=previous)
        if arrived is not None:
            for call in self._ledger.of_target(arrived.target):
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
            if self._away:
                raise UserError("the line is being renewed", "change the history when it is back")
            for kind, fields in edits(self.history, items, self._history.anchor):
                self._out.send(kind, "edit", **fields)
        return self._finish(now)

    def delete_item(self, item_id: str, now: float) -> Effects:
        """Delete one item from the server's conversation."""
        if self._require_line("delete an item"):
            self._out.send("conversation.item.delete", "edit", item_id=item_id)
        return self._finish(now)

    def _require_line(self, what: str) -> bool:
        there = self._out.online or self._away
        if not there:
            self._out.tell(SessionError("not_connected", f"no line is open to {what}"))
        return there

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
    def whole(self) -> bool:
        """The line has the settings and the history of the conversation."""
        return self._settings.ready and not self._link.replaying

    @property
    def holding(self) -> bool:
        """Words sound, or are about to, that the caller may not cut off: hold the caller's audio
        back and send it afterwards, so that it is neither lost nor in the way."""
        return self._uncut() or any(not r.interruptible for r in self._link.unanswered())

    @property
    def unheard_ms(self) -> float:
        """How much of the newest audio of the caller would have to be sent again if the line
        broke now: turns whose words are not known, and the beginning of one that no event has
        told of yet."""
        total, unheard = self._caller.total_ms, self._link.unheard
        began = min(unheard.values()) if unheard else total
        if self._settings.get("audio.input.turn_detection") is None:
            return total - min(began, self._caller.turn_ms)
        return max(0.0, total - began) + PREROLL_MS

    @property
    def usage(self) -> dict[str, int]:
        """Tokens of the call by modality, see events.Usage."""
        return self._usage.total()

    @property
    def mcp_tools(self) -> tuple[Mapping[str, Any], ...]:
        """What hosted MCP servers offer to the agent on the line."""
        return self._offered()

    @property
    def effective(self) -> Mapping[str, Json]:
        """The session object as the server last echoed it, empty before it has. Not to be
        changed."""
        return self._settings.effective

    @property
    def output_rate(self) -> int:
        """Samples per second of the agent's audio."""
        return self._rate
