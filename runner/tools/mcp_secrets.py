"""Keys of MCP servers stay out of errors and logs, also out of those of other people's code."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from runner.model.secret import Secret

#: A shorter one would blot out half of a sentence, and is no key.
SHORTEST = 4
_LIBRARIES = ("mcp", "mcp_types", "client", "httpx2", "httpcore2")

# Never emptied: an error about a server may be told after the server has gone.
_known: set[str] = set()


def learn(secrets: Iterable[Secret]) -> None:
    """Keep these out of errors and logs from now on."""
    _known.update(text for secret in secrets if len(text := secret.reveal()) >= SHORTEST)


def hide(text: str) -> str:
    """``text`` with every key in it as ``***``."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


class _Hidden(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not _known:
            return True
        try:
            text = record.getMessage()
        except Exception:  # its arguments do not fit: logging itself will say so
            return True
        if (hidden := hide(text)) != text:
            record.msg, record.args = hidden, ()
        if record.exc_info and _tells(record.exc_info[1]):
            record.exc_info = record.exc_text = None
        return True


def _tells(error: BaseException | None) -> bool:
    while error is not None:
        if hide(str(error)) != str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


_hidden = _Hidden()


def guard_loggers() -> None:
    """The libraries log as an application has set it up, never on their own to the terminal
    (logging's last resort prints warnings where nothing is set up), and without keys."""
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())
    # A filter sees only what its own logger is handed: each of them needs it.
    for name in [*logging.root.manager.loggerDict, "runner.tools.mcp"]:
        if name.partition(".")[0] in _LIBRARIES or name == "runner.tools.mcp":
            logging.getLogger(name).addFilter(_hidden)
