"""Phone calls at Twilio: hung up, or given other instructions, over its REST API.

``POST /2010-04-01/Accounts/{account}/Calls/{call}.json`` with ``Status=completed`` or ``Twiml=``
(Twilio, Call resource), the account and its auth token as Basic credentials. A call that is over
already is answered with 404, or with 400 and the code 21220.
"""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from urllib.parse import quote, urlencode

from runner.codec import loads
from runner.errors import CallOver, ConnectError
from runner.tasks import in_thread
from runner.transports.posting import NoRedirect

API_URL = "https://api.twilio.com"
SECONDS = 5.0
#: Twilio's word for a call that is not in progress.
_NOT_IN_PROGRESS = 21220


class TwilioCalls:
    """The calls of one account. ``url`` is Twilio's API, of a region for instance."""

    def __init__(self, auth_token: str, url: str = API_URL) -> None:
        self._token = auth_token
        self._url = url.rstrip("/")

    async def hang_up(self, account: str, call: str) -> None:
        """CallOver when the call is not there any more, ConnectError when Twilio refuses."""
        await in_thread(self._post, account, call, {"Status": "completed"}, "hang up")

    async def instruct(self, account: str, call: str, twiml: str) -> None:
        """Let the call go on with ``twiml``, which ends its stream. As for :meth:`hang_up`."""
        await in_thread(self._post, account, call, {"Twiml": twiml}, "put the caller through")

    def _post(self, account: str, call: str, fields: dict[str, str], what: str) -> None:
        # The ids came with the stream: they are no part of the address but one step of it each.
        path = f"Accounts/{quote(account, safe='')}/Calls/{quote(call, safe='')}.json"
        credentials = base64.b64encode(f"{account}:{self._token}".encode()).decode()
        request = urllib.request.Request(
            f"{self._url}/2010-04-01/{path}",
            urlencode(fields).encode(),
            {"Authorization": f"Basic {credentials}", "User-Agent": "rtrun"},
            method="POST",
        )
        try:
            with urllib.request.build_opener(NoRedirect).open(request, timeout=SECONDS) as answer:
                answer.read(65536)
        except urllib.error.HTTPError as error:
            words, code = _said(error)
            if error.code == 404 or code == _NOT_IN_PROGRESS:
                raise CallOver() from None
            raise ConnectError(f"Twilio did not {what}: {words}", status=error.code) from None
        except (OSError, ValueError) as error:
            words = str(getattr(error, "reason", "") or error)
            raise ConnectError(f"Twilio could not be asked to {what}: {words}") from None


def _said(error: urllib.error.HTTPError) -> tuple[str, int]:
    """Twilio's words and its own code: ``{"code": 20003, "message": "Authenticate", ...}``."""
    try:
        told = loads(error.read(65536))
        return f"{error.code} {told['message']}"[:300], int(told.get("code") or 0)
    except (OSError, ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"[:300], 0
