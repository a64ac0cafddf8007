"""Deployments behind Twilio's reception, in the test's own process, and phones that ring there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.houses import Hall, hall

from runner.core.events import SessionEvent
from runner.desk import Address, Call
from runner.serve.phone.answering import Listed
from runner.serve.phone.phones import Phones
from runner.testing import TwilioApi, TwilioCaller

TOKEN = "0123456789abcdef"
PUBLIC = "https://voice.example.com/twilio"
#: The beginning of a deployment for :func:`exchange`.
LINE = """\
timezone: none
transport:
  type: twilio
  listen: 127.0.0.1:0
  public_url: https://voice.example.com
  auth_token: ${TOKEN}
  api_url: ${API}
"""


class Ears:
    """What is told of calls; every event of each is in ``seen``."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.whose: dict[str, str] = {}
        self.seen: dict[str, list[SessionEvent]] = {}
        self.over: list[str] = []
        self.notes: list[str] = []

    def began(self, of: Listed, call: Call) -> None:
        self.calls[call.id], self.whose[call.id] = call, of.name

    def ended(self, of: Listed, call: Call) -> None:
        self.over.append(call.id)

    def note(self, of: Listed, text: str) -> None:
        self.notes.append(text)

    def of(self, caller: TwilioCaller, kind: str) -> list[SessionEvent]:
        return [event for event in self.seen.get(caller.call_sid, []) if event.type == kind]


class Exchange:
    """``webhook`` is where Twilio rings, ``api`` its REST API, ``failed`` what must not happen."""

    def __init__(self, it: Hall, ears: Ears, api: TwilioApi, phones: Phones) -> None:
        self.hall, self.ears, self.api, self.phones = it, ears, api, phones
        self.webhook = ""
        self.draining = False
        self.failed: list[str] = []

    def phone(self, token: str = TOKEN, to: str = "+15550100", **options: bool) -> TwilioCaller:
        """One that has not rung yet."""
        caller = TwilioCaller(
            self.webhook, token, public_url=PUBLIC, sender="+15559999", to=to, **options
        )
        return self.api.add(caller)

    def call(self, caller: TwilioCaller) -> Call:
        return self.ears.calls[caller.call_sid]


@asynccontextmanager
async def exchange(folder: Path, url: str, **files: str) -> AsyncIterator[Exchange]:
    """``files`` by name, whose `transport:` is that of ``LINE``."""
    ears = Ears()
    async with TwilioApi(TOKEN) as api:
        env = {"TOKEN": TOKEN, "API": api.url}
        made: list[Exchange] = []
        phones = Phones(
            ears,
            lambda: made[0].draining,
            env,
            lambda name, error: made[0].failed.append(f"{name}: {error!r}"),
        )
        async with hall(folder, url, env, **files) as it:
            here = Exchange(it, ears, api, phones)
            made.append(here)
            it.house.listen(lambda of, call, event: ears.seen.setdefault(call.id, []).append(event))
            for deployed in it.house.deployments.values():
                assert deployed.desk is not None
                place = await phones.open(deployed.desk.deployment, local=False, asked=True)
                await phones.admit(deployed, Address(url, "key"))
                here.webhook = place.webhook
            yield here
        await phones.close()
        assert here.failed == []
