"""A call on disk: everything its conversation was told, and what it asked for.

One JSON object a line. The first says what the call was (``call``, ``deployment``, ``started``,
the first agent's settings); each other is a row of :mod:`runner.core.record` with its effects.
Audio is left out: of the agent's there are counts of samples, of the caller's nothing but what
the server heard. Keys of hosted MCP servers stand as ``***``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from runner.codec import canonical, dumps, loads
from runner.core.conversation import Conversation
from runner.core.events import Connection, SessionEvent
from runner.core.record import Recorder, Row, outcome, plain_view, replay, view_of
from runner.errors import InputError
from runner.session import RealtimeSession

VERSION = 1
#: Characters of an event that a person reads around the place where it differs.
_AROUND = 60
#: What an event is, wherever in it the difference stands: its own type is the last.
_KIND = re.compile(r'"type":"([a-z_.]+)"}$')


class Log:
    """Writes one call. ``about`` goes into the first line. InputError when it cannot be made;
    ``on_failure`` hears of a disk that is full, and the call goes on; ``shown`` makes of each row
    what may be kept."""

    def __init__(
        self,
        path: Path,
        about: Mapping[str, Any],
        on_failure: Callable[[str], None],
        shown: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda row: row,
    ) -> None:
        self._path = path
        self._about = about
        self._on_failure = on_failure
        self._shown = shown
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # What people said stands in it, and what the agent was told.
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        self._stream: TextIO | None = os.fdopen(opened, "w", encoding="utf-8")

    def attach(self, session: RealtimeSession) -> None:
        """To be called when the session tells that it is ``connecting``."""
        session.tap(lambda conversation: self._recorder(session, conversation))

    def _recorder(self, session: RealtimeSession, conversation: Conversation) -> Recorder:
        first = {
            "view": plain_view(conversation.view),
            "playback": session.transport.playback,
            "store_audio": session.store_audio,
        }
        self._write({"rtrun_log": VERSION, **self._about, "conversation": first})
        return Recorder(conversation, self._write)

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(dumps(masked(self._shown(row))) + "\n")
        except OSError as error:
            self.close()
            self._on_failure(f"{self._path}: the record ends here ({error.strerror})")

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def attach_recorder(
    session: RealtimeSession,
    path: str | os.PathLike[str],
    about: Mapping[str, Any] | None = None,
    on_failure: Callable[[str], None] = lambda words: None,
) -> Log:
    """Record the session's next call into ``path``: to be called before ``connect()``. The log
    is closed when the call ends. InputError when the file cannot be written."""
    log = Log(Path(path), about or {}, on_failure)

    def hear(event: SessionEvent) -> None:
        if isinstance(event, Connection):
            if event.status == "connecting":
                log.attach(session)
            elif event.status == "disconnected":
                log.close()

    session.on("connection_change", hear)
    return log


def masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        out = {key: masked(item) for key, item in value.items()}
        if out.get("type") == "mcp":
            if out.get("authorization"):
                out["authorization"] = "***"
            if isinstance(out.get("headers"), dict):
                out["headers"] = dict.fromkeys(out["headers"], "***")
        return out
    return [masked(item) for item in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, slots=True)
class Recorded:
    """A log that was read. ``about`` is its first line; ``rows`` the others, in order, the first
    of them in line 2."""

    path: Path
    about: Row
    rows: tuple[Row, ...]

    def conversation(self) -> Conversation:
        """A fresh one, as it was at the beginning."""
        first = self.about["conversation"]
        return Conversation(
            view_of(first["view"]), playback=first["playback"], store_audio=first["store_audio"]
        )


def read_log(path: str | os.PathLike[str]) -> Recorded:
    """InputError when it cannot be read, or is no log of a call."""
    file = Path(path)
    rows = list(_lines(file))
    about = rows[0] if rows else {}
    if about.get("rtrun_log") != VERSION or not isinstance(about.get("conversation"), dict):
        raise InputError(f"{file}: no recorded call", "rtrun test --record DIR makes such files")
    recorded = Recorded(file, about, tuple(rows[1:]))
    try:
        recorded.conversation()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file}:1: this call cannot be begun ({error!r})") from None
    return recorded


def _lines(file: Path) -> Iterator[Row]:
    try:
        with file.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    row = loads(line)
                except ValueError:
                    raise InputError(f"{file}:{number}: no JSON; is the log cut off?") from None
                if not isinstance(row, dict):
                    raise InputError(f"{file}:{number}: no JSON object")
                yield row
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(f"{file}: not readable ({reason})") from None


@dataclass(frozen=True, slots=True)
class Difference:
    """Line ``line`` of the log gives something else now. ``then`` and ``now`` are JSON texts, of
    one effect where it is one that differs; "" where there is none. ``call`` is what was called,
    ``at`` the seconds since the call began."""

    line: int
    call: str
    at: float | None
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """``calls`` on the conversation gave ``effects``, the same as then but for ``difference``."""

    calls: int
    effects: int
    difference: Difference | None = field(default=None)


def replay_log(recorded: Recorded) -> Replayed:
    """Play a recorded call into a fresh conversation until something differs. InputError when a
    line is no call of a conversation."""
    conversation = recorded.conversation()
    began = next((row["now"] for row in recorded.rows if "now" in row), 0.0)
    count = 0
    for number, row in enumerate(recorded.rows, 2):
        then: Row = {key: row[key] for key in ("effects", "result", "raised") if key in row}
        now = _again(row, conversation, f"{recorded.path}:{number}")
        pair = _differ(then, now)
        count += len(now.get("effects", ()))
        if pair is not None:
            at = row["now"] - began if "now" in row else None
            difference = Difference(number, _called(row), at, *pair)
            return Replayed(number - 1, count, difference)
    return Replayed(len(recorded.rows), count)


def _again(row: Row, conversation: Conversation, place: str) -> Row:
    """What this row gives now, as a row says it."""
    try:
        result = replay([row], conversation, raw=True)[0]
    except (KeyError, IndexError) as error:
        raise InputError(f"{place}: no call of a conversation ({error!r})") from None
    except Exception as error:  # a program's mistake then is the same mistake now
        if "raised" not in row:
            if isinstance(error, (TypeError, ValueError)) and not hasattr(error, "hint"):
                raise InputError(f"{place}: no call of a conversation ({error})") from None
            return {"raised": f"{type(error).__name__}: {error}"}
        return {"raised": type(error).__name__}
    made: Row = loads(dumps(masked(outcome(result))))
    return made


def _differ(then: Row, now: Row) -> tuple[str, str] | None:
    """The first thing that differs, as JSON text of then and now."""
    if canonical(then) == canonical(now):
        return None
    before, after = then.get("effects", []), now.get("effects", [])
    for index in range(max(len(before), len(after))):
        pair = tuple(canonical(e[index]) if index < len(e) else "" for e in (before, after))
        if pair[0] != pair[1]:
            return pair[0], pair[1]
    return canonical(then), canonical(now)


def _called(row: Row) -> str:
    args = row.get("args") or [None]
    kind = args[0].get("type", "") if isinstance(args[0], dict) else ""
    return f"{row['call']} {kind}".strip()


def excerpts(then: str, now: str) -> tuple[str, str]:
    """Two texts around the place where they begin to differ, "nothing" for an empty one."""
    pairs = enumerate(zip(then, now, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(then), len(now)))
    return _around(then, at), _around(now, at)


def _around(text: str, at: int) -> str:
    if not text:
        return "nothing"
    start, end = max(0, at - _AROUND), at + 2 * _AROUND
    kind = _KIND.search(text) if start else None
    lead = f"({kind[1]}) ..." if kind else "..." if start else ""
    return f"{lead}{text[start:end]}{'...' if end < len(text) else ''}"
