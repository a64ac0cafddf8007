"""What the kinds of tools have in common that are declared and not programmed: http, command."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from runner.codec import dumps
from runner.errors import ToolError
from runner.model.deployment import ToolSpec
from runner.tools.base import DEFAULT_TIMEOUT, ToolContext, ToolPolicy, read_arguments, timed_out

#: The formats that jsonschema knows without further packages, so that all machines agree.
_FORMATS = FormatChecker(("date", "ipv4", "ipv6", "uuid"))
_MOST = 160
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class DeclaredTool:
    """A tool whose ``parameters`` (a JSON Schema) are all that is known of its arguments.
    ``timeout`` in seconds, for a whole call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    timeout: float = DEFAULT_TIMEOUT
    policy: ToolPolicy = field(default_factory=ToolPolicy)

    def wire(self) -> dict[str, Any]:
        tool: dict[str, Any] = {"type": "function", "name": self.name}
        if self.description:
            tool["description"] = self.description
        tool["parameters"] = dict(self.parameters)
        return tool

    async def run(self, arguments: str, context: ToolContext) -> str:
        """Call it with the model's JSON arguments. ToolError when they do not fit ``parameters``,
        when the call fails, or when ``timeout`` is over."""
        given = checked(arguments, self.parameters)
        try:
            async with asyncio.timeout(self.timeout) as limit:
                return await self.call(given)
        except TimeoutError:
            if not limit.expired():
                raise
            raise timed_out(self.name, self.timeout) from None

    async def call(self, given: Mapping[str, Any]) -> str:
        """The call itself, with arguments that fit. Cancelled when its time is over."""
        raise NotImplementedError


def common(spec: ToolSpec) -> dict[str, Any]:
    """The fields of a DeclaredTool that a deployment file gives."""
    return {
        "name": spec.name,
        "description": spec.description or "",
        "parameters": spec.parameters or {"type": "object", "properties": {}},
        "timeout": spec.timeout,
        "policy": ToolPolicy(
            approval=spec.approval, while_waiting=spec.while_waiting, respond=spec.respond
        ),
    }


def checked(text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The model's JSON arguments, with the defaults of ``parameters`` for those that it left
    out. ToolError in words that it can act on when they do not fit."""
    given = read_arguments(text, parameters)
    try:
        dumps(given).encode()
    except (ValueError, TypeError):  # half of a surrogate pair
        raise ToolError("the arguments hold signs that are no text") from None
    # An empty registry: a $ref to some address is not fetched.
    validator = Draft202012Validator(dict(parameters), registry=Registry(), format_checker=_FORMATS)
    try:
        error = min(validator.iter_errors(given), key=lambda e: len(e.path), default=None)
    except Unresolvable as missing:
        raise ToolError(f"the parameters of the tool refer to {missing.ref}, not there") from None
    except RecursionError:
        raise ToolError("the arguments are nested too deep") from None
    if error is not None:
        raise ToolError(_in_words(error))
    defaults = {
        name: about["default"]
        for name, about in parameters.get("properties", {}).items()
        if isinstance(about, Mapping) and "default" in about
    }
    return defaults | given


def _in_words(error: ValidationError) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path)
    where = f"argument {path.lstrip('.')}" if path else "the arguments"
    wanted: Any = error.validator_value
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else list(wanted)
        return f"{where}: {' or '.join(_TYPES.get(kind, kind) for kind in kinds)} is wanted"
    if error.validator == "enum":
        return _short(f"{where}: one of {', '.join(map(_shown, wanted))} is wanted")
    if error.validator == "const":
        return _short(f"{where}: {_shown(wanted)} is wanted")
    if error.validator == "format":
        return f"{where}: a value of the format {wanted} is wanted"
    return f"{where}: {_short(error.message)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def _short(text: str) -> str:
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
