"""JSON and base64, in and out: orjson and pybase64 when importable, else the standard library.

JSON text is compact and UTF-8; a number that JSON cannot hold (NaN, infinity) is refused
by :func:`dumps` with ValueError, bad text by :func:`loads` with ValueError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The signatures below are the contract; the two branches implement it.
    def dumps(value: Any) -> str: ...
    def loads(text: str | bytes) -> Any: ...

else:
    try:
        import orjson

        def dumps(value):
            return orjson.dumps(value).decode()

        loads = orjson.loads
    except ImportError:
        import json

        _encode = json.JSONEncoder(
            separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode

        def dumps(value):
            return _encode(value)

        loads = json.loads

if TYPE_CHECKING:
    #: Bytes as base64 text (RFC 4648, padded), as the Realtime API carries audio.
    def b64encode(data: bytes) -> str: ...

    #: The bytes behind base64 text; ValueError when it is none.
    def b64decode(text: str | bytes) -> bytes: ...

else:
    try:
        from pybase64 import b64decode
        from pybase64 import b64encode_as_string as b64encode
    except ImportError:
        from binascii import a2b_base64 as b64decode
        from binascii import b2a_base64

        def b64encode(data):
            return b2a_base64(data, newline=False).decode("ascii")


__all__ = ["b64decode", "b64encode", "dumps", "loads"]
