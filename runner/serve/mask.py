"""Secrets of the deployments, taken out of whatever is shown of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.model.deployment import Deployment
from runner.model.secret import Secret

MASK = "***"
#: A shorter secret is found as a whole value alone: as a part it would hit ordinary words.
_SHORTEST = 4


def masked(value: Any) -> Any:
    """Plain JSON of a document: each Secret in it stands as ``***``."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value


class Masks:
    """``masks(name, value)``: the texts in ``value`` without what is secret in that deployment, in
    the version in force and in those that were since the first look."""

    def __init__(self, in_force: Callable[[str], Deployment | None]) -> None:
        self._in_force = in_force
        self._seen: dict[str, Deployment] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}

    def __call__(self, name: str, value: Any) -> Any:
        secrets = self._of(name)
        return _without(value, secrets) if secrets else value

    def _of(self, name: str) -> tuple[str, ...]:
        now = self._in_force(name)
        if now is not None and self._seen.get(name) is not now:
            self._seen[name] = now
            known = {*self._secrets.get(name, ()), *_texts(now.document), *_texts(_engine(now))}
            # The longest first: one may be a part of another.
            self._secrets[name] = tuple(sorted(known, key=len, reverse=True))
        return self._secrets.get(name, ())


def _engine(deployment: Deployment) -> Any:
    return [deployment.engine.api_key, deployment.engine.headers, deployment.engine.brain]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        text = value.reveal()
        if text:
            yield text
            # Of `Bearer KEY` the key alone is secret, too.
            scheme, _, key = text.partition(" ")
            if scheme.isalpha() and len(key) >= _SHORTEST and " " not in key:
                yield key
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _without(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            if value == secret:
                return MASK
            if len(secret) >= _SHORTEST and secret in value:
                value = value.replace(secret, MASK)
        return value
    if isinstance(value, Mapping):
        return {key: _without(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(item, secrets) for item in value]
    return value
