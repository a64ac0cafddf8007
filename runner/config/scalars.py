"""Plain scalars by the YAML 1.2 core schema, which is not what PyYAML does.

PyYAML follows YAML 1.1: ``NO`` is false there, ``022`` is 18, ``12:30`` is 750 and a date is
an object. Here the first and the last two are texts and ``022`` is 22 (YAML 1.2.2, 10.3.2).
"""

from __future__ import annotations

import math
import re
from typing import Any

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
# Enough for any number of a deployment, and far under Python's own limit for int().
_LONGEST = 64


def resolve(text: str) -> Any:
    """The value that a plain scalar stands for: None, bool, int, float or the text itself.

    ValueError, with a message for the user, for a number that JSON cannot hold.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text[0] not in "+-.0123456789":
        return text
    if _SPECIAL.match(text):
        raise ValueError(f"{text} is not a number that can be sent")
    if _INT.match(text) or _OCTAL.match(text) or _HEX.match(text):
        if len(text) > _LONGEST:
            raise ValueError("this number is too long")
        if text.startswith("0o"):
            return int(text[2:], 8)
        return int(text, 16) if text.startswith("0x") else int(text)
    if _FLOAT.match(text):
        number = float(text) if len(text) <= _LONGEST else math.inf
        if math.isinf(number):
            raise ValueError("this number is too large")
        return number
    return text


def tagged(tag: str, text: str) -> Any:
    """The value of a scalar with one of YAML's own tags, ``!!str`` and the like.

    LookupError for a tag that is not one of the core schema, ValueError for a text that does
    not fit its tag.
    """
    if tag in ("!", "tag:yaml.org,2002:str"):
        return text
    types: dict[str, tuple[type, ...]] = {
        "tag:yaml.org,2002:int": (int,),
        "tag:yaml.org,2002:float": (float, int),
        "tag:yaml.org,2002:bool": (bool,),
        "tag:yaml.org,2002:null": (type(None),),
    }
    wanted = types[tag]
    value: Any = resolve(text)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise ValueError(f"'{text[:40]}' does not fit its tag !!{tag.rpartition(':')[2]}")
    return float(text) if tag.endswith("float") else value
