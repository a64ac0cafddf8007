"""What a person sees of a run: a calm live view at a terminal, plain lines elsewhere.

The live view has two parts. What has been said and done scrolls as ordinary lines, which stay
when the run is over. Below them stand, redrawn in place, what is being said now, who is speaking,
and the line being typed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from runner.cli import reports, words
from runner.cli.jsonlog import discard
from runner.cli.keyboard import Keyboard, open_keyboard
from runner.cli.panel import Panel
from runner.cli.story import Kind, Line, Status, Story
from runner.core.events import SessionEvent

_LABEL = 7
#: Seconds between two redraws: deltas come faster than anybody reads.
_REDRAW = 0.08
#: The same while levels are shown: calm to the eye, and a syllable still moves them.
_NEEDLES = 0.125
_NEEDLE_CELLS = 10
#: Rows of what is being said now that stay in sight.
_ROWS = 3

_STYLES: dict[Kind, tuple[str, str]] = {
    "head": ("bold", "bold"),
    "caller": ("cyan", ""),
    "agent": ("green", ""),
    "tool": ("dim", "dim"),
    "saved": ("magenta", ""),
    "bad": ("bold red", "red"),
    "note": ("yellow", ""),
    "quiet": ("", "dim"),
}
_LAMPS: dict[Status, tuple[str, str, str]] = {
    "starting": ("○", "o", "dim"),
    "listening": ("○", "o", ""),
    "caller speaks": ("●", "*", "cyan"),
    "thinking": ("◌", ".", "yellow"),
    "agent speaks": ("●", "*", "green"),
    "no line": ("○", "!", "red"),
    "ended": ("○", "o", "dim"),
}


class PlainView:
    """One line a happening on ``out``, warnings on ``err``; for files, pipes and dumb terminals.
    With ``several`` deployments each line begins with the name of its own."""

    def __init__(
        self,
        out: TextIO | None = None,
        err: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        several: bool = False,
    ) -> None:
        self._several = several
        self._name = ""
        self._clock = clock
        self._parts: dict[str, PlainView] = {}
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._story = Story(clock=clock)
        self._reader_gone = False
        self._closed = False

    def of(self, deployment: str) -> PlainView:
        """The part of one deployment, which tells its own summary."""
        if not self._several:
            return self
        if deployment not in self._parts:
            self._parts[deployment] = part = PlainView(self._out, self._err, self._clock)
            part._name = words.clean(deployment)
        return self._parts[deployment]

    def handle(self, session_id: str, event: SessionEvent) -> None:
        self._print(self._story.handle(event))

    def report(self, report: reports.Report) -> None:
        lines = self._story.report(report)
        if isinstance(report, reports.Warn):
            name = f" {self._name}:" if self._name else ""
            print(f"rtrun:{name} {report.message}", file=self._err, flush=True)
        else:
            self._print(lines)

    def prompt(self) -> None:
        """A pipe is not asked; its lines come when they come."""

    def lines(self) -> AsyncIterator[str] | None:
        """None: standard input is read line by line."""
        return None

    def attend(self, panel: Panel) -> bool:
        """False: there are no keys here."""
        return False

    def close(self) -> None:
        """The summary. Idempotent."""
        if not self._closed:
            self._closed = True
            summary = self._story.tally.lines()
            for what, much in summary:
                self._put(f"{what + ':':14}{much}\n")
            for part in self._parts.values():
                part.close()

    def _print(self, lines: list[Line]) -> None:
        for line in lines:
            label = f"{line.label}:" if line.label else ""
            aside = f" ({line.aside})" if line.aside and line.text else line.aside
            self._put(f"{label:{_LABEL + 1}} {line.text}{aside}".rstrip() + "\n")
            for row in line.below:
                self._put(f"  {row}\n")

    def _put(self, text: str) -> None:
        if self._reader_gone or not text:
            return
        if self._name:
            text = f"{self._name + ':':14} {text}"
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        try:
            self._out.write(text.encode(encoding, "replace").decode(encoding))
            self._out.flush()
        except (OSError, ValueError):
            self._reader_gone = True
            discard(self._out)


class LiveView:
    """The view of a terminal. ``keyboard`` opens what typed turns come from; tests leave it out."""

    def __init__(
        self,
        console: Console | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        keyboard: Callable[[Callable[[], None], Callable[[], None]], Keyboard | None] = (
            open_keyboard
        ),
    ) -> None:
        self._console = console or Console(highlight=False, emoji=False, markup=False)
        self._story = Story(hold=True, clock=clock)
        self._open_keyboard = keyboard
        self._keyboard: Keyboard | None = None
        self._panel: Panel | None = None
        self._live: Live | None = None
        self._asking = False
        self._gone = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    def of(self, deployment: str) -> LiveView:
        """A live view shows one deployment."""
        return self

    def handle(self, session_id: str, event: SessionEvent) -> None:
        self._show(self._story.handle(event))

    def report(self, report: reports.Report) -> None:
        if isinstance(report, reports.Ready):
            self._start()
        self._show(self._story.report(report))

    def prompt(self) -> None:
        """A typed turn is awaited: from now on the line being typed stands at the bottom."""
        self._asking = True
        self._show([])

    def lines(self) -> AsyncIterator[str] | None:
        """Typed turns, or None where the terminal cannot be read key by key."""
        return None if self._keyboard is None else self._keyboard.lines()

    def attend(self, panel: Panel) -> bool:
        """Levels and keys of the microphone stand at the bottom from now on."""
        self._panel = panel
        if self._keyboard is not None:
            self._keyboard.on_key = panel.key
        self._changed()
        return self._keyboard is not None

    def close(self) -> None:
        """Take the lower part away, give the terminal back, tell the summary. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            if self._live is not None:
                self._live.stop()
        except OSError:
            self._gone = True
        if self._keyboard is not None:
            self._keyboard.close()
        summary = Table.grid(padding=(0, 2))
        for what, much in self._story.tally.lines():
            summary.add_row(Text(what, "dim"), Text(much))
        if summary.row_count:
            self._put(Text(""), summary)

    # -- drawing -------------------------------------------------------------------------------
    def _start(self) -> None:
        if self._live is not None or self._closed:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass  # nobody types where no loop runs
        else:
            self._keyboard = self._open_keyboard(self._changed, self._redraw)
        self._live = Live(
            _Newest(self._below),
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
        )
        try:
            self._live.start()
        except OSError:
            self._gone = True

    def _show(self, lines: list[Line]) -> None:
        if lines:
            self._put(*(self._render(line) for line in lines))
        self._changed()

    def _put(self, *what: RenderableType) -> None:
        if self._gone:
            return
        try:
            if what:
                self._console.print(*what, sep="\n")
        except OSError:  # the terminal was closed; the call may go on
            self._gone = True

    def _changed(self) -> None:
        """Redraw the lower part soon, many changes at once."""
        if self._live is None or self._closed or self._timer_soon():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._redraw()
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(_REDRAW, self._redraw)

    def _timer_soon(self) -> bool:
        if self._timer is None or self._timer.cancelled():
            return False
        left = self._timer.when() - asyncio.get_running_loop().time()
        return 0 < left <= _REDRAW

    def _redraw(self) -> None:
        if self._live is None or self._closed or self._gone:
            return
        try:
            self._live.refresh()
        except OSError:
            self._gone = True
            return
        try:
            # For the clock, or the needles.
            pause = 1.0 if self._panel is None else _NEEDLES
            self._timer = asyncio.get_running_loop().call_later(pause, self._redraw)
        except RuntimeError:
            self._timer = None

    def _render(self, line: Line) -> RenderableType:
        label_style, style = _STYLES[line.kind]
        text = Text(line.text, style)
        if line.aside:
            text.append(f"  {line.aside}" if line.text else line.aside, "dim")
        below = []
        for words_below in line.below:
            # What is indented already is a line of the file, or its caret: it must not wrap.
            source = words_below.startswith(" ")
            text_below = Text(words_below, "" if source else style or "dim", no_wrap=source)
            below.append(Padding(text_below, (0, 0, 0, 2)))
        row: RenderableType = _beside(Text(line.label, label_style), text)
        return Group(row, *below) if below else row

    def _below(self) -> Group:
        width = max(20, self._console.width)
        parts: list[RenderableType] = []
        for line in self._story.growing:
            tail = _tail(line.text, _ROWS * (width - _LABEL - 2))
            parts.append(_beside(Text(line.label, _STYLES[line.kind][0]), Text(tail, "italic")))
        parts.append(self._status())
        if self._panel is not None:
            parts.append(self._microphone(self._panel))
        if self._asking and self._keyboard is not None:
            typed = Text("> ", "bold")
            typed.append(_tail(self._keyboard.text, width - 4), "not bold")
            typed.append(" ", "reverse")
            parts.append(typed)
        return Group(*parts)

    def _status(self) -> Text:
        story = self._story
        lamp, plain, style = _LAMPS[story.status]
        ascii_only = self._console.options.ascii_only
        facts = [words.clean(story.agent)] if story.agent else []
        if story.tally.began is not None:
            facts.append(words.duration(story.tally.seconds))
        if story.tally.turns:
            facts.append(words.count(story.tally.turns, "turn"))
        status = Text(no_wrap=True, overflow="ellipsis" if not ascii_only else "crop")
        status.append(f"{plain if ascii_only else lamp} {story.status:<14}", style)
        status.append(("  " if ascii_only else " · ").join(facts), "dim")
        return status

    def _microphone(self, panel: Panel) -> Text:
        ascii_only = self._console.options.ascii_only
        row = Text(no_wrap=True, overflow="ellipsis" if not ascii_only else "crop")
        style = "cyan" if panel.state in ("open", "you speak") else "dim"
        for name, level, colour in (
            ("mic", panel.heard(), style), ("agent", panel.played(), "green"),
        ):  # fmt: skip
            row.append(f"{name} ", "dim")
            row.append(_needle(level, ascii_only), colour)
            row.append("  ")
        bad = panel.muted
        row.append(f"{panel.state:<10}", "yellow" if bad else style)
        keys = panel.keys if self._keyboard is not None else ""
        row.append(keys.replace(" · ", ", ") if ascii_only else keys, "dim")
        return row


def _needle(level: float, ascii_only: bool) -> str:
    lit = round(level * _NEEDLE_CELLS)
    on, off = ("#", ".") if ascii_only else ("▮", "▯")
    return on * lit + off * (_NEEDLE_CELLS - lit)


class _Newest:
    """Rendered anew each time: after every print, the live part is drawn as it is then."""

    def __init__(self, make: Callable[[], RenderableType]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._make()


def _beside(label: Text, text: Text) -> Table:
    """``text`` wrapped within its own column, right of the label."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=max(_LABEL, label.cell_len), no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(label, text)
    return row


def _tail(text: str, cells: int) -> str:
    """The end of ``text`` that fits into so many cells."""
    if cell_len(text) <= cells:
        return text
    while text and cell_len(text) > cells - 1:
        text = text[max(1, (cell_len(text) - cells) // 2) :]
    return f"…{text}"
