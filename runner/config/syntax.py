"""What a YAML syntax error means, in the words of somebody writing a deployment."""

from __future__ import annotations

import re

import yaml

from runner.config.source import Source
from runner.errors import Problem

INDENT = "indent with spaces, two for each level"
QUOTE_PROSE = "put the text in quotes; inside { } and [ ] a comma, colon or question mark ends it"
#: Collections inside each other; a deployment has ten or so.
MAX_DEPTH = 64
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_KEY = re.compile(r"\s*(?:- +)*([^\s:#'\"{\[][^:]*?)\s*:(?:\s|$)")


def explain(error: yaml.YAMLError, source: Source) -> Problem:
    """One positioned problem for an error of PyYAML's parser, C or pure."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    context = str(getattr(error, "context", None) or "")
    if mark is None:
        return source.problem(1, 1, f"this is not YAML: {problem}", code="RT010")
    line, column = mark.line + 1, mark.column + 1
    raw = source.raw(line)

    lead = re.match(r"[ \t]*", raw)
    if lead and "\t" in lead.group() and column <= lead.end() + 1:
        return source.problem(
            line, raw.index("\t") + 1, "a tab indents this line", INDENT, code="RT011"
        )
    if "quoted scalar" in context and "end of stream" in problem:
        return _at(source, error.context_mark, "this quote is never closed", code="RT013")  # type: ignore[attr-defined]
    if "escape" in problem and re.search(r"\\u[dD][89a-fA-F]", raw):
        message = "half of a surrogate pair (\\ud800 to \\udfff) is not a character"
        return source.problem(line, column, message, "write the character itself", code="RT018")
    if "escape" in problem:
        hint = "inside single quotes a backslash is only a backslash"
        return source.problem(
            line, column, "this backslash begins no known escape", hint, code="RT012"
        )
    if "maximum nesting depth" in problem:  # libyaml 0.2.6 stops by itself, far beyond our bound
        return source.problem(line, column, TOO_DEEP, code="RT002")
    if context.startswith("while parsing a flow"):
        return _flow(error, source, line, column)
    if problem.startswith("mapping values are not allowed"):
        return _second_colon(source, line, column, raw)
    if "cannot start any token" in problem:
        char = raw[column - 1 : column]
        hint = "put the text in quotes"
        return source.problem(
            line, column, f"a text cannot begin with {char!r}", hint, code="RT012"
        )
    if "comment or line break" in problem or "comment or a line break" in problem:
        hint = "the text begins on the next line, indented"
        return source.problem(
            line, column, "nothing may follow | or > on its line", hint, code="RT010"
        )
    if context.startswith("while parsing a block"):
        return _block(source, line, column, raw)
    if problem.startswith("could not find expected ':'") or "simple key" in context:
        hint = "a key ends with a colon and a space"
        return _at(
            source,
            getattr(error, "context_mark", mark),
            "a colon is missing here",
            hint,
            code="RT010",
        )
    if "incompatible YAML document" in problem:
        return source.problem(line, column, "only YAML 1.1 and 1.2 are read", code="RT010")
    where = f" {context}" if context else ""
    return source.problem(line, column, f"{problem}{where}", code="RT010")


def _at(source: Source, mark: yaml.Mark, message: str, hint: str = "", *, code: str) -> Problem:
    return source.problem(mark.line + 1, mark.column + 1, message, hint, code=code)


def _flow(error: yaml.YAMLError, source: Source, line: int, column: int) -> Problem:
    """Inside braces or brackets: never closed, a bare ``${...}``, or bare prose."""
    opened = error.context_mark  # type: ignore[attr-defined]
    raw = source.raw(line)
    if raw[:column].rstrip().endswith("${"):
        found = re.match(r"\$\{[^}]*\}?", raw[column - 2 :])
        text = found.group() if found else "${...}"
        hint = f'put it in quotes: "{text}"'
        message = "a bare ${...} cannot stand inside { } or [ ]"
        return source.problem(line, column - 1, message, hint, code="RT012")
    opener = source.raw(opened.line + 1)
    outside = line > opened.line + 1 and _indent(raw) <= _indent(opener)
    if raw[column - 1 : column] in ("?", ":") and not outside:
        message = f"a bare '{raw[column - 1]}' cannot stand in a text inside {{ }} or [ ]"
        return source.problem(line, column, message, QUOTE_PROSE, code="RT012")
    rest = raw[column - 1 :].strip()
    if not rest or line > opened.line + 1:
        bracket = opener[opened.column : opened.column + 1]
        closer = {"{": "}", "[": "]"}.get(bracket)
        if closer is None:
            return source.problem(
                line, column, "the file ends inside { } or [ ]", "close it", code="RT013"
            )
        message = f"this '{bracket}' is never closed"
        return _at(
            source, opened, message, f"add '{closer}', or put the text in quotes", code="RT013"
        )
    return source.problem(
        line, column, "',' or a closing bracket belongs here", QUOTE_PROSE, code="RT013"
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _second_colon(source: Source, line: int, column: int, raw: str) -> Problem:
    key = _KEY.match(raw)
    if key and key.end() < column:
        name = key.group(1)
        hint = f"put the text in quotes, or write '{name}: |' and the text on the next lines"
        message = "a second ': ' in one line would be a key of its own"
        return source.problem(line, column, message, hint, code="RT012")
    hint = "is this line indented too far, or does the line above lack its colon?"
    return source.problem(line, column, "a key cannot stand here", hint, code="RT019")


def _block(source: Source, line: int, column: int, raw: str) -> Problem:
    before = raw[: column - 1].rstrip()
    if before.endswith(("'", '"')):
        hint = "put the whole text in quotes; a quote inside doubles: ''"
        return source.problem(line, column, "text follows the closing quote", hint, code="RT012")
    if before.endswith(("}", "]")):
        return source.problem(line, column, "text follows the closing bracket", code="RT013")
    if before:
        return source.problem(line, column, "a key belongs here", code="RT010")
    hint = "keys of one map, and items of one list, begin in the same column"
    return source.problem(line, column, "the indentation fits nothing above", hint, code="RT019")
