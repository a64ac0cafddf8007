"""Phone calls at the service: accept, reject, refer and hang up, over REST.

Paths, bodies and answers are those of ``openai``'s ``realtime.calls`` (OpenAI Realtime GA):
``POST /v1/realtime/calls/{id}/accept|reject|refer|hangup``. A call that is unknown or over is
answered with 404.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from runner.errors import CallOver, ConnectError, UserError
from runner.tasks import in_thread
from runner.transports.messages import OPENAI_URL
from runner.transports.wire import rest_base

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: The service has been seen to take 5 s for an accept.
ACCEPT_SECONDS = 12.0
SECONDS = 5.0


class PhoneCalls:
    """The calls of one service. ``url`` is its Realtime address, OpenAI's when None."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url or OPENAI_URL
        self._key = api_key
        self._headers = dict(headers or {})
        self._made: AsyncOpenAI | None = None

    async def prepare(self) -> None:
        """Load what a request needs, beside the loop: it takes a second that no call has."""
        await in_thread(importlib.import_module, "openai")

    async def accept(self, call_id: str, config: Mapping[str, Any]) -> None:
        """Take the call with this session object. CallOver when the caller is gone, ConnectError
        with the service's status and words when it refuses."""
        calls = self._client(ACCEPT_SECONDS).realtime.calls
        await self._done(calls.accept(call_id, **config), "accept the call")

    async def reject(self, call_id: str, status: int = 603) -> None:
        calls = self._client(SECONDS, retries=1).realtime.calls
        await self._done(calls.reject(call_id, status_code=status), "refuse the call")

    async def refer(self, call_id: str, uri: str) -> None:
        """Put the caller through to ``uri`` (tel: or sip:), by SIP's REFER."""
        calls = self._client(SECONDS).realtime.calls
        await self._done(calls.refer(call_id, target_uri=uri), f"put the caller through to {uri}")

    async def hangup(self, call_id: str) -> None:
        calls = self._client(SECONDS, retries=1).realtime.calls
        await self._done(calls.hangup(call_id), "hang up")

    async def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made.close()

    def _client(self, seconds: float, retries: int = 0) -> AsyncOpenAI:
        if self._made is None:
            from openai import AsyncOpenAI  # takes most of a second

            if not self._key:  # the client would take that of OpenAI, whatever the service
                raise UserError("there is no key for the calls of this service", "give api_key=")
            self._made = AsyncOpenAI(
                api_key=self._key, base_url=rest_base(self._url), default_headers=self._headers
            )
        return self._made.with_options(timeout=seconds, max_retries=retries)

    async def _done(self, request: Awaitable[Any], what: str) -> None:
        from openai import APIConnectionError, APIStatusError, NotFoundError

        try:
            await request
        except NotFoundError:
            raise CallOver() from None
        except RuntimeError:
            if self._made is not None:
                raise
            # Closed meanwhile, by whoever ended the call first: a page, and the console's button.
            raise CallOver() from None
        except APIStatusError as error:
            body = error.body if isinstance(error.body, dict) else {}
            words = str(body.get("message") or error.message)[:300]
            raise ConnectError(
                f"the service did not {what}: {words}",
                status=error.status_code,
                reason=str(body.get("code") or ""),
            ) from None
        except APIConnectionError as error:
            words = str(error.__cause__ or error)
            raise ConnectError(f"the service could not be asked to {what}: {words}") from None
