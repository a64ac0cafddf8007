"""The scripted transport: what it records, what it expects, how a scenario ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from runner import RealtimeAgent, RealtimeSession, tool
from runner.core.events import Audio
from runner.errors import ConnectError, NotConnectedError, UserError
from runner.testing import (
    Call,
    Expectation,
    ScriptedRealtimeTransport,
    ScriptedTransport,
    ScriptError,
    server,
)
from runner.transports.base import Closed, ConnectOptions

pytestmark = pytest.mark.quick

PING = {"type": "ping"}


class Boom(Exception):
    pass


def run(test: Callable[[ScriptedTransport], Awaitable[None]]) -> None:
    """One test on a loop that has nothing to complain of at its end, in bounded time."""

    async def main() -> None:
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        async with asyncio.timeout(20):
            await test(ScriptedTransport())
        gc.collect()
        assert complaints == []

    asyncio.run(main())


def complaints() -> list[Any]:
    """What listeners raise from here on, as the loop's exception handler is shown it."""
    found: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: found.append(what["exception"]))
    return found


async def opened(line: ScriptedTransport) -> ScriptedTransport:
    await line.connect()
    await line.expect("connect")
    return line


async def nothing(line: ScriptedTransport) -> None:
    pass


async def the_end() -> None:
    """All that the end of an exercise sets in motion has been done; there is no event for it."""
    for _ in range(10):
        await asyncio.sleep(0)


class Ear:
    """A receiver that writes down what it is told."""

    def __init__(self, line: ScriptedTransport) -> None:
        self.told: list[Any] = []
        line.receiver = self

    def on_event(self, event: dict[str, Any]) -> None:
        self.told.append(event)

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        self.told.append((response_id, item_id, content_index, data))

    def on_closed(self, closed: Closed) -> None:
        self.told.append(closed)


# -- a session on it -----------------------------------------------------------------------------
def test_a_session_talks_to_the_script() -> None:
    """SC1: ordered calls and typed events, with a tool in the middle."""

    @tool
    def price(item: str) -> str:
        """What an item costs."""
        return f"{item}: 4 dollars"

    async def caller(line: ScriptedTransport) -> list[str]:
        session = RealtimeSession(RealtimeAgent("shop", "Sell.", tools=[price]), transport=line)
        seen: list[str] = []
        over = asyncio.Event()
        session.on("*", lambda event: seen.append(event.type))
        session.on("turn_end", lambda event: over.set())
        await session.connect(api_key="key")
        session.send_message("What is tea?")
        await over.wait()
        await session.close()
        return seen

    async def service(line: ScriptedTransport) -> None:
        settings = await line.accept()
        assert settings["instructions"] == "Sell."
        asked = await line.expect_event("conversation.item.create")
        assert asked.event["item"]["content"][0]["text"] == "What is tea?"
        create = await line.expect_event("response.create")
        line.emit(*server.tool_call("price", {"item": "tea"}, to=create, call_id="c1"))
        await line.expect_event(
            "conversation.item.create",
            item={"type": "function_call_output", "call_id": "c1", "output": "tea: 4 dollars"},
        )
        create = await line.expect_event("response.create")
        line.emit(*server.written("Four dollars.", to=create))

    async def test(line: ScriptedTransport) -> None:
        seen = await line.run_scenario(caller, service)
        order = ["agent_tool_start", "agent_tool_end", "agent_start", "agent_end", "turn_end"]
        at = [seen.index("agent_tool_start"), *(len(seen) - 1 - seen[::-1].index(o) for o in order)]
        assert at == sorted(at)
        assert line.calls[0]["api_key"] == "key"
        line.assert_complete()
        line.assert_closed()

    run(test)


def test_it_goes_by_the_sdks_name_too() -> None:
    assert ScriptedRealtimeTransport is ScriptedTransport


# -- expectations --------------------------------------------------------------------------------
def test_a_call_made_before_its_expectation_counts() -> None:
    """SC2: expectations match calls that were made before they were registered."""

    async def test(line: ScriptedTransport) -> None:
        await line.connect(ConnectOptions(model="m"))
        line.send_event(PING)
        line.mute(True)
        assert (await line.expect("connect", {"model": "m"}))["model"] == "m"
        assert (await line.expect_event("ping")).index == 1
        assert (await line.expect("mute", {"muted": True})).values == {"muted": True}
        line.assert_complete()

    run(test)


def test_an_unexpected_call_is_known_at_once() -> None:
    """SC3: rejected in the call itself, without a timer."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        waiting = line.expect_event("ping")
        line.flush()
        assert waiting.done()
        with pytest.raises(ScriptError, match="expected send_event ping, and call 1 was flush"):
            await waiting

    run(test)


@pytest.mark.parametrize(
    ("matcher", "words"),
    [
        (lambda call: False, "does not match"),
        ("pong", "has type 'ping', not 'pong'"),
        ({"type": "ping", "n": 1}, "has no n"),
        ({"item": {"id": "b"}}, "has item.id 'a', not 'b'"),
    ],
)
def test_a_matcher_says_no(matcher: Any, words: str) -> None:
    """SC4: a matcher that returns False fails, and so do a type and fields that differ."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        line.send_event({**PING, "item": {"id": "a"}})
        with pytest.raises(ScriptError, match=words):
            await line.expect("send_event", matcher)

    run(test)


def test_matchers_that_say_yes() -> None:
    """SC43: assertions may stand in a matcher; what it returns beside False does not matter."""

    def right(call: Call) -> None:
        assert call.event["item"] == {"id": "a", "n": [1, 2]}

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        for matcher in (right, lambda call: True, lambda call: 0, None, {"item": {"n": [1, 2]}}):
            line.send_event({**PING, "item": {"id": "a", "n": [1, 2]}})
            await line.expect("send_event", matcher)
        line.send_event(PING)
        with pytest.raises(KeyError):
            await line.expect("send_event", right)
        line.send_event({**PING, "item": {}})
        with pytest.raises(AssertionError, match="'id': 'a'"):
            await line.expect("send_event", right)

    run(test)


def test_what_a_matcher_raises_comes_as_it_is() -> None:
    """SC15: the same object, and the call itself goes on."""
    boom = Boom("mine")

    def matcher(call: Call) -> None:
        raise boom

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        waiting = line.expect("send_event", matcher)
        line.send_event(PING)
        with pytest.raises(Boom) as caught:
            await waiting
        assert caught.value is boom
        waiting = line.expect("send_event", lambda call: next(iter(())))
        line.send_event(PING)
        with pytest.raises(ScriptError, match="ran out"):  # no future carries a StopIteration
            await waiting
        waiting = line.expect("send_event", lambda call: pytest.fail("a framework's own"))
        line.send_event(PING)
        with pytest.raises(pytest.fail.Exception, match="a framework's own"):
            await waiting

    run(test)


def test_there_are_no_other_calls() -> None:
    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(UserError, match="no call 'sendEvent' to expect") as caught:
            line.expect("sendEvent")
        assert "send_event" in caught.value.hint
        with pytest.raises(UserError, match="no call 'sned' to fail"):
            line.fail_next("sned", Boom())

    run(test)


# -- scenarios -----------------------------------------------------------------------------------
def test_an_exercise_that_ends_early_is_told_what_was_still_expected() -> None:
    """SC5: pending expectations are reported."""

    async def script(line: ScriptedTransport) -> None:
        await line.expect("connect")
        await line.expect_event("ping")

    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(ScriptError, match="still expects send_event ping"):
            await line.run_scenario(opened_only, script)

    async def opened_only(line: ScriptedTransport) -> None:
        await line.connect()

    run(test)


def test_an_expectation_that_nobody_awaits_is_settled() -> None:
    """SC6: it fails with the scenario, and so does one that failed before, unseen."""
    kept: list[Expectation] = []

    async def script(line: ScriptedTransport) -> None:
        kept.append(line.expect("close"))

    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(ScriptError, match="still expects close") as caught:
            await line.run_scenario(nothing, script)
        assert kept[0].done()
        assert kept[0].failure is caught.value
        kept.clear()
        with pytest.raises(ScriptError, match="expected close, and call 0 was flush"):
            await line.run_scenario(flushes, script)
        with pytest.raises(ScriptError) as caught:
            line.assert_complete()
        assert "failed and never awaited" in str(caught.value)

    async def flushes(line: ScriptedTransport) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        line.flush()

    run(test)


@pytest.mark.parametrize("awaited", [True, False])
def test_an_expectation_after_the_end_is_refused(awaited: bool) -> None:
    """SC7: once the exercise has ended nothing can come, awaited or not (2 cases)."""

    async def test(line: ScriptedTransport) -> None:
        later: list[Expectation] = []

        async def script(line: ScriptedTransport) -> None:
            await the_end()
            later.append(line.expect("close"))
            if awaited:
                await later[0]

        with pytest.raises(ScriptError, match="the exercise has ended"):
            await line.run_scenario(nothing, script)
        assert later[0].done()
        with pytest.raises(ScriptError, match="the exercise has ended"):
            await line.expect("close")

    run(test)


def test_a_script_that_swallows_the_refusal_and_hangs() -> None:
    """SC8: the scenario is rejected all the same, and the script is cancelled."""
    ended: list[str] = []

    async def script(line: ScriptedTransport) -> None:
        await the_end()
        with pytest.raises(ScriptError, match="the exercise has ended"):
            await line.expect("close")
        ended.append("swallowed")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(ScriptError, match="still expects"):
            await line.run_scenario(nothing, script)
        assert ended == ["swallowed", "cancelled"]

    run(test)


def test_a_late_expectation_may_take_a_call_that_was_made() -> None:
    """SC9: what was recorded before the end can be expected after it."""

    async def test(line: ScriptedTransport) -> None:
        async def exercise(line: ScriptedTransport) -> str:
            await line.connect()
            line.send_event(PING)
            return "done"

        async def script(line: ScriptedTransport) -> None:
            await the_end()
            await line.expect("connect")
            await line.expect_event("ping")

        assert await line.run_scenario(exercise, script) == "done"
        line.assert_complete()

    run(test)


@pytest.mark.parametrize(
    ("method", "matcher", "error", "words"),
    [
        ("send_event", None, ScriptError, "expected send_event, and call 0 was mute"),
        ("mute", lambda call: False, ScriptError, "does not match"),
        ("mute", {"muted": False}, ScriptError, "has muted True, not False"),
        ("mute", lambda call: 1 / 0, ZeroDivisionError, "division"),
    ],
)
@pytest.mark.parametrize("awaited", [True, False])
def test_late_failures_are_told(
    method: str, matcher: Any, error: type[Exception], words: str, awaited: bool
) -> None:
    """SC10: a wrong method or a matcher's failure after the end (table of cases)."""

    async def test(line: ScriptedTransport) -> None:
        async def exercise(line: ScriptedTransport) -> None:
            line.mute(True)

        async def script(line: ScriptedTransport) -> None:
            await the_end()
            waiting = line.expect(method, matcher)
            if awaited:
                await waiting
            await asyncio.Event().wait()

        with pytest.raises(error, match=words):
            await line.run_scenario(exercise, script)

    run(test)


def test_a_failing_exercise_settles_what_is_expected() -> None:
    """SC11: with its own error."""
    boom = Boom("exercise")
    kept: list[Expectation] = []

    async def exercise(line: ScriptedTransport) -> None:
        await asyncio.sleep(0)
        raise boom

    async def script(line: ScriptedTransport) -> None:
        kept.append(line.expect("connect"))
        await line.expect("close")

    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(Boom) as caught:
            await line.run_scenario(exercise, script)
        assert caught.value is kept[0].failure is boom

    run(test)


def test_a_failing_script_settles_what_is_expected() -> None:
    """SC12: with its own error, and the exercise does not go on."""
    boom = Boom("script")
    kept: list[Expectation] = []
    ended: list[bool] = []

    async def exercise(line: ScriptedTransport) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def script(line: ScriptedTransport) -> None:
        kept.append(line.expect("connect"))
        raise boom

    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(Boom) as caught:
            await line.run_scenario(exercise, script)
        assert caught.value is kept[0].failure is boom
        assert ended == [True]

    run(test)


def test_a_scenario_is_cancelled_like_any_task() -> None:
    """SC13: both sides and what is expected end with it, and no timer is needed."""
    kept: list[Expectation] = []
    ended: list[str] = []

    async def test(line: ScriptedTransport) -> None:
        both = asyncio.Barrier(3)

        async def side(name: str) -> None:
            try:
                await both.wait()
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        async def script(line: ScriptedTransport) -> None:
            kept.append(line.expect("connect"))
            await side("script")

        running = asyncio.create_task(line.run_scenario(lambda _: side("exercise"), script))
        await both.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert sorted(ended) == ["exercise", "script"]
        assert kept[0].done()
        with pytest.raises(asyncio.CancelledError):
            await kept[0]

    run(test)


def test_a_scenario_cancelled_before_it_begins_starts_nothing() -> None:
    """SC14: neither side is called."""
    started: list[str] = []

    async def side(line: ScriptedTransport) -> None:
        started.append("side")

    async def test(line: ScriptedTransport) -> None:
        running = asyncio.create_task(line.run_scenario(side, side))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert started == []

    run(test)


def test_one_transport_plays_several_scenarios() -> None:
    async def exercise(line: ScriptedTransport) -> None:
        await line.connect()
        await line.close()

    async def script(line: ScriptedTransport) -> None:
        await line.expect("connect")
        await line.expect("close")

    async def test(line: ScriptedTransport) -> None:
        for _ in range(2):
            await line.run_scenario(exercise, script)
        line.assert_complete()
        assert [call.method for call in line.calls] == ["connect", "close"] * 2

    run(test)


# -- the record ----------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["matcher", "result"])
def test_the_record_cannot_be_changed(where: str) -> None:
    """SC17: neither by a matcher nor by who awaits the call (2 cases)."""

    def spoil(call: Call) -> None:
        call.event["item"]["id"] = "b"
        call.values["event"].clear()
        call["event"]["item"] = None

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        waiting = line.expect("send_event", spoil if where == "matcher" else None)
        line.send_event({**PING, "item": {"id": "a"}})
        call = await waiting
        if where == "result":
            spoil(call)
        assert call.event == line.calls[1].event == {**PING, "item": {"id": "a"}}
        with pytest.raises(AttributeError):
            call.index = 9  # type: ignore[misc]

    run(test)


def test_a_call_is_recorded_as_it_was() -> None:
    """SC18: a snapshot of the time of the call, with an index that stays."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        event: dict[str, Any] = {**PING, "list": [1]}
        line.send_event(event)
        event["list"].append(2)
        audio = bytearray(b"\1\0")
        line.send_audio(bytes(audio), commit=True)
        before = line.calls
        line.send_event(PING)
        assert line.calls[1].event["list"] == [1]
        assert before == line.calls[:3]
        assert [call.index for call in line.calls] == [0, 1, 2, 3]
        assert line.calls[2].values == {"data": b"\1\0", "commit": True}
        assert line.sent == ({**PING, "list": [1]}, PING)

    run(test)


# -- failures on purpose -------------------------------------------------------------------------
def test_a_failure_is_used_up_when_the_matcher_fails_too() -> None:
    """SC16: by the call, which raises it, and once."""
    boom = Boom()

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        line.fail_next("send_event", boom)
        waiting = line.expect("send_event", lambda call: False)
        with pytest.raises(Boom) as caught:
            line.send_event(PING)
        assert caught.value is boom
        with pytest.raises(ScriptError):
            await waiting
        line.send_event(PING)
        await line.expect_event("ping")

    run(test)


def test_a_failed_connect_leaves_no_line() -> None:
    """SC19: the status is disconnected again, and the next connect succeeds."""

    async def test(line: ScriptedTransport) -> None:
        line.fail_next("connect", Boom())
        with pytest.raises(Boom):
            await line.connect()
        line.assert_closed()
        await line.connect()
        assert line.status == "connected"
        assert len(line.calls) == 2

    run(test)


def test_a_connect_keeps_its_failure_from_a_connect_inside_it() -> None:
    """SC20: the failure is reserved before the matcher can connect."""
    boom = Boom()

    async def test(line: ScriptedTransport) -> None:
        inner: list[asyncio.Future[None]] = []

        def again(call: Call) -> None:
            inner.append(asyncio.ensure_future(line.connect()))

        line.expect("connect", again)
        line.fail_next("connect", boom)
        with pytest.raises(Boom):
            await line.connect()
        with pytest.raises(ConnectError, match="already connecting"):
            await inner[0]
        line.assert_closed()
        line.assert_complete()

    run(test)


def test_a_close_keeps_its_failure_from_a_close_inside_it() -> None:
    """SC21: the failure is reserved before the matcher can close."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        inner: list[asyncio.Future[None]] = []
        line.expect("close", lambda call: inner.append(asyncio.ensure_future(line.close())))
        line.fail_next("close", Boom())
        with pytest.raises(Boom):
            await line.close()
        await inner[0]
        line.assert_closed()

    run(test)


def from_matcher(line: ScriptedTransport, work: Callable[[], Any]) -> None:
    line.expect("connect", lambda call: work() and None)


def from_connecting(line: ScriptedTransport, work: Callable[[], Any]) -> None:
    line.once("connection_change", lambda status: work() and None)


def from_connected(line: ScriptedTransport, work: Callable[[], Any]) -> None:
    line.once("connected", lambda: work() and None)


@pytest.mark.parametrize("moment", [from_matcher, from_connecting])
def test_a_failing_close_ends_a_connect_all_the_same(moment: Callable[..., None]) -> None:
    """SC22: a close that supersedes a connect leaves no line, also when it fails (2 cases)."""

    async def test(line: ScriptedTransport) -> None:
        inner: list[asyncio.Future[None]] = []
        moment(line, lambda: inner.append(asyncio.ensure_future(line.close())))
        line.fail_next("close", Boom())
        with pytest.raises(ConnectError, match="closed while it was connecting"):
            await line.connect()
        with pytest.raises(Boom):
            await inner[0]
        line.assert_closed()

    run(test)


def test_a_failing_close_from_the_notice_of_being_connected() -> None:
    """SC23: connect has not returned yet, so it is ended."""

    async def test(line: ScriptedTransport) -> None:
        inner: list[asyncio.Future[None]] = []
        from_connected(line, lambda: inner.append(asyncio.ensure_future(line.close())))
        line.fail_next("close", Boom())
        with pytest.raises(ConnectError, match="closed while it was connecting"):
            await line.connect()
        with pytest.raises(Boom):
            await inner[0]
        line.assert_closed()

    run(test)


@pytest.mark.parametrize("status", ["connecting", "connected"])
def test_a_failing_close_in_a_listener_is_seen(status: str) -> None:
    """SC24: what nobody catches comes to the loop's exception handler as it is (2 cases)."""
    boom = Boom()

    async def test(line: ScriptedTransport) -> None:
        told = complaints()
        line.on("connection_change", lambda now: line.close() if now == status else None)
        line.fail_next("close", boom)
        with pytest.raises(ConnectError):
            await line.connect()
        line.assert_closed()
        await line.stop_listeners()
        assert told == [boom]

    run(test)


def test_a_failing_close_inside_a_close() -> None:
    """SC25: the line is closed, and the inner one raises."""
    boom = Boom()

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        inner: list[asyncio.Future[None]] = []

        def again(call: Call) -> None:
            line.fail_next("close", boom)
            inner.append(asyncio.ensure_future(line.close()))

        line.expect("close", again)
        await line.close()
        line.assert_closed()
        with pytest.raises(Boom):
            await inner[0]
        line.assert_closed()

    run(test)


def test_a_failing_close_of_a_line_leaves_it_open() -> None:
    """SC26: it stays connected, and works."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        line.fail_next("close", Boom())
        with pytest.raises(Boom):
            await line.close()
        assert line.status == "connected"
        line.send_event(PING)
        await line.close()
        line.assert_closed()

    run(test)


def test_a_call_keeps_its_failure_from_calls_inside_it() -> None:
    """SC27: the failure of a synchronous call is reserved before the matcher calls again."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        line.expect("send_event", lambda call: line.send_event({"type": "inner"}))
        inner = line.expect_event("inner")
        line.fail_next("send_event", Boom())
        with pytest.raises(Boom):
            line.send_event(PING)
        assert (await inner).index == 2
        line.assert_complete()

    run(test)


def test_a_connects_failure_is_kept_while_listeners_clean_up() -> None:
    """SC28: whatever they do."""
    boom = Boom()

    async def test(line: ScriptedTransport) -> None:
        told = complaints()
        ran: list[str] = []

        def broken(status: str) -> None:
            ran.append(status)
            if status == "disconnected":
                raise ValueError("cleanup")

        async def close() -> None:
            await line.close()
            ran.append("closed")

        line.on("connection_change", broken)
        line.on("disconnected", close)
        line.fail_next("connect", boom)
        with pytest.raises(Boom) as caught:
            await line.connect()
        assert caught.value is boom
        await asyncio.sleep(0)
        assert ran == ["connecting", "disconnected", "closed"]
        assert [str(error) for error in told] == ["cleanup"]

    run(test)


# -- listeners -----------------------------------------------------------------------------------
def test_a_once_listener_is_gone_before_it_runs() -> None:
    """SC30: a second event from inside it does not come back to it."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        heard: list[int] = []

        def again(event: dict[str, Any]) -> None:
            heard.append(event["n"])
            line.emit({"type": "tick", "n": event["n"] + 1})

        line.once("tick", again)
        line.emit({"type": "tick", "n": 0})
        assert heard == [0]

    run(test)


def test_an_expected_connect_is_met_before_listeners_fail() -> None:
    """SC31: the expectation is settled when the listener of ``connected`` raises."""

    async def test(line: ScriptedTransport) -> None:
        told = complaints()
        waiting = line.expect("connect")
        settled: list[bool] = []

        def broken() -> None:
            settled.append(waiting.done())
            raise ValueError("mine")

        line.on("connected", broken)
        await line.connect()
        assert (await waiting).method == "connect"
        assert settled == [True]
        assert len(told) == 1

    run(test)


@pytest.mark.parametrize("moment", [from_connecting, from_connected])
@pytest.mark.parametrize("how", ["close", "disconnect"])
def test_the_end_in_a_notice_stays(moment: Callable[..., None], how: str) -> None:
    """SC32: a close or a disconnect during the notice of connecting is kept (2 cases)."""
    _ended_by(moment, how)


@pytest.mark.parametrize("how", ["close", "disconnect"])
def test_the_end_in_a_matcher_stays(how: str) -> None:
    """SC33: a close or a disconnect from the matcher of connect is kept (2 cases)."""
    _ended_by(from_matcher, how)


def _ended_by(moment: Callable[..., None], how: str) -> None:
    async def test(line: ScriptedTransport) -> None:
        ear = Ear(line)
        inner: list[asyncio.Future[None]] = []
        if how == "close":
            moment(line, lambda: inner.append(asyncio.ensure_future(line.close())))
            words = "closed while it was connecting"
        else:
            moment(line, lambda: line.disconnect("no dial tone"))
            words = "no dial tone"
        with pytest.raises(ConnectError, match=words):
            await line.connect()
        for one in inner:
            await one
        line.assert_closed()
        assert ear.told == []  # connect() has told it
        await line.connect()
        assert line.status == "connected"

    run(test)


def test_a_line_lost_on_purpose() -> None:
    """SC34: with the error that the server sends before; both come to the session."""

    async def test(line: ScriptedTransport) -> None:
        ear = Ear(line)
        await opened(line)
        order: list[Any] = []
        for name in ("error", "connection_change", "disconnected", "close"):
            line.on(name, lambda *event, name=name: order.append((name, *event)))
        line.disconnect("expired", code=1001, clean=True, error={"code": "session_expired"})
        error = {"type": "error", "error": {"code": "session_expired"}}
        closed = Closed("expired", 1001, True)
        assert ear.told == [error, closed]
        assert order == [
            ("error", error),
            ("connection_change", "disconnected"),
            ("disconnected",),
            ("close", closed),
        ]
        with pytest.raises(NotConnectedError):
            line.disconnect()
        with pytest.raises(NotConnectedError):
            line.emit(PING)

    run(test)


def test_closing_twice_is_one_close() -> None:
    """SC35: close is idempotent and recorded once."""

    async def test(line: ScriptedTransport) -> None:
        await line.close()
        await opened(line)
        await asyncio.gather(line.close(), line.close())
        await line.close()
        assert [call.method for call in line.calls] == ["connect", "close"]
        line.assert_complete()

    run(test)


def test_a_closed_line_stays_closed_when_listeners_raise() -> None:
    """SC36: the terminal state stays, by close and by loss."""

    async def test(line: ScriptedTransport) -> None:
        told = complaints()

        def broken(*event: Any) -> None:
            raise ValueError("mine")

        for name in ("connection_change", "disconnected", "close"):
            line.on(name, broken)
        await line.connect()
        await line.close()
        line.assert_closed()
        await line.connect()
        line.disconnect()
        line.assert_closed()
        assert len(told) == 9

    run(test)


def test_a_connect_begun_in_the_matcher_of_close() -> None:
    """SC37: the close does not undo it."""

    async def test(line: ScriptedTransport) -> None:
        await opened(line)
        again: list[asyncio.Future[None]] = []
        line.expect("close", lambda call: again.append(asyncio.ensure_future(line.connect())))
        await line.close()
        await again[0]
        assert line.status == "connected"

    run(test)


def test_a_disconnect_in_the_matcher_of_a_failing_close() -> None:
    """SC38: it stays disconnected."""

    async def test(line: ScriptedTransport) -> None:
        ear = Ear(line)
        await opened(line)
        line.expect("close", lambda call: line.disconnect("cut"))
        line.fail_next("close", Boom())
        with pytest.raises(Boom):
            await line.close()
        line.assert_closed()
        assert ear.told == [Closed("cut", 1006, False)]

    run(test)


def test_everyone_is_told_of_the_loss() -> None:
    """SC39: a listener that raises keeps neither the error nor the end from the others."""

    async def test(line: ScriptedTransport) -> None:
        told = complaints()
        ear = Ear(line)
        heard: list[str] = []

        def broken(*event: Any) -> None:
            raise ValueError("mine")

        for name in ("error", "disconnected", "close"):
            line.on(name, broken)
            line.on(name, lambda *event, name=name: heard.append(name))
        await line.connect()
        line.disconnect(error={"code": "gone"})
        assert heard == ["error", "disconnected", "close"]
        assert len(ear.told) == 2
        assert len(told) == 3

    run(test)


# -- the rest of the interface -------------------------------------------------------------------
def test_what_is_left_over_is_told() -> None:
    """SC42: open expectations, calls, unused failures, and a line that is open."""

    async def test(line: ScriptedTransport) -> None:
        line.assert_complete()
        line.assert_closed()
        await line.connect()
        line.send_event(PING)
        line.send_audio(b"\0\0")
        line.fail_next("mute", Boom("unused"))
        with pytest.raises(ScriptError) as caught:
            line.assert_complete()
        for words in ("unexpected: connect", "send_event ping (call 1)", "send_audio of 2 bytes"):
            assert words in caught.value.hint
        assert "never failed: mute with Boom('unused')" in caught.value.hint
        with pytest.raises(ScriptError, match="still connected"):
            line.assert_closed()
        with pytest.raises(Boom):
            line.mute(True)
        for method in ("connect", "send_event", "send_audio", "mute"):
            await line.expect(method)
        line.assert_complete()
        line.expect_event("pong")
        with pytest.raises(ScriptError) as caught:
            line.assert_complete()
        assert caught.value.hint == "expected and never came: send_event pong"

    run(test)


def test_what_the_server_says_before_connect_returns_waits_for_it() -> None:
    async def test(line: ScriptedTransport) -> None:
        ear = Ear(line)
        line.on("connected", lambda: line.emit({"type": "early", "list": [1]}))
        await line.connect(initial_session_config={"speed": 1.2}, model="m", api_key="k")
        assert ear.told == [{"type": "early", "list": [1]}]
        assert line.sent[0]["session"]["audio"] == {"output": {"speed": 1.2}}
        assert line.calls[0]["model"] == "m"

    run(test)


def test_audio_comes_as_audio_and_events_as_copies() -> None:
    async def test(line: ScriptedTransport) -> None:
        ear = Ear(line)
        heard: list[Any] = []
        line.on("audio", heard.append)
        line.on("*", heard.append)
        await opened(line)
        delta = server.audio_delta("r", "i", b"\1\0")
        event: dict[str, Any] = {"type": "x", "list": []}
        line.emit(delta, event)
        event["list"].append(1)
        assert ear.told == [("r", "i", 0, b"\1\0"), {"type": "x", "list": []}]
        assert heard == [delta, Audio(b"\1\0", "r", "i"), {"type": "x", "list": []}]
        with pytest.raises(UserError, match="no base64"):
            line.emit({**delta, "delta": "?"})

    run(test)


def test_a_muted_line_records_no_audio() -> None:
    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(NotConnectedError):
            line.send_audio(b"\0\0")
        await opened(line)
        line.mute(True)
        line.send_audio(b"\1\0")
        line.send_audio(b"\2\0", commit=True)
        assert line.muted
        assert [call.method for call in line.calls] == ["connect", "mute", "send_audio"]
        assert line.calls[2].values == {"data": b"", "commit": True}

    run(test)


def test_who_knows_what_was_heard() -> None:
    async def main() -> None:
        line = ScriptedTransport(playback="transport", sends_session=True)
        line.heard["item"] = 120.0
        assert (line.playback, line.sends_session) == ("transport", True)
        assert line.heard_ms("item") == 120.0
        assert line.heard_ms("other") is None

        async def exercise(line: ScriptedTransport) -> None:
            await line.connect(ConnectOptions(session={"instructions": "x"}))

        async def script(line: ScriptedTransport) -> None:
            assert await line.accept() == {}

        await line.run_scenario(exercise, script)

    asyncio.run(main())


def test_a_failure_that_nobody_looked_at_ends_a_script_that_hangs() -> None:
    async def exercise(line: ScriptedTransport) -> None:
        await line.connect()

    async def script(line: ScriptedTransport) -> None:
        line.expect("close")
        await asyncio.Event().wait()

    async def test(line: ScriptedTransport) -> None:
        with pytest.raises(ScriptError, match="expected close, and call 0 was connect"):
            await line.run_scenario(exercise, script)

    run(test)


# -- a session on it: voice ----------------------------------------------------------------------
def test_a_caller_who_cuts_in_on_a_script() -> None:
    """What was heard goes to the server, and the rest is dropped before."""

    async def caller(line: ScriptedTransport) -> int:
        session = RealtimeSession(RealtimeAgent("desk"), transport=line)
        cut: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        session.on("audio_interrupted", lambda event: cut.set_result(event.heard_ms))
        await session.connect()
        session.respond()
        heard = await cut
        await session.close()
        return int(heard)

    async def service(line: ScriptedTransport) -> None:
        await line.accept()
        asked = await line.expect_event("response.create")
        line.heard["item_1"] = 120.0
        answer = server.spoken("We are open.", bytes(48_000), to=asked, item_id="item_1")
        line.emit(*answer)
        line.emit(server.speech_started())
        await line.expect("flush")
        await line.expect_event("conversation.item.truncate", item_id="item_1", audio_end_ms=120)

    async def main() -> None:
        line = ScriptedTransport(playback="transport")
        async with asyncio.timeout(20):
            assert await line.run_scenario(caller, service) == 120
        line.assert_complete()

    asyncio.run(main())


def test_a_picture_by_the_sdks_names() -> None:
    """BA41: an input_image has its address in image_url, and what is beside it travels along."""
    url = "data:image/png;base64,AA"

    async def caller(line: ScriptedTransport) -> None:
        async with RealtimeSession(RealtimeAgent("desk"), transport=line) as session:
            await session.connect()
            image = {"type": "input_image", "image": url, "providerData": {"detail": "low"}}
            content = [{"type": "input_text", "text": "What is this?"}, image]
            session.send_message({"type": "message", "role": "user", "content": content})

    async def service(line: ScriptedTransport) -> None:
        await line.accept()
        sent = await line.expect_event("conversation.item.create")
        image = {"type": "input_image", "image_url": url, "detail": "low"}
        assert sent.event["item"]["content"][1] == image
        await line.expect_event("response.create")

    async def test(line: ScriptedTransport) -> None:
        await line.run_scenario(caller, service)
        line.assert_complete()

    run(test)


def test_a_session_comes_back_after_the_loss_of_its_line() -> None:
    """The next line is told of the conversation; the script is its server as well."""

    async def caller(line: ScriptedTransport) -> tuple[str | None, ...]:
        async with RealtimeSession(RealtimeAgent("desk"), transport=line) as session:
            back = asyncio.Event()
            session.on("reconnected", lambda event: back.set())
            await session.connect()
            session.send_message("Are you open?", respond=False)
            await back.wait()
            return tuple(item.text for item in session.history)

    async def service(line: ScriptedTransport) -> None:
        await line.accept()
        sent = await line.expect_event("conversation.item.create")
        line.emit({"type": "conversation.item.added", "item": sent.event["item"]})
        line.disconnect(code=1012)
        await line.accept()
        again = await line.expect_event("conversation.item.create")
        line.emit({"type": "conversation.item.added", "item": again.event["item"]})

    async def test(line: ScriptedTransport) -> None:
        assert await line.run_scenario(caller, service) == ("Are you open?",)
        assert [c.method for c in line.calls].count("connect") == 2
        line.assert_closed()

    run(test)


def test_a_key_that_is_a_function_is_asked() -> None:
    async def test(line: ScriptedTransport) -> None:
        async def key() -> str:
            await asyncio.sleep(0)
            return "k"

        await line.connect(api_key=key)
        await line.expect("connect", {"api_key": "k"})
        await line.close()
        with pytest.raises(UserError, match="no speeed"):
            await line.connect(initial_session_config={"speeed": 1})
        line.assert_closed()
        late = asyncio.ensure_future(line.connect(api_key=key))
        await asyncio.sleep(0)
        line.disconnect("no dial tone", code=1013)
        with pytest.raises(ConnectError) as caught:
            await late
        assert caught.value.code == 1013

    run(test)
