"""The shape of a prompt: which line is a heading, an item, a ``key: value`` pair, or prose.

Prompts are written by people in Markdown, in prose, as lists of pairs, as questions and answers,
and in mixtures; wrapped lines are joined again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One statement or paragraph. ``key`` is set for a pair; ``headings`` from outside in."""

    text: str
    headings: tuple[str, ...] = ()
    key: str = ""
    item: bool = False


_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.+?)\s*#*$")
_ITEM = re.compile(r"^(\s*)(?:[-*•–+]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+(\S.*)$")
_BOLD = re.compile(r"^(\s*)\*\*([^*]{1,60}?):?\*\*:?\s*$")
_TAG = re.compile(r"^\s*<(/?)([A-Za-z][\w -]{0,40})>\s*$")
_BRACKET = re.compile(r"^\s*\[([A-Za-z][^\]]{0,40})\]\s*$")
_CAPS = re.compile(r"^[A-Z][A-Z0-9 &/'-]{2,40}:?$")
_RULED = re.compile(r"^\s*(?:-{3,}|={3,}|\*{3,}|_{3,})\s*$")
_FENCE = re.compile(r"^\s*```")
_ROW = re.compile(r"^\s*\|(.+)\|\s*$")
_ROW_RULE = re.compile(r"^[\s|:-]+$")
_PAIR = re.compile(
    r"^(?:\*\*|__|\*|_)?([A-Za-z][^:.!?\n|]{0,60}?)(?:\*\*|__|\*|_)?\s*(?:\([^)]*\))?\s*:"
    r"(?:\*\*|__|\*|_)?\s+(\S.*)$"
)
_DASHED = re.compile(r"^(?:\*\*|__)?([A-Z][^:.!?\n|]{0,40}?)(?:\*\*|__)?\s+(?:-|–|—)\s+(\S.*)$")
_ASKED = re.compile(
    r"^(?:\*\*)?(?:q|question|a|answer)\s*(?:\d+)?\s*[:.)](?:\*\*)?\s+(\S.*)$", re.I
)
_QUESTION = re.compile(r"^(?:\*\*|__)?([A-Z][^?!.]{4,90}\?)(?:\*\*|__)?\s+(\S.*)$")
_STARTS = re.compile(r"^(?:if|when|whenever|never|always|do not|don't|please)\b", re.I)
_CONDITION = re.compile(r"^(?:if|when|whenever|in case|should|once|after|before|unless)\b", re.I)


def pair_of(text: str, item: bool) -> tuple[str, str] | None:
    """The key and the value of ``Hours: 9 to 5``; items may use a dash for the colon."""
    match = _PAIR.match(text)
    if match and len(match[1].split()) <= 8 and not re.search(r"\b\d{1,2}$", match[1]):
        return match[1].strip(" *_"), match[2].strip()
    if match and _CONDITION.match(match[1]):
        return match[1].strip(" *_"), match[2].strip()
    match = _DASHED.match(text) if item else None
    if match and len(match[1].split()) <= 5 and not match[2][:1].isupper():
        return match[1].strip(" *_"), match[2].strip()
    return None


def outline(instructions: str) -> list[Line]:
    """``instructions`` as lines with their headings, in order."""
    return list(_with_answers(_lines(instructions)))


def _lines(instructions: str) -> Iterator[Line]:
    headings: dict[int, str] = {}  # level -> text; 1-6 marked ones, 7 a bold line, 10 and on 'X:'
    open_text: list[str] = []
    open_item = False
    columns: list[str] = []
    last_raw = ""
    raw = instructions.replace("\t", "    ").splitlines()

    def flush() -> Iterator[Line]:
        nonlocal open_text, open_item
        if open_text:
            yield from _statement(" ".join(open_text), _path(headings), open_item)
        open_text, open_item = [], False

    def enter(level: int, text: str) -> None:
        for deeper in [one for one in headings if one >= level]:
            del headings[deeper]
        if text:
            headings[level] = text.strip(" *_#:")

    for number, line in enumerate(raw):
        following = next((one for one in raw[number + 1 :] if one.strip()), "")
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        heading, item, row = _HEADING.match(line), _ITEM.match(line), _ROW.match(line)
        bold, tag = _BOLD.match(line), _TAG.match(line)
        if not row:
            columns = []
        if not stripped:
            yield from flush()
            if not _ITEM.match(following) and not following.startswith("  "):
                enter(10, "")
        elif _RULED.match(line) or _FENCE.match(line):
            if _RULED.match(line) and len(open_text) == 1 and stripped[0] in "-=":
                title, open_text = open_text[0], []
                enter(1 if stripped[0] == "=" else 2, title)
            yield from flush()
        elif heading:
            yield from flush()
            enter(len(heading[1]), heading[2])
        elif tag:
            yield from flush()
            enter(6, "" if tag[1] else tag[2].replace("_", " ").replace("-", " "))
        elif bold or (not item and (_BRACKET.match(line) or _CAPS.match(stripped))):
            yield from flush()
            enter(7, stripped.strip("[]"))
        elif row:
            yield from flush()
            cells = [cell.strip() for cell in row[1].split("|")]
            if _ROW_RULE.match(row[1]):
                continue
            if not columns:
                columns = cells
            else:
                yield from _row(cells, columns, _path(headings))
        elif item:
            yield from flush()
            level = 11 + len(item[1])
            text = item[2]
            if text.rstrip(" *").endswith(":") and not _CONDITION.match(text):
                enter(level, text)
            else:
                if not open_item:
                    enter(level, "")
                open_text, open_item, last_raw = [text], True, line
        elif _headed(stripped, following, indent):
            yield from flush()
            enter(10 + indent, stripped)
        else:
            own = (
                _QUESTION.match(stripped)
                or pair_of(stripped, False) is not None
                or _ASKED.match(stripped)
            )
            # A line is a wrapped one only if its first word would not have fitted on the last.
            short = bool(open_text) and len(last_raw) + len(stripped.split()[0]) < 68
            starts = bool(_STARTS.match(stripped)) and (
                bool(_PAIR.match(last_raw) or _STARTS.match(last_raw))
                or last_raw.rstrip().endswith((".", "!", "?"))
            )
            # A line that ends a sentence ends a statement too.
            ended = (
                bool(open_text)
                and last_raw.rstrip().endswith((".", "!", "?"))
                and stripped[0].isupper()
            )
            if (own or short or starts or ended) and not (open_item and indent > 1):
                yield from flush()
            last_raw = line
            open_text.append(stripped)
            if stripped.endswith(":") and _CONDITION.match(stripped):
                continue
    yield from flush()


def _headed(text: str, following: str, indent: int) -> bool:
    """A line such as ``Prices:`` that stands over what follows."""
    if not text.endswith(":") or not following or _CONDITION.match(text):
        return False
    deeper = len(following) - len(following.lstrip()) > indent
    listed = bool(_ITEM.match(following)) or deeper
    return len(text.split()) <= (12 if listed else 4)


def _path(headings: dict[int, str]) -> tuple[str, ...]:
    return tuple(headings[level] for level in sorted(headings))


def _statement(text: str, path: tuple[str, ...], item: bool) -> Iterator[Line]:
    asked = _QUESTION.match(text)
    if asked:
        yield Line(asked[2], (*path, asked[1]), item=item)
        return
    pair = pair_of(text, item)
    if pair is not None:
        yield Line(pair[1], path, key=pair[0], item=item)
    else:
        yield Line(text, path, item=item)


def _row(cells: list[str], columns: list[str], path: tuple[str, ...]) -> Iterator[Line]:
    if len(cells) < 2:
        yield Line(cells[0], path, item=True)
        return
    head = " ".join(columns)
    named = [
        cell
        if len(cells) == 2 or re.search(r"[$€£:]|\d\s?min|am\b|pm\b", cell)
        else f"{column.lower()} {cell}"
        for column, cell in zip(columns[1:], cells[1:], strict=False)
        if cell
    ]
    yield Line(", ".join(named), (*path, head), key=cells[0], item=True)


def _with_answers(lines: Iterator[Line]) -> Iterator[Line]:
    """Put ``Q: ...`` over the ``A: ...`` that follows it."""
    question = ""
    for line in lines:
        key = re.sub(r"[\s\d]+$", "", line.key).lower()
        if key in ("q", "question"):
            question = line.text
        elif key in ("a", "answer") and question:
            yield Line(line.text, (*line.headings, question), item=line.item)
        else:
            yield line
