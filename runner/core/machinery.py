"""Machinery: the machines of one conversation, its settings and its agents.

The room is one object in five floors: machinery, ``sound`` (what is heard), ``calls`` (tools),
``watch`` (guardrails, silence, the end of a call, the next line) and its two doors, ``dispatch``
for what the server says and ``conversation`` for what the program wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from runner.core.approvals import Approvals
from runner.core.ending import Ending
from runner.core.events import (
    Handoff,
    HistoryAdded,
    HistoryUpdated,
    Transcript,
)
from runner.core.guard import Guard
from runner.core.history import Entry, History
from runner.core.keys import Keys
from runner.core.link import Arrived, Link
from runner.core.outbox import Outbox
from runner.core.playback import Playback, rate_of
from runner.core.settings import Outcome, Target
from runner.core.silence import Silence
from runner.core.tools import Ledger
from runner.core.turns import Turns
from runner.core.usage import UsageSum
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
        self._history = History()
        self._ledger = Ledger(self._out)
        self._approvals = Approvals()
        self._playback = Playback()
        self._turns = Turns()
        self._silence = Silence()
        self._ending = Ending()
        self._keys = Keys()
        #: The caller is being put through: nobody asks whether they are there.
        self._leaving_to = ""
        self._guard = Guard()
        self._usage = UsageSum()
        #: When the waiting words of a running call are due, by call id.
        self._fillers: dict[str, float] = {}
        self._beside: dict[str, None] = {}
        self._told_wake: float | None = None
        self._touched = 0.0
        self._rate = 24000
        #: The line is gone and another one comes.
        self._away = False
        #: Outputs of calls that were given without a line, by call id: a server that kept the
        #: session has the calls and waits for them.
        self._unsent: dict[str, str] = {}
        #: The agent and settings that a line had last: where the next one goes back to when its
        #: server refuses what was wanted meanwhile.
        self._in_force: AgentView | None = None
        #: A turn of the caller waits to be sent behind the history: an answer that is asked for
        #: meanwhile would not know it.
        self.turn_waits = False
        #: Revisions that came while it was, or had no answer when it went.
        self._revisions: tuple[int, ...] = ()
        #: Tools that hosted MCP servers listed, by server label.
        self._mcp_tools: dict[str, tuple[Mapping[str, Any], ...]] = {}
        #: Items to be sent behind the history on the next line.
        self._behind: list[dict[str, Any]] = []
        self._new_link()
        self._read_rate()
        self._debounce = view.rules.debounce

    def _new_link(self) -> None:
        """Throw the old connection's state away whole. The machines are at hand by name, since
        they are asked for with every event."""
        self._link = Link(self._out, self._view)
        self._responses = self._link.responses
        self._settings = self._link.settings
        self._caller = self._link.caller

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
        self._debounce = view.rules.debounce
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
        if self._away:
            # The next line begins with it.
            self._revisions += revisions
            self._switch(view)
            return
        arrived = self._link.arrived
        if arrived is not None and arrived.view.name == view.name:
            self._link.arrived = Arrived(view, arrived.target)
        self._settings.want(Target(view, revisions, between_turns, previous=previous))

    @property
    def coming(self) -> str:
        """The name of the agent that has the line, or is on its way to it."""
        arrived = self._link.arrived
        return self._view.name if arrived is None else arrived.view.name

    def _read_rate(self) -> None:
        self._rate = rate_of(self._settings.get("audio.output.format"))

    def _turn_detection(self, key: str) -> bool:
        """A switch of the effective turn detection; on unless it says otherwise."""
        detection = self._settings.get("audio.input.turn_detection")
        return not (isinstance(detection, Mapping) and detection.get(key) is False)

    # -- words for the server ---------------------------------------------------------------
    def _message(self, role: str, content: list[dict[str, Any]]) -> None:
        """Add a message, kept until the server has it: a line may break in between."""
        item_id = self._out.name().replace("_", "_item_", 1)
        item = {"id": item_id, "type": "message", "role": role, "content": content}
        if self._away:
            self._behind.append(item)
            return
        self._link.unconfirmed[item_id] = item
        self._out.send("conversation.item.create", "message", item=item)

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


def quoted(text: str) -> str:
    """``text`` as a JSON string. The core knows no JSON but this."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'
