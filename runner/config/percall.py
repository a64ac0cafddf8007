"""What is filled in for each call: ``${call.from}``, ``${call.to}``, ``${call.id}``, ``${now}``.

The loader leaves these four in a text. A literal that only looks like one (written ``$${now}``,
or standing in the environment) arrives here with its dollar signs doubled.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

_BROUGHT: dict[str, tzinfo] = {}
NAMES = ("call.from", "call.to", "call.id", "now")

_CALL = re.compile(r"(\$+)\{(call\.from|call\.to|call\.id|now)\}")
_TAIL = re.compile(r"\$+\Z")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


def join(pieces: list[tuple[str, bool]]) -> str:
    """One text of ``(text, is a placeholder's name)``, such that :func:`fill` gives back every
    literal as it was."""
    merged: list[tuple[str, bool]] = []
    for text, placeholder in pieces:
        if merged and not placeholder and not merged[-1][1]:
            merged[-1] = (merged[-1][0] + text, False)
        else:
            merged.append((text, placeholder))
    out: list[str] = []
    for index, (text, placeholder) in enumerate(merged):
        if placeholder:
            out.append("${" + text + "}")
            continue
        text = _CALL.sub(lambda m: m.group(1) * 2 + "{" + m.group(2) + "}", text)
        if index + 1 < len(merged):
            text = _TAIL.sub(lambda m: m.group() * 2, text)
        out.append(text)
    return "".join(out)


def cut(joined: str) -> list[tuple[str, bool]]:
    """The pieces that :func:`join` made one text of."""
    out: list[tuple[str, bool]] = []
    literal, at = "", 0
    for match in _CALL.finditer(joined):
        dollars, name = match.groups()
        literal += joined[at : match.start()] + "$" * (len(dollars) // 2)
        at = match.end()
        if len(dollars) % 2:
            out += [(literal, False), (name, True)]
            literal = ""
        else:
            literal += "{" + name + "}"
    return [*out, (literal + joined[at:], False)]


def named(text: str) -> frozenset[str]:
    """The placeholders that :func:`fill` would fill in."""
    return frozenset(name for name, placeholder in cut(text) if placeholder)


def fill(text: str, call: Mapping[str, str], now: str) -> str:
    """``text`` with the four placeholders filled in; what is missing in ``call`` (keys ``from``,
    ``to``, ``id``) becomes nothing. The values are data: a ``${...}`` in them stays as it is."""

    def one(match: re.Match[str]) -> str:
        dollars, name = match.groups()
        lead = "$" * (len(dollars) // 2)
        if len(dollars) % 2 == 0:
            return lead + "{" + name + "}"
        return lead + (now if name == "now" else call.get(name.removeprefix("call."), ""))

    return _CALL.sub(one, text)


def now_text(timezone: str | None, now: datetime) -> str:
    """What ``${now}`` says: ``Sunday, 22 November 2026, 22:51``, in ``timezone`` when there is
    one, else as ``now`` stands. ``now`` is aware of its zone."""
    local = now.astimezone(_zone(timezone)) if timezone else now
    return f"{_date(local)}, {local:%H:%M}"


def today_line(timezone: str | None, now: datetime) -> str:
    """The sentence that tells the agent date and time, empty when ``timezone`` is None (off).
    ``now`` is aware of its zone."""
    if timezone is None:
        return ""
    local = now.astimezone(_zone(timezone))
    return f"Today is {_date(local)}; the time is {local:%H:%M} ({timezone})."


def system_zone(env: Mapping[str, str]) -> str:
    """The IANA name of this machine's time zone, ``UTC`` when it cannot be told."""
    name = env.get("TZ", "").removeprefix(":")
    if name and _known(name):
        return name
    for link in ("/etc/localtime", "/private/etc/localtime"):
        try:
            target = os.path.realpath(link)
        except OSError:
            continue
        _, found, name = target.partition("zoneinfo/")
        name = re.sub(r"^(posix|right|uclibc)/", "", name)
        if found and _known(name):
            return name
    try:
        with open("/etc/timezone", encoding="utf-8") as stream:
            name = stream.read(200).strip()
    except (OSError, ValueError):
        return "UTC"
    return name if _known(name) else "UTC"


def know(name: str, zone: tzinfo) -> None:
    """A zone that was brought along, for a place without a database of them (a Worker)."""
    _BROUGHT[name] = zone


def _known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _zone(name: str) -> tzinfo:
    # UTC needs no database, and is what system_zone answers on a machine without one.
    from datetime import timezone

    if name == "UTC":
        return timezone.utc  # noqa: UP017
    return _BROUGHT.get(name) or ZoneInfo(name)


def _date(at: datetime) -> str:
    return f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year}"
