"""A tool's output as a sentence or two."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from runner.codec import loads
from runner.engine.brain.lexicon import MONTHS, bag
from runner.engine.brain.speech import capital, sentence, sentences, spoken
from runner.engine.brain.times import find_times, said_date, said_time
from runner.engine.brain.words import joined, plain_words, tokens

WHICH = "Which one would you like?"
THAT = "Would you like that?"
SORRY = "I am sorry, that did not work just now."

_TEXT_KEYS = (
    "message",
    "text",
    "answer",
    "summary",
    "response",
    "reply",
    "content",
    "result",
    "output",
    "description",
    "say",
)
_HIDDEN = bag(
    "ok success id_internal type object created_at updated_at timestamp metadata raw debug trace"
)
_ISO_DATE = re.compile(r"(?<![\d-])(20\d\d)-(\d\d)-(\d\d)(?![\d-])")
_ISO_MOMENT = re.compile(
    r"(?<![\d-])(20\d\d-\d\d-\d\d)[T ](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
)
_ERROR = re.compile(
    r"^\W*(?:an )?(?:error|exception|traceback|failed|failure|timeout|timed out)\b", re.I
)


def said_value(text: str) -> str:
    """ISO dates and clock times inside a tool's text as one says them."""

    def day(year: str, month: str, dom: str) -> str:
        try:
            return said_date(date(int(year), int(month), int(dom)))
        except ValueError:
            return f"{MONTHS[(int(month) - 1) % 12].title()} {int(dom)}"

    text = _ISO_MOMENT.sub(
        lambda m: f"{day(*m[1].split('-'))} at {said_time(int(m[2]) * 60 + int(m[3]))}", text
    )
    text = _ISO_DATE.sub(lambda m: day(m[1], m[2], m[3]), text)
    return spoken(text, day_clock=True)


def result(output: str, name: str, arguments: Mapping[str, Any], booking: bool) -> str:
    """What the caller hears of ``output``, the result of calling ``name`` with ``arguments``.

    ``booking``: a list is of what is free, and the caller will choose from it.
    """
    text = output.strip()
    value: Any = text
    if (
        text[:1] in '[{"'
        or text in ("true", "false", "null")
        or re.fullmatch(r"-?\d+(?:\.\d+)?", text)
    ):
        try:
            value = loads(text)
        except ValueError:
            value = text
    said = _say(value, name, arguments, booking, 0) or "That is done."
    if booking and isinstance(value, str) and "?" not in said and not said.startswith(SORRY):
        free = len(find_times(tokens(value)))
        return f"{said} {WHICH if free > 1 else THAT}" if free else said
    return said


def _say(value: Any, name: str, arguments: Mapping[str, Any], booking: bool, depth: int) -> str:
    if isinstance(value, bool):
        return "Yes." if value else "No."
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"The {_label(name)} is {value}."
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _mapping(value, name, arguments, booking, depth)
    if isinstance(value, Sequence):
        return _listed(list(value), name, arguments, booking)
    return ""


def _text(text: str) -> str:
    if not text.strip():
        return ""
    if _ERROR.match(text):
        return SORRY
    said = [sentence(one) for one in sentences(said_value(text))[:3]]
    return " ".join(said)


def _label(name: str) -> str:
    words = [
        word
        for word in plain_words(name)
        if word
        not in (
            "get",
            "find",
            "check",
            "look",
            "up",
            "lookup",
            "fetch",
            "search",
            "list",
            "calculate",
            "compute",
            "read",
            "show",
        )
    ]
    return " ".join(words) or "answer"


def _mapping(
    value: Mapping[str, Any], name: str, arguments: Mapping[str, Any], booking: bool, depth: int
) -> str:
    failed = value.get("error") or value.get("errors")
    bad = any(
        value.get(key) is False
        for key in ("ok", "success", "booked", "found", "available", "cancelled")
    ) or value.get("status") in ("error", "failed", "rejected")
    if failed or bad:
        why = (
            failed
            if isinstance(failed, str)
            else next(
                (
                    value[key]
                    for key in ("message", "reason", "detail", "explanation")
                    if isinstance(value.get(key), str)
                ),
                "",
            )
        )
        if isinstance(failed, Mapping):
            why = str(failed.get("message") or "")
        if bad and not failed and not why and value.get("available") is False:
            return "I am sorry, that is not available."
        if not why or re.search(r"traceback|exception|\w+error\b|[{}<>]", why, re.I):
            return SORRY
        others = [
            one
            for key, one in value.items()
            if isinstance(one, list) and one and key not in ("errors",)
        ]
        rest = f" {_listed(others[0], name, arguments, True)}" if others else ""
        return f"I am sorry, {_as_clause(why)}{rest}"
    for key in _TEXT_KEYS:
        if isinstance(value.get(key), str) and value[key].strip():
            extra = _code(value)
            said = _text(value[key])
            return said if not extra or str(extra[1]) in said else f"{said} {_said_code(extra)}"
    lists = [(key, one) for key, one in value.items() if isinstance(one, list)]
    if len(lists) == 1 and depth < 2:
        given = {**arguments, **{key: one for key, one in value.items() if isinstance(one, str)}}
        return _listed(
            lists[0][1],
            lists[0][0],
            given,
            booking or "slot" in lists[0][0] or "time" in lists[0][0],
        )
    parts: list[str] = []
    code = _code(value)
    done = any(
        value.get(key) is True
        for key in ("ok", "success", "booked", "confirmed", "cancelled", "done", "created")
    ) or (value.get("status") in ("ok", "success", "confirmed", "booked", "done"))
    if done:
        verb = next(
            (
                key
                for key in ("booked", "confirmed", "cancelled")
                if value.get(key) is True or value.get("status") == key
            ),
            "done",
        )
        parts.append(f"That is {verb}.")
    about: list[str] = []
    for key, one in value.items():
        if (
            key in _HIDDEN
            or (code and key == code[0])
            or one is None
            or (done and key in ("status",))
            or isinstance(one, list)
        ):
            continue
        if isinstance(one, bool):
            if key not in ("booked", "confirmed", "cancelled", "done", "created"):
                about.append(f"{_words(key)}: {'yes' if one else 'no'}")
        elif isinstance(one, Mapping) and depth < 2:
            inner = _say(one, key, arguments, booking, depth + 1)
            if inner and inner != "That is done.":
                parts.append(inner)
        elif isinstance(one, str | int | float) and str(one).strip() and len(str(one)) < 160:
            about.append(f"the {_words(key)} is {said_value(str(one))}")
    if about:
        parts.append(sentence(joined(about[:4])))
    if code:
        parts.append(_said_code(code))
    return " ".join(parts)


def _code(value: Mapping[str, Any]) -> tuple[str, Any] | None:
    for key, one in value.items():
        if (
            re.search(
                r"confirm|reference|^ref$|(?:booking|order|reservation|ticket|appointment|"
                r"case)_?(?:id|number|code|no)$|^id$|^code$",
                key,
            )
            and isinstance(one, str | int)
            and not isinstance(one, bool)
        ):
            return key, one
    return None


def _said_code(code: tuple[str, Any]) -> str:
    key = _words(code[0])
    kind = {
        "confirmation": "confirmation number",
        "id": "number",
        "ref": "reference",
        "confirm": "confirmation number",
    }.get(key, key)
    return f"Your {kind} is {code[1]}."


def _words(key: str) -> str:
    return (
        " ".join(re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).lower())) or key
    )


def _as_clause(why: str) -> str:
    said = sentence(said_value(why.strip()))
    first = said.split(None, 1)[0]
    keep = (
        first in ("I", "I'm")
        or not first[1:].islower()
        or first in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    )
    return said if keep else said[:1].lower() + said[1:]


def _listed(items: list[Any], name: str, arguments: Mapping[str, Any], booking: bool) -> str:
    day = next(
        (
            str(arguments[key])
            for key in arguments
            if re.search(r"date|day", key) and isinstance(arguments[key], str)
        ),
        "",
    )
    on = ""
    if day and len(day.split()) <= 5:
        said = said_value(day)
        on = (
            f" {said}"
            if re.match(r"(?:today|tomorrow|next|this|any|as|the)\b", said)
            else f" on {said}"
        )
    if not items:
        if booking:
            return f"I am sorry, there is nothing free{on}. Would another day suit you?"
        return f"I am sorry, I found nothing{on}."
    dates = {item[:10] for item in items if isinstance(item, str) and _ISO_MOMENT.fullmatch(item)}
    if len(dates) == 1 and all(isinstance(item, str) and len(item) > 10 for item in items):
        on = f" on {said_value(dates.pop())}"  # all on one day: it is said once
        items = [item[11:16] for item in items]
    shown = [_one(item) for item in items]
    shown = [one for one in shown if one][:5]
    more = len(items) - len(shown)
    if booking:
        text = f"I have {joined(shown)} free{on}."
        return f"{text} {WHICH}" if len(shown) > 1 else f"{text} {THAT}"
    text = f"I found {joined(shown)}{f', and {more} more' if more > 0 else ''}."
    return capital(text)


def _one(item: Any) -> str:
    """One entry of a list, short."""
    if isinstance(item, Mapping):
        start = next(
            (
                item[key]
                for key in ("start", "time", "slot", "starts_at", "datetime")
                if isinstance(item.get(key), str)
            ),
            None,
        )
        name = next(
            (
                item[key]
                for key in ("name", "title", "label", "item", "service", "product", "id")
                if isinstance(item.get(key), str)
            ),
            None,
        )
        price = next(
            (
                item[key]
                for key in ("price", "cost", "total", "amount")
                if isinstance(item.get(key), str | int | float)
            ),
            None,
        )
        day = next((item[key] for key in ("date", "day") if isinstance(item.get(key), str)), None)
        parts = [said_value(str(name))] if name else []
        if day and not (start and "-" in str(start)):
            parts.append(said_value(str(day)))
        if start:
            parts.append(("at " if parts else "") + said_value(str(start)))
        if price is not None:
            parts.append(f"for {_price(price)}")
        if parts:
            return " ".join(parts)
        return joined(
            [
                f"{_words(str(key))} {said_value(str(one))}"
                for key, one in list(item.items())[:3]
                if isinstance(one, str | int | float)
            ]
        )
    if isinstance(item, Sequence) and not isinstance(item, str):
        return joined([said_value(str(one)) for one in item][:3])
    return said_value(str(item)).rstrip(".")


def _price(price: str | int | float) -> str:
    if isinstance(price, float):
        return f"${price:.2f}"
    return price if isinstance(price, str) else f"${price}"
