"""A JSON Schema for a Python function, from its type hints and docstring."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from typing import Any, Literal, Union

from runner.errors import ToolError
from runner.tools.base import DEFAULT_TIMEOUT, FunctionTool, ToolContext

_SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    time: {"type": "string", "format": "time"},
    dict: {"type": "object"},
    list: {"type": "array"},
    Any: {},
    inspect.Parameter.empty: {},
}


def function_tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> FunctionTool:
    """``function`` as a tool; what is not given comes from its signature and docstring.

    ToolError names the parameter when a type hint has no JSON Schema.
    """
    label: str = name or str(getattr(function, "__name__", "tool"))
    summary, about = _docstring(function)
    schema, context_parameter = _signature(function, about, label)
    return FunctionTool(
        name=label,
        function=function,
        description=summary if description is None else description,
        parameters=schema if parameters is None else parameters,
        timeout=timeout,
        context_parameter=context_parameter,
    )


def _signature(
    function: Callable[..., Any], about: Mapping[str, str], label: str
) -> tuple[dict[str, Any], str | None]:
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise ToolError(f"the signature of {label} cannot be read: {error}") from error
    properties: dict[str, Any] = {}
    required: list[str] = []
    context_parameter: str | None = None
    for parameter in signature.parameters.values():
        hint = hints.get(parameter.name, parameter.annotation)
        if hint is ToolContext:
            context_parameter = parameter.name
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ToolError(
                f"{label}: parameter {parameter.name} is positional only",
                "the model gives arguments by name: remove the / from the signature",
            )
        try:
            schema = schema_of(hint)
        except TypeError as error:
            raise ToolError(f"{label}: parameter {parameter.name}: {error}") from None
        if parameter.name in about and "description" not in schema:
            schema["description"] = about[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif isinstance(parameter.default, str | int | float | bool):
            schema["default"] = parameter.default
        properties[parameter.name] = schema
    out: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        out["required"] = required
    out["additionalProperties"] = False
    return out, context_parameter


def schema_of(hint: Any) -> dict[str, Any]:
    """The JSON Schema of one type hint. TypeError when there is none."""
    if isinstance(hint, typing.Hashable) and hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        schema = schema_of(inner[0])
        words = [extra for extra in inner[1:] if isinstance(extra, str)]
        return {**schema, "description": words[0]} if words else schema
    if origin is Literal:
        kinds = {type(value) for value in inner}
        kind = _SIMPLE.get(kinds.pop()) if len(kinds) == 1 else None
        return {**(kind or {}), "enum": list(inner)}
    if origin in (Union, types.UnionType):
        some = [schema_of(part) for part in inner if part is not type(None)]
        # None means "may be left out" to a model; a null type only confuses it.
        return some[0] if len(some) == 1 else {"anyOf": some}
    if origin in (list, set, tuple, frozenset, Sequence):
        return {"type": "array", "items": schema_of(inner[0])} if inner else {"type": "array"}
    if origin in (dict, Mapping):
        extra = schema_of(inner[1]) if len(inner) > 1 else {}
        return {"type": "object", "additionalProperties": extra or True}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint)
        return _object({k: schema_of(v) for k, v in hints.items()}, sorted(hint.__required_keys__))
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return _object({f.name: schema_of(hints[f.name]) for f in fields(hint)}, [])
    raise TypeError(f"the type {hint!r} has no JSON Schema; use str, int, float, bool, list, dict")


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "properties": properties}
    return {**out, "required": required} if required else out


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """``(what the function does, {parameter: words})`` from a Google-style or reST docstring."""
    text = inspect.getdoc(function) or ""
    head, about, section, last = [], {}, "", ""
    for line in text.splitlines():
        if match := re.match(r"\s*:param\s+(?:\w+\s+)?(\w+):\s*(.*)", line):
            last = match[1]
            about[last] = match[2]
            section = "args"
        elif match := re.match(
            r"(Args|Arguments|Parameters|Returns|Raises|Yields|Example\w*):", line
        ):
            section = match[1].lower()
        elif section.startswith(("arg", "param")):
            if match := re.match(r"\s+(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line):
                last = match[1]
                about[last] = match[2]
            elif line.strip() and last:
                about[last] += " " + line.strip()
        elif not section:
            head.append(line.strip())
    return " ".join(part for part in head if part).strip(), about
