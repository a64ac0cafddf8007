"""A phone call that the service holds, taken, followed and hung up by a Worker's ``fetch``.

Paths and answers are those of OpenAI Realtime GA: ``POST /v1/realtime/calls/{id}/accept|hangup``,
404 for a call that is unknown or over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from runner.codec import dumps
from runner.errors import CallOver, ConnectError
from runner.transports.attached import AttachedCall
from runner.transports.base import ConnectOptions
from runner.transports.cloudflare import CloudflareRealtimeTransport
from runner.transports.wire import request_headers, rest_base
from runner.worker.javascript import ffi, js

#: The service has been seen to take 5 s for an accept.
ACCEPT_SECONDS = 12.0
SECONDS = 5.0


class AttachedLine(AttachedCall, CloudflareRealtimeTransport):
    """A phone call that the service has taken: events alone; it plays and cuts by itself."""

    async def hang_up(self) -> None:
        """End the phone call. ConnectError when the service could not be told."""
        await hang_up(self._attached())


async def accept(call: ConnectOptions, config: Mapping[str, Any]) -> None:
    """Take the call ``call.call_id`` with this session object. CallOver when the caller is gone,
    ConnectError with the service's status and words when it refuses."""
    await _asked(call, "accept", config, ACCEPT_SECONDS)


async def hang_up(call: ConnectOptions) -> None:
    """End ``call.call_id``. One that is over already is no error. ConnectError."""
    with contextlib.suppress(CallOver):
        await _asked(call, "hangup", None, SECONDS)


async def _asked(
    call: ConnectOptions, verb: str, body: Mapping[str, Any] | None, seconds: float
) -> None:
    stop = js().AbortController.new()
    headers = {**request_headers(call), "Content-Type": "application/json"}
    given = {"method": "POST", "headers": headers, "body": dumps(body) if body else ""}
    init = ffi().to_js(given, dict_converter=js().Object.fromEntries)
    init.signal = stop.signal
    name = quote(call.call_id or "", safe="")
    url = f"{rest_base(call.url or '')}/realtime/calls/{name}/{verb}"
    answered = False
    try:
        async with asyncio.timeout(seconds):
            answer = await js().fetch(url, init)
            status, words = int(answer.status), str(await answer.text())[:300]
        answered = True
    except TimeoutError:
        raise ConnectError(f"the service gave no answer to {verb} of {name}") from None
    except ffi().JsException as error:
        raise ConnectError(f"the service could not be asked to {verb} {name}: {error}") from None
    finally:
        if not answered:
            stop.abort()
    if status == 404:
        raise CallOver()
    if not 200 <= status < 300:
        raise ConnectError(f"{verb} of {name}: {status} {words}", status=status)
