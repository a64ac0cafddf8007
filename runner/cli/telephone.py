"""The phone calls of a run: which engine takes them, and what the screen is told of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from runner.cli import reports
from runner.cli.local import Leaving, spent
from runner.cli.placed import number_of
from runner.cli.screens import Screen
from runner.desk import Call
from runner.engines import Engine, Engines, Phone
from runner.errors import UsageError
from runner.model.deployment import Deployment, EngineSpec
from runner.serve.deployed import Deployed
from runner.serve.phone.answering import Listed
from runner.serve.phone.phones import Phones, Place
from runner.tasks import OnFailure, Supervisor

if TYPE_CHECKING:
    from runner.testing.handset import Tape
    from runner.testing.sip import SipCaller
    from runner.testing.twilio import TwilioCaller
    from runner.testing.twilio_api import TwilioApi


class Telephone:
    """Loaded when the first deployment with a phone is: starlette, uvicorn and openai come with
    it. Implements the phones' Ears."""

    def __init__(
        self,
        screen: Screen,
        engines: Engines,
        env: Mapping[str, str],
        draining: Callable[[], bool],
        warn: Callable[[str, str], None],
        on_failure: OnFailure,
    ) -> None:
        self._screen = screen
        self._engines = engines
        self._warn = warn
        self._tasks = Supervisor(on_failure)
        self._phones = Phones(self, draining, env, on_failure)
        self._answering: dict[str, Engine] = {}
        self._places: dict[str, Place] = {}
        #: Some calls come from outside.
        self.waits = False
        #: Twilio's double of each deployment that is called from here, and who has dialled.
        self._apis: dict[str, TwilioApi] = {}
        self._dialled: dict[str, asyncio.Future[Call]] = {}

    async def engine(
        self, deployment: Deployment, spec: EngineSpec, *, asked: bool, here: bool = False
    ) -> Engine:
        """The engine that takes the calls of ``deployment``, which are announced from now on.
        ``asked``: the file or the command line names it; ``here``: the one call that comes is
        placed on this machine, with :meth:`dial`. RtrunError."""
        local = spec.type == "local"
        sip = deployment.transport.type == "sip"
        if here:
            place = await self._place_here(deployment)
        else:
            place = await self._phones.open(deployment, local=local, asked=asked)
            self.waits = True
        phone = Phone(place.phone, place.webhook, place.secret) if sip and local else None
        engine = await self._engines.get(spec, phone)
        if not (sip or engine.voice):
            raise UsageError(
                f"{deployment.name}: a telephone needs a voice: {engine.note}",
                "or --set transport=websocket",
            )
        self._answering[deployment.name] = engine
        self._places[deployment.name] = place
        return engine

    def urls(self, deployment: Deployment) -> dict[str, str]:
        """What a person has to know: where the webhook leads, what to dial."""
        place, engine = self._places[deployment.name], self._answering[deployment.name]
        out = {"webhook": place.webhook}
        if place.public and place.public != place.webhook:
            out["public"] = place.public
        if engine.kind == "local" and deployment.transport.type == "sip":
            out["dial"] = f"sip:{deployment.name}@{engine.dial or place.phone}"
        return out

    def reached_at(self, deployment: Deployment) -> str:
        """The address at which its calls come in."""
        urls = self.urls(deployment)
        return urls.get("dial") or urls.get("public") or urls["webhook"]

    async def _place_here(self, deployment: Deployment) -> Place:
        if deployment.transport.type == "sip":
            return await self._phones.open_here_sip(deployment)
        from runner.testing.twilio_api import TwilioApi

        token = secrets.token_hex(16)
        api = self._apis[deployment.name] = TwilioApi(token)
        await api.open()
        return await self._phones.open_here(deployment, token, api.url)

    async def dial(
        self, deployment: Deployment, tape: Tape | None
    ) -> tuple[TwilioCaller | SipCaller, asyncio.Future[Call]]:
        """A phone that has not rung yet, and the call when it is taken."""
        place, to = self._places[deployment.name], number_of(deployment)
        taken: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        if deployment.transport.type == "sip":
            from runner.testing.sip import SipCaller

            # Nobody else knows where it listens: whoever calls is this one.
            self._dialled[deployment.name] = taken
            return SipCaller(self._answering[deployment.name].dial, to=to, tape=tape), taken
        from runner.testing.twilio import TwilioCaller

        caller = TwilioCaller(place.webhook, place.secret, to=to, tape=tape)
        self._apis[deployment.name].add(caller)
        self._dialled[caller.call_sid] = taken
        return caller, taken

    def admit(self, of: Deployed) -> None:
        """The deployment has started: its calls are taken."""
        engine = self._answering[of.name]
        self._tasks.spawn(self._phones.admit(of, engine.address), f"the phone of {of.name}")

    async def until_left(self, leaving: Leaving) -> None:
        """Take calls until the process is to end; asked patiently, until the last one is over."""
        await leaving.asked.wait()
        if leaving.now.is_set():
            return
        empty = self._tasks.spawn(self._phones.empty(), "the last call")
        now = self._tasks.spawn(leaving.now.wait(), "second signal")
        await asyncio.wait({empty, now}, return_when=asyncio.FIRST_COMPLETED)
        if not empty.done() and leaving.reason == "drained":
            # Whoever drains in a hurry restarts: the callers are not to hear of it.
            await self._phones.let_go()

    async def close(self) -> None:
        await self._phones.close()
        for api in self._apis.values():
            await api.close()
        await self._tasks.close()

    # -- Ears ----------------------------------------------------------------------------------
    def began(self, of: Listed, call: Call) -> None:
        taken = self._dialled.pop(call.id, None) or self._dialled.pop(of.name, None)
        who = "a phone" if taken is None else ""
        screen = self._screen.of(of.name)
        screen.report(reports.SessionStart(call.id, call.session.agent.name, who))
        if taken is not None and not taken.done():
            taken.set_result(call)

    def ended(self, of: Listed, call: Call) -> None:
        usage, cost = spent(call, self._answering[of.name])
        reason = call.reason or "closed"
        self._screen.of(of.name).report(reports.SessionEnd(call.id, reason, usage, cost))

    def note(self, of: Listed, text: str) -> None:
        self._warn(of.name, text)
