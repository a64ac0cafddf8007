"""The layout of a deployment file: two spaces a level, everything else as its author left it.

Lines are moved, never written anew: keys keep their order, comments, quotes, blank lines and the
breaks of long texts stay, and so does what stands inside brackets. The tokens of the parser that
the loader uses say where each line belongs, and both layouts are read and compared at the end.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import yaml

from runner.config.source import Source, make_source
from runner.config.tree import LOADER, Tree, parse
from runner.errors import ConfigError, RtrunError

STEP = 2
_BESIDE = 2
_BREAK = re.compile("(\r\n|[\n\r\x85\u2028\u2029])")
#: The head of a block text: its style, and its indent and chomping in either order.
_HEADER = re.compile(r"[|>][-+]?([1-9]?)[-+]?")
_STARTS = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken)
_OPENS = (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)
_CLOSES = (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_RAW = (yaml.DocumentStartToken, yaml.DocumentEndToken, yaml.DirectiveToken)
_UNSEEN = (yaml.StreamStartToken, yaml.StreamEndToken)
#: One space stands behind these when something follows on their line.
_SPACED = (yaml.BlockEntryToken, yaml.ValueToken, yaml.KeyToken, yaml.AnchorToken, yaml.TagToken)


class FormatError(RtrunError):
    """A file whose layout cannot be changed without changing what it says."""


def formatted(source: Source) -> str:
    """The text of ``source`` in its layout, without a BOM, with the line ends that it began with.

    ConfigError, with places, for what is no YAML; FormatError when the new layout would say
    something else than the old one.
    """
    tree = parse(source)
    layout = _Layout(source.text)
    text = layout.text()
    if text != source.text:
        try:
            same = _said(parse(make_source(source.name, text))) == _said(tree)
        except ConfigError:
            same = False
        if not same or _Layout(text).comments != layout.comments:
            raise FormatError(
                f"{source.name}: another layout would change what this file says, so it is left "
                "as it is",
                "something in it is written in an unusual way; please report it with the file",
            )
    return text


def _said(tree: Tree) -> tuple[Any, Any]:
    """What a document says, and how each of its scalars is written."""
    return tree.value, {path: (p.text, p.plain, p.flow) for path, p in tree.places.items()}


@dataclass(slots=True)
class _Block:
    """An open block collection: its column before and after. ``indentless``: a list whose dashes
    stand below their key."""

    old: int
    new: int
    indentless: bool = False


@dataclass(slots=True)
class _Line:
    """``new`` is the indent of a line that a block begins, ``shift`` that of one inside a text or
    brackets; neither stands for a comment or nothing. ``verbatim`` keeps the end of the line,
    ``end`` is where its last token ends, ``gaps`` are places where one space belongs."""

    text: str
    new: int | None = None
    shift: int | None = None
    verbatim: bool = False
    end: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    #: The blocks open before and behind the line: (old column, new one).
    before: list[tuple[int, int]] = field(default_factory=list)
    after: list[tuple[int, int]] = field(default_factory=list)


class _Layout:
    def __init__(self, text: str) -> None:
        parts = _BREAK.split(text)
        self.lines = [_Line(part) for part in parts[::2]]
        self.ends = [*parts[1::2], ""]
        self.comments: list[str] = []
        #: The lines of block texts as they come out, and where a head tells its indent.
        self.content: dict[int, str] = {}
        self.digits: dict[int, int] = {}
        self._stack: list[_Block] = []
        self._depth = 0
        self._last: Any = None
        for token in yaml.scan(text, Loader=LOADER):
            self._take(token)
        self._known = [i for i, line in enumerate(self.lines) if line.new is not None]
        self._out = [self._written(i) for i in range(len(self.lines))]

    def text(self) -> str:
        """The whole in its new layout."""
        out = list(self._out)
        ends = [_one_end(end, self.ends[0]) for end in self.ends]
        newline = ends[0] or "\n"
        while len(out) > 1 and not out[-1] and len(out) - 1 not in self.content:
            out.pop()
        ends = ends[: len(out)]
        # A text that ends with the file, without a line end, has none in its value.
        if ends[-1] != "" or len(out) - 1 not in self.content:
            ends[-1] = newline
        return "".join(line + end for line, end in zip(out, ends, strict=True))

    # Reading

    def _take(self, token: Any) -> None:
        if isinstance(token, _UNSEEN):
            return
        start, end = token.start_mark, token.end_mark
        if isinstance(token, yaml.BlockEndToken):
            self._close()
            return
        line = self.lines[start.line]
        if isinstance(token, _RAW):
            line.new = 0
            line.end = max(line.end, end.column)
            self._last = None
            return
        if not self._depth:
            self._open(token, start.column)
            if line.new is None and line.shift is None:
                self._begin(token, line, start.column)
            self._gap(line, start)
        if isinstance(token, _OPENS):
            self._depth += 1
        elif isinstance(token, _CLOSES):
            self._depth -= 1
        shift = self._stack[-1].new - self._stack[-1].old if self._stack else 0
        if self._depth or isinstance(token, _CLOSES):
            for number in range(self._flow_from(token), start.line + 1):
                self._move(number, shift)
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            self._block_text(token)
        else:
            for number in range(start.line + 1, end.line + 1):
                self._move(number, shift)
                self.lines[number - 1].verbatim = True
            self.lines[end.line].end = max(self.lines[end.line].end, end.column)
        line.after = self._columns()
        self._last = token

    def _flow_from(self, token: Any) -> int:
        """The first line behind the last token, which a token inside brackets may stand on."""
        last = self._last.end_mark.line if self._last is not None else token.start_mark.line
        return int(last) + 1

    def _move(self, number: int, shift: int) -> None:
        line = self.lines[number]
        if line.new is None and line.shift is None:
            line.shift = shift

    def _open(self, token: Any, column: int) -> None:
        """Keeps the open blocks right for a token that stands in none of their brackets."""
        stack = self._stack
        inner = stack[-1].new + STEP if stack else 0
        if isinstance(token, _STARTS):
            stack.append(_Block(column, inner))
        elif isinstance(token, yaml.BlockEntryToken):
            if stack and not stack[-1].indentless and isinstance(self._last, yaml.ValueToken):
                # A list at the column of its key has no start of its own.
                stack.append(_Block(column, inner, True))
        elif isinstance(token, (yaml.KeyToken, yaml.ValueToken)):
            while stack and stack[-1].indentless:
                stack.pop()

    def _close(self) -> None:
        while self._stack and self._stack[-1].indentless:
            self._stack.pop()
        if self._stack:
            self._stack.pop()

    def _begin(self, token: Any, line: _Line, column: int) -> None:
        """The first token of a line: it is a key or a dash of the innermost block, or a value on
        a line of its own."""
        inner = self._stack[-1].new if self._stack else 0
        own = (*_STARTS, yaml.KeyToken, yaml.ValueToken, yaml.BlockEntryToken)
        line.before = self._columns()
        if not isinstance(token, own) and self._stack:
            inner += STEP
            line.before.append((column, inner))
        line.new = inner

    def _gap(self, line: _Line, start: Any) -> None:
        last = self._last
        if not isinstance(last, _SPACED) or last.end_mark.line != start.line:
            return
        if start.column > last.end_mark.column:
            line.gaps.append((last.end_mark.column, start.column))

    def _columns(self) -> list[tuple[int, int]]:
        return [(block.old, block.new) for block in self._stack]

    def _block_text(self, token: Any) -> None:
        """A text behind ``|`` or ``>``: its lines move with the step of the block."""
        number, column = token.start_mark.line, token.start_mark.column
        line = self.lines[number]
        header = _HEADER.match(line.text, column)
        assert header is not None  # the parser has read one here
        line.end = max(line.end, header.end())
        owner = self._stack[-1] if self._stack else _Block(0, 0)
        last = token.end_mark.line
        if token.end_mark.column:
            last += 1
        body = range(number + 1, min(last, len(self.lines)))
        full = [i for i in body if self.lines[i].text.strip(" ")]
        old = (
            len(self.lines[full[0]].text) - len(self.lines[full[0]].text.lstrip(" ")) if full else 0
        )
        if header[1]:
            old = owner.old + int(header[1])
            self.digits[number] = header.start(1)
        # Spaces behind the indent are text as well.
        full = [i for i in body if self.lines[i].text[old:] and (full or header[1])]
        keep = "+" in header[0]
        for i in body:
            if not keep and full and i > full[-1]:
                break
            rest = self.lines[i].text[old:] if full else ""
            self.content[i] = " " * (owner.new + STEP) + rest if rest else ""

    # Writing

    def _written(self, number: int) -> str:
        line = self.lines[number]
        if number in self.content:
            return self.content[number]
        if line.new is None and line.shift is None:
            bare = line.text.strip()
            if not bare:
                return ""
            if bare.startswith("#"):
                self.comments.append(bare)
            return " " * self._comment(number, len(line.text) - len(line.text.lstrip())) + bare
        old = len(line.text) - len(line.text.lstrip(" \t"))
        indent = line.new if line.new is not None else max(0, old + (line.shift or 0))
        if line.verbatim:
            return " " * indent + self._spaced(line, number, old, len(line.text))
        end = max(line.end, old)
        code = " " * indent + self._spaced(line, number, old, end).rstrip(" \t")
        rest = line.text[end:]
        bare = rest.strip()
        if not bare:
            return code.rstrip(" \t")
        if not bare.startswith("#"):
            return (code + rest).rstrip(" \t")
        self.comments.append(bare)
        if end == old:  # a comment between brackets, on a line of its own
            return " " * indent + bare
        gap = len(rest) - len(rest.lstrip())
        # A column of comments stays one; a comment right behind its line goes with it.
        column = end + gap if gap > _BESIDE else 0
        return code.ljust(max(column, len(code) + _BESIDE)) + bare

    def _spaced(self, line: _Line, number: int, start: int, end: int) -> str:
        """The line from ``start`` to ``end`` with its gaps closed to one space."""
        out, at = "", start
        text = line.text
        if number in self.digits:
            where = self.digits[number]
            text = text[:where] + str(STEP) + text[where + 1 :]
        for begin, stop in line.gaps:
            if begin >= at:
                out += text[at:begin] + " "
                at = stop
        return out + text[at:end]

    def _comment(self, number: int, column: int) -> int:
        """The new column of a comment on a line of its own: it goes with the block that stands
        in its column, before that which follows, else with the nearest."""
        index = bisect_left(self._known, number)
        following = self.lines[self._known[index]].before if index < len(self._known) else []
        leading = self.lines[self._known[index - 1]].after if index else []
        near = [(abs(old - column), new) for old, new in (*following[::-1], *leading[::-1])]
        return min(near, key=lambda pair: pair[0])[1] if near else 0


def _one_end(end: str, first: str) -> str:
    """Line ends of one kind, the file's first; those that only YAML 1.1 knows stay."""
    if end in ("\n", "\r", "\r\n"):
        return "\r\n" if first == "\r\n" else "\n"
    return end
