"""Small validators that refuse a value in the real service's own words.

A :data:`Check` takes a value and its dotted path and gives the value back, or raises WireError
with the code and the sentence that OpenAI's service is seen to use for that fault:
``Invalid type for 'session.tools': expected an array, but got a string instead.``
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from runner.engine.wire.errors import WireError

Check = Callable[[Any, str], Any]

_INT_MAX = 2**31 - 1


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def kind_of(value: Any) -> str:
    """What a JSON value is called in an error."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case list() | tuple():
            return "an array"
        case _:
            return "an object"


def wrong_type(path: str, expected: str, value: Any) -> NoReturn:
    raise WireError(
        f"Invalid type for '{path}': expected {expected}, but got {kind_of(value)} instead.",
        code="invalid_type",
        param=path,
    )


def missing(path: str) -> NoReturn:
    raise WireError(
        f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path
    )


def unknown(path: str) -> NoReturn:
    raise WireError(f"Unknown parameter: '{path}'.", code="unknown_parameter", param=path)


def invalid(path: str, message: str) -> NoReturn:
    raise WireError(message, code="invalid_value", param=path)


def quoted(values: tuple[str, ...], conjunction: str = "and") -> str:
    """``'a'``, ``'a' and 'b'``, ``'a', 'b', and 'c'``."""
    names = [f"'{v}'" for v in values]
    if len(names) < 3:
        return f" {conjunction} ".join(names)
    return f"{', '.join(names[:-1])}, {conjunction} {names[-1]}"


def not_one_of(path: str, value: Any, values: tuple[str, ...]) -> NoReturn:
    tail = (
        f"Value must be {quoted(values)}."
        if len(values) == 1
        else f"Supported values are: {quoted(values)}."
    )
    invalid(path, f"Invalid value: '{clip(value)}'. {tail}")


def clip(value: Any) -> str:
    """A client's text inside our message, bounded."""
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def anything(value: Any, path: str) -> Any:
    return value


def boolean(value: Any, path: str) -> Any:
    if not isinstance(value, bool):
        wrong_type(path, "a boolean", value)
    return value


def text(
    max_length: int | None = None, *, pattern: str | None = None, filled: bool = False
) -> Check:
    """A string of at most ``max_length`` characters, matching ``pattern`` whole; ``filled``
    refuses the empty one."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, str):
            wrong_type(path, "a string", value)
        if filled and not value:
            raise WireError(
                f"Invalid '{path}': empty string. Expected a string with minimum length 1, but "
                "got an empty string instead.",
                code="empty_string",
                param=path,
            )
        if max_length is not None and len(value) > max_length:
            raise WireError(
                f"Invalid '{path}': string too long. Expected a string with maximum length "
                f"{max_length}, but got a string with length {len(value)} instead.",
                code="string_above_max_length",
                param=path,
            )
        if compiled and not compiled.fullmatch(value):
            invalid(
                path,
                f"Invalid '{path}': string does not match pattern. Expected a string that "
                f"matches the pattern '^{pattern}$'.",
            )
        return value

    return check


def one_of(*values: str) -> Check:
    def check(value: Any, path: str) -> Any:
        if not isinstance(value, str):
            wrong_type(path, f"one of {quoted(values, 'or')}", value)
        if value not in values:
            not_one_of(path, value, values)
        return value

    return check


def _range(value: float, path: str, low: float, high: float, kind: str) -> None:
    if value > high:
        raise WireError(
            f"Invalid '{path}': {kind} above maximum value. Expected a value <= {high}, but got "
            f"{clip(value)} instead.",
            code=f"{kind}_above_max_value",
            param=path,
        )
    # Written so that NaN, which compares with nothing, is refused too.
    if not value >= low:
        raise WireError(
            f"Invalid '{path}': {kind} below minimum value. Expected a value >= {low}, but got "
            f"{clip(value)} instead.",
            code=f"{kind}_below_min_value",
            param=path,
        )


def integer(low: int, high: int = _INT_MAX) -> Check:
    def check(value: Any, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            wrong_type(path, "an integer", value)
        _range(value, path, low, high, "integer")
        return value

    return check


def decimal(low: float, high: float = sys.float_info.max) -> Check:
    """A finite number: JSON texts such as 1e999 read as infinity."""

    def check(value: Any, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong_type(path, "a decimal", value)
        _range(value, path, low, high, "decimal")
        return value

    return check


def array(item: Check, max_length: int | None = None) -> Check:
    def check(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            wrong_type(path, "an array", value)
        if max_length is not None and len(value) > max_length:
            raise WireError(
                f"Invalid '{path}': array too long. Expected an array with maximum length "
                f"{max_length}, but got an array with length {len(value)} instead.",
                code="array_above_max_length",
                param=path,
            )
        return [item(v, f"{path}[{i}]") for i, v in enumerate(value)]

    return check


def is_object(value: Any, path: str) -> Any:
    """Any JSON object, its inside unchecked."""
    if not isinstance(value, Mapping):
        wrong_type(path, "an object", value)
    return value


def mapping(
    item: Check, max_properties: int | None = None, max_key_length: int | None = None
) -> Check:
    """An object with keys of the client's choice."""

    def check(value: Any, path: str) -> Any:
        is_object(value, path)
        if max_properties is not None and len(value) > max_properties:
            raise WireError(
                f"Invalid '{path}': too many properties. Expected an object with at most "
                f"{max_properties} properties, but got an object with {len(value)} properties "
                "instead.",
                code="object_above_max_properties",
                param=path,
            )
        for key in value:
            if max_key_length is not None and len(key) > max_key_length:
                raise WireError(
                    f"Invalid '{path}': property name too long. Expected a name with maximum "
                    f"length {max_key_length}, but got a name with length {len(key)} instead.",
                    code="string_above_max_length",
                    param=path,
                )
        return {k: item(v, join(path, k)) for k, v in value.items()}

    return check


def record(
    fields: Mapping[str, Check], required: tuple[str, ...] = (), *, nulls: bool = False
) -> Check:
    """An object with these keys and no other. With ``nulls`` an optional key may hold null,
    which then reads as if it were left out (SDKs write their models so)."""

    def check(value: Any, path: str) -> Any:
        is_object(value, path)
        for key in required:
            if key not in value:
                missing(join(path, key))
        out = {}
        for key, v in value.items():
            field = fields.get(key)
            if field is None:
                unknown(join(path, clip(key)))
            if v is None and nulls and key not in required:
                continue
            out[key] = field(v, join(path, key))
        return out

    return check


def nullable(inner: Check) -> Check:
    def check(value: Any, path: str) -> Any:
        return None if value is None else inner(value, path)

    return check


def tagged(kinds: Mapping[str, Check], tag: str = "type") -> Check:
    """An object whose ``tag`` says which of ``kinds`` it is."""
    names = tuple(kinds)

    def check(value: Any, path: str) -> Any:
        is_object(value, path)
        if tag not in value:
            missing(join(path, tag))
        kind = value[tag]
        if not isinstance(kind, str):
            wrong_type(join(path, tag), "a string", kind)
        inner = kinds.get(kind)
        if inner is None:
            not_one_of(join(path, tag), kind, names)
        return inner(value, path)

    return check


METADATA = mapping(text(512), max_properties=16, max_key_length=64)
"""OpenAI's metadata object: 16 pairs, keys of 64 characters, values of 512."""
