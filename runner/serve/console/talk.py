"""Calls from the page: its offer goes to the engine through us, and we attach to the call.

The key never reaches the page. What makes the call is the deployment, as for every other caller:
its session travels with the offer, and a session on its desk follows the call by its id.

1. :meth:`Talk.offer`: the page's SDP for the service's, with the id of the call.
2. :meth:`Talk.begin`, when the page hears and is heard: attach, greet. Who does not come so far in
   time is hung up on.
3. The call ends with its page: at once when it says so, or when its line to us stays away.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Protocol

from runner.desk import Address, Call, Desk
from runner.errors import CallOver, ConnectError, RtrunError, UserError
from runner.serve.deployed import Deployed
from runner.serve.phone.lines import attached, follow
from runner.session import RealtimeSession
from runner.staff import session_voice
from runner.tasks import OnFailure, Supervisor, in_thread
from runner.transports.attached import without_formats
from runner.transports.base import ConnectOptions
from runner.transports.browser import OpenAIRealtimeBrowser
from runner.transports.messages import OPENAI_URL
from runner.transports.offer import Answer, post_offer
from runner.transports.phonecalls import PhoneCalls
from runner.transports.wire import request_headers, rest_base
from runner.transports.wire import without_formats as formatless

#: From the answer to a page that hears and is heard: the browser may still be gathering.
BEGIN_SECONDS = 20.0
#: A page whose line to us is away for longer has been closed, or loaded anew.
PAGE_SECONDS = 3.0
#: An offer has a few thousand bytes.
MOST_BYTES = 64 * 1024


class Ears(Protocol):
    """Who is told of the calls."""

    def began(self, of: Deployed, call: Call) -> None: ...

    def ended(self, of: Deployed, call: Call) -> None: ...


@dataclass(eq=False, slots=True)
class _Line:
    """One call of one page."""

    deployed: Deployed
    call_id: str
    page: str
    address: Address
    calls: PhoneCalls
    started: datetime
    call: Call | None = None
    begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""

    def leave(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.over.set()


class Talk:
    """``address(deployed)`` is where the engine of a deployment answers."""

    def __init__(
        self, ears: Ears, address: Callable[[Deployed], Address | None], on_failure: OnFailure
    ) -> None:
        self._ears = ears
        self._address = address
        self._lines: dict[str, _Line] = {}
        self._pages: dict[str, int] = {}
        self._tasks = Supervisor(on_failure)

    async def offer(self, deployed: Deployed, sdp: str, page: str) -> Answer:
        """ConnectError with the service's words when it refuses; UserError for what is none."""
        desk, address = deployed.desk, self._address(deployed)
        if desk is None or address is None:
            raise UserError(f"{deployed.name} takes no calls", "mend its file: then it starts")
        if not sdp.startswith("v=0"):
            raise UserError("the body is no SDP offer", "a browser makes one by createOffer()")
        started = datetime.now().astimezone()
        session = await _first_session(desk, started)
        url = f"{rest_base(address.url or OPENAI_URL)}/realtime/calls"
        options = ConnectOptions(api_key=address.api_key, headers=address.headers)
        headers = request_headers(options)
        answer = await in_thread(post_offer, url, headers, sdp, session)
        if not answer.call_id:
            raise ConnectError(f"{url} took the offer and named no call", "it has no Location")
        calls = PhoneCalls(address.url, address.api_key, address.headers)
        line = _Line(deployed, answer.call_id, page, address, calls, started)
        self._lines[line.call_id] = line
        self._tasks.spawn(self._hold(line), f"the browser's call {line.call_id}")
        return answer

    async def begin(self, call_id: str) -> Call:
        """The page hears and is heard: attach to its call and greet. UserError, ConnectError."""
        line = self._lines.get(call_id)
        if line is None or line.begun or line.deployed.desk is None:
            raise UserError(f"no call {call_id} waits to begin", "make a new one")
        line.begun, desk = True, line.deployed.desk
        try:
            call = await attached(lambda: self._attach(line, desk))
        except RtrunError:
            line.over.set()
            raise
        if line.over.is_set():  # the page went meanwhile
            await desk.hang_up(call, line.reason)
            raise CallOver()
        line.call = call
        self._ears.began(line.deployed, line.call)
        return line.call

    async def _attach(self, line: _Line, desk: Desk) -> Call:
        return await desk.open(
            transport=OpenAIRealtimeBrowser(calls=line.calls),
            attach=line.call_id,
            about=_about(desk),
            started=line.started,
            fit=without_formats,
        )

    async def _hold(self, line: _Line) -> None:
        """Until it is over, from whichever side."""
        waits = time.monotonic() + BEGIN_SECONDS
        try:
            while line.call is None and not line.over.is_set():
                left = waits - time.monotonic()
                if left <= 0:
                    line.leave("it did not begin in time")
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, 0.2)):
                        await line.over.wait()
            if line.call is not None:
                following = self._tasks.spawn(follow(line.call), f"the end of {line.call_id}")
                gone = self._tasks.spawn(line.over.wait(), f"the page of {line.call_id}")
                await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
                gone.cancel()
                following.cancel()
        finally:
            await self._end(line)

    async def _end(self, line: _Line) -> None:
        self._lines.pop(line.call_id, None)
        # What hangs up takes a second to import, and others are speaking.
        await in_thread(import_module, "openai")
        desk, call = line.deployed.desk, line.call
        try:
            if call is not None and not call.ended.is_set() and desk is not None:
                await desk.hang_up(call, line.reason)
            elif call is None:
                with contextlib.suppress(RtrunError):
                    await line.calls.hangup(line.call_id)
        finally:
            await line.calls.close()
        if call is not None:
            self._ears.ended(line.deployed, call)

    # -- the page --------------------------------------------------------------------------------
    def hang_up(self, call_id: str) -> bool:
        """The page hung up. False when there is no such call."""
        line = self._lines.get(call_id)
        if line is not None:
            line.leave("the page hung up")
        return line is not None

    def page_came(self, page: str) -> None:
        self._pages[page] = self._pages.get(page, 0) + 1

    def page_left(self, page: str) -> None:
        """Its line to us is gone: for good, unless it comes back soon."""
        self._pages[page] = self._pages.get(page, 1) - 1
        if self._pages[page] <= 0:
            del self._pages[page]
            if any(line.page == page for line in self._lines.values()):
                self._tasks.spawn(self._leave(page), "a page that went")

    async def _leave(self, page: str) -> None:
        await asyncio.sleep(PAGE_SECONDS)
        if page not in self._pages:
            for line in tuple(self._lines.values()):
                if line.page == page:
                    line.leave("the page was closed")

    async def quiet(self) -> None:
        """Until no turn of a call from a page runs."""
        calls = [line.call for line in self._lines.values() if line.call is not None]
        await asyncio.gather(*(call.session.quiet() for call in calls))

    async def close(self) -> None:
        """Hang up on everybody."""
        for line in tuple(self._lines.values()):
            line.leave("stopped")
        await self._tasks.finish(2.0)
        await self._tasks.close()


async def _first_session(desk: Desk, started: datetime) -> dict[str, object]:
    deployment = desk.deployment
    agents = desk.agents(deployment, desk.tools, _about(desk), started)
    session = RealtimeSession(
        agents[deployment.entry],
        transport=OpenAIRealtimeBrowser(),
        model=deployment.model,
        config=without_formats(deployment.session),
        own_voice=session_voice(deployment),
        agents=agents,
        guardrails=desk.tools.guardrails,
    )
    return formatless(await session.initial_session_config())


def _about(desk: Desk) -> dict[str, str]:
    return {"from": "browser", "to": desk.deployment.name}
