"""Machinery: the machines of one conversation and what they do together.

The room's two doors stand on it: ``dispatch`` for what the server says, ``conversation`` for
what the program wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from runner.core.caller import Caller
from runner.core.effects import Effects, FlushAudio, PrepareAgent, RunTool, Wake
from runner.core.events import (
    AgentEnd,
    AudioStart,
    Handoff,
    HistoryAdded,
    HistoryUpdated,
    Interrupted,
    SessionError,
    ToolEnd,
    ToolStart,
    Transcript,
    TurnEnd,
)
from runner.core.history import Entry, History
from runner.core.outbox import Outbox
from runner.core.playback import Playback, Track, rate_of
from runner.core.responses import Responses
from runner.core.settings import Outcome, Settings, Target
from runner.core.tools import Call, Ledger
from runner.core.turns import CUT, RUNNING, Response, Turns
from runner.core.view import AgentView

#: After the caller stopped, the server's answer is expected for this long; till then the turn
#: counts as running although no response does.
ANSWER_OWED = 2.0
#: Refusals after which the new agent may be in force all the same.
_UNSURE = frozenset({"timeout", "echo_mismatch"})


class Machinery:
    """Shared state. Nothing here is for the shell."""

    def __init__(
        self,
        view: AgentView,
        *,
        playback: Literal["client", "transport", "server"] = "client",
        prefix: str = "rtrun",
    ) -> None:
        self._out = Outbox(prefix)
        self._view = view
        self._server_plays = playback == "server"
        self._responses = Responses(self._out)
        self._settings = Settings(self._out, view)
        self._history = History()
        self._ledger = Ledger(self._out)
        self._playback = Playback()
        self._turns = Turns()
        self._caller = Caller()
        self._beside: dict[str, None] = {}
        self._owed_until: float | None = None
        #: A handoff holds the next response back until its settings are in force.
        self._gated = False
        #: The agent of a handoff, resolved, whose settings wait to be sent; and the name that
        #: the handoff called it by.
        self._arrived: tuple[AgentView, str] | None = None
        self._told_wake: float | None = None
        self._touched = 0.0
        self._rate = 24000
        self._read_rate()

    # -- after every call ------------------------------------------------------------------
    def _finish(self, now: float) -> Effects:
        """End what is over, then let settings and requests go, in this order."""
        if self._turns.open:
            self._end_turns()
        settings = self._settings
        if settings.unsettled or settings.state != "settled":
            self._pump_settings(now)
        if self._gated and not settings.unsettled:
            self._gated = False
        if not self._gated:
            self._responses.pump(now)
        wake = self._next_deadline()
        if wake != self._told_wake:
            self._told_wake = wake
            self._out.add(Wake(wake))
        return self._out.take()

    def _pump_settings(self, now: float) -> None:
        if self._owed_until is not None and now >= self._owed_until:
            self._owed_until = None
        outcome = self._settings.pump(
            now, quiet=not self._turn_runs(), responding=bool(self._responses.running)
        )
        if outcome is not None:
            self._settled(outcome)
        self._hand_over()

    def _next_deadline(self) -> float | None:
        found = self._responses.deadline
        for other in (self._settings.deadline, self._owed_until):
            if other is not None and (found is None or other < found):
                found = other
        return found

    def _turn_runs(self) -> bool:
        return (
            self._responses.busy
            or self._ledger.outstanding
            or self._caller.speaking
            or self._owed_until is not None
            or self._sounding()
        )

    def _sounding(self) -> bool:
        if self._server_plays:
            return any(r.playing_since is not None for r in self._turns.open.values())
        return self._playback.sounding

    # -- settings and agents ---------------------------------------------------------------
    def _settled(self, outcome: Outcome) -> None:
        """A target came to its end: what is in force now?"""
        target = outcome.target
        settled = self._settings.state == "settled"
        if not outcome.code:
            # Unless the program has moved on to another agent in the meantime.
            if settled or target.view.name == self._view.name:
                self._switch(target.view)
        elif target.previous is not None and outcome.code not in _UNSURE:
            # The server stays with the old agent, so its tools must stay the ones we run.
            self._switch(target.previous)
        if settled:
            self._settings.target = self._view

    def _switch(self, view: AgentView) -> None:
        old, self._view = self._view, view
        if old.name != view.name:
            self._out.tell(Handoff(old.name, view.name))

    def _want(
        self,
        view: AgentView,
        *,
        revision: int | None = None,
        between_turns: bool = False,
        previous: AgentView | None = None,
    ) -> None:
        if previous is None and view.name != self._view.name:
            previous = self._view
        revisions = () if revision is None else (revision,)
        self._settings.want(Target(view, revisions, between_turns, previous=previous))

    def _hand_over(self) -> None:
        """Answer the handoff whose settings are on the wire, and those that ask for the same."""
        if self._arrived is None or self._settings.unsent:
            return
        view, target = self._arrived
        self._arrived = None
        self._switch(view)
        for call in self._ledger.of_target(target):
            self._answer(call, f'{{"assistant":{quoted(view.name)}}}')

    def _read_rate(self) -> None:
        self._rate = rate_of(self._settings.get("audio.output.format"))

    # -- history ---------------------------------------------------------------------------
    def _tell_item(self, entry: Entry | None, new: bool) -> None:
        if entry is None or not entry.shown:
            return
        if new:
            self._out.tell(HistoryAdded(entry.item()))
        self._out.tell(HistoryUpdated(entry.item_id))

    def _tell_text(self, entry: Entry, *, empty: bool = False) -> None:
        """The one Transcript of an item, when its text is known."""
        if entry.told or entry.kind != "message" or entry.role not in ("user", "assistant"):
            return
        text = entry.text
        if text or (empty and text is not None):
            entry.told = True
            self._out.tell(Transcript(entry.role, entry.item_id, text))

    # -- tools -----------------------------------------------------------------------------
    def _call(self, response: Response, item_id: str, call_id: str, name: str, args: str) -> None:
        """The model has called a function, whole."""
        view = response.view
        target = view.handoffs.get(name)
        call = Call(call_id, item_id, name, args, response.response_id, view.name, target)
        preparing = self._ledger.preparing()
        if not self._ledger.start(call, response_over=response.done):
            return
        if target is not None:
            if target == self._view.name and preparing is None:
                self._answer(call, f'{{"assistant":{quoted(target)}}}')
            elif preparing is None:
                self._out.add(PrepareAgent(target, call_id))
            elif preparing.target != target:
                self._answer(call, f"Already transferring to {preparing.target}")
        elif name in self._functions(response):
            self._out.tell(ToolStart(view.name, name, call_id, args))
            self._out.add(RunTool(call_id, name, args, response.response_id, view.name))
        else:
            self._out.tell(SessionError("tool_not_found", f"Tool {name} not found"))
            self._answer(call, f"Tool {name} not found")

    def _functions(self, response: Response) -> set[object]:
        """Names that the model could know. The effective list counts too, and the request's:
        a program may have sent tools of its own."""
        lists: Iterable[object] = (
            response.view.settings.wire.get("tools"),
            self._settings.effective.get("tools"),
            response.tools,
        )
        return {
            tool.get("name")
            for tools in lists
            if isinstance(tools, (list, tuple))
            for tool in tools
            if isinstance(tool, Mapping) and tool.get("type", "function") == "function"
        }

    def _answer(self, call: Call, output: str, *, respond: bool = True) -> bool:
        """Send the one output of a call; False when it has one."""
        first, due = self._ledger.answer(call, output, respond=respond)
        if first:
            self._tell_item(self._history.output(call.call_id, output), False)
        if due:
            self._responses.add("auto")
        return first

    def _tool_ended(self, call: Call, output: str) -> None:
        self._out.tell(ToolEnd(call.agent, call.name, call.call_id, output))

    # -- audio and turns -------------------------------------------------------------------
    def _first_audio(self, response_id: str, item_id: str, content_index: int, now: float) -> Track:
        """The first audio of a content part: open its track."""
        response = self._turns.open.get(response_id)
        rate = self._rate if response is None else response.rate
        track = self._playback.open(response_id, item_id, content_index, rate)
        if response is None:
            track.cut = track.cut or self._turns.is_over(response_id)
        elif not track.cut:
            self._sounds(response, item_id, now)
        if track.cut and response is None:
            self._playback.tracks.pop((item_id, content_index), None)
        return track

    def _sounds(self, response: Response, item_id: str, now: float) -> None:
        self._settings.voiced = True
        response.item_id = item_id or response.item_id
        if not response.sounded:
            self._turns.first_audio(response, now)
            self._out.tell(AudioStart(response.agent, response.response_id, response.item_id))

    def _cut(self, *, cancel: bool) -> bool:
        """The answer is cut off: silence here first, then the server is told what was heard.
        False when nothing was sounding and nothing was being made."""
        running = self._turns.running()
        tracks = self._playback.cut(running)
        if not running and not tracks:
            return False
        agent, item_id, heard = self._cut_at(running, tracks)
        for name in dict.fromkeys([item_id, *(t.item_id for t in tracks)]):
            self._out.add(FlushAudio(name))
        if cancel:
            for response in running.values():
                self._cancel(response)
        for track in tracks:
            self._truncate(track)
        for response in (*running.values(), *self._owners(tracks)):
            response.go("cut")
        self._out.tell(Interrupted(agent, item_id, heard))
        return True

    def _cut_at(self, running: dict[str, Response], tracks: list[Track]) -> tuple[str, str, int]:
        """Whose words were cut, in which item, after how many milliseconds."""
        if tracks:
            first = next((t for t in tracks if t.heard < t.received), tracks[-1])
            owner = self._turns.open.get(first.response_id)
            agent = self._view.name if owner is None else owner.agent
            return agent, first.item_id, int(first.heard_ms)
        response = next(iter(running.values()))
        return response.agent, response.item_id, 0

    def _owners(self, tracks: list[Track]) -> list[Response]:
        ids = dict.fromkeys(t.response_id for t in tracks)
        return [r for i in ids if (r := self._turns.open.get(i)) is not None]

    def _truncate(self, track: Track) -> None:
        if not track.received:
            return
        end = int(track.heard_ms)
        self._out.send(
            "conversation.item.truncate",
            "truncate",
            item_id=track.item_id,
            content_index=track.content_index,
            audio_end_ms=end,
        )
        self._tell_item(self._history.heard(track.item_id, end), False)

    def _cancel(self, response: Response) -> None:
        if response.cancel_sent or response.state not in (RUNNING, CUT):
            return
        response.cancel_sent = True
        self._out.send("response.cancel", "cancel", response_id=response.response_id)

    def _end_turns(self) -> None:
        for response in tuple(self._turns.open.values()):
            if not response.done:
                continue
            tracks = self._playback.of(response.response_id)
            if response.playing_since is not None or (
                not self._server_plays and any(t.sounding for t in tracks)
            ):
                continue
            self._turns.end(response)
            self._beside.pop(response.response_id, None)
            if response.sounded or response.wrote:
                played = response.played_ms + sum(t.heard_ms for t in tracks)
                self._out.tell(TurnEnd(response.response_id, response.first_audio_ms, played))
            self._playback.forget(response.response_id)

    def _give_up(self, response: Response, reason: str) -> None:
        """A response that will never be done: the line is gone, or it stalled."""
        response.go("done")
        self._responses.done(response.response_id)
        self._ledger.response_done(response.response_id, cancelled=True)
        self._out.tell(AgentEnd(response.agent, response.response_id, "failed", "", reason))


def quoted(text: str) -> str:
    """``text`` as a JSON string. The core knows no JSON but this."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'
