"""One phone call: what it is accepted with, and whether its caller is still there.

The control socket of a call may stay open although the phone is gone, and it is silent while
nobody speaks. So a long silence is asked about.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from runner.desk import Call, Desk
from runner.errors import CallOver, RtrunError
from runner.staff import session_voice
from runner.transports.attached import without_formats
from runner.transports.sip import OpenAIRealtimeSIP

#: Seconds without any event after which the service is asked whether there still is a call.
QUIET_SECONDS = 30.0
#: A call that was just accepted may not be there to attach to yet.
ATTACH_SECONDS = 3.0
ATTACH_PAUSE = 0.2


async def invitation(
    desk: Desk, about: Mapping[str, str], started: datetime, agent: str = ""
) -> dict[str, Any]:
    """The session object by which a call is accepted, answered by ``agent`` (the entry agent when
    empty); UserError when there is none."""
    deployment = desk.deployment
    agents = desk.agents(deployment, desk.tools, about, started)
    options = {
        "model": deployment.model,
        "config": without_formats(deployment.session),
        "own_voice": session_voice(deployment),
    }
    return await OpenAIRealtimeSIP.build_initial_config(agents[agent or deployment.entry], options)


async def attached(attach: Callable[[], Awaitable[Call]], seconds: float = ATTACH_SECONDS) -> Call:
    """What ``attach()`` gives as soon as the call is there; CallOver when it is not by then."""
    ends = time.monotonic() + seconds
    while True:
        try:
            return await attach()
        except CallOver:
            if time.monotonic() >= ends:
                raise
            await asyncio.sleep(ATTACH_PAUSE)


async def follow(call: Call) -> None:
    """Until ``call`` is over."""
    transport = call.session.transport
    assert isinstance(transport, OpenAIRealtimeSIP)
    asked = call.active
    while not call.ended.is_set():
        wait = max(asked, call.active) + QUIET_SECONDS - time.monotonic()
        if wait > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await call.ended.wait()
            continue
        asked = time.monotonic()
        with contextlib.suppress(RtrunError):  # nobody can tell: the line itself will
            if not await transport.alive():
                await call.session.close(CallOver().message)
