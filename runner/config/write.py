"""Plain values as YAML that the loader reads back as they were."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from runner.config.scalars import resolve
from runner.config.tree import Path

#: What may stand without quotes, for a reader of YAML 1.1 as well.
_BARE = re.compile(r"[^\W\d](?:[\w ./@+()'\",;?!$%&*=-]|:(?=[^\s]))*")
_LENGTH = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d)")
_WORDS_OF_1_1 = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_NO_BLOCK = re.compile("[^\\S \n]|[\x00-\x09\x0b-\x1f\x7f-\x9f\ufeff\u2028\u2029]|^ *$(?!\\Z)")
_ESCAPED = re.compile("[\x7f-\x9f\ufeff\u2028\u2029]")

Notes = Callable[[Path], str]


def write(value: Any, notes: Notes | None = None) -> str:
    """``value`` (maps, lists, texts, numbers, true, false, null) as a YAML document in block
    style. ``notes`` gives a comment for the line of the value at a path, or nothing."""
    return "".join(f"{line}\n" for line in _lines(value, (), notes or (lambda path: "")))


def inline(value: Any) -> str:
    """``value`` on one line: ``{ type: audio/pcm, rate: 24000 }``."""
    if isinstance(value, dict) and value:
        inside = ", ".join(f"{inline(str(key))}: {inline(item)}" for key, item in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list) and value:
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, str) and any(sign in value for sign in ",?"):
        return json.dumps(value, ensure_ascii=False)
    return _quoted(value) if isinstance(value, str) else next(_scalar(value))


def _lines(value: Any, path: Path, notes: Notes) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entry(f"{_quoted(str(key))}:", item, (*path, key), notes)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _entry("-", item, (*path, index), notes)
    else:
        yield from _scalar(value)


def _entry(head: str, value: Any, path: Path, notes: Notes) -> Iterator[str]:
    """``key: value`` or ``- value``, with all that hangs below it."""
    note = notes(path)
    comment = f"  # {note}" if note else ""
    if isinstance(value, (dict, list)) and value:
        lines = list(_lines(value, path, notes))
        if head == "-" and isinstance(value, dict):
            yield f"- {lines[0]}"
            yield from (f"  {line}" if line else "" for line in lines[1:])
        else:
            yield f"{head}{comment}"
            yield from (f"  {line}" if line else "" for line in lines)
        return
    first, *rest = _scalar(value)
    yield f"{head} {first}{comment}"
    yield from (f"  {line}" if line else "" for line in rest)


def _scalar(value: Any) -> Iterator[str]:
    """The line of a scalar; of a text with several lines its head and then each of them."""
    if not isinstance(value, str):
        yield "{}" if value == {} else "[]" if value == [] else json.dumps(value)
    elif "\n" in value and not _NO_BLOCK.search(value) and value.strip("\n")[:1] not in ("", " "):
        body = value.rstrip("\n")
        ends = len(value) - len(body)
        lines = body.split("\n")
        if any(line.strip(" ") == "" and line for line in lines):
            yield _quoted(value)
            return
        yield "|" + {0: "-", 1: ""}.get(ends, "+")
        yield from lines
        yield from [""] * (ends - 1)
    else:
        yield _quoted(value)


def _quoted(text: str) -> str:
    bare = _BARE.fullmatch(text) and text[-1] != " " and text.lower() not in _WORDS_OF_1_1
    if (bare or _LENGTH.fullmatch(text)) and text.isprintable() and _stays(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda sign: f"\\u{ord(sign.group()):04x}", quoted)


def _stays(text: str) -> bool:
    try:
        return resolve(text) is text
    except ValueError:
        return False
