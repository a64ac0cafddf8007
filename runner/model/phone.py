"""A phone call that rings, and the rules by which it is answered, refused or put through.

What a caller's side sends (numbers, names, headers) is data: it is compared, shown and filled in,
and never expanded or carried out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TypeVar
from urllib.parse import unquote

from runner.model.secret import Secret

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? +)?"
    r"(?P<begin>[0-2]?[0-9]:[0-5][0-9]) ?- ?(?P<end>[0-2]?[0-9]:[0-5][0-9])"
)
_URI = re.compile(r"(?:sips?|tel):([^@>;?\s]*)", re.IGNORECASE)
#: How people group the digits of a number (RFC 3966's visual separators, and the space).
_SEPARATORS = re.compile(r"[\s().-]")
_NUMBER = re.compile(r"\+?[0-9*#]+")

#: Fields of the turn detection that the service does not take for a phone call.
REFUSED_DETECTION = ("threshold", "prefix_padding_ms", "silence_duration_ms")
#: SIP's answer to a call that no rule fits: nobody of that number is here, or not now.
NOT_FOUND, NOT_NOW = 404, 480


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours: ``(days, begin, end)`` with 0 for Monday and minutes of the day. A span that
    ends at or before its beginning runs past midnight and belongs to the day on which it began."""

    spans: tuple[tuple[frozenset[int], int, int], ...]

    def open(self, at: datetime) -> bool:
        """``at`` is the local time of the deployment."""
        minute, day = at.hour * 60 + at.minute, at.weekday()
        for days, begin, end in self.spans:
            if begin < end:
                if day in days and begin <= minute < end:
                    return True
            elif (day in days and minute >= begin) or ((day - 1) % 7 in days and minute < end):
                return True
        return False


def hours(text: str) -> Hours:
    """``mon-fri 08:00-18:00, sat 09:00-12:00``; without days every day. ValueError."""
    spans = []
    for part in text.lower().split(","):
        found = _SPAN.fullmatch(" ".join(part.split()))
        if found is None:
            raise ValueError(f"'{part.strip()}' is not such as mon-fri 08:00-18:00")
        days = _days(found["first"], found["last"])
        spans.append((days, _minutes(found["begin"]), _minutes(found["end"])))
    return Hours(tuple(spans))


def _days(first: str | None, last: str | None) -> frozenset[int]:
    for day in filter(None, (first, last)):
        if day not in DAYS:
            raise ValueError(f"'{day}' is not a day; they are {', '.join(DAYS)}")
    if first is None:
        return frozenset(range(7))
    begin = DAYS.index(first)
    return frozenset((begin + i) % 7 for i in range((DAYS.index(last or first) - begin) % 7 + 1))


def _minutes(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    if hour * 60 + minute > 24 * 60:
        raise ValueError(f"'{clock}' is past the end of the day")
    return hour * 60 + minute


@dataclass(frozen=True, slots=True)
class CallRule:
    """What happens to a call that fits every condition given: exactly one of ``answer`` (an
    agent), ``reject`` (a SIP status) and ``transfer`` (a tel: or sip: URI) is set."""

    to: tuple[str, ...] = ()
    sender: tuple[str, ...] = ()
    headers: Mapping[str, Secret] = field(default_factory=dict)
    hours: Hours | None = None
    answer: str = ""
    reject: int | None = None
    transfer: str = ""

    def fits(self, call: Incoming, at: datetime) -> bool:
        """``at`` is the deployment's local time."""
        return (
            self.reaches(call.called)
            and (not self.sender or _any(self.sender, call.caller))
            and all(
                any(like(pattern.reveal(), value, exact=True) for value in call.values(name))
                for name, pattern in self.headers.items()
            )
            and (self.hours is None or self.hours.open(at))
        )

    def reaches(self, called: str) -> bool:
        return not self.to or _any(self.to, called)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call that rings: the service's id, and the INVITE's headers in order, repeats included."""

    call_id: str
    headers: tuple[tuple[str, str], ...] = ()

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def caller(self) -> str:
        """The caller's number, or the part of the address before the @; '' when it is hidden."""
        return self._user("from")

    @property
    def called(self) -> str:
        return self._user("to")

    @property
    def about(self) -> dict[str, str]:
        """What ``${call.*}`` is filled with."""
        return {"from": self.caller, "to": self.called, "id": self.call_id}

    def _user(self, header: str) -> str:
        return next((party(value) for value in self.values(header)), "")


def party(address: str) -> str:
    """``"Ann" <sip:+1%20555@host;user=phone>;tag=x`` -> ``+1 555``, printable and of a sane
    length: it ends up in prompts and logs."""
    # The display name is the caller's own words, and may look like an address.
    bare = address.rpartition("<")[2]
    found = _URI.search(bare)
    text = unquote(found[1], errors="replace") if found else bare.partition(";")[0]
    user = text.partition(";")[0].strip()
    return "".join(sign for sign in user if sign.isprintable())[:128]


def like(pattern: str, value: str, *, exact: bool = False) -> bool:
    """Does ``value`` fit? ``*`` stands for any signs; numbers are compared without the signs
    that group them, unless ``exact``."""
    if not exact:
        pattern, value = plain(pattern), plain(value)
    # Only the star: a ? or [ in a header means itself.
    escaped = pattern.replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(value.lower(), escaped.lower())


def plain(number: str) -> str:
    """``+1 (555) 123-0100`` -> ``+15551230100``; a name stays as it is."""
    digits = _SEPARATORS.sub("", number)
    return digits if _NUMBER.fullmatch(digits) else number


def _any(patterns: Iterable[str], value: str) -> bool:
    return any(like(pattern, value) for pattern in patterns)


T = TypeVar("T")


def chosen(
    behind: Sequence[tuple[T, Sequence[CallRule], datetime]], call: Incoming
) -> tuple[T, CallRule] | int:
    """Who takes the call, by which rule; else the SIP status that refuses it.

    ``behind`` are the deployments of one listener with their rules (none: the entry agent answers
    everything) and their local time. A number belongs to the deployment that names it: the others
    are asked for what nobody names. In one deployment the first rule that fits counts.
    """
    naming = [entry for entry in behind if _names(entry[1], call)]
    for owner, rules, at in naming or behind:
        for rule in rules or (CallRule(),):
            if rule.fits(call, at):
                return owner, rule
    known = naming or any(not rule.to for _, rules, _ in behind for rule in rules)
    return NOT_NOW if known else NOT_FOUND


def _names(rules: Sequence[CallRule], call: Incoming) -> bool:
    return any(rule.to and rule.reaches(call.called) for rule in rules)


def clash(ours: Sequence[CallRule], theirs: Sequence[CallRule]) -> tuple[int, str] | None:
    """Two deployments behind one listener that answer the same number: the index of our rule (-1
    without rules) and the number, ``*`` for every one. None when they do not."""
    for i, ourselves in _claims(ours):
        for _, other in _claims(theirs):
            if ourselves == other or ("*" not in (ourselves, other) and meet(ourselves, other)):
                return i, ourselves
    return None


def meet(one: str, other: str) -> bool:
    """Is there a text that fits both patterns, whose ``*`` stands for any signs?"""
    ahead = {0}  # how far ``other`` is used up when ``one`` is so far
    for sign in [*one.lower(), ""]:
        for i in sorted(ahead):
            while other[i : i + 1] == "*" and i + 1 not in ahead:
                ahead.add(i := i + 1)
        if not sign:
            break
        if sign == "*":
            ahead = set(range(min(ahead, default=len(other) + 1), len(other) + 1))
            continue
        stays = {i for i in ahead if other[i : i + 1] == "*"}
        ahead = stays | {i + 1 for i in ahead if other[i : i + 1].lower() == sign}
    return len(other) in ahead


def _claims(rules: Sequence[CallRule]) -> Iterator[tuple[int, str]]:
    if not rules:
        yield -1, "*"
    for i, rule in enumerate(rules):
        for number in rule.to or ("*",):
            yield i, plain(number)
