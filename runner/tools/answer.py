"""What an HTTP tool makes of an answer, however it was fetched. Standard library alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from runner.errors import ToolError
from runner.model.deployment import HttpSpec
from runner.model.secret import Secret

#: What a tool may say, in bytes: more would only push the conversation out of the model's sight.
MAX_OUTPUT = 256 * 1024
#: A shorter value would blot out half of a sentence, and is no key.
SHORTEST_SECRET = 4
EMPTY = "Done; the tool gave no output."
#: Of an answer that is no success, in characters: enough to tell the caller why.
_TOLD = 300
# Kinds of content that are texts beside text/*, by the end of their names.
_TEXTS = ("json", "xml", "yaml", "javascript", "csv", "x-www-form-urlencoded")
# A server names the charset, and Python has codecs that take minutes over a long text.
_CHARSETS = re.compile(r"utf|iso|windows|cp\d|latin|(us-)?ascii|koi8|gb|big5|euc|shift|sjis|mac")
_BINARY = ("image/", "audio/", "video/", "font/")
_KEY = re.compile(r"key|token|secret|sig|pass|auth|code", re.IGNORECASE)
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` by their names in lower case, the last of each. ``cut``: there was more of the
    body than its limit."""

    status: int
    reason: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    cut: bool

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


def refusal(name: str, answer: Answer, request: HttpSpec) -> str:
    """Why ``answer`` is none, in words that hold no key of ``request``."""
    words = f"{name} answered {answer.status} {answer.reason}".rstrip()
    if 300 <= answer.status < 400:
        place = _without_query(answer.headers.get("location", ""))
        words += ", which is not followed" + (f"; it points to {place}" if place else "")
    elif why := _reason(answer):
        words += f": {why}"
    return hidden(words, _keys(request))


def _keys(spec: HttpSpec) -> list[Secret]:
    """What a server that repeats its request might give away."""
    query = (*parse_qsl(urlsplit(spec.url).query), *spec.query.items())
    return [
        *(value for name, value in spec.headers.items() if name.lower() not in _HARMLESS),
        *(Secret(value) for name, value in query if _KEY.search(name)),
    ]


def output(name: str, answer: Answer) -> str:
    """The answer as text. ToolError when it is none, or too long."""
    if answer.cut:
        raise ToolError(f"the answer of {name} is longer than {MAX_OUTPUT // 1024} kB")
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise ToolError(f"the answer of {name} is compressed ({coding[:20]}), unasked")
    text = _decoded(answer)
    if text is None:
        kind = _content_type(answer) or "data"
        raise ToolError(f"the answer of {name} is no text ({kind[:60]})")
    return text.strip() or EMPTY


def _content_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _decoded(answer: Answer) -> str | None:
    """The body by its charset, UTF-8 when it names none; None when it is no text."""
    kind = _content_type(answer)
    if not answer.body:
        return ""
    if kind.startswith(_BINARY):
        return None
    charset = re.search(
        r"charset\s*=\s*\"?([\w.:-]+)", answer.headers.get("content-type", ""), re.IGNORECASE
    )
    textual = kind.startswith("text/") or kind.endswith(_TEXTS)
    try:
        if charset and _CHARSETS.match(charset[1].lower()):
            text = answer.body.decode(charset[1], "replace")
        else:
            text = answer.body.decode("utf-8", "replace" if textual else "strict")
    except LookupError:  # a charset that nobody knows
        text = answer.body.decode("utf-8", "replace")
    except ValueError:
        return None
    return None if "\0" in text else text.removeprefix("\ufeff")


def _reason(answer: Answer) -> str:
    """The beginning of what a server says about its failure, on one line."""
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return ""
    text = _decoded(answer) or ""
    if _content_type(answer) == "text/html":
        text = re.sub(r"<(style|script)\b.*?(</\1>|$)|<[^>]*>", " ", text, flags=re.S | re.I)
    text = " ".join(text.split())
    return text if len(text) <= _TOLD else text[: _TOLD - 1] + "…"


def _without_query(location: str) -> str:
    """A redirect may carry a key in its query."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return ""
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    return (place + parts.path)[:200]


def hidden(text: str, secrets: Iterable[Secret]) -> str:
    """``text`` without what is secret: also the last word of ``Bearer KEY`` is a key."""
    known: set[str] = set()
    for secret in secrets:
        revealed = secret.reveal().strip()
        known.update((revealed, revealed.rpartition(" ")[2]))
    for key in sorted(known, key=len, reverse=True):
        if len(key) >= SHORTEST_SECRET:
            text = text.replace(key, "***")
    return text
