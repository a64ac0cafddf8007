"""Typed turns at a terminal, read key by key, so that a line being typed and the view above it
never write over each other. Elsewhere than on a POSIX terminal ``open_keyboard`` gives None, and
standard input is read line by line as it comes."""

from __future__ import annotations

import asyncio
import atexit
import codecs
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, TextIO

#: Lines kept while nobody takes them; a person does not type ahead further than this.
_AHEAD = 100
_REMEMBERED = 50


class Editor:
    """The line being typed. ``feed`` takes characters and gives the lines that Enter ended;
    ``ended`` after Ctrl-D on an empty line."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False
        self._escape = ""
        self._history: list[str] = []
        self._back = 0

    def feed(self, keys: str) -> list[str]:
        lines: list[str] = []
        for key in keys:
            if self.ended:
                break
            if self._escape:
                self._escaped(key)
            elif key == "\x1b":
                self._escape = key
            elif key in "\r\n":
                lines.append(self._enter())
            elif key in "\x7f\x08":
                self.text = self.text[:-1]
            elif key == "\x15":  # Ctrl-U
                self.text = ""
            elif key == "\x17":  # Ctrl-W
                self.text = self.text.rstrip().rpartition(" ")[0]
                self.text += " " if self.text else ""
            elif key == "\x04":  # Ctrl-D
                self.ended = not self.text
            elif key == "\t":
                self.text += " "
            elif key.isprintable():
                self.text += key
        return lines

    def _enter(self) -> str:
        line, self.text = self.text, ""
        if line.strip():
            self._history = [*self._history[1 - _REMEMBERED :], line]
        self._back = 0
        return line

    def _escaped(self, key: str) -> None:
        """Cursor keys and the like come as ESC [ ... letter; up and down bring lines back."""
        if self._escape == "\x1b":
            self._escape = self._escape + key if key in "[O" else ""
            return
        if not "@" <= key <= "~":
            self._escape += key
            return
        self._escape = ""
        if key in "AB" and self._history:
            step = 1 if key == "A" else -1
            self._back = min(len(self._history), max(0, self._back + step))
            self.text = self._history[-self._back] if self._back else ""


class Keyboard:
    """A terminal in cbreak mode without echo. ``changed()`` is called in the loop when the line
    being typed is another, ``resumed()`` after the process was stopped and goes on."""

    def __init__(self, fd: int, changed: Callable[[], None], resumed: Callable[[], None]) -> None:
        self._fd = fd
        self._changed = changed
        self._resumed = resumed
        self._editor = Editor()
        #: Takes each key that is pressed in place of the line being typed.
        self.on_key: Callable[[str], None] | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)
        self._loop = asyncio.get_running_loop()
        self._before: list[Any] | None = None
        self._enter()
        atexit.register(self.close)
        try:
            self._loop.add_reader(fd, self._read)
            self._loop.add_signal_handler(signal.SIGCONT, self._again)
        except BaseException:
            self.close()
            raise

    @property
    def text(self) -> str:
        """The line being typed."""
        return self._editor.text

    async def lines(self) -> AsyncIterator[str]:
        """Each line that Enter ended; ends with Ctrl-D, or with the terminal."""
        while (line := await self._lines.get()) is not None:
            yield line

    def close(self) -> None:
        """Give the terminal back as it was. Idempotent."""
        if self._before is None:
            return
        import termios

        atexit.unregister(self.close)
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._loop.remove_signal_handler(signal.SIGCONT)
        if in_front(self._fd):
            with suppress(termios.error, OSError):  # the terminal may be gone, modes and all
                termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._before)
        self._before = None

    def _enter(self) -> None:
        import termios

        modes = termios.tcgetattr(self._fd)
        self._before = self._before or [*modes[:6], list(modes[6])]
        # Not raw: Ctrl-C and Ctrl-Z stay signals, and output keeps its line ends.
        modes[3] &= ~(termios.ECHO | termios.ICANON)
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, modes)

    def _again(self) -> None:
        """After Ctrl-Z and fg: the shell has set its own modes meanwhile."""
        if self._before is not None and in_front(self._fd):
            self._enter()
            self._resumed()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:  # the terminal has hung up
            self._loop.remove_reader(self._fd)
            self._put(None)
            return
        keys = self._decoder.decode(data)
        if self.on_key is not None:
            # A cursor key comes as several characters, the first of them escape.
            for key in keys.partition("\x1b")[0]:
                self.on_key(key)
            self._changed()
            return
        for line in self._editor.feed(keys):
            self._put(line)
        if self._editor.ended:
            self._put(None)
        self._changed()

    def _put(self, line: str | None) -> None:
        try:
            self._lines.put_nowait(line)
        except asyncio.QueueFull:
            return


def in_front(fd: int) -> bool:
    """Whether the terminal is ours: changing its modes from the background stops the process."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def open_keyboard(
    changed: Callable[[], None], resumed: Callable[[], None], stream: TextIO | None = None
) -> Keyboard | None:
    """The keyboard of ``stream`` (standard input), or None when that is no POSIX terminal or the
    process stands in the background."""
    stream = stream or sys.stdin
    try:
        import termios

        fd = stream.fileno()
        if not os.isatty(fd) or not in_front(fd):
            return None
    except (ImportError, AttributeError, OSError, ValueError):
        return None
    try:
        return Keyboard(fd, changed, resumed)
    except (termios.error, OSError, RuntimeError, NotImplementedError):
        return None
