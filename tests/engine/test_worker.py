from __future__ import annotations

import os
import threading

from support.models import local_models

from runner.engine.worker import NICE, worker


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def beside() -> list[int]:
    """Of a thread, and of one that it starts."""
    found = [niceness()]
    started = threading.Thread(target=lambda: found.append(niceness()))
    started.start()
    started.join()
    return found


def test_a_model_and_what_it_starts_stand_behind_the_loop() -> None:
    mine = niceness()
    with worker("test") as threads:
        assert threads.submit(beside).result() == [min(19, mine + NICE)] * 2
    assert niceness() == mine


def test_the_models_have_such_threads() -> None:
    models, mine = local_models(), niceness()
    for model in (models.ears, models.voice):
        assert model._thread.submit(niceness).result() > mine
