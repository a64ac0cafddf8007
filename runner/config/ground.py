"""What every check of a document's meaning stands on: its tree, its values, and how to say it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit

from runner.config import schema as schemas
from runner.config.check import choices, near
from runner.config.source import shown
from runner.config.tree import Path, Tree
from runner.errors import Problem
from runner.model.secret import Secret

#: Tools that need no entry under `tools:`.
BUILT_IN_TOOLS: frozenset[str] = frozenset({"end_call", "collect_digits"})

_KEY_IN_FILE = ("a key stands in the file", "write ${NAME} and set NAME")
#: What is not there -> its code; of others RT203.
_NO_SUCH = {"agent": "RT201", "tool": "RT202"}
_KEY_WORDS = ("authorization", "key", "token", "secret", "password", "cookie")


@dataclass(frozen=True, slots=True)
class Ground:
    """An expanded document that may still be wrong anywhere: nothing is taken for granted, what
    the schema already refuses is passed over."""

    tree: Tree
    document: Mapping[str, Any]
    base: FilePath
    warnings: list[Problem] = field(default_factory=list)

    def map(self, key: str) -> dict[str, Any]:
        return as_map(self.document.get(key))

    def say(
        self, path: Path, message: str, hint: str = "", *, at_key: bool = False, code: str = ""
    ) -> Problem:
        return self.tree.problem(path, message, hint, at_key=at_key, code=code)

    def warn(
        self, path: Path, message: str, hint: str = "", *, at_key: bool = False, code: str = ""
    ) -> None:
        self.warnings.append(self.tree.problem(path, message, hint, at_key=at_key, code=code))

    def unknown(self, path: Path, kind: str, name: str, known: Collection[str]) -> Problem:
        hint = near(name, known) or (f"there are {choices(known)}" if known else "there are none")
        code = _NO_SUCH.get(kind, "RT203")
        return self.say(path, f"no {kind} is called '{shown(name)}'", hint, code=code)

    def exactly_one(
        self, path: Path, given: Mapping[str, Any], kinds: Sequence[str], what: str
    ) -> Iterator[Problem]:
        """``what`` has one of the keys ``kinds`` and no two."""
        here = [key for key in given if key in kinds]
        if len(here) > 1:
            message = f"{what} has only one of {choices(kinds)}; {' and '.join(here)} stand here"
            hint = f"take out all but {here[0]}"
            yield self.say((*path, here[1]), message, hint, at_key=True, code="RT110")
        elif not here:
            known = {key for node in schemas.load().at(path) for key in node.get("properties", ())}
            if any(near(key, kinds) for key in given if key not in known):
                return  # misspelt: told already
            stands = f"; here stands {choices(shown(key) for key in [*given][:8])}" if given else ""
            message = f"{what} has one of {choices(kinds)}{stands}"
            yield self.say(path, message, at_key=True, code="RT110")

    def does_not_go(
        self, path: Path, given: Mapping[str, Any], kind: str, hints: Mapping[str, str]
    ) -> Iterator[Problem]:
        """``hints`` are keys that have no meaning beside ``kind``, and what to write instead."""
        for key in given:
            if key in hints:
                message = f"'{key}' does not go with {kind}"
                yield self.say((*path, key), message, hints[key], at_key=True, code="RT109")

    def function(self, path: Path, ref: Any) -> Iterator[Problem]:
        """``path.py:function`` or ``package.module:function``."""
        if not isinstance(ref, str) or ":" not in ref:
            return
        module = ref.rpartition(":")[0]
        if module.endswith(".py"):
            yield from self.file(path, module)
        elif not all(part.isidentifier() for part in module.split(".")):
            hint = "write path.py:function, or package.module:function"
            yield self.say(path, f"'{shown(module)}' is no module name", hint, code="RT105")

    def file(self, path: Path, name: str) -> Iterator[Problem]:
        """There is a file ``name``, when it is relative beside the file in which it stands."""
        base = self.tree.folder(path)
        file = base / name
        try:
            if file.is_file():
                return
            beside = [str(p.relative_to(base)) for p in file.parent.glob(f"*{file.suffix}")]
        except (OSError, ValueError):
            beside = []
        hint = near(name, beside) or self.tree.begins(path)
        yield self.say(path, f"no file {shown(name)}", hint, code="RT207")

    def url(self, path: Path, url: Any) -> Iterator[Problem]:
        """What a pattern does not see: a port that is none, half of an IPv6 address."""
        text = url.reveal() if isinstance(url, Secret) else url
        if not isinstance(text, str) or "://" not in text:
            return
        try:
            parts = urlsplit(text)
            good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good:
            hint = "such as https://api.example.com/v1"
            yield self.say(path, "this URL names no server", hint, code="RT211")

    def key_in_file(self, path: Path) -> None:
        """Warn of a key that is written out."""
        secret = self.at(path)
        written = self.tree.place(path).text or ""
        if isinstance(secret, Secret) and secret and "${" not in written:
            problem = self.tree.problem(path, *_KEY_IN_FILE, code="RT904")
            source = problem.source.replace(secret.reveal(), "***")
            self.warnings.append(replace(problem, source=source))

    def keys_in_map(self, path: Path) -> None:
        """The same for headers and environments, by their names."""
        for name, value in as_map(self.at(path)).items():
            text = value.reveal() if isinstance(value, Secret) else ""
            if any(word in name.lower() for word in _KEY_WORDS) and "{" not in text:
                self.key_in_file((*path, name))

    def at(self, path: Path) -> Any:
        """The value at ``path``, None when there is none."""
        node: Any = self.document
        for step in path:
            if isinstance(step, int):
                items = as_list(node)
                node = items[step] if step < len(items) else None
            else:
                node = as_map(node).get(step)
        return node


def as_map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def texts(value: Any) -> Iterable[tuple[int, str]]:
    """The texts of a list with their places in it."""
    return [(i, item) for i, item in enumerate(as_list(value)) if isinstance(item, str)]
