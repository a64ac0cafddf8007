"""What is heard: tracks, cuts and the ends of turns."""

from __future__ import annotations

from runner.core.effects import FlushAudio
from runner.core.events import AgentEnd, AudioStart, Interrupted, TurnEnd
from runner.core.machinery import Machinery
from runner.core.playback import Track
from runner.core.replay import items_of
from runner.core.turns import CUT, RUNNING, Response


class Sound(Machinery):
    def _turn_runs(self) -> bool:
        return (
            self._responses.busy
            or self._ledger.outstanding
            or self._caller.speaking
            or self._link.owed_until is not None
            or self._sounding()
        )

    def _sounding(self) -> bool:
        if self._server_plays:
            return any(r.playing_since is not None for r in self._turns.open.values())
        return self._playback.sounding

    def _uncut(self) -> bool:
        """An answer is made or sounds that the caller may not cut off."""
        return any(not r.interruptible for r in self._turns.open.values())

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
            self._playback.drop(track)
        return track

    def _sounds(self, response: Response, item_id: str, now: float) -> None:
        self._settings.voiced = True
        response.item_id = item_id or response.item_id
        if not response.sounded:
            self._turns.first_audio(response, now)
            self._out.tell(AudioStart(response.agent, response.response_id, response.item_id))

    def _stop_answer(self) -> None:
        """Silence here and now, whatever is asked for or sounds."""
        self._responses.give_up_pending()
        if not self._server_plays:
            self._cut(cancel=True)
            return
        running = self._turns.running()
        for response in running.values():
            self._cancel(response)
            response.go("cut")
        if running or self._sounding():
            self._out.send("output_audio_buffer.clear", "clear")

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
        self._tell_item(self._history.heard(track.item_id, end, track.share), False)
        if track.lost:
            self._rewrite(track)
            return
        self._out.send(
            "conversation.item.truncate",
            "truncate",
            item_id=track.item_id,
            content_index=track.content_index,
            audio_end_ms=end,
        )

    def _rewrite(self, track: Track) -> None:
        """Its audio came over a line that is gone: this server knows its text alone, so the text
        is replaced by what was heard of it."""
        entry = self._history.get(track.item_id)
        if entry is None or not self._out.online:
            return  # the next line is told what was heard
        self._link.rewritten.add(track.item_id)
        self._out.send("conversation.item.delete", "edit", item_id=track.item_id)
        previous = self._history.before(track.item_id)
        for item in items_of([entry]):
            fields = {"previous_item_id": previous, "item": item}
            self._out.send("conversation.item.create", "edit", **fields)

    def _cancel(self, response: Response) -> None:
        if response.cancel_sent or response.state not in (RUNNING, CUT):
            return
        response.cancel_sent = True
        self._out.send("response.cancel", "cancel", response_id=response.response_id)

    def _end_turns(self, now: float) -> None:
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
                by_noise = response.made_by == "server"
                self._silence.quiet(now, own=response.purpose == "silence", by_noise=by_noise)
            for track in tracks:
                entry = self._history.get(track.item_id)
                if not track.cut and entry is not None and track.covers == 1:
                    self._playback.spoken(track, entry.text or "")
            self._playback.forget(response.response_id)

    def _give_up(self, response: Response, reason: str, *, cancelled: bool = True) -> bool:
        """A response that will never be done: the line is gone, or it stalled. True when its
        calls have their outputs and want an answer; never when it counts as ``cancelled``."""
        response.go("done")
        self._responses.done(response.response_id)
        due = self._ledger.response_done(response.response_id, cancelled=cancelled)
        self._out.tell(AgentEnd(response.agent, response.response_id, "failed", "", reason))
        return due
