"""Written text as it is said: what the voice would stumble over is put into words.

Measured on the voice: it reads dates, prices, clock times and street names well, and phone
numbers, addresses of the net, ranges and Markdown wrongly.
"""

from __future__ import annotations

import re

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_MARKDOWN = re.compile(
    r"(?<!\w)[*_~`]+(?=\S)|(?<=\S)[*_~`]+(?!\w)|^\s*(?:#+|[-*•>])\s+", re.MULTILINE
)
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"')]+[^\s<>\"').,;:!?]")
_DOMAIN = re.compile(
    r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|dev|ai|co|eu|de|uk|us|edu|gov)\b"
)
_PHONE = re.compile(r"(?<![\w.,:/])\+?\(?\d[\d ().\-–]{5,}\d(?![\w:/%]|[.,]\d)")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEARS = re.compile(r"(?:19|20)\d\d\s*[-–]\s*(?:19|20)\d\d")
_DAY_NAMES = {
    name[:3].lower(): name
    for name in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
}
_DAY_RANGE = re.compile(
    r"\b(mon|tue|wed|thu|fri|sat|sun)(?:[a-z]*)\.?\s*[-–]\s*(mon|tue|wed|thu|fri|sat|sun)[a-z]*\b\.?",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?<![\w.+-])(\d{1,4}(?::\d\d)?(?:\s?[ap]\.?m\.?)?)\s*[-–]\s*"
    r"(\d{1,4}(?::\d\d)?)(?=\s?[ap]\.?m\b|(?![\w-]))",
    re.IGNORECASE,
)
_FULL_HOUR = re.compile(r"\b(1[3-9]|2[0-3]):00\b")
_NO_SOUND = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2060-\u2064\ufe0f\ufeff\ud800-\udfff]"
)


def spoken(text: str) -> str:
    """What the voice is given for ``text``; '' when there is nothing to say in it."""
    text = _NO_SOUND.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _MARKDOWN.sub("", text)
    text = _EMAIL.sub(lambda m: _address(m[0]), text)
    text = _URL.sub(lambda m: _address(re.sub(r"^https?://(?:www\.)?|^www\.", "", m[0])), text)
    text = _DOMAIN.sub(lambda m: _address(m[0]), text)
    text = _DAY_RANGE.sub(
        lambda m: f"{_DAY_NAMES[m[1].lower()]} to {_DAY_NAMES[m[2].lower()]}", text
    )
    text = _PHONE.sub(_phone, text)
    text = _RANGE.sub(r"\1 to \2", text)
    text = _FULL_HOUR.sub(r"\1 hundred", text)
    # Brackets left over would start the voice's own notation for sounds.
    text = re.sub(r"[\[\]{}|\\<>^~`]+", " ", text)
    return text if any(c.isalnum() for c in text) else ""


def _address(text: str) -> str:
    for sign, word in (
        ("@", " at "), (".", " dot "), ("/", " slash "), ("_", " underscore "), ("-", " dash "),
    ):  # fmt: skip
        text = text.replace(sign, word)
    return re.sub(r"\s+", " ", re.sub(r"[?&=#%+:]+", " ", text)).strip()


def _phone(match: re.Match[str]) -> str:
    text = match[0]
    digits = re.sub(r"\D", "", text)
    grouped = len(digits) < len(text.lstrip("+"))
    if len(digits) < 7 or _ISO_DATE.fullmatch(text) or _YEARS.fullmatch(text):
        return text
    if not (text.startswith("+") or grouped or len(digits) >= 10):
        return text
    groups = re.findall(r"\d+", text) if grouped else _groups(digits)
    said = ", ".join(" ".join(group) for group in groups)
    return f"plus {said}" if text.lstrip("(").startswith("+") else said


def _groups(digits: str) -> list[str]:
    """Threes, and the last four together: +15551230100 is 1 555 123 0100."""
    head, tail = digits[:-4], digits[-4:]
    first = len(head) % 3
    groups = [head[:first]] if first else []
    return [*groups, *(head[n : n + 3] for n in range(first, len(head), 3)), tail]


__all__ = ["spoken"]
