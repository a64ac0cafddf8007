"""`records:`: what is kept of each call, where, without what, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.model.redaction import Redactor, redactor
from runner.model.secret import Secret

#: Stands for the call's id in the path of a file.
CALL = "{call.id}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """``url`` gets each call's transcript when it is over, signed with ``secret`` (empty: not).
    ``hosts`` are private names that may be reached all the same."""

    url: Secret
    secret: Secret = field(default_factory=lambda: Secret(""))
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Records:
    """``transcript`` and ``audio`` are paths with ``{call.id}`` in them, from the deployment's
    folder, empty for none. ``redact`` are kinds and regular expressions; ``keep`` seconds, None for
    ever."""

    transcript: str = ""
    audio: str = ""
    redact: tuple[str, ...] = ()
    keep: float | None = None
    webhook: Webhook | None = None

    @property
    def redactor(self) -> Redactor:
        return redactor(self.redact)


def named(template: str, call_id: str) -> str:
    """The path for one call. An id is the service's: it names a file and leads nowhere else."""
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in call_id)
    return template.replace(CALL, name)
