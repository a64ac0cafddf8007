"""sipp, a SIP caller that is not ours, against the engine's telephone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.phones.operator import Exchange, Operator, telephone
from support.phones.sipp import Script, run
from support.until import until_sync


@pytest.fixture(scope="module")
def line() -> Iterator[Exchange]:
    with telephone(decide_seconds=20) as it:
        yield it


@pytest.fixture
def exchange(line: Exchange) -> Iterator[Exchange]:
    line.operator.decide = lambda operator, call_id: operator.accept(call_id)
    line.operator.announced.clear()
    line.operator.ids.clear()
    yield line
    line.empty()


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_call_with_hold_keys_and_a_session_timer(
    exchange: Exchange, tmp_path: Path, tcp: bool
) -> None:
    timer = (
        "Supported: timer",
        "Session-Expires: 1800",
        "Record-Route: <sip:[local_ip]:[local_port];lr>",
    )
    script = (
        Script()
        .invite(*timer, formats="8 0")
        .expect(200, body="RTP/AVP 8", header="Session-Expires: 1800;refresher=uac")
        .request("ACK")
        .request("INFO", "Content-Type: application/dtmf-relay", body="Signal=7\nDuration=160\n")
        .expect(200)
        .invite(formats="8", way="sendonly")
        .expect(200, body="a=recvonly")
        .request("ACK")
        .invite(formats="8")
        .expect(200, body="a=sendrecv")
        .request("ACK")
        .request("OPTIONS")
        .expect(200)
        .bye()
    )
    result = run(script, exchange.dial, tmp_path, tcp=tcp)
    assert (result.code, result.good) == (0, 1), result.output
    (event,) = exchange.operator.announced
    assert event["type"] == "realtime.call.incoming"
    told = {header["name"]: header["value"] for header in event["data"]["sip_headers"]}
    assert told["From"].startswith('"Ann" <sip:ann@')
    assert event["data"]["call_id"].startswith("rtc_")


def test_a_call_given_up_while_it_rings(exchange: Exchange, tmp_path: Path) -> None:
    exchange.operator.decide = lambda operator, call_id: None
    script = Script().invite()
    script._add('<recv response="100" optional="true"/>')
    script._add('<recv response="180"/>')
    script.request("CANCEL", own=False).expect(200, early=False)
    script.expect(487, early=False).request("ACK", own=False)
    result = run(script, exchange.dial, tmp_path)
    assert (result.code, result.good) == (0, 1), result.output
    (event,) = exchange.operator.announced
    assert exchange.operator.accept(event["data"]["call_id"]).status_code == 404


@pytest.mark.parametrize(("body", "status"), [(None, 603), ({"status_code": 486}, 486)])
def test_a_call_that_is_rejected(
    exchange: Exchange, tmp_path: Path, body: dict[str, int] | None, status: int
) -> None:
    exchange.operator.decide = lambda operator, call_id: operator.post(call_id, "reject", body)
    result = run(Script().invite().refused(status), exchange.dial, tmp_path)
    assert (result.code, result.good) == (0, 1), result.output


def test_a_call_is_hung_up_by_the_server(exchange: Exchange, tmp_path: Path) -> None:
    codes: list[int] = []

    def decide(operator: Operator, call_id: str) -> None:
        codes.append(operator.accept(call_id).status_code)
        codes.append(operator.accept(call_id).status_code)  # it is answered already
        codes.append(operator.post(call_id, "hangup").status_code)
        codes.append(operator.post(call_id, "hangup").status_code)

    exchange.operator.decide = decide
    result = run(Script().invite().answered().wants("BYE"), exchange.dial, tmp_path)
    assert (result.code, result.good) == (0, 1), result.output
    until_sync(lambda: len(codes) == 4)
    assert codes == [200, 404, 200, 404]


def test_what_we_cannot_hear_and_what_we_do_not_know(exchange: Exchange, tmp_path: Path) -> None:
    script = Script().invite(formats="18").refused(488)
    result = run(script, exchange.dial, tmp_path)
    assert (result.code, result.good) == (0, 1), result.output
    script = Script().invite("Require: 100rel").expect(420, header="Unsupported: 100rel")
    result = run(script.request("ACK", own=False), exchange.dial, tmp_path)
    assert (result.code, result.good) == (0, 1), result.output
    assert exchange.operator.announced == []


def test_a_call_without_an_offer_gets_ours(exchange: Exchange, tmp_path: Path) -> None:
    script = Script().invite(sdp=False).expect(200, body="m=audio [0-9]+ RTP/AVP")
    answer = "v=0\no=a 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 8\n"
    script.request("ACK", "Content-Type: application/sdp", body=answer).wait(200).bye()
    result = run(script, exchange.dial, tmp_path)
    assert (result.code, result.good) == (0, 1), result.output


def test_a_webhook_that_fails_is_told_again_by_the_same_id(
    exchange: Exchange, tmp_path: Path
) -> None:
    exchange.operator.status = [500, 503]
    result = run(Script().invite().answered().bye(), exchange.dial, tmp_path)
    assert (result.code, result.good) == (0, 1), result.output
    assert len(exchange.operator.ids) == 3
    assert len(set(exchange.operator.ids)) == 1


def test_twenty_calls_at_once(exchange: Exchange, tmp_path: Path) -> None:
    script = Script().invite().answered().wait(1500).bye()
    result = run(script, exchange.dial, tmp_path, calls=20, rate=20)
    assert (result.code, result.good, result.bad) == (0, 20, 0), result.output


def test_a_flood_is_refused_and_a_call_that_runs_goes_on(tmp_path: Path) -> None:
    with telephone(sessions=1) as small:
        small.operator.decide = lambda operator, call_id: operator.accept(call_id)
        long = Script().invite().answered().wait(2500).bye()
        (tmp_path / "long").mkdir()
        results = []
        talking = threading.Thread(
            target=lambda: results.append(run(long, small.dial, tmp_path / "long"))
        )
        talking.start()
        until_sync(lambda: small.calls == 1)
        flood = Script().invite().refused(486)
        refused = run(flood, small.dial, tmp_path, calls=100, rate=200)
        assert (refused.good, refused.bad) == (100, 0), refused.output
        talking.join()
        assert results[0].good == 1, results[0].output
        assert len(small.operator.announced) == 1


@pytest.mark.parametrize("fault", ["accept-late", "refer-500"])
def test_failures_that_users_of_the_service_met(tmp_path: Path, fault: str) -> None:
    codes: list[int] = []

    def decide(operator: Operator, call_id: str) -> None:
        codes.append(operator.accept(call_id).status_code)
        refer = {"target_uri": "tel:+15550100"}
        codes.append(operator.post(call_id, "refer", refer).status_code)
        operator.post(call_id, "hangup")

    with telephone(faults=frozenset({fault})) as it:
        it.operator.decide = decide
        script = Script().invite()
        if fault == "accept-late":
            script.refused(480)
        else:
            script.answered().wants("BYE")
        result = run(script, it.dial, tmp_path)
        assert (result.code, result.good) == (0, 1), result.output
        until_sync(lambda: len(codes) == 2)
        assert codes == ([404, 404] if fault == "accept-late" else [200, 500])
