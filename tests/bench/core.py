"""What one event costs in the core, in microseconds: ``python tests/bench/core.py``.

The cost must not grow with the length of the call, so it is measured early and late.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.playbook import Playbook, item, message, spoken_delta, user_text  # noqa: E402

ROUNDS = 100_000


def per_call(play: Playbook, response: str, name: str) -> tuple[float, float]:
    """``(a transcript delta, a chunk of audio)`` of one answer."""
    receive, audio_out = play.core.receive, play.core.audio_out
    delta = spoken_delta(response, name, "word ")
    start = perf_counter()
    for _ in range(ROUNDS):
        receive(delta, 1.0)
    text = perf_counter() - start
    start = perf_counter()
    for _ in range(ROUNDS):
        audio_out(response, name, 0, 960, 1.0)
    return text / ROUNDS * 1e6, (perf_counter() - start) / ROUNDS * 1e6


def main() -> None:
    play = Playbook().open()
    for turns in (1, 2000):
        for n in range(turns):
            name = f"u{turns}_{n}"
            play >> item("added", user_text(name, "hello"))
        response, name = f"r{turns}", f"a{turns}"
        play.begin(response, ours=False)
        play >> item("added", message(name))
        text, audio = per_call(play, response, name)
        print(f"{len(play.core.history):5} items: delta {text:.2f} us, audio {audio:.2f} us")


if __name__ == "__main__":
    main()
