"""The changes of a deployment for a reader: as lines of text, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from runner.cli.words import clean, count
from runner.codec import dumps
from runner.config.compare import changed_lines, in_file, price_of_resending, renamed, resends
from runner.config.diff import WORDS
from runner.model.deployment import Change

_LONG = 56


def as_text(
    changes: Sequence[Change], *, model: str = "", hits: Mapping[str, int] | None = None
) -> list[str]:
    """Lines for a terminal, grouped by when a change acts, each group in the file's order.

    ``model`` is the new one, for the price of a lost cache; ``hits`` is the number of live calls
    that a change touches, by its path. Colours are ANSI: ``click.echo`` takes them out on a pipe.
    """
    lines: list[str] = []
    for reload, words in WORDS.items():
        group = [change for change in changes if change.reload == reload]
        if group and lines:
            lines.append("")
        lines += [click.style(f"{words}:", bold=True)] if group else []
        for change in group:
            lines += ["  " + line for line in _change(change, hits)]
    if notes := _notes(changes, model):
        lines += ["", *(f"note: {note}" for note in notes)]
    return lines


def as_json(
    changes: Sequence[Change], *, model: str = "", hits: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """``{changes: [{path, class, words, old, new, resends, calls?}], notes: [...]}``. ``resends``:
    the cached prompt of each call on that agent is read anew; ``calls`` with ``hits`` only.
    Durations are seconds."""
    rows = []
    for change in changes:
        row = {
            "path": change.path,
            "class": change.reload,
            "words": WORDS[change.reload],
            "old": change.old,
            "new": change.new,
            "resends": resends(change),
        }
        rows.append(row if hits is None else {**row, "calls": hits.get(change.path, 0)})
    return {"changes": rows, "notes": _notes(changes, model)}


def _notes(changes: Sequence[Change], model: str) -> list[str]:
    out = []
    again = [change.path for change in changes if resends(change)]
    if again:
        price = price_of_resending(model)
        more = f" ({price})" if price else ""
        verb = "heads" if len(again) == 1 else "head"
        out.append(
            f"{clean(_some(again))} {verb} the prompt: what the server has cached of a call with "
            f"such an agent is lost, and its next answer reads everything at full price{more}."
        )
    out += [
        f"is {clean(new)} the old {clean(old)} renamed? To rtrun one went and one came."
        for old, new in renamed(changes)
    ]
    return out


def _some(paths: Sequence[str]) -> str:
    return (
        ", ".join(paths) if len(paths) < 4 else f"{', '.join(paths[:2])} and {len(paths) - 2} more"
    )


def _change(change: Change, hits: Mapping[str, int] | None) -> Iterator[str]:
    calls = "" if hits is None else f"  ({count(hits.get(change.path, 0), 'call')})"
    name = click.style(clean(change.path), bold=True)
    whole = change.path.count(".") == 1 and change.path.partition(".")[0] in _NAMED
    if whole and change.old is None:
        yield f"{name} comes{calls}"
        yield from _fields(change.new, "+")
        return
    if whole and change.new is None:
        yield f"{name} goes{calls}"
        yield from _fields(change.old, "-")
        return
    old, new = (in_file(change.path, value) for value in (change.old, change.new))
    if old == new:
        what = "another secret" if old == "***" else f"{_short(new)}, with other code in it"
        yield f"{name}: {what}{calls}"
    elif _is_text(old) and _is_text(new) and any("\n" in v or len(v) > _LONG for v in (old, new)):
        yield f"{name}{calls}"
        yield from _text(old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield f"{name}{calls}"
        yield from _list(old, new)
    elif isinstance(old, dict) and isinstance(new, dict):
        yield f"{name}{calls}"
        yield from _map(old, new)
    else:
        yield f"{name}: {_short(old)} → {_short(new)}{calls}"


_NAMED = ("agents", "tools", "guardrails")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _text(old: str, new: str) -> Iterator[str]:
    """A unified diff of two texts, without its headers."""
    for sign, line in changed_lines(old, new):
        if sign == "…":
            yield "  " + click.style("...", dim=True)
        elif sign in "+-":
            yield "  " + _signed(sign, line)
        else:
            yield "    " + clean(line)
    if old.splitlines() == new.splitlines():
        yield "  " + click.style("(only its line ends differ)", dim=True)


def _list(old: list[Any], new: list[Any]) -> Iterator[str]:
    went = [item for item in old if item not in new]
    came = [item for item in new if item not in old]
    yield from ("  " + _signed("-", _short(item, 200)) for item in went)
    yield from ("  " + _signed("+", _short(item, 200)) for item in came)
    if not went and not came:
        yield f"  in another order: {_short(new, 200)}"


def _map(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            yield f"  {clean(key)}"
            yield from ("  " + line for line in _map(was, now))
        else:
            yield f"  {clean(key)}: {_short(was)} → {_short(now)}"


def _fields(fields: Any, sign: str) -> Iterator[str]:
    for key, value in (fields if isinstance(fields, dict) else {}).items():
        if value not in (None, "", [], {}, ()):
            yield "  " + _signed(sign, f"{key}: {_short(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_inner(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_inner, value))}]"
    return value if isinstance(value, str) else dumps(value)


def _inner(value: Any) -> str:
    return f"{{ {_plain(value)} }}" if isinstance(value, dict) else _plain(value)


def _signed(sign: str, text: str) -> str:
    return click.style(f"{sign} {clean(text)}", fg="green" if sign == "+" else "red")


def _short(value: Any, limit: int = 72) -> str:
    """A value on one line; ``none`` for what is not there."""
    if value is None:
        return "none"
    text = clean(_plain(value))
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
