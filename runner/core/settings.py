"""The settings machine: what the agent wants against what the server last echoed.

``session.updated`` carries no event id, ``error`` does. So one update is on the wire at a time,
an error with its id is a refusal, and any echo is compared with what was sent: everything sent
must stand in the echo, where the server may have added defaults of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.difference import MISSING, OFF, contained, difference, lookup
from runner.core.events import SessionError, SettingsApplied, SettingsPending, SettingsRefused
from runner.core.outbox import Outbox
from runner.core.view import AgentView
from runner.model.settings import Json, SessionSettings, nested

SETTLED, HELD, SENT, SENT_HELD = "settled", "held", "sent", "sent_held"

#: held: a newer target waits. sent: an update waits for its echo. ``same``: nothing to send.
TABLE: Mapping[tuple[str, str], str] = {
    (SETTLED, "want"): HELD,
    (HELD, "want"): HELD,
    (HELD, "same"): SETTLED,
    (HELD, "send"): SENT,
    (SENT, "want"): SENT_HELD,
    (SENT, "answer"): SETTLED,
    (SENT_HELD, "want"): SENT_HELD,
    (SENT_HELD, "drop"): SENT,
    (SENT_HELD, "answer"): HELD,
}

ANSWER_WITHIN = 5.0  #: seconds from session.update to session.updated
SPEED = "audio.output.speed"
VOICE = "audio.output.voice"


@dataclass(slots=True)
class Target:
    """Settings that somebody wants. ``revisions`` wait for them by number; none for the first
    session object, a handoff or a switch by the program. A newer target takes over the
    revisions of the one it replaces, so each gets its answer."""

    view: AgentView
    revisions: tuple[int, ...] = ()
    between_turns: bool = False
    first: bool = False
    #: The agent to go back to when the server refuses.
    previous: AgentView | None = None
    told: tuple[int, ...] = ()


@dataclass(slots=True)
class _Update:
    target: Target
    event_id: str
    changes: dict[str, Json]
    deferred: tuple[str, ...]
    deadline: float
    #: The session as the server told it when this was planned.
    before: Mapping[str, Json]
    #: The rest (the speed) follows when no response is running.
    rest: Target | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a target ended: ``code`` is empty when the session has it."""

    target: Target
    code: str = ""


class Settings:
    """``want`` and the server's answers go in, ``session.update`` comes out."""

    def __init__(self, out: Outbox, target: AgentView) -> None:
        self._out = out
        self.target = target
        self.state = SETTLED
        #: The whole session object as the server last echoed it; empty before it has.
        self.effective: Mapping[str, Json] = {}
        #: The first update was answered: the session has the agent's settings.
        self.ready = False
        #: The agent was heard: its voice can be changed no more.
        self.voiced = False
        self._wanted: Target | None = None
        self._update: _Update | None = None
        #: What was sent and not contradicted, by path.
        self._accepted: dict[str, Json] = {}
        self._first_model: Json = None
        self._travelled = False
        #: Updates that were given up and may still be answered.
        self._late = 0
        self._late_ids: dict[str, None] = {}
        #: What the session is known to have whole, as it is now; None when that is not known.
        self._have: SessionSettings | None = None
        #: Paths of those: the server may have taken them or not, so they are sent once more.
        self._unsure: dict[str, None] = {}

    # -- wishes ----------------------------------------------------------------------------
    def connect(
        self,
        view: AgentView,
        *,
        sent: bool,
        revisions: tuple[int, ...] = (),
        previous: AgentView | None = None,
    ) -> None:
        """The line is open. ``sent``: the first session object travelled with the offer.
        ``revisions`` waited for a line and come with it; ``previous`` was in force before."""
        self._first_model = view.settings.get("model")
        self._travelled = sent
        if not sent:
            self.want(Target(view, revisions, first=True, previous=previous))
            return
        # On some lines session.created comes before whoever opened the line knows of it.
        self.ready = bool(self.effective)
        if revisions or self.ready:
            self.want(Target(view, revisions))

    def want(self, target: Target) -> None:
        """The newest target wins over one that is held. The wish of a handoff to go at once is
        not lowered by a later patient one."""
        held = self._wanted
        if held is not None:
            target.first = target.first or held.first
            target.between_turns = target.between_turns and held.between_turns
            target.previous = held.previous or target.previous
            target.revisions = tuple(dict.fromkeys(held.revisions + target.revisions))
            target.told = held.told
        self._wanted = target
        self.target = target.view
        self._go("want")

    def pump(self, now: float, *, quiet: bool, responding: bool) -> Outcome | None:
        """Send what may be sent. ``quiet``: no turn is running. ``responding``: a response is
        writing, during which the server takes no change of speed."""
        target = self._wanted
        if self.state != HELD or target is None or not self._out.online:
            return None
        if target.between_turns and not quiet:
            self._pending(target)
            return None
        try:
            changes, deferred = self._plan(target)
        except Exception as error:  # a fault of ours: the edit is refused and the call goes on
            self._wanted = None
            self._go("same")
            return self._unmet(target, "internal", f"{type(error).__name__}: {error}")
        rest = None
        if responding and SPEED in changes:
            del changes[SPEED]
            if not changes:
                self._pending(target)
                return None
            rest = target
        if not changes and not target.first:
            self._wanted = None
            self._have = None if deferred else target.view.settings
            self._go("same")
            self._tell_applied(target, deferred)
            return Outcome(target)
        event_id = self._out.send(
            "session.update", "settings", session={"type": "realtime", **nested(changes)}
        )
        deadline = now + ANSWER_WITHIN
        self._update = _Update(target, event_id, changes, deferred, deadline, self.effective, rest)
        self._wanted = None
        self._go("send")
        if rest is not None:
            self._wanted = rest
            self._go("want")
            self._pending(rest)
        return None

    def _plan(self, target: Target) -> tuple[dict[str, Json], tuple[str, ...]]:
        changes = difference(target.view.settings, self.effective, self._accepted, self._have)
        if self._unsure:
            wanted = {**OFF, **target.view.settings.leaves()}
            changes.update({path: wanted[path] for path in self._unsure if path in wanted})
        deferred: list[str] = []
        model = target.view.settings.get("model")
        if model is not None and self._first_model not in (None, model):
            deferred.append("model")
        if VOICE in changes and self.voiced:
            del changes[VOICE]
            deferred.append(VOICE)
            if not target.revisions:  # who sends an edit is told by SettingsApplied
                words = f"{target.view.name} speaks with the voice that was heard: it cannot change"
                self._out.tell(SessionError("voice_kept", words))
        # A trace that runs can neither be changed nor be ended.
        running = lookup(self.effective, "tracing")
        if "tracing" in changes and (
            running not in (None, MISSING) or self._accepted.get("tracing") is not None
        ):
            del changes["tracing"]
            deferred.append("tracing")
        return changes, tuple(deferred)

    # -- answers ---------------------------------------------------------------------------
    def created(self, session: Mapping[str, Json]) -> None:
        """``session.created``. With the first object sent by the offer it is its echo, and what
        differs is sent now; else it tells the server's defaults, unless an echo came before."""
        if self.ready or not isinstance(session, Mapping):
            return
        self.effective, self._have = session, None
        if self._travelled:
            self.ready = True
            self.want(Target(self.target))

    def updated(self, session: Mapping[str, Json]) -> Outcome | None:
        """``session.updated``: the effective session. None when nobody waits for it."""
        if not isinstance(session, Mapping):
            raise TypeError("session is no object")
        update = self._update
        self.effective, self._have = session, None
        if update is None:
            self._late = max(0, self._late - 1)
            if not self._late:
                self._learn(session)
            return None
        wrong = [p for p, v in update.changes.items() if not _echoed(v, lookup(session, p))]
        if wrong and self._late:
            self._late -= 1  # it answers an update that was given up
            return None
        for path, value in update.changes.items():
            if path not in wrong:
                self._accepted[path] = value
        self._unsure = {p: None for p in self._unsure if p not in update.changes}
        if not wrong:
            self._have = self._held(update)
            return self._answered()
        message = "the server did not take " + ", ".join(wrong)
        if update.target.first and not any(path.endswith(".format") for path in wrong):
            # A call with another transcription model is a call; one in the wrong format is noise.
            self._out.tell(SessionError("echo_mismatch", message, event_id=update.event_id))
            return self._answered()
        return self._refuse("echo_mismatch", message)

    def _held(self, update: _Update) -> SessionSettings | None:
        """The settings of an update that was taken, when the session has all of them now."""
        settings = update.target.view.settings
        if update.deferred or update.rest is not None:
            return None
        before, now = update.before, self.effective
        others = (before.keys() | now.keys()) - update.changes.keys()
        if all(before.get(key, MISSING) == now.get(key, MISSING) for key in others):
            return settings  # the rest was looked at when it was planned
        return None if difference(settings, now, self._accepted) else settings

    def _learn(self, session: Mapping[str, Json]) -> None:
        """What was given up was answered after all: the server has this."""
        found = {path: lookup(session, path) for path in self._unsure}
        self._accepted.update({p: value for p, value in found.items() if value is not MISSING})
        self._unsure.clear()

    def refused(
        self, event_id: str | None, code: str, message: str, param: object
    ) -> tuple[bool, Outcome | None]:
        """An error came: ``(does it answer an update of ours, how the target ended)``. The
        server takes an update whole or not at all."""
        if event_id is not None and event_id in self._late_ids:
            del self._late_ids[event_id]
            self._late = max(0, self._late - 1)
            return True, None
        update = self._update
        if update is None:
            return False, None
        # Servers that do not repeat event ids may still name the parameter.
        unnamed = event_id is None and isinstance(param, str) and param.startswith("session")
        if event_id != update.event_id and not unnamed:
            return False, None
        if code == "cannot_update_voice" and VOICE in update.changes and not self.voiced:
            # The first audio overtook us. Everything but the voice is still wanted.
            self.voiced = True
            self._update = None
            if self._wanted is None:
                self._wanted = update.target
                self._go("want")
            self._wanted.first = self._wanted.first or update.target.first
            self._go("answer")
            return True, None
        return True, self._refuse(code, message)

    def tick(self, now: float) -> Outcome | None:
        update = self._update
        if update is None or now < update.deadline:
            return None
        self._late += 1
        self._late_ids[update.event_id] = None
        if update.target.first:
            # Some servers never answer the first update and work by it all the same.
            self._out.tell(
                SessionError(
                    "settings_timeout",
                    f"the server did not acknowledge the session within {ANSWER_WITHIN:g} s",
                    event_id=update.event_id,
                )
            )
            self._accepted.update(update.changes)
            self._have = None
            return self._answered()
        self._unsure.update(dict.fromkeys(update.changes))
        return self._refuse("timeout", f"no session.updated within {ANSWER_WITHIN:g} s")

    def _answered(self) -> Outcome | None:
        update = self._update
        assert update is not None
        self._update = None
        self._go("answer")
        if update.target.first:
            self.ready = True
        if update.rest is not None:
            update.rest.first = False
            return None  # the speed is to come, or a newer target has taken its place
        self._tell_applied(update.target, update.deferred)
        return Outcome(update.target)

    def _refuse(self, code: str, message: str) -> Outcome:
        update = self._update
        assert update is not None
        if update.rest is not None and self._wanted is update.rest:
            self._wanted = None
            self._go("drop")
        self._update = None
        self._go("answer")
        return self._unmet(update.target, code, message, update.event_id)

    def _unmet(
        self, target: Target, code: str, message: str, event_id: str | None = None
    ) -> Outcome:
        # What a newer target took over is answered with it.
        carried = () if self._wanted is None else self._wanted.revisions
        for revision in target.revisions:
            if revision not in carried:
                self._out.tell(SettingsRefused(revision, code, message))
        if target.first or not target.revisions:
            # Without its instructions the agent is a stranger: the first refusal ends the call.
            self._out.tell(SessionError(code, message, target.first, event_id))
        return Outcome(target, code)

    # -- reading ---------------------------------------------------------------------------
    def get(self, path: str) -> Json:
        """The effective value, the wanted one while the server has not said."""
        found = lookup(self.effective, path)
        return self.target.settings.get(path) if found is MISSING else found

    def keeps_voice(self, settings: SessionSettings) -> bool:
        """The voice that was heard is another one than ``settings`` want: a new line has it."""
        wanted = settings.get(VOICE)
        return self.voiced and wanted is not None and not _echoed(wanted, self.get(VOICE))

    @property
    def unsettled(self) -> bool:
        """Something is on the wire, or will be as soon as the response that runs is done."""
        held = self._wanted
        return self._update is not None or (held is not None and not held.between_turns)

    @property
    def unsent(self) -> bool:
        """Something that nobody has to wait for is not on the wire yet."""
        held = self._wanted
        if held is None or held.between_turns:
            return False
        return self._update is None or self._update.rest is not held

    @property
    def deadline(self) -> float | None:
        return None if self._update is None else self._update.deadline

    def revisions(self) -> tuple[int, ...]:
        """Revisions that have no answer yet."""
        waiting = () if self._wanted is None else self._wanted.revisions
        sent = () if self._update is None else self._update.target.revisions
        return tuple(dict.fromkeys(sent + waiting))

    def _pending(self, target: Target) -> None:
        for revision in target.revisions:
            if revision not in target.told:
                self._out.tell(SettingsPending(revision))
        target.told = target.revisions

    def _tell_applied(self, target: Target, deferred: tuple[str, ...]) -> None:
        for revision in target.revisions:
            self._out.tell(SettingsApplied(revision, deferred))

    def _go(self, signal: str) -> None:
        self.state = TABLE[self.state, signal]


def _echoed(sent: Any, echo: Any) -> bool:
    """Does the echo confirm what was sent? A field that is not there at all cannot be checked."""
    return echo is MISSING or contained(sent, echo, strict=False)
