"""What must be sent so that a session has the settings that are wanted, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runner.model.settings import Json, SessionSettings, alike

MISSING: Final = object()

#: Fields that a client never sends in an update: the model is chosen by the address.
NEVER_SENT = frozenset({"type", "id", "object", "model", "expires_at"})

#: What turns a field off that was sent before and is wanted no more: an update merges, so a
#: field that is merely left out stays as it was.
OFF: Mapping[str, Json] = {
    "instructions": "",
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "output_modalities": ["audio"],
    "max_output_tokens": "inf",
    "truncation": "auto",
    "prompt": None,
    "include": None,
    "audio.input.noise_reduction": None,
    "audio.input.transcription": None,
    "audio.output.speed": 1.0,
}


def difference(
    wanted: SessionSettings,
    effective: Mapping[str, Json],
    accepted: Mapping[str, Json],
    have: SessionSettings | None = None,
) -> dict[str, Json]:
    """The leaves to send, by dotted path.

    ``effective`` is the server's last echo, ``accepted`` what we sent before and the server did
    not contradict. Both count: an echo full of defaults contains ``{"type": "server_vad"}``
    although the session still has the silence that an earlier update gave it. ``have``: settings
    that are known to differ in nothing, so that only what is new in ``wanted`` is looked at.
    """
    leaves = wanted.leaves()
    looked = (*leaves, *accepted) if have is None else wanted.changed_from(have)
    changes: dict[str, Json] = {}
    for path in looked:
        if path in leaves:
            value = leaves[path]
            if path not in NEVER_SENT and not _has(path, value, effective, accepted):
                changes[path] = value
        elif path in OFF and path in accepted and accepted[path] != OFF[path]:
            changes[path] = OFF[path]
    return changes


def _has(
    path: str, value: Json, effective: Mapping[str, Json], accepted: Mapping[str, Json]
) -> bool:
    before = accepted.get(path, MISSING)
    if before is not MISSING and not alike(before, value):
        return False
    echo = lookup(effective, path)
    if echo is MISSING:
        return before is not MISSING
    return contained(value, echo, strict=before is MISSING)


def lookup(session: Mapping[str, Json], path: str) -> Any:
    """The value at a dotted path of a session object, MISSING when there is none."""
    node: Json = session
    for key in path.split("."):
        # Plain dicts come from the wire; asking for the abstract class costs ten times as much.
        if not (type(node) is dict or isinstance(node, Mapping)) or key not in node:
            return MISSING
        node = node[key]
    return node


def contained(sent: Json, echo: Json, *, strict: bool = True) -> bool:
    """Does everything that was sent stand in the echo? Maps may have more keys there; lists
    have the same length; an empty value and null are one. Not ``strict``, a key that the echo
    of a map leaves out contradicts nothing."""
    if type(sent) is str:  # most fields: an edit compares all of them for every live call
        return sent == echo or (not sent and echo is None)
    if echo is None and sent in ([], (), {}):
        return True
    if isinstance(sent, Mapping):
        return isinstance(echo, Mapping) and all(
            contained(value, echo[key], strict=strict)
            if key in echo
            else value is None or not strict
            for key, value in sent.items()
        )
    if isinstance(sent, (list, tuple)):
        return (
            isinstance(echo, (list, tuple))
            and len(sent) == len(echo)
            and all(contained(s, e, strict=strict) for s, e in zip(sent, echo, strict=True))
        )
    return alike(sent, echo)
