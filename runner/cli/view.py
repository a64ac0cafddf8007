"""What a person sees of a run at a terminal: a calm live view.

It has two parts. What has been said and done scrolls as ordinary lines, which stay
when the run is over. Below them stand, redrawn in place, what is being said now, who is speaking,
and the line being typed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from runner.cli import reports, words
from runner.cli.keyboard import Keyboard, open_keyboard
from runner.cli.panel import Panel
from runner.cli.plain import LABEL
from runner.cli.story import Kind, Line, Status, Story
from runner.core.events import SessionEvent

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
    "waiting": ("○", "o", ""),
    "listening": ("○", "o", ""),
    "caller speaks": ("●", "*", "cyan"),
    "thinking": ("◌", ".", "yellow"),
    "agent speaks": ("●", "*", "green"),
    "no line": ("○", "!", "red"),
    "ended": ("○", "o", "dim"),
}


_LINK = re.compile(r"https?://\S+$")


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
        self._show(self._story.handle(session_id, event))

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
        for line in lines:
            link = _LINK.search(line.text)
            if link and cell_len(line.text) > self._console.width - LABEL - 1:
                # Broken by the terminal alone, so that it is still one link.
                self._put(self._render(replace(line, text=line.text[: link.start()])))
                self._put(Text(link[0]), soft_wrap=True)
            else:
                self._put(self._render(line))
        self._changed()

    def _put(self, *what: RenderableType, soft_wrap: bool = False) -> None:
        if self._gone:
            return
        try:
            if what:
                self._console.print(*what, sep="\n", soft_wrap=soft_wrap)
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
        row: RenderableType = _beside(_label(line, label_style), text)
        return Group(row, *below) if below else row

    def _below(self) -> Group:
        width = max(20, self._console.width)
        parts: list[RenderableType] = []
        for line in self._story.growing:
            tail = _tail(line.text, _ROWS * (width - LABEL - 2))
            parts.append(_beside(_label(line, _STYLES[line.kind][0]), Text(tail, "italic")))
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
        status = Text(no_wrap=True, overflow="ellipsis" if not ascii_only else "crop")
        now: str = story.status
        calls = story.live
        if len(calls) > 1:
            now, facts = f"{len(calls)} calls", [f"{call.mark} {call.status}" for call in calls]
        elif now == "waiting":
            facts = [f"for calls {story.waits}"]
            if story.tally.calls:
                facts.insert(0, f"{words.count(story.tally.calls, 'call')} so far")
        else:
            facts = self._facts()
        status.append(f"{plain if ascii_only else lamp} {now:<14}", style)
        status.append(("  " if ascii_only else " · ").join(facts), "dim")
        return status

    def _facts(self) -> list[str]:
        """Of the one call there is."""
        story = self._story
        facts = [words.clean(story.agent)] if story.agent else []
        if story.tally.began is not None:
            facts.append(words.duration(story.seconds))
        if story.tally.turns:
            facts.append(words.count(story.tally.turns, "turn"))
        return facts

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


def _label(line: Line, style: str) -> Text:
    text = Text()
    if line.mark:
        text.append(f"{line.mark} ", "dim")
    return text.append(line.label, style)


def _beside(label: Text, text: Text) -> Table:
    """``text`` wrapped within its own column, right of the label."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=max(LABEL, label.cell_len), no_wrap=True)
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
