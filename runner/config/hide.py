"""What came out of the environment stays out of messages: there stands the variable's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from runner.config.source import shown
from runner.errors import Problem

#: Shorter values are words and numbers, no keys; hiding them would spoil the sentence around.
SHORTEST = 8
_CUT = "…"


class Hider:
    """``values`` from the environment with their variables; ``texts`` of the files, which hold
    no secret that their reader does not see."""

    __slots__ = ("_names",)

    def __init__(self, values: Mapping[str, str], texts: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        open_texts = tuple(texts)
        for value, name in values.items():
            if len(value) >= SHORTEST and not any(value in text for text in open_texts):
                self._names[value] = name
                self._names[shown(value, len(value))] = name  # as messages quote it

    def problems(self, problems: Iterable[Problem]) -> list[Problem]:
        return [self.problem(problem) for problem in problems]

    def problem(self, problem: Problem) -> Problem:
        message, hint = self._clean(problem.message), self._clean(problem.hint)
        path = self._clean(problem.path)
        return replace(problem, message=message, hint=hint, path=path)

    def _clean(self, text: str) -> str:
        for value, name in self._names.items():
            start = text.find(value[:SHORTEST])
            while start >= 0:
                end = start + SHORTEST
                while end < len(text) and value.startswith(text[start : end + 1]):
                    end += 1
                # Messages cut long values short.
                if end - start == len(value) or end == len(text) or text[end] == _CUT:
                    stands = f"${{{name}}}"
                    text = text[:start] + stands + text[end:]
                    end = start + len(stands)
                start = text.find(value[:SHORTEST], end)
        return text

    def __repr__(self) -> str:
        return f"Hider({len(self._names)} values)"
