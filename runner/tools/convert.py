"""The model's JSON arguments as the Python values that a function's type hints promise."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time
from typing import Any, Literal, NotRequired, Required, Union

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_TIMES: dict[Any, tuple[Callable[[str], Any], str]] = {
    date: (date.fromisoformat, "a date such as 2026-03-01"),
    datetime: (datetime.fromisoformat, "a date and time such as 2026-03-01T09:30"),
    time: (time.fromisoformat, "a time such as 09:30"),
}


def bare(hint: Any) -> Any:
    """``hint`` without what only describes it: Annotated, Required, NewType, a type alias."""
    while True:
        if typing.get_origin(hint) in (typing.Annotated, Required, NotRequired):
            hint = typing.get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # `type X = ...` of Python 3.12
            hint = hint.__value__
        else:
            return hint


def convert(value: Any, hint: Any) -> Any:
    """``value``, as JSON gave it, as ``hint`` wants it. ValueError says what was expected.

    A model writes "5" for 5 and 5.0 for 5 now and then: both are taken where no other reading
    is possible.
    """
    hint = bare(hint)
    if hint in _NAMES:
        return _simple(value, hint)
    if hint in _TIMES:
        parse, wanted = _TIMES[hint]
        try:
            return parse(value)
        except (ValueError, TypeError):
            raise ValueError(f"{value!r} is not {wanted}") from None
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, inner))}")
        return value
    if origin in (Union, types.UnionType):
        return _first(value, inner)
    if origin in (list, set, tuple, frozenset, Sequence) or hint in (list, set, tuple, frozenset):
        return _several(value, origin or hint, inner)
    if origin in (dict, Mapping) or hint is dict or typing.is_typeddict(hint) or is_dataclass(hint):
        return _map(value, hint, inner)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            known = ", ".join(repr(member.value) for member in hint)
            raise ValueError(f"{value!r} is not one of {known}") from None
    return value


def _simple(value: Any, hint: Any) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint in (int, float) and isinstance(value, str):
        try:
            return hint(value)
        except ValueError:
            pass
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{value!r} is not {_NAMES[hint]}")
    return value


def _first(value: Any, hints: tuple[Any, ...]) -> Any:
    if value is None and type(None) in hints:
        return None
    # An exact match first, so that "5" stays text in `int | str`.
    for hint in hints:
        if type(value) is bare(hint):
            return value
    words = ""
    for hint in hints:
        if hint is type(None):
            continue
        try:
            return convert(value, hint)
        except ValueError as error:
            words = words or str(error)
    raise ValueError(words)


def _several(value: Any, kind: Any, inner: tuple[Any, ...]) -> Any:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        if len(value) != len(inner):
            raise ValueError(f"{value!r} does not have {len(inner)} entries")
        return tuple(convert(one, hint) for one, hint in zip(value, inner, strict=True))
    out = [convert(one, inner[0]) for one in value] if inner else value
    return out if kind in (list, Sequence) else kind(out)


def _map(value: Any, hint: Any, inner: tuple[Any, ...]) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not an object")
    if len(inner) > 1:
        return {key: convert(one, inner[1]) for key, one in value.items()}
    if hint is dict or hint is Mapping:
        return value
    hints = typing.get_type_hints(hint, include_extras=True)
    out = {}
    for key, one in value.items():
        if key not in hints:
            raise ValueError(f"unknown field {key!r}")
        out[key] = convert(one, hints[key])
    if not is_dataclass(hint):
        return out
    missing = [f.name for f in fields(hint) if required(f) and f.name not in out]
    if missing:
        raise ValueError(f"missing field {', '.join(missing)}")
    return typing.cast(Any, hint)(**out)


def required(field: Any) -> bool:
    """Has a dataclass's field no default?"""
    return bool(field.init) and field.default is MISSING and field.default_factory is MISSING
