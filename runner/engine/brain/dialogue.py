"""The conversation so far, read from the wire's items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.codec import loads

USER, AGENT, CALL, OUTPUT = "user", "agent", "call", "output"


@dataclass(frozen=True, slots=True)
class Turn:
    """One item. ``text`` is what was said, or a tool's output; ``whole`` is False when the caller
    cut it off."""

    who: str
    text: str = ""
    name: str = ""
    call_id: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = True


def text_of(item: Mapping[str, Any]) -> str:
    """The words of a message item: typed text, and transcripts of audio."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    said = []
    for part in content:
        if isinstance(part, Mapping):
            words = part.get("text") or part.get("transcript")
            if isinstance(words, str) and words.strip():
                said.append(words.strip())
    return " ".join(said)


def turns_of(items: Sequence[Mapping[str, Any]]) -> tuple[list[Turn], str]:
    """The turns in order, and what system messages add to the instructions."""
    turns: list[Turn] = []
    system: list[str] = []
    names: dict[str, Turn] = {}
    for item in items:
        if not isinstance(item, Mapping):
            continue
        kind = item.get("type", "message")
        call_id = str(item.get("call_id") or "")
        if kind == "message":
            role, text = item.get("role"), text_of(item)
            if role in ("system", "developer"):
                system.append(text)
            elif role == "user":
                turns.append(Turn(USER, text))
            elif role == "assistant":
                turns.append(Turn(AGENT, text, whole=item.get("status") != "incomplete"))
        elif kind == "function_call":
            turn = Turn(
                CALL,
                name=str(item.get("name") or ""),
                call_id=call_id,
                arguments=_object(item.get("arguments")),
            )
            names[call_id] = turn
            turns.append(turn)
        elif kind == "function_call_output":
            call = names.get(call_id, Turn(CALL))
            output = item.get("output")
            turns.append(
                Turn(
                    OUTPUT,
                    output if isinstance(output, str) else _parts(output),
                    call.name,
                    call_id,
                    call.arguments,
                )
            )
    return turns, "\n".join(system)


def _object(arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, Mapping):
        return dict(arguments)
    try:
        value = loads(arguments) if isinstance(arguments, str) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _parts(output: Any) -> str:
    """A tool's output given as content parts."""
    if isinstance(output, Sequence):
        return " ".join(
            str(part.get("text") or "") for part in output if isinstance(part, Mapping)
        ).strip()
    return ""


class Dialogue:
    """Questions that the rest of the brain asks of the conversation."""

    def __init__(self, items: Sequence[Mapping[str, Any]]) -> None:
        self.turns, self.system = turns_of(items)

    @property
    def last(self) -> Turn | None:
        return self.turns[-1] if self.turns else None

    @property
    def pending(self) -> str:
        """What the caller said since the agent's last word, '' for nothing (or only noise)."""
        said: list[str] = []
        for turn in reversed(self.turns):
            if turn.who != USER:
                break
            if turn.text.strip():
                said.append(turn.text.strip())
        # More than three unanswered turns are a new request, not one that was cut in pieces.
        return " ".join(reversed(said[:3]))

    def users(self) -> list[int]:
        """Places of the caller's turns that have words."""
        return [
            place for place, turn in enumerate(self.turns) if turn.who == USER and turn.text.strip()
        ]

    def agent_before(self, place: int) -> Turn | None:
        """The agent's last words before the caller's turn at ``place``, None without any."""
        for turn in reversed(self.turns[:place]):
            if turn.who == AGENT and turn.text.strip():
                return turn
            if turn.who == USER and turn.text.strip():
                return None
        return None

    def outputs(self) -> list[Turn]:
        """The tool outputs that nothing was said about yet, in order."""
        found: list[Turn] = []
        for turn in reversed(self.turns):
            if turn.who == OUTPUT:
                found.append(turn)
            elif turn.who != CALL:
                break
        return list(reversed(found))

    def last_said(self) -> Turn | None:
        return next(
            (turn for turn in reversed(self.turns) if turn.who == AGENT and turn.text.strip()), None
        )

    def count_said(self, start: str) -> int:
        return sum(turn.who == AGENT and turn.text.startswith(start) for turn in self.turns)
