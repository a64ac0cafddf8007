"""Deployments behind the reception of SIP calls, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from support.houses import Hall, hall
from support.phone_service import SECRET, PhoneCall, PhoneService, post

from runner.core.events import SessionEvent
from runner.desk import Address, Call
from runner.serve.phone.answering import Listed
from runner.serve.phone.phones import Phones
from runner.tasks import in_thread

#: Another secret than the service's own.
OTHER = "whsec_" + "b3RoZXI=" * 3


class Ears:
    """``calls`` are (deployment, id) of those that began, ``seen`` the events of all."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.seen: list[SessionEvent] = []
        self.notes: list[str] = []
        self.over: list[str] = []

    def began(self, of: Listed, call: Call) -> None:
        self.calls.append((of.name, call.id))

    def ended(self, of: Listed, call: Call) -> None:
        self.over.append(call.id)

    def note(self, of: Listed, text: str) -> None:
        self.notes.append(text)


class Exchange:
    """Deployments on a service; ``webhook`` is where it announces calls."""

    def __init__(self, hall: Hall, service: PhoneService, ears: Ears, webhook: str) -> None:
        self.hall, self.service, self.ears, self.webhook = hall, service, ears, webhook

    async def ring(self, **who: str) -> PhoneCall:
        return await in_thread(lambda: self.service.ring(self.webhook, **who))

    def live(self, call: PhoneCall) -> Call:
        """Of the first deployment."""
        desk = next(iter(self.hall.house.deployments.values())).desk
        assert desk is not None
        return desk.calls[call.id]

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        return await in_thread(post, self.webhook, body, headers)


def exchange(folder: Path, test: Callable[[Exchange], Awaitable[None]], **files: str) -> None:
    async def run(service: PhoneService) -> None:
        failed: list[str] = []
        ears = Ears()
        env = {"ONE": SECRET, "TWO": OTHER, "RTRUN_STATE": str(folder / "state")}
        phones = Phones(
            ears, lambda: False, env, lambda name, error: failed.append(f"{name}: {error!r}")
        )
        address = Address(service.url, "k")
        async with hall(folder, service.url, env, **files) as it, asyncio.timeout(60):
            it.house.listen(lambda of, call, event: ears.seen.append(event))
            for deployed in it.house.deployments.values():
                assert deployed.desk is not None
                place = await phones.open(deployed.desk.deployment, local=False, asked=True)
                await phones.admit(deployed, address)
            await test(Exchange(it, service, ears, place.webhook))
            await phones.let_go()
        await phones.close()
        assert failed == []

    with PhoneService() as service:
        asyncio.run(run(service))
