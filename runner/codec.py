"""JSON and base64, in and out: orjson and pybase64 when importable, else the standard library.

Both branches behave the same: JSON text is compact and not escaped; dates, enums, UUIDs and
dataclasses have their usual text; what JSON cannot hold (NaN, an object of some other class) is
refused, and so is text that is no JSON or no base64.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    # The signatures below are the contract; the two branches implement it.

    #: A value as JSON text. ValueError for NaN and infinity, TypeError for what is no JSON type.
    def dumps(value: Any) -> str: ...

    #: The value of JSON text. ValueError when it is none, or nested beyond all reason.
    def loads(text: str | bytes) -> Any: ...

else:

    def _plain(value):
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        if is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in fields(value)}
        raise TypeError(f"{type(value).__name__} has no JSON")

    _encode = json.JSONEncoder(
        separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
    ).encode

    try:
        import orjson

        # orjson leaves out a dataclass's private fields and writes dates in a way of its own.
        _OURS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

        def dumps(value):
            try:
                text = orjson.dumps(value, _plain, _OURS).decode()
            except TypeError:
                return _encode(
                    value
                )  # keys that are numbers, integers beyond 64 bits; or its words
            # orjson writes NaN as null: the standard library tells the two apart.
            return _encode(value) if "null" in text else text

        loads = orjson.loads
    except ImportError:

        def _no_number(word):
            raise ValueError(f"{word} is no JSON number")

        _decoder = json.JSONDecoder(parse_constant=_no_number)
        _decode, _scan = _decoder.decode, _decoder.scan_once

        def dumps(value):
            return _encode(value)

        def loads(text):
            if type(text) is not str:
                text = str(text, "utf-8")
            try:
                # The scanner alone, without the search for space around the value: 2 us less.
                value, end = _scan(text, 0)
                return value if end == len(text) else _decode(text)
            except StopIteration:  # space before the value, or none
                return _decode(text)
            except RecursionError:
                raise ValueError("JSON nested too deeply") from None


if TYPE_CHECKING:
    #: Bytes as base64 text (RFC 4648, padded), as the Realtime API carries audio.
    def b64encode(data: bytes) -> str: ...

    #: The bytes behind base64 text. ValueError when it is none: other signs, spaces, no padding.
    def b64decode(text: str | bytes) -> bytes: ...

else:
    try:
        import pybase64
        from pybase64 import b64encode_as_string as b64encode

        def b64decode(text):
            return pybase64.b64decode(text, None, True)

    except ImportError:
        from binascii import a2b_base64, b2a_base64

        def b64encode(data):
            return b2a_base64(data, newline=False).decode("ascii")

        def b64decode(text):
            # Unlike the RFC, Python 3.11 lets padding stand where none belongs.
            if len(text) % 4:
                raise ValueError("base64 comes in groups of four")
            return a2b_base64(text, strict_mode=True)


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values: keys in order, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


__all__ = ["b64decode", "b64encode", "canonical", "dumps", "loads"]
