"""What echo cancelling does to an agent's echo and to a caller who speaks into it.

    PYTHONPATH=.:tests python tests/bench/echo.py [--answers 20] [--scenes 10]

Offline: answers of the engine's voice go through a simulated room (support.room: 80 ms of devices,
10 ms of way, a tail of 250 ms, a soft clip) into the microphone, a caller (flite) is 18.8 or 6.8 dB
over the echo, and the engine's own voice detector listens to what is left. A false start is a
SpeechStarted in an answer that nobody spoke into. ``early``: the caller speaks into the very first
words, before the canceller knows the room; false starts are those of the answer after it. Needs
the engine's models and flite.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from support.room import RATE, Room
from support.speech import flite

from runner.engine.hearing.turns import SpeechStarted, TurnConfig, TurnDetector
from runner.engine.hearing.vad import FRAME_BYTES, silero
from runner.engine.speaking.tts import HibariVoice
from runner.media.echo import AHEAD_MS, EchoCanceller
from runner.media.reference import Reference
from runner.media.resample import resample

BLOCK = RATE // 50
#: Each device keeps the sound for so long.
LATENCY = 2 * BLOCK
CALLER_RMS = 3000.0
PAUSE = np.zeros(int(0.7 * RATE))
#: The agent is cut so long after the caller began.
CUT_SECONDS = 0.45

ANSWERS = (
    "A repair costs forty dollars, and takes two days.",
    "We are open from nine to five, Monday to Friday.",
    "You can park your car behind the building.",
    "Your appointment is on Tuesday at half past ten.",
    "I have sent the invoice to your address again.",
    "The bus stops right in front of our door.",
)
BARGE_INS = (
    "Wait, please stop a moment.",
    "No, that is not what I asked.",
    "Hold on, can I ask you something else?",
    "Sorry, what about Saturday?",
    "Okay, thank you, that is enough.",
)
Clean = Callable[[bytes, float], bytes]


class WithNoiseSuppression(EchoCanceller):
    def __init__(self, reference: Reference) -> None:
        super().__init__(reference)
        from livekit.rtc.apm import AudioProcessingModule

        self._apm = AudioProcessingModule(
            echo_cancellation=True, high_pass_filter=True, noise_suppression=True
        )
        self._apm.set_stream_delay_ms(AHEAD_MS)


def nothing(reference: Reference) -> Clean:
    return lambda pcm16, at: pcm16


WAYS: dict[str, Callable[[Reference], Clean]] = {
    "nothing": nothing,
    "AEC3": lambda reference: EchoCanceller(reference).clean,
    "AEC3 and noise suppression": lambda reference: WithNoiseSuppression(reference).clean,
}


@dataclass
class Found:
    """``erle`` in dB a scene, ``onsets`` in ms."""

    erle: list[float] = field(default_factory=list)
    answers: int = 0
    false_starts: int = 0
    early: int = 0
    early_false: int = 0
    onsets: list[float] = field(default_factory=list)
    missed: int = 0
    cpu: list[float] = field(default_factory=list)


def scaled(pcm24k: bytes, rms: float) -> np.ndarray:
    sound = np.frombuffer(resample(pcm24k, 24_000, RATE), "<i2").astype(float)
    return np.asarray(sound * rms / active(sound))


def active(sound: np.ndarray) -> float:
    """RMS of the parts that are not silence."""
    power = (sound[: len(sound) // BLOCK * BLOCK].astype(float).reshape(-1, BLOCK) ** 2).mean(1)
    return float(np.sqrt(power[power > power.max() / 1000].mean()))


def through(way: Callable[[Reference], Clean], played: np.ndarray, heard: np.ndarray) -> np.ndarray:
    reference = Reference()
    clean = way(reference)
    out = [bytes(2 * LATENCY)]
    for at in range(0, len(played) - BLOCK, BLOCK):
        reference.write(played[at : at + BLOCK].astype(np.int16), (at + LATENCY) / RATE)
        if at >= LATENCY:
            near = heard[at - LATENCY : at - LATENCY + BLOCK]
            near = np.clip(np.rint(near), -32768, 32767).astype("<i2")
            out.append(clean(near.tobytes(), at / RATE))
    return np.frombuffer(b"".join(out)[2 * LATENCY :], "<i2")


def starts(sound: np.ndarray) -> list[float]:
    """Seconds at which the engine hears a caller begin."""
    pcm = resample(sound.astype("<i2").tobytes(), RATE, 16_000)
    vad, detector, found = silero(), TurnDetector(TurnConfig()), []
    for number, at in enumerate(range(0, len(pcm) - FRAME_BYTES, FRAME_BYTES)):
        told = detector.frame(vad(pcm[at : at + FRAME_BYTES]))
        found += [(number + 1) * 0.032 for event in told if isinstance(event, SpeechStarted)]
    return found


def undisturbed(way: str, voice: list[np.ndarray], level: float, count: int, into: Found) -> None:
    played = np.concatenate([p for n in range(count) for p in (voice[n % len(voice)], PAUSE)])
    heard = Room(level).whole(played).astype(float)
    began = time.process_time()
    left = through(WAYS[way], played, heard)
    into.cpu.append((time.process_time() - began) / (len(left) / RATE) * 1000)
    echo = heard[: len(left)]
    into.erle.append(10 * np.log10((echo**2).mean() / ((left.astype(float) ** 2).mean() + 1e-3)))
    into.answers += count
    into.false_starts += len(starts(left))


def barged(
    way: str, voice: list[np.ndarray], caller: np.ndarray, level: float, at: float, into: Found
) -> None:
    """``at``: seconds into an answer; 0.7 stands for the very first words of a call."""
    early = at < 1
    before = [] if early else [voice[0], PAUSE, voice[1], PAUSE]
    lead = sum(map(len, before))
    begins = lead + int(at * RATE)
    cut = voice[2][: int((at + CUT_SECONDS) * RATE)]
    ends = begins + len(caller) - lead - len(cut)
    rest = [np.zeros(max(0, ends)), PAUSE, voice[3], PAUSE]
    played = np.concatenate([*before, cut, *rest])
    heard = Room(level).whole(played).astype(float)
    heard[begins : begins + len(caller)] += caller
    found = starts(through(WAYS[way], played, heard))
    seconds = [second - begins / RATE for second in found]
    speaking = [s for s in seconds if 0 <= s <= len(caller) / RATE + 0.1]
    if early:
        into.early += 1
        into.early_false += len([s for s in seconds if s > len(caller) / RATE + 0.5])
    elif speaking:
        into.onsets.append(speaking[0] * 1000)
    else:
        into.missed += 1


async def voices() -> list[np.ndarray]:
    voice = HibariVoice()
    voice.load()
    spoken = []
    for text in ANSWERS:
        pcm = b"".join([part.pcm24k async for part in voice.say(text, "marin", 1.0)])
        spoken.append(np.frombuffer(resample(pcm, 24_000, RATE), "<i2").astype(float))
    voice.close()
    return spoken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=20)
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    given = parser.parse_args()
    agent = asyncio.run(voices())
    callers = [
        scaled(flite(text, name), CALLER_RMS) for text in BARGE_INS for name in ("slt", "rms")
    ]
    loud = active(np.concatenate(agent))
    print("| | caller over echo | ERLE | false starts | after an early barge-in "
          "| barge-ins heard | onset p50 (max) | CPU |\n" + "| --- " * 8 + "|")  # fmt: skip
    for way in given.ways:
        for over in (18.8, 6.8):
            level = 20 * np.log10(CALLER_RMS / loud) - over
            found = Found()
            undisturbed(way, agent, level, given.answers, found)
            for n in range(given.scenes):
                caller = callers[n % len(callers)]
                turned = agent[n % len(agent) :] + agent[: n % len(agent)]
                barged(way, turned, caller, level, 1.2, found)
                barged(way, turned, caller, level, 0.7, found)
            onset = "-"
            if found.onsets:
                middle, worst = statistics.median(found.onsets), max(found.onsets)
                onset = f"{middle:.0f} ({worst:.0f}) ms"
            heard = len(found.onsets)
            print(
                f"| {way} | {over} dB | {statistics.mean(found.erle):.0f} dB "
                f"| {found.false_starts} in {found.answers} | {found.early_false} in {found.early} "
                f"| {heard} of {heard + found.missed} | {onset} "
                f"| {statistics.mean(found.cpu):.0f} ms/s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
