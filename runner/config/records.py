"""What a schema cannot say of `records:`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from runner.config.check import near
from runner.config.ground import Ground, texts
from runner.config.source import shown
from runner.config.speech import regex_problems
from runner.config.tree import Path
from runner.errors import Problem
from runner.model.redaction import KINDS
from runner.model.secret import revealed


def record_problems(ground: Ground) -> Iterator[Problem]:
    """Every error of `records:`; warnings go to ``ground``."""
    given = ground.map("records")
    for key in ("transcript", "audio"):
        yield from _inside(ground, key, given.get(key))
    yield from _webhook(ground, given.get("webhook"))
    kept = given.get("transcript") or given.get("audio")
    if given.get("audio") and given.get("redact"):
        message = "the recording holds what redact takes out of the texts"
        ground.warn(("records", "audio"), message, at_key=True, code="RT913")
    if given.get("keep") is not None and not kept:
        ground.warn(("records", "keep"), "nothing is kept", at_key=True, code="RT910")
    if not any(sign in "123456789" for sign in str(given.get("keep") or "1")):
        words = "a duration must be longer than nothing"
        yield ground.say(("records", "keep"), words, "such as 30d", code="RT209")
    for i, pattern in texts(given.get("redact")):
        if pattern in KINDS or not pattern:
            continue
        if pattern.replace("_", "").isalpha() and pattern.islower():
            message = f"nothing that is redacted is called '{shown(pattern)}'"
            known = f"there are {', '.join(KINDS)}; (?:{shown(pattern)}) would be the word itself"
            yield ground.say(
                ("records", "redact", i), message, near(pattern, KINDS) or known, code="RT203"
            )
        else:
            hint = "it would blot out everything"
            yield from regex_problems(ground, ("records", "redact", i), pattern, hint)


def _webhook(ground: Ground, given: Any) -> Iterator[Problem]:
    path: Path = ("records", "webhook")
    if isinstance(given, dict):
        path = (*path, "url")
        ground.key_in_file(("records", "webhook", "secret"))
    url = revealed(given.get("url") if isinstance(given, dict) else given)
    if not isinstance(url, str) or not url:
        return
    yield from ground.url(path, url)
    if not (isinstance(given, dict) and "secret" in given):
        words = "who receives this cannot know that it comes from here"
        ground.warn(path, words, "webhook: { url: ..., secret: ... }", at_key=True, code="RT912")


def _inside(ground: Ground, key: str, template: Any) -> Iterator[Problem]:
    """The files of records stay in the deployment's folder: what is old there is deleted."""
    if not isinstance(template, str):
        return
    posix, windows = PurePosixPath(template), PureWindowsPath(template)
    if posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts):
        hint = "a path below it; a folder there may be a link to another disk"
        words = "this path leaves the deployment's folder"
        yield ground.say(("records", key), words, hint, code="RT414")
