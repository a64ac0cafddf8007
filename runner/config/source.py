"""The text of one file, and where things stand in it."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ConfigError, InputError, Problem

MAX_BYTES = 1 << 20
"""The most that one deployment file may hold, in bytes."""

# YAML counts these as line ends; so do the marks of PyYAML.
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
# The complement of YAML 1.2's c-printable, without surrogates, which UTF-8 cannot carry.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What may not reach a terminal when a line is quoted in a message.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_WIDEST = 240


@dataclass(frozen=True, slots=True)
class Source:
    """``name`` is the file as it is shown in messages, ``text`` its content without a BOM.
    ``folder``, absolute, is where relative paths in it begin; None for what is no file."""

    name: str
    text: str
    lines: tuple[str, ...]
    folder: Path | None = None

    def line(self, number: int) -> str:
        """Line ``number`` (from 1) fit to be printed; empty when there is none or it is huge."""
        text = self.raw(number)
        return _CONTROL.sub("\ufffd", text) if len(text) <= _WIDEST else ""

    def raw(self, number: int) -> str:
        """Line ``number`` (from 1) as it is; empty when there is none."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else ""

    def problem(
        self,
        line: int,
        column: int,
        message: str,
        hint: str = "",
        path: str = "",
        *,
        code: str = "",
    ) -> Problem:
        """A problem at ``line`` and ``column``, both from 1; line 0 is the file as a whole."""
        return Problem(self.name, line, column, path, message, hint, self.line(line), code)


def make_source(name: str, text: str, folder: Path | None = None) -> Source:
    return Source(name, text, tuple(_LINE_END.split(text)), folder)


def digest(data: bytes) -> str:
    """SHA-256 in hex, to tell changed content from a touched file."""
    return hashlib.sha256(data).hexdigest()


def read_bytes(path: Path, name: str, what: str = "file") -> bytes:
    """The content of a file of the command line; InputError when it cannot be had.

    At most one byte beyond :data:`MAX_BYTES` is read, so a device or an endless pipe ends too.
    """
    try:
        with path.open("rb") as stream:
            if stat.S_ISDIR(os.fstat(stream.fileno()).st_mode):
                raise IsADirectoryError
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{name}: no such {what}") from None
    except NotADirectoryError:
        raise InputError(f"{name}: part of this path is a file, not a folder") from None
    except IsADirectoryError:
        raise InputError(f"{name}: this is a folder, a {what} belongs here") from None
    except PermissionError:
        # Windows answers so for a folder as well.
        if path.is_dir():
            raise InputError(f"{name}: this is a folder, a {what} belongs here") from None
        raise InputError(f"{name}: not readable (permission denied)") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: not readable ({reason})") from None


def decode(data: bytes, name: str, folder: Path | None = None) -> Source:
    """The text of a file in ``folder``; ConfigError with a position when it is not plain UTF-8."""
    if len(data) > MAX_BYTES:
        whole = Problem(name, 0, 0, "", "the file is larger than 1 MiB", code="RT002")
        raise ConfigError([whole])
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(
            [Problem(name, 1, 1, "", "the file is UTF-16", "save it as UTF-8", code="RT001")]
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The -sig decoder counts from behind the BOM.
        skipped = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
        good = make_source(name, data[skipped : skipped + error.start].decode("utf-8", "replace"))
        byte = data[skipped + error.start]
        where = (len(good.lines), len(good.lines[-1]) + 1)
        message = f"the byte 0x{byte:02x} is not UTF-8"
        problem = good.problem(*where, message, "save the file as UTF-8", code="RT001")
        raise ConfigError([problem]) from None
    source = make_source(name, text, folder)
    found = _UNPRINTABLE.search(text)
    if found:
        line, column = position(text, found.start())
        kind = "a NUL" if found.group() == "\0" else f"the control character {found.group()!a}"
        message = f"{kind} stands in the file"
        raise ConfigError([source.problem(line, column, message, "remove it", code="RT001")])
    return source


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character offset."""
    line, start = 1, 0
    for end in _LINE_END.finditer(text, 0, offset):
        line, start = line + 1, end.end()
    return line, offset - start + 1


def shown(value: object, limit: int = 60) -> str:
    """A value of the file as messages quote it: short, on one line, nothing for a terminal to
    obey."""
    text = value if isinstance(value, str) else str(value)
    text = _CONTROL.sub("\ufffd", text.replace("\n", " "))
    return text if len(text) <= limit else text[: limit - 1] + "…"
