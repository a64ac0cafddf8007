"""A call laid into a running engine without signalling: RTP on one side, a control socket on the
other, as they are when somebody has accepted it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets
from support.conformance import Checker
from support.engine import Client, Serving
from support.phones.udp import UdpPhone

from runner.engine.server.calls import Call
from runner.engine.server.connection import Connection
from runner.engine.sip.media.port import RtpPort

HEARS = {
    "turn_detection": {"type": "server_vad"},
    "transcription": {"model": "gpt-4o-mini-transcribe"},
}


class Line:
    """A Call's line that is nothing but a port."""

    def __init__(self, port: RtpPort) -> None:
        self.port = port

    async def hang_up(self, reason: str) -> None:
        self.port.close()


class LaidCall:
    def __init__(self, serving: Serving, phone: UdpPhone) -> None:
        self.serving = serving
        self.phone = phone
        self.call = Call(None)
        self.port: RtpPort

    async def begin(self, audio: dict[str, Any]) -> None:
        """In the engine's loop, which is another thread's."""
        engine = self.serving.engine
        self.port = await RtpPort.open("127.0.0.1")
        agreed = self.port.answer(self.phone.offer())
        assert agreed is not None
        self.call.line = Line(self.port)

        def make(call: Call) -> Connection:
            connection = Connection(
                engine.options,
                engine.brain,
                engine.models,
                "",
                model=None,
                kind="realtime",
                send=call.send,
                session={"type": "realtime", "audio": audio},
                media=agreed.form,
            )
            self.port.attach(connection)
            return connection

        engine.callrest.tasks.spawn(engine.calls.run(self.call, make), "a laid call")
        await asyncio.sleep(0)
        self.port.start(agreed)
        self.phone.answered(agreed.sdp)

    async def there(self, work: Any) -> Any:
        """Run a coroutine in the engine's loop."""
        loop = self.serving.loop
        assert loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


@asynccontextmanager
async def laid(
    serving: Serving, *, payload_type: int = 0, secret: bool = False, **audio: Any
) -> AsyncIterator[tuple[LaidCall, UdpPhone, Client]]:
    """The call, the phone, which talks already, and its control socket."""
    phone = await UdpPhone.open(payload_type, secret)
    call = LaidCall(serving, phone)
    await call.there(call.begin({"input": {**HEARS, **audio}}))
    phone.talk()
    url = f"{serving.url}?call_id={call.call.id}"
    headers = {"Authorization": "Bearer test"}
    try:
        async with websockets.connect(url, additional_headers=headers, max_queue=None) as socket:
            client = Client(socket, Checker(rtc=True))
            await client.until("session.created")
            yield call, phone, client
    finally:
        await call.there(call.call.hang_up("the test is over"))
        phone.close()
