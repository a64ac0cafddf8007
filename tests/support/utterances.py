"""Plays dialogues from a data file against a brain, and judges each answer by its patterns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.codec import loads
from runner.engine.brain import make_brain
from runner.engine.ports import Brain, Call, Prompt, Say


@dataclass(frozen=True)
class Verdict:
    """One utterance: what was answered and what was wrong with it ('' when sensible)."""

    said: str
    text: str
    calls: tuple[tuple[str, str], ...]
    wrong: str
    leaked: str


def load(path: Path) -> Mapping[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def user(text: str) -> dict[str, Any]:
    part = {"type": "input_audio", "transcript": text}
    return {"type": "message", "role": "user", "status": "completed", "content": [part]}


def agent(text: str, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_audio", "transcript": text}
    return {"type": "message", "role": "assistant", "status": status, "content": [part]}


def call(name: str, arguments: str, call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "name": name, "call_id": call_id, "arguments": arguments}


def output(text: str, call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def think(
    instructions: str,
    items: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    tool_choice: Any = "auto",
    brain: Brain | None = None,
) -> tuple[str, list[Call]]:
    """The whole answer: its text and its calls."""

    async def run() -> tuple[str, list[Call]]:
        said, calls = "", []
        prompt = Prompt(instructions, items, tools, tool_choice)
        async for piece in (brain or make_brain()).think(prompt):
            if isinstance(piece, Say):
                said += piece.text
            else:
                calls.append(piece)
        return said, calls

    return asyncio.run(run())


def play(data: Mapping[str, Any]) -> list[Verdict]:
    """Every turn of every dialogue, in order."""
    leaks = re.compile("|".join(f"(?:{one})" for one in data["leaks"]), re.I)
    found: list[Verdict] = []
    for dialogue in data["dialogues"]:
        found += _dialogue(data["deployments"][dialogue["deployment"]], dialogue["turns"], leaks)
    return found


def _dialogue(
    deployment: Mapping[str, Any], turns: Sequence[Mapping[str, Any]], leaks: re.Pattern[str]
) -> list[Verdict]:
    tools = [
        {"type": "function", **{key: tool[key] for key in ("name", "description", "parameters")}}
        for tool in deployment.get("tools", ())
    ]
    outputs = {tool["name"]: tool["output"] for tool in deployment.get("tools", ())}
    items: list[dict[str, Any]] = []
    found = []
    for turn in turns:
        items.append(user(turn["say"]))
        said, made = "", []
        for _ in range(4):  # an answer after a tool may call another one, not for ever
            text, calls = think(deployment["instructions"], items, tools)
            said = f"{said} {text}".strip()
            if text:
                items.append(agent(text))
            for one in calls:
                call_id = f"call_{len(items)}"
                items.append(call(one.name, one.arguments, call_id))
                items.append(output(outputs[one.name], call_id))
                made.append((one.name, one.arguments))
            if not calls:
                break
        leaked = leaks.search(said)
        found.append(
            Verdict(
                turn["say"],
                said,
                tuple(made),
                _wrong(turn, said, made),
                leaked[0] if leaked else "",
            )
        )
    return found


def _wrong(turn: Mapping[str, Any], said: str, made: Sequence[tuple[str, str]]) -> str:
    expected = turn.get("call")
    if expected is None and made:
        return f"called {made[0][0]}"
    if expected is not None:
        if expected["name"] not in [name for name, _ in made]:
            return f"did not call {expected['name']}"
        arguments = loads(dict(made)[expected["name"]])
        for key, pattern in expected.get("arguments", {}).items():
            if not re.search(pattern, str(arguments.get(key, "")), re.I):
                return f"{key} is {arguments.get(key)!r}"
    wanted = turn.get("want", ())
    if wanted and not any(re.search(one, said, re.I | re.S) for one in wanted):
        return "not the answer"
    if any(re.search(one, said, re.I) for one in turn.get("never", ())):
        return "must not be said"
    return "" if said or made else "silent"
