"""`-k`: which tests are meant, by words in their names."""

from __future__ import annotations

import re
from collections.abc import Callable

from runner.errors import UsageError

Matcher = Callable[[str], bool]

_TOKEN = re.compile(r"""\s*(?:(\(|\))|"([^"]*)"|'([^']*)'|([^\s()"']+))""")


def selector(expression: str) -> Matcher:
    """``hours and not (slow or "the bill")``: texts that stand in a name, whatever their case,
    joined by and, or, not and parentheses. UsageError when it is none."""
    tokens = _tokens(expression)
    if not tokens:
        return lambda name: True
    found, rest = _either(tokens, expression)
    if rest:
        raise _wrong(expression, f"'{rest[0][1]}' stands where and, or, or nothing belongs")
    return lambda name: found(name.casefold())


#: A word of the expression is a "text", or the "sign" of something.
_Tokens = list[tuple[str, str]]


def _tokens(expression: str) -> _Tokens:
    out: _Tokens = []
    at = 0
    while expression[at:].strip():
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _wrong(expression, "a quote is not closed")
        sign, double, single, word = match.groups()
        if sign or word in ("and", "or", "not"):
            out.append(("sign", sign or word))
        else:
            text = next(part for part in (double, single, word) if part is not None)
            out.append(("text", text.casefold()))
        at = match.end()
    return out


def _either(tokens: _Tokens, whole: str) -> tuple[Matcher, _Tokens]:
    left, rest = _both(tokens, whole)
    while rest and rest[0] == ("sign", "or"):
        right, rest = _both(rest[1:], whole)
        left = _join(any, left, right)
    return left, rest


def _both(tokens: _Tokens, whole: str) -> tuple[Matcher, _Tokens]:
    left, rest = _one(tokens, whole)
    # Words that only stand beside each other are one text, as in a name.
    while rest and rest[0] == ("sign", "and"):
        right, rest = _one(rest[1:], whole)
        left = _join(all, left, right)
    return left, rest


def _one(tokens: _Tokens, whole: str) -> tuple[Matcher, _Tokens]:
    if not tokens:
        raise _wrong(whole, "something is missing at its end")
    kind, word = tokens[0]
    if kind == "text":
        words = [word]
        rest = tokens[1:]
        while rest and rest[0][0] == "text":
            words.append(rest[0][1])
            rest = rest[1:]
        text = " ".join(words)
        return (lambda name: text in name), rest
    if word == "not":
        inner, rest = _one(tokens[1:], whole)
        return (lambda name: not inner(name)), rest
    if word == "(":
        inner, rest = _either(tokens[1:], whole)
        if not rest or rest[0] != ("sign", ")"):
            raise _wrong(whole, "a parenthesis is not closed")
        return inner, rest[1:]
    raise _wrong(whole, f"'{word}' has nothing before it")


def _join(how: Callable[[list[bool]], bool], left: Matcher, right: Matcher) -> Matcher:
    return lambda name: how([left(name), right(name)])


def _wrong(expression: str, why: str) -> UsageError:
    return UsageError(f"-k '{expression}': {why}", "such as -k 'hours and not bill'")
