"""The schema's verdict on a document, in the words of somebody writing one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from runner.config.schema import Schema
from runner.config.source import shown
from runner.config.syntax import QUOTE_PROSE
from runner.config.tree import Path, Tree
from runner.errors import Problem
from runner.model.secret import revealed

_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_YES = frozenset(("yes", "on", "y"))
_NO = frozenset(("no", "off", "n"))


def near(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``did you mean x?`` for the nearest of ``known``, empty when none is near."""
    by_case: dict[str, str] = {}
    for name in known:
        by_case.setdefault(name.lower(), name)
    short = word.lower()[:80]
    # difflib does not see that 'ot' is 'to' with two letters changed about.
    swapped = [name for name in by_case if sorted(name) == sorted(short)]
    found = swapped or difflib.get_close_matches(short, by_case, 1, cutoff)
    return f"did you mean {shown(by_case[found[0]])}?" if found else ""


def choices(known: Iterable[Any]) -> str:
    return ", ".join("null" if v is None else str(v) for v in known)


def check(tree: Tree, document: Any, schema: Schema, broken: Collection[Path]) -> list[Problem]:
    """The problems of an expanded ``document``, without those at or below ``broken`` paths."""
    out: dict[Problem, None] = {}
    for error in schema.errors(revealed(document)):
        path: Path = tuple(error.absolute_path)
        if any(path[: len(bad)] == bad for bad in broken):
            continue
        for problem in _Words(tree, schema, path).problems(error):
            out[problem] = None
    return list(out)


class _Words:
    """Turns one error of jsonschema at ``path`` into problems."""

    def __init__(self, tree: Tree, schema: Schema, path: Path) -> None:
        self.tree = tree
        self.schema = schema
        self.path = path

    def problems(self, error: Any) -> Iterator[Problem]:
        kind = error.validator
        if kind == "additionalProperties":
            yield from self.unknown_keys(error)
        elif kind == "required":
            yield from self.missing_keys(error)
        elif kind == "type":
            yield self.wrong_type(error)
        elif kind == "enum":
            yield self.wrong_choice(error)
        elif kind in ("pattern", "minLength", "maxLength"):
            yield self.wrong_text(error)
        elif kind in ("minimum", "maximum"):
            side = "below" if kind == "minimum" else "above"
            expect = error.schema.get("x-expect", f"the {kind} is {error.validator_value}")
            yield self.at(
                f"{self.said(error)} is {side} {error.validator_value}", expect, code="RT106"
            )
        elif kind in ("minProperties", "minItems"):
            yield self.at("is empty; at least one belongs here", code="RT107")
        elif kind == "maxItems":
            message = f"{len(error.instance)} items, at most {error.validator_value}"
            yield self.at(message, code="RT107")
        else:
            yield self.at(error.message[:200], code="RT105")

    def at(self, message: str, hint: str = "", *, code: str) -> Problem:
        return self.tree.problem(self.path, message, hint, code=code)

    def said(self, error: Any) -> str:
        """The value as it is written; a secret never."""
        place = self.tree.place(self.path)
        secret = self.schema.secret(self.path)
        if secret is True or (secret and "${" in (place.text or "")):
            return "this value"
        if isinstance(error.instance, str):
            return f"'{shown(error.instance)}'"
        exact = self.path in self.tree.places and place.text is not None and "$" not in place.text
        return shown(place.text if exact else error.instance)

    def unknown_keys(self, error: Any) -> Iterator[Problem]:
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        for key in error.instance:
            if key in known or any(re.search(p, key) for p in patterns):
                continue
            path = (*self.path, key)
            place = self.tree.places.get(path)
            if place and place.flow and " " in key and place.text == "":
                message = f"a comma ends a text inside braces, so '{shown(key)}' became a key"
                yield self.tree.problem(path, message, QUOTE_PROSE, at_key=True, code="RT012")
                continue
            kind = error.instance.get("type")
            if "type" in known and isinstance(kind, str) and self.schema.at(path):
                # Known in another branch of this union.
                message = f"'{shown(key)}' does not go with type: {shown(kind)}"
                hint = f"known here: {choices(known)}"
                yield self.tree.problem(path, message, hint, at_key=True, code="RT109")
                continue
            hint = near(key, known) or self.home(key)
            if not hint and known:
                hint = f"known here: {choices(known)}"
            message = f"unknown key '{shown(key)}'"
            yield self.tree.problem(path, message, hint, at_key=True, code="RT101")

    def home(self, key: str) -> str:
        homes = self.schema.homes(key)[:3]
        if not homes:
            return ""
        places = [
            f"{home.rpartition('.')[0]}" if "." in home else "the top level" for home in homes
        ]
        return f"it belongs in {' or '.join(places)}"

    def missing_keys(self, error: Any) -> Iterator[Problem]:
        for key in error.validator_value:
            if key in error.instance:
                continue
            known = self._known()
            similar = [k for k in error.instance if near(key, [k]) and k not in known]
            if similar:
                # One fault, one message; a union without its type checks no other keys.
                hint = f"did you mean {key}?"
                message = f"unknown key '{shown(similar[0])}'"
                path = (*self.path, similar[0])
                yield self.tree.problem(path, message, hint, at_key=True, code="RT101")
                continue
            yield self.tree.problem(self.path, f"'{key}' is missing", at_key=True, code="RT102")

    def _known(self) -> Mapping[str, Any]:
        out: dict[str, Any] = {}
        for node in self.schema.at(self.path):
            out.update(node.get("properties", {}))
        return out

    def wrong_type(self, error: Any) -> Problem:
        wanted = error.validator_value
        kinds = [wanted] if isinstance(wanted, str) else list(wanted)
        kinds = [kind for kind in kinds if kind != "null"] or kinds
        expect = error.schema.get("x-expect") or self.expected()
        belongs = expect if expect else " or ".join(_KINDS[kind] for kind in kinds)
        value = error.instance
        if value is None:
            return self.at(f"is empty; {belongs} belongs here", code="RT103")
        if isinstance(value, bool):
            got = "true or false"
        elif isinstance(value, (int, float)):
            got = "a number"
        elif isinstance(value, str):
            got = "text"
        else:
            got = _KINDS["array" if isinstance(value, list) else "object"]
        hint = self.type_hint(value, kinds, belongs)
        return self.at(f"{got} where {belongs} belongs", hint, code="RT103")

    def expected(self) -> str:
        for node in self.schema.at(self.path):
            if "x-expect" in node:
                return str(node["x-expect"])
        return ""

    def type_hint(self, value: Any, kinds: list[str], belongs: str) -> str:
        if isinstance(value, (int, float)) and "string" in kinds:
            place = self.tree.place(self.path)
            written = place.text if place.text is not None else str(value)
            if "duration" in belongs:
                return f'a duration has a unit: "{shown(written)}s"'
            if "enum" not in kinds:
                return f'put it in quotes: "{shown(written)}"'
        if isinstance(value, str):
            if "boolean" in kinds and value.lower() in _YES | _NO:
                return f"write {'true' if value.lower() in _YES else 'false'}"
            if "array" in kinds:
                program = self.path[-1:] in (("command",), ("argv",))
                items = ", ".join(value.split()) if program else value
                return f"a list stands in brackets: [{shown(items)}]"
            if {"integer", "number"} & set(kinds) and value.strip().lstrip("+-").isdigit():
                return "a number stands without quotes"
        if isinstance(value, dict) and kinds == ["array"]:
            return "begin each item with '- '"
        if isinstance(value, list) and kinds == ["object"] and isinstance((value or [0])[0], dict):
            return "write 'name:' lines instead of '- ' lines"
        if isinstance(value, dict) and "string" in kinds and self.tree.place(self.path).flow:
            return QUOTE_PROSE
        return ""

    def wrong_choice(self, error: Any) -> Problem:
        known = error.validator_value
        also = error.schema.get("x-also", "")
        names = choices(known) + (f", {also}" if also else "")
        texts = [v for v in known if isinstance(v, str)]
        hint = ""
        if isinstance(error.instance, str):
            hint = near(error.instance, texts)
        one = "one of " if len(known) > 1 else ""
        return self.at(f"{self.said(error)} is not {one}{names}", hint, code="RT104")

    def wrong_text(self, error: Any) -> Problem:
        expect = error.schema.get("x-expect")
        # A name in a map is at fault, not its value.
        if isinstance(error.instance, str) and "propertyNames" in error.absolute_schema_path:
            path = (*self.path, error.instance)
            return self.tree.problem(
                path,
                f"the name '{shown(error.instance)}' cannot be used",
                f"{expect} is wanted" if expect else "",
                at_key=True,
                code="RT108",
            )
        if error.instance == "":
            return self.at(f"is empty; {expect or 'text'} belongs here", code="RT105")
        if error.validator == "maxLength":
            return self.at(f"longer than {error.validator_value} characters", code="RT105")
        message = f"{self.said(error)} is not {expect or error.validator_value}"
        return self.at(message, code="RT105")
