from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional, TypedDict, Union

import pytest

from runner.errors import ToolError
from runner.tools.base import ToolContext
from runner.tools.schema import function_tool, schema_of

pytestmark = pytest.mark.quick


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Address(TypedDict):
    street: Annotated[str, "with the number"]
    city: NotRequired[str]


@dataclass
class Guest:
    name: str
    age: int = 0
    tags: list[str] = field(default_factory=list)


@dataclass
class Node:
    below: list[Node]


UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (date, {"type": "string", "format": "date"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (time, {"type": "string", "format": "time"}),
        (Any, {}),
        (dict, {"type": "object"}),
        (list, {"type": "array"}),
        (set, {"type": "array", "uniqueItems": True}),
        (UserId, {"type": "integer"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (tuple[float, ...], {"type": "array", "items": {"type": "number"}}),
        (
            tuple[float, float],
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        ),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Mapping[str, Any], {"type": "object", "additionalProperties": True}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, "b"], {"enum": [1, "b"]}),
        (Size, {"type": "string", "enum": ["s", "l"]}),
        (Mixed, {"enum": [1, "two"]}),
        (Optional[int], {"type": "integer"}),  # noqa: UP045 - the old spelling is under test
        (int | None, {"type": "integer"}),
        (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),  # noqa: UP007
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (Annotated[str, {"not": "hashable"}, "words"], {"type": "string", "description": "words"}),
        (Annotated[str, 5], {"type": "string"}),
        (
            Address,
            {
                "type": "object",
                "properties": {
                    "street": {"type": "string", "description": "with the number"},
                    "city": {"type": "string"},
                },
                "required": ["street"],
                "additionalProperties": False,
            },
        ),
        (
            Guest,
            {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "age": {"type": "integer"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        ),
    ],
    ids=str,
)
def test_a_type_hint_has_its_schema(hint: Any, schema: dict[str, Any]) -> None:
    assert schema_of(hint) == schema


@pytest.mark.parametrize("hint", [complex, object, list[bytes], 5])
def test_a_type_without_a_schema_is_named(hint: Any) -> None:
    with pytest.raises(TypeError, match="has no JSON Schema; use str, int"):
        schema_of(hint)


def book(
    context: ToolContext,
    day: date,
    *,
    guests: int = 2,
    size: Size = Size.SMALL,
    note: str | None = None,
    **rest: Any,
) -> str:
    """Book a table.

    The table is kept for
    a quarter of an hour.

    Args:
        day (date): The day
            of the visit.
        guests: How many come.

    Returns:
        What to tell: the caller hears it.
    """
    return ""


def test_a_signature_and_a_docstring_become_the_tool() -> None:
    tool = function_tool(book)
    assert tool.name == "book"
    assert tool.context_parameter == "context"
    assert tool.wire() == {
        "type": "function",
        "name": "book",
        "description": "Book a table. The table is kept for a quarter of an hour.",
        "parameters": {
            "type": "object",
            "properties": {
                "day": {"type": "string", "format": "date", "description": "The day of the visit."},
                "guests": {"type": "integer", "description": "How many come.", "default": 2},
                "size": {"type": "string", "enum": ["s", "l"], "default": "s"},
                "note": {"type": "string"},
            },
            "required": ["day"],
            "additionalProperties": False,
        },
    }


def test_what_is_given_stands_above_what_is_read() -> None:
    parameters = {"type": "object", "properties": {"x": {"type": "string"}}}
    tool = function_tool(book, name="b", description="", parameters=parameters, timeout=3)
    assert tool.wire() == {"type": "function", "name": "b", "parameters": parameters}
    assert tool.timeout == 3


def test_a_rest_docstring() -> None:
    def lookup(word: str, deep: bool = False) -> str:
        """Look a word up.

        :param str word: The word,
        :param deep: Also in
        :returns: What it means.
        """
        return ""

    tool = function_tool(lookup)
    assert tool.description == "Look a word up."
    properties = tool.parameters["properties"]
    assert properties["word"]["description"] == "The word,"
    assert properties["deep"] == {"type": "boolean", "default": False, "description": "Also in"}


def test_a_numpy_docstring() -> None:
    def lookup(word: str, deep: bool = False) -> str:
        """Look a word up.

        Parameters
        ----------
        word : str
            The word
            to look for.
        deep : bool, optional
            Everywhere.

        Returns
        -------
        str
            What it means.
        """
        return ""

    tool = function_tool(lookup)
    assert tool.description == "Look a word up."
    properties = tool.parameters["properties"]
    assert properties["word"]["description"] == "The word to look for."
    assert properties["deep"]["description"] == "Everywhere."


def test_a_function_without_anything() -> None:
    def ping():  # type: ignore[no-untyped-def]
        return "pong"

    assert function_tool(ping).wire() == {
        "type": "function",
        "name": "ping",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    }


def test_a_positional_only_parameter_cannot_be_given() -> None:
    def divide(a: int, /, b: int) -> float:
        return a / b

    with pytest.raises(ToolError, match="divide: parameter a is positional only") as caught:
        function_tool(divide)
    assert "remove the /" in caught.value.hint


def test_the_parameter_without_a_schema_is_named() -> None:
    def send(picture: bytes) -> None: ...

    with pytest.raises(ToolError, match="send: parameter picture: the type bytes has no JSON"):
        function_tool(send)


def test_a_type_that_contains_itself_is_refused() -> None:
    def walk(tree: Node) -> None: ...

    with pytest.raises(ToolError, match="walk: parameter tree: the type Node contains itself"):
        function_tool(walk)


def test_a_type_that_is_nowhere_is_refused() -> None:
    def walk(tree: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ToolError, match="signature of walk cannot be read: name 'Nowhere'"):
        function_tool(walk)


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "über"])
def test_a_name_that_the_wire_refuses_is_refused_here(name: str) -> None:
    with pytest.raises(ToolError, match="is no name for a tool"):
        function_tool(lambda: 1, name=name or None)
