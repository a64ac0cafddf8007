"""The echo goes, the caller stays: a caller and an agent in a simulated room."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from support.room import RATE, Room
from support.speech import flite

from runner.errors import DeviceError
from runner.media.echo import EchoCanceller
from runner.media.reference import Reference
from runner.media.resample import resample

BLOCK = RATE // 50
#: How long each device keeps the sound.
LATENCY = 3 * BLOCK


@pytest.fixture(scope="module")
def agent() -> np.ndarray:
    text = "We are open from nine to five, Monday to Friday, and on Saturday until noon."
    return np.pad(loud(flite(text, "rms")), (RATE, RATE))


@pytest.fixture(scope="module")
def caller() -> np.ndarray:
    return loud(flite("Wait, please stop a moment."))


def loud(pcm: bytes, rms: float = 3000.0) -> np.ndarray:
    sound = np.frombuffer(resample(pcm, 24_000, RATE), "<i2").astype(float)
    return np.asarray(sound * rms / np.sqrt((sound**2).mean()))


def cleaned(heard: np.ndarray, played: np.ndarray, *, error: float = 0.0) -> np.ndarray:
    """``heard`` with the echo of ``played`` taken out, block by block as the devices bring them;
    the speaker says its latency too long by ``error`` seconds."""
    reference = Reference()
    canceller = EchoCanceller(reference)
    out = []
    for at in range(0, len(played) - BLOCK, BLOCK):
        block = played[at : at + BLOCK].astype(np.int16)
        reference.write(block, (at + LATENCY) / RATE + error)
        if at >= LATENCY:
            near = heard[at - LATENCY : at - LATENCY + BLOCK].astype("<i2")
            out.append(canceller.clean(near.tobytes(), at / RATE))
    return np.frombuffer(b"".join(out), "<i2").astype(float)


def db(sound: np.ndarray) -> float:
    return float(10 * np.log10((sound.astype(float) ** 2).mean() + 1e-9))


@pytest.mark.parametrize(
    ("gain_db", "error"), [(-18.8, 0.0), (-6.8, 0.0), (-6.8, 0.02), (-6.8, -0.1)]
)
def test_the_echo_goes(gain_db: float, error: float, agent: np.ndarray) -> None:
    played = np.concatenate((agent, agent))
    heard = Room(gain_db).whole(played)
    left = cleaned(heard, played, error=error)
    assert db(heard[: len(left)]) - db(left) > 20
    second = slice(len(agent), len(left))
    assert db(heard[second]) - db(left[second]) > 24


def test_the_caller_is_heard_over_the_agent(agent: np.ndarray, caller: np.ndarray) -> None:
    played = np.concatenate((agent, agent))
    heard = Room(-6.8).whole(played).astype(float)
    begins = len(agent) + 2 * RATE
    heard[begins : begins + len(caller)] += caller
    left = cleaned(heard, played)
    speaking = left[begins : begins + len(caller)]
    before = left[begins - RATE : begins]
    assert db(speaking) - db(before) > 20


def test_a_caller_alone_is_as_loud_as_before(caller: np.ndarray) -> None:
    heard = np.pad(np.tile(caller, 3), RATE)
    left = cleaned(heard, np.zeros(len(heard)))
    assert abs(db(left) - db(heard[: len(left)])) < 1


def test_nothing_passes_for_a_caller_while_the_echo_is_looked_for_anew(agent: np.ndarray) -> None:
    """In the middle of an answer the echo begins to come 100 ms later than the devices' times say,
    as when one of them had stood still."""
    played = np.concatenate((agent, agent))
    heard = Room(-6.8).whole(played).astype(float)
    latency = RATE // 5
    shifted = len(agent) + 2 * RATE - latency
    reference = Reference()
    canceller = EchoCanceller(reference)
    left = []
    for at in range(latency, len(played) - BLOCK, BLOCK):
        reference.write(played[at : at + BLOCK].astype(np.int16), at / RATE)
        near = heard[at - latency : at - latency + BLOCK].astype("<i2").tobytes()
        told = at - latency + (RATE // 10 if at - latency >= shifted else 0)
        left.append(canceller.clean(near, told / RATE))
    sound = np.frombuffer(b"".join(left), "<i2")
    assert reference.jumps == 1
    begin = shifted + RATE // 50
    assert not sound[begin : begin + RATE // 2].any()
    assert db(heard[begin : len(sound)]) - db(sound[begin:]) > 20


def test_a_machine_without_the_library_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "livekit"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "livekit.py").write_text("raise ImportError('no such package')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DeviceError) as caught:
        EchoCanceller(Reference())
    assert "rtrun[mic]" in caught.value.hint
