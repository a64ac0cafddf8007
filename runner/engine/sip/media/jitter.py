"""What arrives, in its order and without holes: bytes of G.711, 8 a millisecond.

Nobody listens here but a recogniser, so a packet that comes in its turn goes on at once, and only
what overtook another one waits for it. What is lost is the sound before it, dying away; while the
sender pauses, time goes on in silence, so that a turn ends on a telephone that suppresses it.
"""

from __future__ import annotations

from runner.engine.sip.media.rtp import step

#: How long a packet waits for the one before it.
WAIT_SECONDS = 0.06
#: And how many may.
WAIT_PACKETS = 16
#: So long without sound is a pause of the sender.
PAUSE_SECONDS = 0.2
#: Silence for a gap in the numbers, up to here; beyond, the stream began anew.
LONGEST_GAP = 8000
#: What a hole is filled with before it is silence.
_CONCEALED = 480
_RESTART = 1000  # packets: a jump in their numbers that no loss explains
BYTES_A_SECOND = 8000


class Jitter:
    """One stream of one sender. ``put`` and ``due`` return what can be heard now."""

    def __init__(self, silence: bytes) -> None:
        self.silence = silence
        self.late = 0
        self.lost = 0
        self._held: dict[int, tuple[int, bytes, float]] = {}
        self._sequence: int | None = None  # of the last packet that went on
        self._next = 0  # the timestamp of the next byte
        self._last = b""  # the sound that a hole is filled with
        self._heard_at = 0.0
        self._paused = False

    def restart(self) -> None:
        """Another sender, or the same one anew: its numbers tell nothing about the last ones."""
        self._sequence = None

    def put(self, sequence: int, timestamp: int, payload: bytes, now: float) -> bytes:
        """A packet; ``payload`` is empty when it has a number and no sound (keys, comfort)."""
        if self._sequence is None or abs(step(self._sequence, sequence, 16)) > _RESTART:
            self._held.clear()
            self._sequence, self._next, self._heard_at = sequence - 1 & 0xFFFF, timestamp, now
        ahead = step(self._sequence, sequence, 16)
        if ahead <= 0 or sequence in self._held:
            self.late += 1
            return b""
        self._held[sequence] = (timestamp, payload, now)
        return self._release(now)

    def due(self, now: float) -> bytes:
        """To be asked every few ms: what has waited long enough, silence in a pause."""
        if self._sequence is None:
            return b""
        out = self._release(now)
        quiet = now - self._heard_at
        if self._paused or quiet > PAUSE_SECONDS:
            self._paused = True
            count = max(0, round(quiet * BYTES_A_SECOND))
            self._heard_at += count / BYTES_A_SECOND
            self._next = self._next + count & 0xFFFFFFFF
            out += self.silence * count
        return out

    def _release(self, now: float) -> bytes:
        out = b""
        while self._held:
            assert self._sequence is not None
            first = min(self._held, key=lambda n: step(self._sequence or 0, n, 16))
            missing = step(self._sequence, first, 16) - 1
            if missing:
                waited = now - min(came for _, _, came in self._held.values())
                if waited < WAIT_SECONDS and len(self._held) < WAIT_PACKETS:
                    break
                self.lost += missing
            timestamp, payload, _ = self._held.pop(first)
            self._sequence = first
            if payload:
                out += self._hole(timestamp, lost=missing > 0) + payload
                self._next = timestamp + len(payload) & 0xFFFFFFFF
                self._last, self._heard_at, self._paused = payload, now, False
        return out

    def _hole(self, timestamp: int, *, lost: bool) -> bytes:
        gap = step(self._next, timestamp, 32)
        if not 0 < gap <= LONGEST_GAP:
            return b""
        return self._concealed(gap) if lost else self.silence * gap

    def _concealed(self, count: int) -> bytes:
        """The last sound again, then silence: G.711 has no cheaper way to die away that a
        recogniser would notice."""
        if not self._last:
            return self.silence * count
        again = min(count, _CONCEALED, len(self._last))
        return self._last[:again] + self.silence * (count - again)
