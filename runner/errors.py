"""The tree of errors. Each carries a hint for the person who sees it.

RtrunError
├── UsageError              the command line or the API was used wrongly          exit 2
├── InputError              a file, port or device cannot be used                 exit 2
│   ├── AudioFileError      a WAV that is none, or holds nothing usable
│   └── DeviceError         no microphone, no speaker, no PortAudio
├── ConfigError             a deployment file is invalid; carries its Problems    exit 1
├── MissingModels           the engine's speech models are not installed          exit 2
├── EngineError             the embedded engine did not start, or died            exit 1
├── UserError               the SDK's name: an agent, tool or handoff is declared wrongly
├── ModelBehaviorError      the SDK's name: the model called something that is not there
├── ToolError               a tool could not be loaded or run
└── TransportError
    ├── ConnectError        the server refused or could not be reached
    │   └── CallOver        the caller of a phone call has hung up
    ├── NotConnectedError   used before connect(), or after close()
    └── ConnectionLost      an open connection went away
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: The service's own words for a refusal after which it does nothing more with this account.
FATAL = frozenset({"insufficient_quota", "invalid_api_key"})


class RtrunError(Exception):
    """Base of everything rtrun raises on purpose.

    ``message`` says what is wrong and where, ``hint`` what to do about it (may be empty).
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(RtrunError):
    exit_code = 2


class InputError(RtrunError):
    exit_code = 2


class AudioFileError(InputError):
    pass


class DeviceError(InputError):
    pass


class MissingModels(RtrunError):
    exit_code = 2


class EngineError(RtrunError):
    pass


class UserError(RtrunError):
    pass


class ModelBehaviorError(RtrunError):
    pass


class ToolError(RtrunError):
    """``at`` is where in code of the user's own, when that is known: the file, the line and the
    column from 1, and the line itself."""

    def __init__(
        self, message: str, hint: str = "", *, at: tuple[str, int, int, str] | None = None
    ) -> None:
        super().__init__(message, hint)
        self.at = at


class TransportError(RtrunError):
    pass


class ConnectError(TransportError):
    """``status`` is the HTTP status of a refusal, None when nothing answered, ``reason`` the
    service's word for it (``insufficient_quota``). ``code`` is the WebSocket close code of a line
    that was taken and ended at once."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        status: int | None = None,
        code: int | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code
        self.reason = reason


class CallOver(ConnectError):
    """The phone call is not there any more: the caller has hung up."""

    def __init__(self, message: str = "the caller hung up") -> None:
        super().__init__(message, status=404)


class NotConnectedError(TransportError):
    pass


class ConnectionLost(TransportError):
    """``code`` is the WebSocket close code, 1006 when the connection broke without one."""

    def __init__(self, message: str, hint: str = "", *, code: int = 1006) -> None:
        super().__init__(message, hint)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a deployment file, with its place.

    ``line`` and ``column`` count from 1 (0: the file as a whole). ``path`` is dotted,
    ``agents.desk.tools[1]``. ``source`` is the line itself without its end.
    ``hint`` says what to do, such as ``did you mean voice?``. ``code`` is stable (``RT012``).
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""
    source: str = ""
    code: str = ""

    def headline(self) -> str:
        """``file:line:column: path: message (hint)``: one line, clickable in terminals."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f"{self.path}: " if self.path else ""
        tail = f" ({self.hint})" if self.hint else ""
        return f"{place}: {where}{self.message}{tail}"

    def render(self) -> str:
        """The headline, then the line itself and a caret under the column."""
        if not self.source or not self.line:
            return self.headline()
        # Keep tabs in the padding so that the caret stands right in any terminal.
        lead = self.source[: self.column - 1]
        pad = "".join("\t" if c == "\t" else " " for c in lead)
        return f"{self.headline()}\n    {self.source}\n    {pad}^"


class ConfigError(RtrunError):
    """A deployment that cannot be used; ``problems`` in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(p.render() for p in self.problems))
