"""Conversations as tests: what the `tests:` of a deployment say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Path = tuple[str | int, ...]
Kind = Literal["agent", "not", "tool", "handoff", "guardrail", "judge", "within", "ends"]

TURN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Expect:
    """One thing that has to come. ``words`` are what it looks for: a text of the agent, the name
    of a tool, an agent or a guardrail, a question for the judge, the reason of an end; ``regex``
    True: they are a regular expression. ``arguments`` of a tool, None when any will do;
    ``seconds`` of a ``within``. ``path`` is where it stands in its file."""

    kind: Kind
    path: Path
    words: str = ""
    regex: bool = False
    arguments: Mapping[str, Any] | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TurnSpec:
    """One step of a test. One of ``text`` (typed), ``say`` (spoken), ``wav`` (absolute path),
    ``silence`` (seconds) and ``edit`` (dotted path -> new value) is set. ``noise`` is the
    distance of voice and noise in dB; ``interrupt_after`` and ``timeout`` are seconds."""

    path: Path
    text: str = ""
    say: str = ""
    wav: str = ""
    silence: float | None = None
    edit: Mapping[str, Any] | None = None
    rejected: bool = False
    noise: float | None = None
    telephone: bool = False
    interrupt_after: float | None = None
    expects: tuple[Expect, ...] = ()
    any_order: bool = False
    timeout: float = TURN_SECONDS

    @property
    def spoken(self) -> bool:
        return bool(self.say or self.wav)


@dataclass(frozen=True, slots=True)
class StubSpec:
    """What a tool gives without being run: ``output`` (any JSON), or ``error`` in words, after
    ``delay`` seconds."""

    output: Any = ""
    error: str = ""
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class CallTest:
    """One conversation in a call of its own."""

    name: str
    path: Path
    turns: tuple[TurnSpec, ...]
    stubs: Mapping[str, StubSpec] = field(default_factory=dict)
    operator: Literal["approve", "reject"] = "approve"
    #: For ``${call.from}``.
    caller: str = ""

    @property
    def spoken(self) -> bool:
        """Somebody speaks, or cuts off what sounds: an engine without a voice cannot do it."""
        return any(turn.spoken or turn.interrupt_after is not None for turn in self.turns)

    @property
    def sounds(self) -> bool:
        """It is about how something sounds: also an edit of the session, and a guardrail, which
        cuts off what is being spoken. Anything else is quicker as text."""
        return self.spoken or any(
            any(expect.kind == "guardrail" for expect in turn.expects)
            or any(path.split(".")[0] == "session" for path in turn.edit or ())
            for turn in self.turns
        )
