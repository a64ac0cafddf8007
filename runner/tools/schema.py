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
from itertools import zip_longest
from typing import Any, Literal, NotRequired, Required, Union

from runner.errors import ToolError
from runner.tools.base import DEFAULT_TIMEOUT, FunctionTool, ToolContext
from runner.tools.convert import bare, required

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
    set: {"type": "array", "uniqueItems": True},
    tuple: {"type": "array"},
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
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", label):
        raise ToolError(
            f"'{label}' is no name for a tool", "1 to 64 letters, digits, underscores and hyphens"
        )
    schema, context_parameter, hints = _signature(function, about, label)
    return FunctionTool(
        name=label,
        function=function,
        description=summary if description is None else description,
        parameters=schema if parameters is None else parameters,
        timeout=timeout,
        context_parameter=context_parameter,
        hints=hints,
    )


def _signature(
    function: Callable[..., Any], about: Mapping[str, str], label: str
) -> tuple[dict[str, Any], str | None, dict[str, Any]]:
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise ToolError(f"the signature of {label} cannot be read: {error}") from error
    properties: dict[str, Any] = {}
    required: list[str] = []
    wanted: dict[str, Any] = {}
    context_parameter: str | None = None
    for parameter in signature.parameters.values():
        hint = hints.get(parameter.name, parameter.annotation)
        if bare(hint) is ToolContext:
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
        except (TypeError, NameError) as error:
            raise ToolError(f"{label}: parameter {parameter.name}: {error}") from None
        except RecursionError:
            raise ToolError(
                f"{label}: parameter {parameter.name}: the type {_name(hint)} contains itself"
            ) from None
        if hint is not parameter.empty:
            wanted[parameter.name] = hint
        if parameter.name in about and "description" not in schema:
            schema["description"] = about[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        else:
            value = parameter.default
            value = value.value if isinstance(value, enum.Enum) else value
            if isinstance(value, str | int | float | bool):
                schema["default"] = value
        properties[parameter.name] = schema
    out: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        out["required"] = required
    out["additionalProperties"] = False
    return out, context_parameter, wanted


def schema_of(hint: Any) -> dict[str, Any]:
    """The JSON Schema of one type hint. TypeError when there is none."""
    if typing.get_origin(hint) is typing.Annotated:
        first, *extras = typing.get_args(hint)
        schema = schema_of(first)
        words = [extra for extra in extras if isinstance(extra, str)]
        return {**schema, "description": words[0]} if words else schema
    hint = bare(hint)
    if isinstance(hint, typing.Hashable) and hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _one_of(inner)
    if origin in (Union, types.UnionType):
        some = [schema_of(part) for part in inner if part is not type(None)]
        # None means "may be left out" to a model; a null type only confuses it.
        return some[0] if len(some) == 1 else {"anyOf": some}
    if origin in (list, set, tuple, frozenset, Sequence):
        return _array(origin, inner)
    if origin in (dict, Mapping):
        extra = schema_of(inner[1]) if len(inner) > 1 else {}
        return {"type": "object", "additionalProperties": extra or True}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _one_of([member.value for member in hint])
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        # Where annotations are text, the class itself does not know what was marked NotRequired.
        needed = [
            key
            for key, inner_hint in hints.items()
            if typing.get_origin(inner_hint) is Required
            or (key in hint.__required_keys__ and typing.get_origin(inner_hint) is not NotRequired)
        ]
        return _object({k: schema_of(v) for k, v in hints.items()}, needed)
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        some_fields = [f for f in fields(hint) if f.init]
        return _object(
            {f.name: schema_of(hints[f.name]) for f in some_fields},
            [f.name for f in some_fields if required(f)],
        )
    raise TypeError(
        f"the type {_name(hint)} has no JSON Schema; use str, int, float, bool, list, dict"
    )


def input_schema(hint: Any) -> dict[str, Any]:
    """The arguments of a tool that takes one object of type ``hint``; none of None. ToolError
    when the type is no object."""
    if hint is None:
        return _object({}, [])
    schema = schema_of(hint)
    if schema.get("type") != "object":
        raise ToolError(f"{_name(hint)} is no object", "use a dataclass or a TypedDict")
    return schema


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else repr(hint)


def _one_of(values: Sequence[Any]) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    kind = _SIMPLE.get(kinds.pop(), {}) if len(kinds) == 1 else {}
    return {**kind, "enum": list(values)}


def _array(origin: Any, inner: tuple[Any, ...]) -> dict[str, Any]:
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        some = [schema_of(part) for part in inner]
        same = all(one == some[0] for one in some)
        items = some[0] if same else {"anyOf": some}
        return {"type": "array", "items": items, "minItems": len(some), "maxItems": len(some)}
    out: dict[str, Any] = {"type": "array", "items": schema_of(inner[0])}
    return {**out, "uniqueItems": True} if origin in (set, frozenset) else out


def _object(properties: dict[str, Any], needed: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "properties": properties}
    if needed:
        out["required"] = needed
    out["additionalProperties"] = False
    return out


_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Params|Returns?|Raises|Yields|Notes?|Examples?):?\s*$"
)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """``(what the function does, {parameter: words})`` from a Google, NumPy or reST docstring."""
    lines = (inspect.getdoc(function) or "").splitlines()
    head: list[str] = []
    about: dict[str, str] = {}
    section, last, numpy = "", "", False
    for line, following in zip_longest(lines, lines[1:], fillvalue=""):
        ruled = bool(following) and not following.strip("-=")
        words = line.strip()
        if match := re.match(r":param\s+(?:[^:]*\s)?(\w+):\s*(.*)", words):
            section, last = "params", match[1]
            about[last] = match[2]
        elif words.startswith(":"):
            section = "rest"
        elif (match := _SECTION.match(line)) and (line.rstrip().endswith(":") or ruled):
            section, last, numpy = match[1].lower(), "", ruled
        elif section.startswith(("arg", "param")):
            if not words.strip("-="):
                continue
            entry = (
                re.match(r"(\w+)\s*(?::.*)?()$", line)
                if numpy
                else re.match(r"\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line)
            )
            if entry:
                last = entry[1]
                about[last] = entry[2]
            elif last:
                about[last] = f"{about[last]} {words}".strip()
        elif not section:
            head.append(words)
    return " ".join(part for part in head if part), {k: v for k, v in about.items() if v}
