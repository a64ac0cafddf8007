"""The microphone's line at a terminal: what it shows, and what its keys do."""

from __future__ import annotations

import asyncio
import io
import os
import pty

import numpy as np
import pytest
from rich.console import Console
from support.until import until

from runner.cli.keyboard import Keyboard
from runner.cli.panel import Panel
from runner.cli.view import LiveView
from runner.media.level import Needle, loudness

pytestmark = pytest.mark.quick


def pressed() -> tuple[Panel, list[str]]:
    done: list[str] = []
    panel = Panel(press=lambda: done.append("press"), mute=lambda: done.append("mute"))
    return panel, done


def test_keys_do_what_the_line_says() -> None:
    panel, done = pressed()
    for key in " \rmMx\x1b":
        panel.key(key)
    assert done == ["mute", "mute"], "space does nothing where turns are detected"
    panel.push_to_talk = True
    for key in " \r\n":
        panel.key(key)
    assert done[2:] == ["press"] * 3


@pytest.mark.parametrize(
    ("given", "state", "keys"),
    [
        ({}, "open", "m mutes"),
        ({"closed": True}, "closed", "m mutes"),
        ({"muted": True}, "muted", "m unmutes"),
        ({"push_to_talk": True}, "waits", "space to talk · m mutes"),
        ({"push_to_talk": True, "talking": True}, "you speak", "space ends your turn · m mutes"),
        ({"push_to_talk": True, "closed": True}, "waits", "space to talk · m mutes"),
    ],
)
def test_what_the_line_says(given: dict[str, bool], state: str, keys: str) -> None:
    panel, _ = pressed()
    for name, value in given.items():
        setattr(panel, name, value)
    assert (panel.state, panel.keys) == (state, keys)


@pytest.mark.parametrize(("encoding", "lit"), [("utf-8", "▮▮▮▮▮▯▯▯▯▯"), ("ascii", "#####.....")])
def test_levels_stand_at_the_bottom(encoding: str, lit: str) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None)
    view = LiveView(console, keyboard=lambda changed, resumed: None)
    panel, _ = pressed()
    panel.heard, panel.played, panel.muted = (lambda: 0.5), (lambda: 0.0), True
    assert view.attend(panel) is False, "there are no keys here"
    console.print(view._below())
    out.flush()
    shown = raw.getvalue().decode(encoding)
    assert f"mic {lit}" in shown
    assert "muted" in shown
    assert "unmutes" not in shown, "a key that is not read is not offered"
    view.close()


def test_keys_of_a_terminal_reach_the_panel_and_not_the_line() -> None:
    async def main() -> None:
        master, slave = pty.openpty()
        keyboard = Keyboard(slave, lambda: None, lambda: None)
        keys: list[str] = []
        try:
            keyboard.on_key = keys.append
            os.write(master, b"m \x1b[A")  # the cursor key is none of ours
            await until(lambda: len(keys) == 2)
            assert keys == ["m", " "]
            assert keyboard.text == ""
            keyboard.on_key = None
            os.write(master, b"x")
            await until(lambda: keyboard.text == "x")
            assert len(keys) == 2
        finally:
            keyboard.close()
            os.close(master)
            os.close(slave)

    asyncio.run(main())


def test_the_needle_rises_at_once_and_falls_slowly() -> None:
    needle = Needle()
    assert needle.show(0.8, 10.0) == 0.8
    assert needle.show(0.0, 10.1) == pytest.approx(0.68)
    assert needle.show(0.9, 10.2) == 0.9
    assert needle.show(0.0, 30.0) == 0.0


def test_loudness_is_linear_in_decibels() -> None:
    wave = np.sin(2 * np.pi * 440 * np.arange(4800) / 48_000)
    levels = [loudness((wave * peak).astype(np.int16)) for peak in (32, 320, 3200, 32000)]
    assert levels == sorted(levels)
    assert levels[2] - levels[1] == pytest.approx(20 / 54, abs=0.01)
    assert levels[-1] == 1.0
    assert loudness(np.zeros(480, np.int16)) == 0.0
    assert loudness(np.zeros(0, np.int16)) == 0.0
