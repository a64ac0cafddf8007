"""Secrets that stand in a file in clear: by their shape, by their place in a URL, by their name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from runner.config.expand import inside
from runner.config.ground import Ground
from runner.config.source import Source, position
from runner.config.tree import Path, dotted
from runner.errors import Problem

MESSAGE, HINT = "a key stands in the file", "write ${NAME} and set NAME"
CODE = "RT904"
_SHAPES = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}"  # OpenAI and those who copied it
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|\bA(?:KIA|SIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"  # AWS, Google
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"  # a JWT
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\bwhsec_[A-Za-z0-9+/=]{16,}"
)
_IN_URL = re.compile(
    r"://[^\s/?#@:]*:(?P<password>[^\s/?#@]+)@"
    r"|[?&](?:api[_-]?key|key|token|access[_-]token|auth|secret|password|sig|signature)"
    r"=(?P<value>[^\s&#{}]+)",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?:^|[_-])(?:key|token|secret|password|passwd)$", re.IGNORECASE)
_FILLED = re.compile(r"\$\{[^{}]*\}")


def clear_secrets(ground: Ground, prompts: Iterable[tuple[Source, Path]]) -> None:
    """Warns of each that is not told already. ``prompts``: texts that stand in files, with the
    paths of their agents."""
    told = {p.path for p in ground.warnings if p.code == CODE}
    for path, text in _texts((), ground.tree.value):
        place = ground.tree.place(path)
        found = [] if dotted(path) in told else _found(text, path)
        for start, _ in found:
            line, column = inside(place, text, start)
            problem = place.source.problem(line, column, MESSAGE, HINT, dotted(path), code=CODE)
            ground.warnings.append(_masked(problem, found))
    for source, path in prompts:
        found = _found(source.text, path)
        for start, _ in found:
            at = position(source.text, start)
            problem = source.problem(*at, MESSAGE, HINT, dotted(path), code=CODE)
            ground.warnings.append(_masked(problem, found))


def _masked(problem: Problem, found: list[tuple[int, str]]) -> Problem:
    """``problem`` without the secrets in the line that it shows."""
    source = problem.source
    for _, secret in found:
        source = source.replace(secret, "***")
    return replace(problem, source=source)


def _found(text: str, path: Path) -> list[tuple[int, str]]:
    """Where each secret begins in ``text``, and the secret."""
    found = [(shape.start(), shape.group()) for shape in _SHAPES.finditer(text)]
    # What is filled in is no secret of the file; its place is kept.
    rest = _FILLED.sub(lambda m: "{" * len(m.group()), text)
    for url in _IN_URL.finditer(rest):
        group = "password" if url["password"] else "value"
        if "{" not in url[group]:
            found.append((url.start(group), url[group]))
    if found:
        return sorted(found)
    named = path[:1] == ("vars",) and _NAMED.search(str(path[-1])) is not None
    if named and len(text) >= 8 and "${" not in text and " " not in text:
        return [(0, text)]
    return []


def _texts(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts((*path, key), item)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _texts((*path, i), item)
    elif isinstance(value, str):
        yield path, value
