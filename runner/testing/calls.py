"""What was called on a scripted transport, and what a test expected of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from runner.errors import RtrunError, UserError

Method = Literal["connect", "send_event", "send_audio", "mute", "flush", "close"]
METHODS: tuple[str, ...] = get_args(Method)


class ScriptError(RtrunError, AssertionError):
    """What happened is not what the script says."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as it was when it was made. ``index`` counts all calls from 0.

    Values are copies, made anew each time they are read: nobody can change what was recorded.
    """

    index: int
    method: str
    _values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """The arguments by name: ``event`` of send_event, ``data`` and ``commit`` of send_audio,
        ``muted`` of mute, the fields of ConnectOptions of connect."""
        return deepcopy(dict(self._values))

    def __getitem__(self, name: str) -> Any:
        return deepcopy(self._values[name])

    @property
    def event(self) -> dict[str, Any]:
        """The client event of a ``send_event``; empty for other methods."""
        event: dict[str, Any] = deepcopy(self._values.get("event", {}))
        return event

    @property
    def type(self) -> str:
        """The client event's type; empty for other methods."""
        return str(self._values.get("event", {}).get("type", ""))

    def __str__(self) -> str:
        if self.method == "send_audio":
            return f"send_audio of {len(self._values['data'])} bytes"
        return f"{self.method} {self.type}".strip()


#: A function of the call that returns False, or raises, when it is not the right one; the type of
#: a client event; or fields that the event (of other methods: the arguments) must have.
Matcher = Callable[[Call], Any] | str | Mapping[str, Any]


class Expectation:
    """A call that has to come. ``await`` gives the :class:`Call`, or raises."""

    def __init__(self, method: str, matcher: Matcher | None) -> None:
        if method not in METHODS:
            raise UserError(
                f"a transport has no call {method!r} to expect", f"it has {', '.join(METHODS)}"
            )
        self.method = method
        self._matcher = matcher
        #: Somebody waits for it, or has: a failure is theirs to deal with.
        self.awaited = False
        self._future: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._future.add_done_callback(_look)

    def __await__(self) -> Generator[Any, None, Call]:
        self.awaited = True
        return self._future.__await__()

    def done(self) -> bool:
        return self._future.done()

    @property
    def failure(self) -> BaseException | None:
        """Why it did not come true; None while it waits and when it did."""
        if not self._future.done() or self._future.cancelled():
            return None
        return self._future.exception()

    def meet(self, call: Call) -> None:
        """This call came in its place."""
        try:
            self._check(call)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a test framework's failures are no Exception
            self.fail(error)
        else:
            if not self._future.done():
                self._future.set_result(call)

    def fail(self, error: BaseException) -> None:
        if self._future.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self._future.cancel()
        elif isinstance(error, StopIteration):  # a future cannot carry it
            self._future.set_exception(ScriptError(f"the matcher of {self} ran out: {error!r}"))
        else:
            self._future.set_exception(error)

    def _check(self, call: Call) -> None:
        if call.method != self.method:
            raise ScriptError(f"expected {self}, and call {call.index} was {call}")
        matcher = self._matcher
        if matcher is None:
            return
        if callable(matcher):
            if matcher(call) is False:
                raise ScriptError(f"expected {self}, and call {call.index}, {call}, does not match")
            return
        wanted = {"type": matcher} if isinstance(matcher, str) else matcher
        given = call.event if call.method == "send_event" else call.values
        where = _difference(wanted, given, "")
        if where is not None:
            raise ScriptError(f"expected {self}, and call {call.index}, {call}, {where}")

    def __str__(self) -> str:
        matcher = self._matcher
        kind = matcher.get("type") if isinstance(matcher, Mapping) else matcher
        return f"{self.method} {kind}" if isinstance(kind, str) else self.method


class Ledger:
    """Calls and expectations, matched in order, each call to one expectation."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.expectations: list[Expectation] = []
        #: How many calls were held against an expectation.
        self._met = 0
        self._waiting: list[Expectation] = []
        #: Set while no more calls can come: what the expectations of that time fail with.
        self._over: BaseException | None = None
        #: The first expectation that could not come true any more.
        self.broken: asyncio.Future[BaseException] | None = None

    def record(self, method: str, **values: Any) -> Call:
        call = Call(len(self.calls), method, deepcopy(values))
        self.calls.append(call)
        if self._waiting:
            self._met += 1  # before the matcher, which may call the transport itself
            self._waiting.pop(0).meet(call)
        return call

    def expect(self, method: str, matcher: Matcher | None) -> Expectation:
        expectation = Expectation(method, matcher)
        self.expectations.append(expectation)
        if self._met < len(self.calls):
            self._met += 1
            expectation.meet(self.calls[self._met - 1])
            if self._over is not None and expectation.failure is not None:
                self._break(expectation.failure)
        elif self._over is not None:
            expectation.fail(self._over)
            self._break(self._over)
        else:
            self._waiting.append(expectation)
        return expectation

    def begin(self) -> asyncio.Future[BaseException]:
        """A scenario begins; the future is set when what it still expects cannot come."""
        self._over = None
        self.expectations = list(self._waiting)  # an earlier scenario has told of its own
        self.broken = asyncio.get_running_loop().create_future()
        return self.broken

    def end(self, error: BaseException) -> None:
        """No more calls will come: what waits fails with ``error``."""
        self._over = error
        unseen = self.unseen
        waiting, self._waiting = self._waiting, []
        for expectation in waiting:
            expectation.fail(error)
        # One that failed before and that nobody has looked at tells more than the end does.
        if waiting or unseen is not None:
            self._break(unseen or error)

    def _break(self, error: BaseException) -> None:
        if self.broken is not None and not self.broken.done():
            self.broken.set_result(error)

    @property
    def waiting(self) -> list[str]:
        return [str(e) for e in self._waiting]

    @property
    def unexpected(self) -> list[Call]:
        """Calls that were not asked for. A close at the end need not be."""
        return [call for call in self.calls[self._met :] if call.method != "close"]

    @property
    def unseen(self) -> BaseException | None:
        """The first failure of an expectation that nobody awaited."""
        failures = (e.failure for e in self.expectations if not e.awaited)
        return next((f for f in failures if f is not None), None)


def _difference(wanted: Any, given: Any, path: str) -> str | None:
    """Where ``given`` lacks what is wanted, in words. Objects may have more than is wanted."""
    if isinstance(wanted, Mapping) and isinstance(given, Mapping):
        for key, value in wanted.items():
            inner = f"{path}.{key}" if path else str(key)
            if key not in given:
                return f"has no {inner}"
            found = _difference(value, given[key], inner)
            if found is not None:
                return found
        return None
    return None if wanted == given else f"has {path} {given!r}, not {wanted!r}"


def _look(future: asyncio.Future[Call]) -> None:
    """A failure that nobody awaits is told by the scenario, not by the loop as well."""
    if not future.cancelled():
        future.exception()
