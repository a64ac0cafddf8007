"""What a tool is to a session: a name and a schema for the model, and something to run."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from runner.codec import dumps, loads
from runner.errors import ToolError
from runner.tools.convert import convert

DEFAULT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of its call. A Python tool gets it by a parameter so annotated.
    ``context`` is the session's; ``history`` the items (``runner.Item``) up to this call."""

    agent: str
    name: str
    call_id: str
    context: Any = None
    history: tuple[Any, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """What holds for a tool beside what it does.

    ``approval``: none, caller (asked in speech), operator (``session.approve``), or a predicate of
    (context, arguments, call_id), sync or async, that says whether an operator must agree.
    ``while_waiting`` is spoken when the tool takes longer than a moment. ``respond`` False: the
    model is given the output and not asked to speak about it. ``enabled``: a bool or a predicate
    of (context, agent); a tool that is not is neither told to the model nor run. Guardrails are
    looked through in order; the first that refuses decides.
    """

    approval: Any = "none"
    while_waiting: str = ""
    respond: bool = True
    enabled: bool | Callable[[Any, Any], bool | Awaitable[bool]] = True
    input_guardrails: tuple[Callable[..., Any], ...] = ()
    output_guardrails: tuple[Callable[..., Any], ...] = ()
    #: Words for the model when the tool fails, from (context, error); the usual ones without it.
    error_function: Callable[[ToolContext, Exception], Any] | None = None

    @property
    def plain(self) -> bool:
        """Nobody has to look at a call before it runs."""
        return self.approval in ("none", False, None) and self.enabled is True


@dataclass(frozen=True, slots=True)
class ToolGuardrailArgs:
    """What a tool's guardrail sees: the call with its ``arguments`` (None when they are no JSON
    object), and, after it ran, its ``output``. It answers with None or True to let it pass, or
    with a text that the model gets as the output instead."""

    context: ToolContext
    arguments: Mapping[str, Any] | None
    output: str | None = None


@dataclass(frozen=True, slots=True)
class BackgroundResult:
    """Returned by a tool: this is the output, and no answer because of it is wanted."""

    content: Any


class Tool(Protocol):
    """A function tool. It may carry a ``policy`` (ToolPolicy). ``run`` gives the output text for
    the model, and raises ToolError with words that the model can pass on."""

    @property
    def name(self) -> str: ...

    @property
    def timeout(self) -> float: ...

    def wire(self) -> dict[str, Any]:
        """``{type: function, name, description, parameters}`` as the session sends it."""
        ...

    async def run(self, arguments: str, context: ToolContext) -> str | BackgroundResult: ...


class ToolServer(Protocol):
    """Something that brings several tools: a local MCP server."""

    @property
    def name(self) -> str: ...

    async def tools(self) -> Sequence[Tool]:
        """Its tools, listed at the first call and kept. ToolError when it cannot be reached."""
        ...

    async def close(self) -> None:
        """End it, within two seconds. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Governed:
    """A tool under a policy of its user."""

    tool: Tool
    policy: ToolPolicy

    @property
    def name(self) -> str:
        return self.tool.name

    @property
    def timeout(self) -> float:
        return self.tool.timeout

    def wire(self) -> dict[str, Any]:
        return self.tool.wire()

    async def run(self, arguments: str, context: ToolContext) -> str | BackgroundResult:
        return await self.tool.run(arguments, context)


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A Python function as a tool. Sync functions run in a thread of their own, so that one
    that hangs holds up nobody; async ones run on the loop. ``timeout`` in seconds."""

    name: str
    function: Callable[..., Any]
    description: str = ""
    parameters: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    timeout: float = DEFAULT_TIMEOUT
    #: The parameter that takes the ToolContext, None when the function wants none.
    context_parameter: str | None = None
    #: The types that the function's parameters want: a date is handed over as a date.
    hints: Mapping[str, Any] = field(default_factory=dict)
    policy: ToolPolicy = ToolPolicy()

    def wire(self) -> dict[str, Any]:
        tool: dict[str, Any] = {"type": "function", "name": self.name}
        if self.description:
            tool["description"] = self.description
        tool["parameters"] = dict(self.parameters)
        return tool

    async def run(self, arguments: str, context: ToolContext) -> str | BackgroundResult:
        """Call the function with the model's JSON arguments. ToolError when they do not fit,
        when the function raises, or when ``timeout`` is over."""
        given = self._arguments(arguments)
        if self.context_parameter:
            given[self.context_parameter] = context
        try:
            async with asyncio.timeout(self.timeout) as limit:
                if inspect.iscoroutinefunction(self.function):
                    result = await self.function(**given)
                else:
                    result = await in_own_thread(self.function, given, self.name)
                    if inspect.isawaitable(result):
                        result = await result
        except SystemExit as left:
            raise ToolError(f"the tool called exit({left.code})") from left
        except Exception as error:
            # A tool may raise a TimeoutError of its own; only ours is ours to name.
            if isinstance(error, TimeoutError) and limit.expired():
                raise timed_out(self.name, self.timeout) from None
            raise ToolError(told(error)) from error
        if isinstance(result, BackgroundResult):
            return BackgroundResult(as_output(result.content))
        return as_output(result)

    def _arguments(self, text: str) -> dict[str, Any]:
        given = read_arguments(text, self.parameters)
        for key, hint in self.hints.items():
            if key in given:
                try:
                    given[key] = convert(given[key], hint)
                except ValueError as error:
                    raise ToolError(f"argument {key}: {error}") from None
        return given


def read_arguments(text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The model's JSON arguments by name. ToolError when they are no JSON object, when one is
    not in ``parameters`` (a JSON Schema; its ``additionalProperties`` is false when it says
    nothing), or when one that is required is missing. Their types are not looked at."""
    try:
        given = loads(text or "{}")
    except ValueError:
        raise ToolError("the arguments are no JSON") from None
    if not isinstance(given, dict):
        raise ToolError("the arguments are no JSON object")
    known = parameters.get("properties", {})
    if parameters.get("additionalProperties", False) is False:
        unknown = [key for key in given if key not in known]
        if unknown:
            raise ToolError(f"unknown argument: {', '.join(unknown)}")
    missing = [key for key in parameters.get("required", ()) if key not in given]
    if missing:
        raise ToolError(f"missing argument: {', '.join(missing)}")
    return given


def timed_out(name: str, timeout: float) -> ToolError:
    """A tool that took longer than ``timeout`` seconds, in the SDK's words."""
    return ToolError(f"Tool '{name}' timed out after {timeout * 1000:.0f}ms.")


async def in_own_thread(
    function: Callable[..., Any], given: dict[str, Any], name: str, *, by_position: bool = False
) -> Any:
    """``function(**given)``, or ``function(*given.values())`` with ``by_position``, in a daemon
    thread: one that never returns neither fills a pool nor keeps the process from ending. A
    Worker starts no threads: there it runs at once, and the call waits for it."""
    if sys.platform == "emscripten":
        return function(*given.values()) if by_position else function(**given)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

    def work() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = function(*given.values()) if by_position else function(**given)
        except (StopIteration, KeyboardInterrupt) as raised:  # neither may travel in a future
            error = RuntimeError(told(raised))
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name=f"tool {name}", daemon=True).start()
    return await done


def told(error: BaseException) -> str:
    """An error in a line, also one that cannot be printed."""
    try:
        words = str(error)
    except Exception:
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def as_output(result: Any) -> str:
    """A tool's result as text for the model: text as it is, the rest as JSON, else str()."""
    if isinstance(result, str):
        return result
    try:
        return dumps(result)
    except (TypeError, ValueError):
        return str(result)
