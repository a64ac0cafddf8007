"""SessionSettings: the session object in the wire's own GA shape.

The shape is the `session` of `session.update` (OpenAI Realtime GA): `instructions`,
`tools`, `audio.input.turn_detection` and so on. Left out, a field is the SDK's default
below; null turns a thing off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeGuard

Json = Any  # str | int | float | bool | None | list | dict, as it stands on the wire

#: What the OpenAI Agents SDK sends when the user says nothing (agents-js 0.20).
DEFAULT_SETTINGS: Mapping[str, Json] = {
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad"},
        },
        "output": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "voice": "marin",
        },
    },
}

DEFAULT_MODEL = "gpt-realtime-2.1"

PCM_RATE = 24000

#: The keys of a session object (RealtimeSessionCreateRequest of the GA reference).
SESSION_KEYS = (
    "type",
    "model",
    "instructions",
    "output_modalities",
    "audio",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "prompt",
    "tracing",
    "truncation",
    "max_output_tokens",
    "include",
)

#: Objects that the wire replaces whole: a partial one would leave fields of the old type behind.
WHOLE_OBJECTS = frozenset(
    {
        "audio.input.format",
        "audio.input.transcription",
        "audio.input.noise_reduction",
        "audio.input.turn_detection",
        "audio.output.format",
        "audio.output.voice",
        "tool_choice",
        "truncation",
        "tracing",
        "prompt",
        "reasoning",
        "max_output_tokens",
    }
)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """An immutable session object. ``wire`` must not be changed by its readers."""

    wire: Mapping[str, Json] = field(default_factory=lambda: deepcopy(dict(DEFAULT_SETTINGS)))
    _leaves: dict[str, Json] = field(default_factory=dict, init=False, repr=False, compare=False)
    #: The last answer of :meth:`changed_from`. An edit asks once for every live call.
    _changed: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def leaves(self) -> Mapping[str, Json]:
        """The value of every field by its dotted path, whole objects and lists counted as one.
        Not to be changed."""
        if not self._leaves:
            self._leaves.update(_leaves(self.wire, ""))
        return self._leaves

    def changed_from(self, old: SessionSettings) -> tuple[str, ...]:
        """The paths of the leaves that are another value here than in ``old``, or that only one
        of the two has."""
        if old is self:
            return ()
        if not self._changed or self._changed[0] is not old:
            mine, its = self.leaves(), old.leaves()
            paths = dict.fromkeys((*mine, *its))
            changed = tuple(
                p for p in paths if p not in mine or p not in its or not alike(mine[p], its[p])
            )
            self._changed[:] = (old, changed)
            old._changed.clear()  # else every edit would keep all that were before it
        found: tuple[str, ...] = self._changed[1]
        return found

    def get(self, path: str) -> Json:
        """The value at a dotted path, None when absent or null."""
        node: Json = self.wire
        for key in path.split("."):
            if not _is_map(node):
                return None
            node = node.get(key)
        return node

    def merged(self, over: Mapping[str, Json]) -> SessionSettings:
        """These settings with ``over`` laid on top: maps merge, whole objects and lists replace."""
        return SessionSettings(merge(self.wire, over))


def _is_map(value: Any) -> TypeGuard[Mapping[str, Json]]:
    # Plain dicts come from the wire; asking for the abstract class costs ten times as much.
    return type(value) is dict or isinstance(value, Mapping)


def merge(base: Mapping[str, Json], over: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    """``over`` laid on ``base``, neither changed. Null in ``over`` is a value (off)."""
    out = dict(base)
    for key, value in over.items():
        path = f"{prefix}{key}"
        old = out.get(key)
        if _is_map(value) and _is_map(old) and path not in WHOLE_OBJECTS:
            out[key] = merge(old, value, f"{path}.")
        else:
            out[key] = deepcopy(value)
    return out


def _leaves(node: Mapping[str, Json], prefix: str) -> Iterator[tuple[str, Json]]:
    for key, value in node.items():
        path = f"{prefix}{key}"
        if _is_map(value) and path not in WHOLE_OBJECTS:
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def nested(leaves: Mapping[str, Json]) -> dict[str, Json]:
    """The object whose leaves these are: ``{"audio.output.speed": 1}`` -> nested maps."""
    out: dict[str, Json] = {}
    for path, value in leaves.items():
        *parents, last = path.split(".")
        node = out
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = value
    return out


def alike(one: Json, other: Json) -> bool:
    """Equality of two values as they stand on the wire: true is not 1, 1 and 1.0 are one."""
    if type(one) is str:
        return bool(one == other)
    if _is_map(one) and _is_map(other):
        return one.keys() == other.keys() and all(alike(v, other[k]) for k, v in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def in_formats_of(line: SessionSettings, settings: SessionSettings) -> SessionSettings:
    """``settings`` with the audio formats that a line began with: what is at its other end, a
    telephone or a speaker, knows of no other."""
    if settings.wire.get("audio") == line.wire.get("audio"):
        return settings
    formats = ("audio.input.format", "audio.output.format")
    if all(settings.get(path) == line.get(path) for path in formats):
        return settings
    leaves = {path: value for path, value in settings.leaves().items() if path not in formats}
    kept = {path: value for path, value in line.leaves().items() if path in formats}
    return SessionSettings(nested(leaves | kept))
