"""The two views: what they write, on narrow and on plain screens, with typing and without."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from support.command import environment
from support.until import until_sync

from runner.cli import reports
from runner.cli.keyboard import Editor
from runner.cli.plain import PlainView
from runner.cli.view import LiveView, _tail
from runner.core import events as e
from runner.model.deployment import Change

CHANGE = (Change("agents.desk.instructions", "next"),)
DEMO = Path(__file__).parents[1] / "support" / "view_demo.py"


def play(view: LiveView | PlainView) -> None:
    view.report(reports.Ready({}, "local", "shop"))
    view.report(reports.SessionStart("c", "desk"))
    for event in (
        e.Transcript("user", "u1", "Hours? [red]\x1b[31m"),
        e.TranscriptDelta("assistant", "a1", "We are open "),
        e.Transcript("assistant", "a1", "We are open from nine to five."),
        e.TurnEnd("r1", 420.0, 900.0),
        e.ToolStart("desk", "find", "c1", '{"day": "[bold]"}'),
        e.ToolEnd("desk", "find", "c1", "ok"),
    ):
        view.handle("c", event)
    view.report(reports.ConfigApplied(1, CHANGE, 1, 0, 1, 38.0))
    view.handle("c", e.GuardrailTripped("desk", "no-advice", "output", "a1", "r1"))
    view.report(reports.Warn("no microphone"))
    view.prompt()
    view.report(reports.SessionEnd("c", "stopped"))
    view.close()
    view.close()


def live(width: int = 80, **options: object) -> str:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=width, height=24, markup=False, emoji=False,
        highlight=False, **options,  # type: ignore[arg-type]
    )  # fmt: skip
    play(LiveView(console))
    return out.getvalue()


@pytest.mark.quick
def test_plain_lines() -> None:
    out, err = io.StringIO(), io.StringIO()
    play(PlainView(out, err))
    assert out.getvalue().splitlines()[:7] == [
        "rtrun:   shop is ready (engine: local)",
        "caller:  Hours? [red]",
        "agent:   We are open from nine to five.",
        "         0.42 s to the first sound",
        'tool:    find(day="[bold]")',
        "         → ok",
        "saved:   applied in 38 ms: agents.desk.instructions from the next answer",
    ]
    assert out.getvalue().splitlines()[7] == "guardrail: no-advice, the answer was cut"
    assert len(out.getvalue().splitlines()) == 12
    assert err.getvalue() == "rtrun: no microphone\n"


@pytest.mark.quick
def test_plain_lines_in_a_poor_encoding_and_without_a_reader() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    play(PlainView(out, io.StringIO()))
    assert b"? ok" in raw.getvalue()
    out.detach().close()
    play(PlainView(out, io.StringIO()))


@pytest.mark.quick
def test_the_live_view_tells_the_same_and_leaves_no_markup_or_escapes_of_others() -> None:
    shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", live())
    for text in (
        "shop is ready",
        "caller  Hours? [red]",
        "agent   We are open from nine to five.  0.42 s to the first sound",
        'find(day="[bold]")',
        "saved   applied in 38 ms: agents.desk.instructions from the next answer",
        "guardrail no-advice, the answer was cut",
        "note    no microphone",
        "median 0.42 s",
    ):
        assert text in shown
    assert "\x1b[31mHours" not in live()


@pytest.mark.quick
def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search("\x1b\\[(?:[0-9;]*;)?3[0-7]m", live(color_system="standard"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search("\x1b\\[(?:[0-9;]*;)?3[0-7]m", live(color_system="standard"))


@pytest.mark.quick
@pytest.mark.parametrize("width", [20, 34, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", live(width))
    assert max(len(line) for line in re.split("[\r\n]", shown)) <= width


@pytest.mark.quick
def test_the_tail_of_a_long_text() -> None:
    assert _tail("short", 10) == "short"
    assert _tail("0123456789abc", 10) == "…456789abc" or len(_tail("0123456789abc", 10)) <= 10
    assert len(_tail("猫" * 50, 10)) <= 6


@pytest.mark.quick
@pytest.mark.parametrize("width", [40, 80])
def test_a_link_is_broken_by_the_terminal_alone(width: int) -> None:
    out = io.StringIO()
    view = LiveView(Console(file=out, force_terminal=True, width=width, markup=False))
    url = "http://127.0.0.1:7787/console?token=gjU8mAt80FKb1aKIRV7Gy8IixqhVfp4s"
    view.report(reports.Ready({}, "local", "shop"))
    view.report(reports.Warn(f"console: {url}"))
    view.close()
    shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert url in shown
    assert "note    console:" in shown


# -- typing --------------------------------------------------------------------------------------
@pytest.mark.quick
@pytest.mark.parametrize(
    ("keys", "lines", "left"),
    [
        ("hello\r", ["hello"], ""),
        ("one\ntwo\nthr", ["one", "two"], "thr"),
        ("helpp\x7f\x08p me", [], "help me"),
        ("all gone\x15new", [], "new"),
        ("two words\x17", [], "two "),
        ("a\x1b[D\x1b[1;5Cb\x1bOPc\x1bxd", [], "abcd"),
        ("first\rsecond\r\x1b[A\x1b[A\r", ["first", "second", "first"], ""),
        ("first\r\x1b[A\x1b[B", ["first"], ""),
        ("\x1b[A", [], ""),
        ("tab\there\x00\x07", [], "tab here"),
        ("text\x04more", [], "textmore"),
        ("grüße 猫\r", ["grüße 猫"], ""),
    ],
)
def test_the_line_editor(keys: str, lines: list[str], left: str) -> None:
    editor = Editor()
    assert editor.feed(keys) == lines
    assert editor.text == left
    assert not editor.ended


@pytest.mark.quick
def test_keys_may_come_in_pieces_and_end_with_ctrl_d() -> None:
    editor = Editor()
    for key in "hi\x1b[1;5D!":
        assert editor.feed(key) == []
    assert editor.text == "hi!"
    assert editor.feed("\r\x04later") == ["hi!"]
    assert editor.ended


class Terminal:
    """A real terminal: tmux on a server of its own."""

    def __init__(self, width: int, height: int, *demo: str) -> None:
        self._server = f"rtrun-{uuid.uuid4().hex[:8]}"
        command = [sys.executable, str(DEMO), *demo]
        self.tmux(
            "new-session", "-d", "-x", str(width), "-y", str(height),
            " ".join(command) + "; echo exit $?; stty -a | grep -o ' -*icanon'; cat",
        )  # fmt: skip

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ("tmux", "-L", self._server, "-f", "/dev/null", *arguments),
            env=environment(TERM="xterm-256color", LANG="C.UTF-8", LC_ALL="C.UTF-8"),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def screen(self) -> list[str]:
        return [line.rstrip() for line in self.tmux("capture-pane", "-p", "-S", "-").splitlines()]

    def shows(self, text: str) -> bool:
        return any(text in line for line in self.screen())

    def wait_for(self, text: str) -> list[str]:
        try:
            until_sync(lambda: self.shows(text), 20.0)
        except TimeoutError:
            raise AssertionError(f"no {text!r} in\n" + "\n".join(self.screen())) from None
        return [line for line in self.screen() if line]

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)


@pytest.fixture
def terminal() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for one in opened:
        one.tmux("kill-server")


@pytest.mark.parametrize("size", [(80, 24), (34, 12)])
def test_a_call_at_a_terminal_leaves_one_clean_story(
    size: tuple[int, int], terminal: list[Terminal]
) -> None:
    terminal.append(Terminal(*size, "talk"))
    shown = terminal[0].wait_for("exit 0")
    text = " ".join(" ".join(line.split()) for line in shown)
    said = "We are open from eight to five, Monday to Friday, and on Saturday until noon."
    assert text.count(said) == 1
    assert text.count("Can I come on Tuesday?") == 1
    assert "I have nine, or half cut after 1.2 s, 0.51 s" in text
    for passing in ("listening", "agent speaks", "half past ten", "What are your I"):
        assert passing not in text, "the lower part is gone at the end"
    assert "call 0:0" in text
    assert "median 0.47 s" in text


def test_typing_while_news_come_in(terminal: list[Terminal]) -> None:
    terminal.append(Terminal(60, 14, "type", "noise"))
    pane = terminal[0]
    pane.wait_for(">")
    pane.type("hello wörld")
    assert pane.wait_for("> hello wörld")[-1] == "> hello wörld"
    pane.press("BSpace", "BSpace", "Enter")
    pane.wait_for("You said: hello wör")
    pane.type("second")
    lines = pane.wait_for("> second")
    assert sum(line.startswith("> ") for line in lines) == 1, "no half-typed line is left behind"
    assert all(
        line.startswith(("saved", "  ", "caller", "agent", "rtrun", "○", ">")) for line in lines
    )
    pane.press("C-u", "C-d")
    lines = pane.wait_for("exit 0")
    assert not any(line.startswith(">") for line in lines)
    assert pane.wait_for("icanon")[-1].strip() == "icanon", "the terminal is as it was"


def test_a_crash_gives_the_terminal_back(terminal: list[Terminal]) -> None:
    terminal.append(Terminal(80, 24, "crash"))
    terminal[0].wait_for("RuntimeError: a crash")
    assert terminal[0].wait_for("icanon")[-1].strip() == "icanon"
    terminal[0].type("seen")
    terminal[0].wait_for("seen")
