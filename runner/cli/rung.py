"""`rtrun test --as twilio`: the caller of a test comes by Twilio's double, through the webhook, the
signatures and the media stream."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

from starlette.routing import Route, WebSocketRoute

from runner.cli.placed import CALLED
from runner.desk import Call, Desk
from runner.errors import RtrunError
from runner.model.deployment import TransportSpec
from runner.serve.door import Door
from runner.serve.phone.answering import Listed
from runner.serve.phone.streams import Number, Streams
from runner.tasks import Supervisor
from runner.testing.twilio import TwilioCaller
from runner.testing.twilio_api import TwilioApi

#: Who calls where the test names nobody.
CALLER = "+15550199"


class RungTest:
    """The telephone of one test: a Phone of testing.stage. The entry agent answers, as in every
    test: rules for calls depend on the hour."""

    def __init__(self, desk: Desk, sender: str) -> None:
        self.desk: Desk | None = desk
        self.name = desk.deployment.name
        desk.deployment = replace(desk.deployment, transport=TransportSpec("twilio"), calls=())
        self._sender = sender or CALLER
        self._token = secrets.token_hex(16)
        self._api = TwilioApi(self._token)
        self._tasks = Supervisor(self._failed)
        self._door = Door("127.0.0.1", 0, self._failed)
        self._streams = Streams(self, lambda: False, self._failed)
        self._caller: TwilioCaller | None = None
        self._taken: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._notes: list[str] = []

    async def ring(self) -> Call:
        """Until an agent has the call. RtrunError."""
        await self._api.open()
        self._door.add(Route("/twilio", self._streams.ring, methods=["POST"]))
        self._door.add(WebSocketRoute("/twilio/{token}", self._streams.stream))
        await self._door.open()
        webhook = f"{self._door.url}/twilio"
        self._streams.behind.append(Number(self, self._token, webhook, self._api.url))
        caller = TwilioCaller(webhook, self._token, sender=self._sender, to=CALLED)
        self._caller = self._api.add(caller)
        await caller.ring()
        over = self._tasks.spawn(caller.over.wait(), "the end of the phone")
        ahead: set[asyncio.Future[Any]] = {self._taken, over}
        await asyncio.wait(ahead, return_when=asyncio.FIRST_COMPLETED)
        if not self._taken.done():
            raise RtrunError("; ".join(["the call was not taken", *self._notes, caller.reason]))
        return self._taken.result()

    def speak(self, pcm24k: bytes) -> None:
        if self._caller is not None:
            self._caller.speak(pcm24k)

    async def finish(self) -> None:
        if self._caller is not None:
            await self._caller.finish()

    async def close(self) -> None:
        self._taken.cancel()
        if self._caller is not None:
            await self._caller.close()
        await self._streams.close()
        await self._door.close()
        await self._api.close()
        await self._tasks.close()

    # -- Ears ----------------------------------------------------------------------------------
    def began(self, of: Listed, call: Call) -> None:
        self._taken.set_result(call)

    def ended(self, of: Listed, call: Call) -> None: ...

    def note(self, of: Listed, text: str) -> None:
        self._notes.append(text)

    def _failed(self, name: str, error: BaseException) -> None:
        self._notes.append(f"{name}: {error}")
