"""The far end of a Media Stream by itself: marks, gaps, silence, generations."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.until import until

from runner.transports.mediastream import SILENCE, Caller, MediaStream

pytestmark = pytest.mark.quick

MULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


class Far:
    """A stream, and both ends of it."""

    def __init__(self, **options: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self.audio: list[bytes] = []
        self.digits: list[str] = []
        self.starts: list[Any] = []
        self.stops: list[str] = []
        self.warnings: list[str] = []
        self.drained = 0
        caller = Caller(
            self.audio.append,
            self.digits.append,
            self.starts.append,
            self.stops.append,
            self.warnings.append,
        )
        self.stream = MediaStream(self.sent.append, caller, **options)
        self.stream.on_drained = self._drained

    def _drained(self) -> None:
        self.drained += 1

    def start(self, sid: str = "MZ1", fmt: Any = MULAW) -> None:
        self.stream.received({"event": "start", "start": {"streamSid": sid, "mediaFormat": fmt}})

    def media(self, stamp: Any, size: int = 160) -> int:
        """Bytes that the caller is heard to say for one frame."""
        before = sum(map(len, self.audio))
        body = {"payload": base64.b64encode(b"\x55" * size).decode(), "timestamp": stamp}
        self.stream.received({"event": "media", "media": body})
        return sum(map(len, self.audio)) - before

    def marks(self) -> list[str]:
        return [m["mark"]["name"] for m in self.sent if m["event"] == "mark"]

    def back(self, name: Any) -> None:
        self.stream.received({"event": "mark", "mark": {"name": name}})

    def of(self, event: str) -> list[dict[str, Any]]:
        return [m for m in self.sent if m["event"] == event]


def run(test: Callable[[Far], Awaitable[None]], start: bool = True, **options: Any) -> Far:
    far = Far(**options)

    async def main() -> None:
        if start:
            far.start()
        await test(far)
        far.stream.close()

    asyncio.run(main())
    return far


def test_audio_is_cut_into_frames_with_marks_that_count_milliseconds_of_the_item() -> None:
    """TW18."""

    async def play(far: Far) -> None:
        far.stream.play("item_1", 0, bytes(1000))
        far.stream.play("item_1", 0, bytes(600))
        await until(lambda: sum(len(m["media"]["payload"]) for m in far.of("media")) > 2000)

    far = run(play)
    sizes = [len(base64.b64decode(m["media"]["payload"])) for m in far.of("media")]
    assert sizes == [160] * 10  # what was no whole frame had waited for the rest
    names = [name.split(":") for name in far.marks()]
    assert [int(ms) for _, ms, _, _ in names][-1] == 200
    assert {(item, generation) for item, _, generation, _ in names} == {("item_1", "g1")}
    assert [sequence for *_, sequence in names] == [f"m{n + 1}" for n in range(len(names))]


def test_what_is_no_whole_frame_is_sent_when_no_more_comes() -> None:
    async def play(far: Far) -> None:
        far.stream.play("item_1", 0, bytes(1000))
        assert len(far.of("media")) == 6
        await until(lambda: far.marks()[-1].startswith("item_1:125:"))

    run(play)


def test_no_more_is_sent_than_the_lead() -> None:
    async def play(far: Far) -> None:
        far.stream.play("item_1", 0, bytes(8000 * 5))
        sent = len(far.of("media")) * 20
        assert 380 <= sent <= 440, sent
        await until(lambda: len(far.of("media")) * 20 > sent + 60)

    run(play)


def test_what_is_heard_is_the_last_mark_and_what_sounds_since() -> None:
    """TI2, TI4, TI5, TI6: at most 50 ms are added to what was acknowledged, a part acknowledged
    whole is that long, and of a part behind another nothing was heard."""

    async def play(far: Far) -> None:
        far.stream.play("item_1", 0, bytes(2400))
        far.stream.play("item_2", 0, bytes(800))
        assert 0 <= far.stream.heard("item_1", 0) <= 400
        await until(lambda: far.stream.heard("item_1", 0) == 400)
        far.back(far.marks()[0])
        assert 160 <= far.stream.heard("item_1", 0) <= 560
        await until(lambda: far.stream.heard("item_1", 0) == 560)
        assert far.stream.heard("item_2", 0) == 0
        far.stream.flush()
        assert len(far.of("clear")) == 1
        assert far.of("clear")[0]["streamSid"] == "MZ1"
        assert far.stream.heard("item_1", 0) == 560
        far.stream.play("item_3", 0, bytes(161))
        for name in far.marks():
            far.back(name)
        assert far.stream.heard("item_3", 0) == 161
        # Marks that the clear gave back count for nothing.
        assert far.stream.heard("item_1", 0) == 560

    assert run(play).warnings == []


def test_a_second_flush_and_one_before_anything_was_said_send_nothing() -> None:
    """TI1, TI3."""

    async def play(far: Far) -> None:
        far.stream.flush()
        assert far.of("clear") == []
        far.stream.play("item_1", 0, bytes(1600))
        far.stream.flush()
        far.stream.flush()
        assert len(far.of("clear")) == 1

    run(play)


def test_marks_bind_to_their_item_and_part_when_interleaved() -> None:
    """TI13, TI14, TI15."""

    async def play(far: Far) -> None:
        far.stream.play("item_1", 0, bytes(160))
        far.stream.play("item_1", 1, bytes(320))
        far.stream.play("item_2", 0, bytes(480))
        _, _, second, *_, third = far.marks()
        far.back(third)
        assert far.stream.heard("item_2", 0) == 480
        far.back(second)
        assert far.stream.heard("item_1", 1) == 320
        assert far.drained == 0
        assert not far.stream.idle
        for name in far.marks():
            if name not in (second, third):
                far.back(name)
        assert far.stream.heard("item_1", 0) == 160
        assert far.drained == 1
        assert far.stream.idle

    run(play)


def test_an_unknown_mark_warns_and_an_old_one_does_not() -> None:
    """TW4, TW21: invalid marks warn only; the clear of a new stream carries its name."""

    async def play(far: Far) -> None:
        for name in ("never:100:g1:m9", None, 7, "", ["x"]):
            far.back(name)
        assert len(far.warnings) == 5
        far.stream.play("item_1", 0, bytes(1600))
        old = far.marks()
        far.stream.flush()
        for name in old:
            far.back(name)
        assert len(far.warnings) == 5
        far.start("MZ2")
        far.stream.play("item_2", 0, bytes(1600))
        far.stream.flush()
        assert far.of("clear")[-1]["streamSid"] == "MZ2"

    run(play)


def test_what_is_said_before_the_stream_begins_waits_for_it() -> None:
    async def play(far: Far) -> None:
        far.stream.play("item_1", 0, bytes(800))
        assert far.sent == []
        far.start()
        assert {m["streamSid"] for m in far.sent} == {"MZ1"}
        assert len(far.of("media")) == 5

    run(play, start=False)


def test_a_gap_in_the_time_stamps_is_silence() -> None:
    """TW5, TW8, TW9: 20 ms are 160 bytes; backward resets; the most is 10 s."""

    async def hear(far: Far) -> None:
        assert far.media("0") == 160
        assert far.media("20") == 160
        assert far.media("60") == 320
        assert far.audio[-2] == SILENCE * 160
        assert far.media("10") == 160
        assert far.media("30") == 160
        assert far.media("600000") == 160 + 80_000

    run(hear)


@pytest.mark.parametrize("stamp", [None, "", " ", "ten"])
def test_a_stamp_that_is_none_infers_nothing(stamp: Any) -> None:
    """TW7."""

    async def hear(far: Far) -> None:
        far.media("0")
        assert far.media(stamp) == 160
        assert far.media("500") == 160

    run(hear)


def test_other_formats_are_not_padded() -> None:
    """TW6."""

    async def hear(far: Far) -> None:
        far.start(fmt={**MULAW, "sampleRate": 16000})
        far.media("0")
        assert far.media("500") == 160
        far.stream.speaking(True)
        await asyncio.sleep(0.05)
        assert sum(map(len, far.audio)) == 320

    run(hear, start=False, inactivity_ms=10)


def test_a_phone_that_falls_silent_in_speech_is_heard_as_silence_once() -> None:
    """TW10, TW11, TW13: a second, once; the gap behind it is not padded again."""

    async def hear(far: Far) -> None:
        far.media("0")
        far.stream.speaking(True)
        await until(lambda: len(far.audio) == 2)
        assert far.audio[1] == SILENCE * 8000
        far.stream.speaking(True)
        await asyncio.sleep(0.06)
        assert len(far.audio) == 2
        assert far.media("1500") == 160

    run(hear, inactivity_ms=30)


def test_speech_that_stops_is_not_padded_nor_is_it_when_turned_off() -> None:
    """TW12, TW14."""

    async def hear(far: Far) -> None:
        far.media("0")
        far.stream.speaking(True)
        far.stream.speaking(False)
        await asyncio.sleep(0.08)
        assert len(far.audio) == 1

    run(hear, inactivity_ms=30)

    async def never(far: Far) -> None:
        far.media("0")
        far.stream.speaking(True)
        await asyncio.sleep(0.05)
        assert len(far.audio) == 1

    run(never, inactivity_ms=None)


@pytest.mark.parametrize("ms", [0, -1, 2**31, float("nan"), float("inf")])
def test_a_timeout_that_no_timer_holds_is_refused(ms: float) -> None:
    """TW3."""
    with pytest.raises(ValueError, match="2147483647"):
        Far(inactivity_ms=ms)


def test_a_new_start_forgets_stamps_and_speech() -> None:
    """TW16."""

    async def hear(far: Far) -> None:
        far.media("0")
        far.stream.speaking(True)
        far.start("MZ2")
        assert far.media("5000") == 160
        await asyncio.sleep(0.06)
        assert sum(map(len, far.audio)) == 320

    run(hear, inactivity_ms=30)


def test_anything_at_all_is_no_reason_to_fall() -> None:
    async def hear(far: Far) -> None:
        for message in (
            {},
            {"event": 5},
            {"event": "media"},
            {"event": "media", "media": {"payload": "%%%"}},
            {"event": "media", "media": {"payload": 7}},
            {"event": "start", "start": None},
            {"event": "mark"},
            {"event": "dtmf", "dtmf": {"digit": 4}},
            {"event": "unheard of", "unheard of": []},
        ):
            far.stream.received(message)

    far = run(hear)
    assert far.digits == []
