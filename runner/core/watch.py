"""What is watched beside the conversation: deadlines, guardrails, silence, the end of the call,
and the way from a lost line to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.core.dialled import Dialled
from runner.core.effects import CheckWords, Effects, HangUp, PrepareAgent, Wake
from runner.core.events import GuardrailTripped, HistoryUpdated, SettingsRefused
from runner.core.history import Entry
from runner.core.playback import Track
from runner.core.replay import GO_ON, cut_text, items_of
from runner.core.responses import Request
from runner.core.tools import Call
from runner.core.turns import RUNNING, Response
from runner.model.settings import SessionSettings

#: The output of a call that waited for a yes when the line broke.
UNAPPROVED = "The line broke before this was approved. Ask once more."


class Watch(Dialled):
    # -- after every call ------------------------------------------------------------------
    def _finish(self, now: float) -> Effects:
        """End what is over, then let settings and requests go, in this order."""
        if self._turns.open:
            self._end_turns(now)
        link = self._link
        settings = self._settings
        if settings.unsettled or settings.state != "settled":
            self._pump_settings(now)
        if link.gated and not settings.unsettled:
            link.gated = False
        if self._fillers:
            self._pump_fillers(now)
        if self._keys.deadline is not None:
            self._pump_keys(now)
        self._pump_watch(now)
        if not (link.gated or self.turn_waits):
            self._responses.pump(now)
        wake = self._next_deadline()
        if wake != self._told_wake:
            self._told_wake = wake
            self._out.add(Wake(wake))
        return self._out.take()

    def _pump_settings(self, now: float) -> None:
        link = self._link
        if link.owed_until is not None and now >= link.owed_until:
            link.owed_until = None
        outcome = self._settings.pump(
            now, quiet=not self._turn_runs(), responding=bool(self._responses.running)
        )
        if outcome is not None:
            self._settled(outcome)
        self._hand_over()

    def _pump_watch(self, now: float) -> None:
        """Silence and the end of the call, when nothing else goes on."""
        rules = self._view.rules
        if self._ending.asked:
            reason = self._ending.pump(now, quiet=not self._turn_runs())
            if reason is not None and self._ending.transfer:
                self._put_through(self._ending.transfer)
            elif reason is not None:
                self._out.add(HangUp(reason))
        elif self._leaving_to or (rules.ask_after is None and rules.hang_up_after is None):
            return
        elif not self._turn_runs() and self._out.online:
            due = self._silence.due(rules, now)
            if due == "ask" and rules.ask:
                self._say(rules.ask, "silence")
            elif due == "hang_up":
                self._out.add(HangUp("the caller was silent"))

    def _next_deadline(self) -> float | None:
        times = [self._responses.deadline, self._settings.deadline, self._link.owed_until]
        if self._fillers:
            times += self._fillers.values()
        times += (self._approvals.deadline, self._keys.deadline)
        if self._ending.asked:
            times.append(self._ending.deadline)
        rules = self._view.rules
        if (rules.ask_after is not None or rules.hang_up_after is not None) and not (
            self._away or self._leaving_to or self._turn_runs()
        ):
            times.append(self._silence.deadline(rules))
        found: float | None = None
        for at in times:
            if at is not None and (found is None or at < found):
                found = at
        return found

    # -- guardrails ------------------------------------------------------------------------
    def _look_at_end(self, response: Response, wire: dict[str, Any]) -> None:
        """The whole of an answer is known."""
        for item in wire.get("output") or ():
            if item.get("type") != "message":
                continue
            item_id = item.get("id") or ""
            self._guard.forget(item_id)
            entry = self._history.get(item_id)
            text = (entry.text if entry is not None else None) or _text_of(item)
            if text and not self._guard.tripped(response.response_id):
                self._look("output", response.agent, response.response_id, item_id, text, True)

    def _look(
        self, check: str, agent: str, response_id: str, item_id: str, text: str, final: bool
    ) -> None:
        self._out.add(CheckWords(check, agent, response_id, item_id, text, final))

    def _trip(self, event: GuardrailTripped, say: str, to: str, now: float) -> None:
        """A check refused what was said. Once for each answer, and for each turn of the caller."""
        key = event.response_id if event.check == "output" else event.item_id
        if not self._guard.trip(key):
            return
        self._out.tell(event)
        then = event.then
        if then == "log":
            return
        if event.check == "output" and event.response_id not in self._turns.open:
            # It was heard to its end, or something newer speaks: too late to cut.
            if then in ("interrupt", "message") or self._responses.busy:
                return
        elif not self._silence_now(event):
            return
        if then == "message":
            self._message("user", [{"type": "input_text", "text": say}])
            self._responses.add("auto")
        elif say:
            self._say(say, "guardrail" if then != "hang_up" else "farewell")
        if then == "handoff":
            self._out.add(PrepareAgent(to, ""))
        elif then == "hang_up":
            self._ending.ask("a guardrail ended the call", now)

    def _silence_now(self, event: GuardrailTripped) -> bool:
        """Cut what is being said: forced, whatever turn detection says. False when something
        newer than the answer that tripped is being said."""
        newest = next(reversed(self._turns.open), None)
        if event.check == "output" and newest is not None and newest != event.response_id:
            owner = self._turns.open[newest]
            if not owner.beside:
                return False
        self._stop_answer()
        return True

    # -- from one line to the next ---------------------------------------------------------
    def _leave_line(self, now: float) -> None:
        """The line broke and another one comes. What the call is stays; what the connection was
        goes; what it owed is asked for again."""
        old = self._link
        if old.settings.ready:
            self._in_force = self._view
        if old.arrived is not None:
            # The server may have the new agent or not: the next one has.
            self._switch(old.arrived.view)
            self._hand_over_offline(old.arrived.target, old.arrived.view.name)
        elif self._settings.target.name == self._view.name:
            self._view = self._settings.target
        self._revisions = self._settings.revisions()
        again, go_on, due = self._owed_again(now)
        due = self._ledger.new_line() or due
        self._playback.new_line()
        behind = [*old.unconfirmed.values()]
        if go_on:
            part = {"type": "input_text", "text": GO_ON}
            name = self._out.name().replace("_", "_item_", 1)
            behind.append({"id": name, "type": "message", "role": "system", "content": [part]})
        self._forget_unheard()
        self._history.new_line()
        self._new_link()
        self._away = True
        self._behind += behind
        for request in again:
            self._responses.add_again(request)
        if due:
            self._responses.add("auto")
        for call_id in self._approvals.new_line():
            if (call := self._ledger.open(call_id)) is not None:
                self._decide(call, UNAPPROVED, now)

    def take_back(self, revision: int, code: str, message: str, now: float) -> Effects:
        """There is no line with the settings of ``revision``, which came while none was open:
        the next one begins with what was in force. Nothing to do when the server refused it."""
        if self._away and revision in self._revisions:
            revisions, self._revisions = self._revisions, ()
            if self._in_force is not None:
                self._switch(self._in_force)
            for one in revisions:
                self._out.tell(SettingsRefused(one, code, message))
        return self._finish(now)

    def keeps_voice(self, settings: SessionSettings) -> bool:
        """Was another voice heard than ``settings`` want? This line keeps it."""
        return self._settings.keeps_voice(settings)

    def _hand_over_offline(self, target: str, name: str) -> None:
        for call in self._ledger.of_target(target):
            self._answer(call, f'{{"assistant":"{name}"}}')

    def _forget_unheard(self) -> None:
        """Turns whose words are not known: their audio is sent again and makes them anew."""
        if not self._caller.total_ms:
            return
        for item_id in self._link.unheard:
            entry = self._history.get(item_id)
            if entry is not None and not entry.text:
                self._history.delete(item_id)
                self._out.tell(HistoryUpdated(item_id))

    def _owed_again(self, now: float) -> tuple[list[Request], bool, bool]:
        """``(requests to make again, does the model have to go on where it was cut, do calls
        that have their outputs want an answer)``."""
        again: list[Request] = []
        go_on = due = False
        # The caller is heard once more, and the server answers that by itself.
        anew = bool(self._link.unheard and self._caller.total_ms)
        for response in tuple(self._turns.open.values()):
            if response.done:
                continue
            tracks = self._playback.of(response.response_id)
            whole = bool(tracks) and all(t.complete for t in tracks)
            cut = response.state != RUNNING
            entry = self._history.get(response.item_id)
            if entry is not None:
                self._tell_text(entry)
            heard = not whole and self._broke_off(entry, tracks)
            if response.playing_since is not None:
                response.played_ms += (now - response.playing_since) * 1000
                response.playing_since = None
            due = self._give_up(response, "disconnected", cancelled=cut) or due
            if whole or cut or response.called or (anew and response.made_by == "server"):
                continue
            greeted = heard and response.purpose == "greeting"
            if response.made_by in ("say", "manual") and not greeted:
                request = Request("", "say", response.params, response.purpose)
                request.kind = "say" if response.made_by == "say" else "manual"
                request.interruptible = response.interruptible
                again.append(request)
            else:  # a caller is not greeted twice, the greeting is gone on with
                go_on = go_on or heard
                again.append(Request("", "auto", {}))
        again += self._link.unanswered()
        owed = self._link.owed_until is not None and not (again or anew)
        if owed and self._asked_in_words():
            again.append(Request("", "auto", {}))
        return again, go_on, due

    def _broke_off(self, entry: Entry | None, tracks: Sequence[Track]) -> bool:
        """An answer that will not be finished: what of its text came to the caller? False when
        nothing did."""
        if entry is None:
            return any(t.received for t in tracks)
        if any(part.kind == "output_text" for part in entry.parts):
            return bool(entry.text)
        track = next((t for t in tracks if t.item_id == entry.item_id), None)
        if track is not None and track.cut:
            return True
        text = entry.text or ""
        if track is not None:
            self._playback.broke_off(track, text)
        covers = 0.0 if track is None else track.covers
        ms = 0 if track is None else int(track.received * 1000 / track.rate)
        self._tell_item(self._history.heard(entry.item_id, ms, covers), False)
        return bool(cut_text(text, covers))

    def _asked_in_words(self) -> bool:
        """The last thing in the history is a turn of the caller whose words are known."""
        shown: list[Entry] = [e for e in self._history.entries() if e.shown]
        return bool(shown) and shown[-1].role == "user" and bool(shown[-1].text)

    def _answer(self, call: Call, output: str, *, respond: bool = True) -> bool:
        first = super()._answer(call, output, respond=respond)
        if first and self._away:
            self._unsent[call.call_id] = output
        return first

    def _replay(self, attached: bool) -> None:
        """Tell the new line of the conversation so far; one that is ``attached`` to the session
        that the server kept, of what was not sent."""
        if attached:
            for call_id, output in self._unsent.items():
                item = {"type": "function_call_output", "call_id": call_id, "output": output}
                self._out.send("conversation.item.create", "output", item=item)
        else:
            for item in items_of(self._history.entries()):
                event_id = self._out.send("conversation.item.create", "replay", item=item)
                if "id" in item:
                    self._link.replaying[event_id] = item["id"]
        for item in self._behind:
            # What was on its way when the line broke may have arrived at a session that was kept.
            purpose = "again" if attached else "message"
            self._out.send("conversation.item.create", purpose, item=item)
            self._link.unconfirmed[item["id"]] = item
        self._behind.clear()
        self._unsent.clear()


def _text_of(item: dict[str, Any]) -> str:
    parts = item.get("content") or ()
    return "".join(str(p.get("text") or p.get("transcript") or "") for p in parts)
