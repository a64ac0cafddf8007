"""A service that fails a phone call: the caller is put through or hung up, in which order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.phone_service import PhoneCall
from support.reception import Exchange, exchange
from support.until import until

from runner import excuses, renewal
from runner.core.events import Reconnected, Transfer
from runner.tasks import in_thread

ELSEWHERE = "tel:+15550188"
REFER = ("refer", {"target_uri": ELSEWHERE})
HANG_UP: tuple[str, dict[str, object]] = ("hangup", {})
FILE = """\
timezone: none
transport: { type: sip, listen: "127.0.0.1:0", webhook_secret: "${ONE}" }
agents: { desk: { instructions: x, greeting: "Hello." } }
"""
FALLBACK = FILE + f'on_failure: {{ transfer: "{ELSEWHERE}" }}\n'

Test = Callable[[Exchange], Awaitable[None]]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes moments, but for the pauses between two tries of a line."""
    monkeypatch.setattr(excuses, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(excuses, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("runner.serve.phone.reception.ATTACH_SECONDS", 0.5)


def calls(folder: Path, test: Test, text: str = FALLBACK) -> None:
    exchange(folder, test, desk=text)


async def greeted(it: Exchange) -> PhoneCall:
    call = await it.ring()
    await until(lambda: "Hello." in call.said)
    await until(lambda: it.ears.calls)
    return call


def verbs(call: PhoneCall) -> list[tuple[str, dict[str, object]]]:
    return call.requests[1:]  # accept is the first


# -- before the call is on the line ------------------------------------------------------------
def test_a_service_that_does_not_accept_and_refers_nobody_who_rings(tmp_path: Path) -> None:
    """404 for a call that rings is no proof that the caller is gone: 503 follows."""

    async def test(it: Exchange) -> None:
        it.service.refuses |= {"accept": 500, "refer": 404}
        call = await it.ring()
        await until(lambda: len(call.requests) == 3)
        assert verbs(call) == [REFER, ("reject", {"status_code": 503})]

    calls(tmp_path, test)


@pytest.mark.parametrize("status", [0, 404, 503], ids="status{}".format)
def test_a_call_that_was_answered_and_cannot_be_followed(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No control socket: refused, or never answered. Who waits is put through, else hung up."""
    monkeypatch.setattr(excuses, "CONNECT_SECONDS", 0.5)

    async def test(it: Exchange) -> None:
        it.service.refuses["control"] = status
        first = await it.ring()
        await until(lambda: verbs(first) == [REFER])
        it.service.refuses["refer"] = 500
        second = await it.ring()
        await until(lambda: verbs(second) == [REFER, HANG_UP])
        assert it.ears.calls == []

    calls(tmp_path, test)


# -- in the call -----------------------------------------------------------------------------------
def test_a_line_that_does_not_come_back(tmp_path: Path) -> None:
    """The caller is on the way elsewhere while another line is still tried for."""

    async def test(it: Exchange) -> None:
        call = await greeted(it)
        live = it.live(call)
        it.service.refuses["control"] = 503
        knocks = it.service.knocks
        await in_thread(call.drops)
        await until(lambda: verbs(call) == [REFER])
        assert it.service.knocks > knocks
        await until(lambda: live.id in it.ears.over)
        assert (live.reason, live.lost) == (f"put through to {ELSEWHERE}", False)
        assert verbs(call) == [REFER]

    calls(tmp_path, test)


def test_a_transfer_that_fails_too(tmp_path: Path) -> None:
    """The line is tried for on, and the agent who comes back says so."""

    async def test(it: Exchange) -> None:
        call = await greeted(it)
        it.service.refuses |= {"control": 503, "refer": 500}
        await in_thread(call.drops)
        await until(lambda: verbs(call) == [REFER])
        call.answers.append("Nobody is there, but I am.")
        del it.service.refuses["control"]
        await until(lambda: "Nobody is there, but I am." in call.said)
        told = [event for event in it.ears.seen if isinstance(event, (Reconnected, Transfer))]
        assert told[0] == Transfer(ELSEWHERE)
        assert sorted(type(event).__name__ for event in told[1:]) == ["Reconnected", "Transfer"]

    calls(tmp_path, test)


def test_nothing_that_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line comes, and nobody takes the caller: at the end the call is hung up."""
    monkeypatch.setattr(renewal, "BUDGET_SECONDS", 1.0)

    async def test(it: Exchange) -> None:
        call = await greeted(it)
        live = it.live(call)
        it.service.refuses |= {"control": 503, "refer": 500}
        await in_thread(call.drops)
        await until(lambda: verbs(call) == [REFER, REFER, HANG_UP])
        assert live.lost

    calls(tmp_path, test)


def test_a_transfer_that_nobody_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Referred, and still there: nobody listens to them at the service any more."""
    monkeypatch.setattr("runner.serve.phone.reception.TAKEN_SECONDS", 0.2)

    async def test(it: Exchange) -> None:
        it.service.takes_over = False
        it.service.refuses["control"] = 503
        call = await it.ring()
        await until(lambda: verbs(call) == [REFER, HANG_UP])

    calls(tmp_path, test)


def test_without_a_place_to_go_the_line_is_tried_for(tmp_path: Path) -> None:
    async def test(it: Exchange) -> None:
        call = await greeted(it)
        it.service.refuses["control"] = 503
        await in_thread(call.drops)
        await until(lambda: it.service.knocks >= 4 and it.live(call).away)
        assert verbs(call) == []
        del it.service.refuses["control"]
        await until(lambda: call.attached == 2)

    calls(tmp_path, test, FILE)


@pytest.mark.parametrize("status", [401, 429], ids="status{}".format)
def test_a_refusal_that_stays_ends_the_waiting(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad key, or no quota: no second try, and the caller is put through at once."""
    monkeypatch.setattr(excuses, "SILENT_SECONDS", 60.0)

    async def test(it: Exchange) -> None:
        call = await greeted(it)
        it.service.refuses["control"] = status
        knocks = it.service.knocks
        await in_thread(call.drops)
        await until(lambda: verbs(call) == [REFER])
        assert it.service.knocks == knocks + 1

    calls(tmp_path, test)


def test_answers_that_are_refused(tmp_path: Path) -> None:
    """An error in the place of an answer: one that passes is asked for once more, quota is not."""

    async def test(it: Exchange) -> None:
        async def refused(call: PhoneCall, code: str) -> None:
            before = len(asked(call))
            it.live(call).session.send_message("Hello?")
            await until(lambda: len(asked(call)) > before)
            event_id = asked(call)[-1]["event_id"]
            error = {"type": "x", "code": code, "message": code, "event_id": event_id}
            await in_thread(call.tells, {"type": "error", "error": error})

        call = await greeted(it)
        call.silent = True
        await refused(call, "rate_limit_exceeded")
        before = len(asked(call))
        call.silent = False
        call.answers.append("Here I am.")
        await until(lambda: "Here I am." in call.said)
        assert len(asked(call)) == before + 1
        call.silent = True
        await refused(call, "insufficient_quota")
        await until(lambda: verbs(call) == [REFER])

    calls(tmp_path, test)


def asked(call: PhoneCall) -> list[dict[str, object]]:
    return [event for event in call.received if event["type"] == "response.create"]
