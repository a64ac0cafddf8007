"""`records: { webhook: ... }`: the transcript of each call, posted when the call is over.

Signed as Standard Webhooks says, like OpenAI's own. Sent until it is answered with 2xx, always
with the same id: who receives it may see it twice, and never with another one. A receiver that is
down costs no call anything, and is told of once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.codec import dumps
from runner.errors import RtrunError, ToolError
from runner.model.records import Webhook
from runner.serve.outbox import Message, Outbox
from runner.signatures import webhook_signature
from runner.tasks import in_thread
from runner.tools.address import literal, may_reach, resolve
from runner.tools.exchange import exchange, usual_tls
from runner.tools.request import Request, server_of

#: Seconds for one try.
PATIENCE = 10.0
TYPE = "call.ended"


class Deliveries:
    """The messages of one deployment. ``target()`` is its webhook as it is now; ``warn`` hears of
    trouble. Opening reads what a process before us left in ``folder``."""

    def __init__(
        self,
        folder: Path,
        target: Callable[[], Webhook | None],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = Outbox(folder)
        self._target = target
        self._warn = warn
        self._clock = clock
        self._news = asyncio.Event()
        self._calm = asyncio.Event()
        #: Why the newest try failed, empty when it did not.
        self._trouble = ""
        self._full = False

    async def post(self, data: Mapping[str, Any]) -> None:
        """Keep a message and have it sent."""
        now = self._clock()
        id = "evt_" + secrets.token_hex(12)
        body = {"id": id, "object": "event", "type": TYPE, "created_at": int(now), "data": data}
        self._calm.clear()
        kept = await in_thread(self._outbox.put, Message(id, dumps(body), now, now))
        if not kept and not self._full:
            self._warn("records for the webhook cannot be kept on disk: a restart would lose them")
        self._full = not kept
        self._news.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            await self._clear_out()
            message, now = self._outbox.next(), self._clock()
            target = self._target()
            if message is None or target is None or message.due > now:
                self._calm.set()
                wait = None if message is None else 1.0 if target is None else message.due - now
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._news.wait()
                self._news.clear()
                continue
            why = await self._try(target, message)
            if why:
                await in_thread(self._outbox.put, message.later(self._clock()))
            else:
                await in_thread(self._outbox.drop, message)
            self._tell(why)

    async def settle(self, within: float) -> int:
        """At the end of a process: wait for what is due, at most so many seconds. How many messages
        are left to the next one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._calm.wait()
        return len(self._outbox)

    async def _clear_out(self) -> None:
        for message in self._outbox.overdue(self._clock()):
            await in_thread(self._outbox.drop, message)
            self._warn(f"the webhook never took {message.id}: it is given up")

    async def _try(self, target: Webhook, message: Message) -> str:
        """Why it was not taken, empty when it was."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await _send(target, message, int(self._clock()))
        except TimeoutError:
            return f"no answer within {PATIENCE:.0f} s"
        except RtrunError as error:
            return f"{error.message}; {error.hint}" if error.hint else error.message

    def _tell(self, why: str) -> None:
        if why and not self._trouble:
            self._warn(f"the webhook takes no records: {why}. They are sent again until it does")
        elif self._trouble and not why:
            self._warn("the webhook takes records again")
        self._trouble = why


async def _send(target: Webhook, message: Message, at: int) -> str:
    """ToolError when it cannot be reached, or may not be."""
    server, body = server_of(target.url.reveal()), message.body.encode()
    parts = urlsplit(target.url.reveal())
    query = f"?{parts.query}" if parts.query else ""
    headers = {
        "Host": server.authority,
        "User-Agent": "rtrun",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "webhook-id": message.id,
        "webhook-timestamp": str(at),
    }
    if target.secret:
        signature = webhook_signature(target.secret.reveal(), message.id, str(at), body)
        headers["webhook-signature"] = signature
    request = Request("POST", (parts.path or "/") + query, tuple(headers.items()), body)
    found = [server.name]
    if literal(server.name) is None:
        try:
            found = await in_thread(resolve, server.name, server.port)
        except (OSError, UnicodeError):
            raise ToolError(f"no server is called {server.name}") from None
    addresses = may_reach(server.name, server.port, found, target.hosts, "a webhook")
    tls = await in_thread(usual_tls) if server.scheme == "https" else None
    answer = await exchange(server, addresses, request, tls, PATIENCE / (len(addresses) + 1))
    words = f"{server.name} answered {answer.status} {answer.reason}".rstrip()
    return "" if answer.good else words
