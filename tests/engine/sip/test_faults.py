"""`--sip-fault control-early`: the control socket closes with the caller's phone, and what was
still to be told is lost. The other faults are in test_sipp.py."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets
from support.phones.operator import Exchange, telephone
from support.until import until

from runner.agent import RealtimeAgent
from runner.core.events import Connection
from runner.session import RealtimeSession
from runner.testing import SipCaller
from runner.transports.sip import OpenAIRealtimeSIP

KEY = "input_audio_buffer.dtmf_event_received"


async def hangs_up_behind_a_key(exchange: Exchange) -> tuple[list[str], list[Connection]]:
    """What a raw control socket is told of a phone whose last key and BYE come in one piece, and
    how the connection of a session goes that holds the call."""
    async with SipCaller(exchange.dial) as caller:
        async with asyncio.timeout(30):
            await caller.connected.wait()
        call_id = exchange.operator.announced[-1]["data"]["call_id"]
        url, key = f"{exchange.serving.url}?call_id={call_id}", {"Authorization": "Bearer key"}
        async with websockets.connect(url, additional_headers=key) as socket:
            agent = RealtimeAgent(name="desk", instructions="x")
            session = RealtimeSession(agent, transport=OpenAIRealtimeSIP())
            told: list[Connection] = []
            session.on("connection_change", told.append)
            await session.connect(api_key="key", url=exchange.serving.url, call_id=call_id)
            exchange.at_once(call_id, "5")
            async with asyncio.timeout(20):
                last = [json.loads(text)["type"] async for text in socket]
            await until(lambda: told[-1].status == "disconnected")
            return last, told


@pytest.mark.parametrize("fault", [False, True], ids=["drained", "early"])
def test_a_control_socket_that_closes_early(fault: bool) -> None:
    with telephone(faults=frozenset({"control-early"} if fault else ())) as exchange:
        exchange.operator.decide = lambda operator, call_id: operator.accept(call_id)
        last, told = asyncio.run(hangs_up_behind_a_key(exchange))
        exchange.empty()
    assert (KEY in last) is not fault, last
    # To whoever holds the call it is the same: the caller hung up, told once.
    over = [(one.reason, one.lost) for one in told if one.status == "disconnected"]
    assert over == [("the caller hung up", False)]
