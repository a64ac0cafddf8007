"""The reception of one address: each announced call is answered, refused or put through.

The webhook is answered first, so that the service does not send it again; what becomes of the
call is decided afterwards, by the rules of all deployments behind the address.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from runner.desk import Call, Desk
from runner.dialling import TAKEN_SECONDS
from runner.errors import CallOver, ConnectError, RtrunError
from runner.model.phone import CallRule, Incoming
from runner.serve.deployed import Deployed
from runner.serve.door import body_of, plain
from runner.serve.phone.answering import Ears, decided, full
from runner.serve.phone.kept import Kept, KeptCall
from runner.serve.phone.lines import ATTACH_SECONDS, attached, follow, invitation
from runner.serve.phone.webhook import Seen, Signatures, incoming
from runner.tasks import OnFailure, Supervisor
from runner.transports.attached import without_formats
from runner.transports.phonecalls import PhoneCalls
from runner.transports.sip import OpenAIRealtimeSIP

#: A webhook holds the headers of one INVITE.
MOST_BYTES = 64 * 1024
#: SIP's words for no: busy here, temporarily no service.
BUSY, UNAVAILABLE = 486, 503
#: Why a call ends here that goes on elsewhere.
LEFT = "left to the next process"


@dataclass(slots=True)
class Behind:
    """One deployment behind an address, its calls at the service, and what is kept of them."""

    deployed: Deployed
    secret: str = field(repr=False)
    calls: PhoneCalls
    kept: Kept
    #: Calls on the line, and those that are being accepted.
    live: dict[str, tuple[Call, Incoming]] = field(default_factory=dict)
    ringing: set[str] = field(default_factory=set)

    @property
    def desk(self) -> Desk | None:
        desk = self.deployed.desk
        return desk if desk is not None and desk.deployment.transport.type == "sip" else None

    def keep(self) -> None:
        """Write down who is on the line."""
        self.kept.write(
            KeptCall(
                call.id,
                call.session.agent.name,
                call.revision,
                call.started.timestamp(),
                about.caller,
                about.called,
            )
            for call, about in self.live.values()
        )


class Reception:
    """``draining()``: no new calls are taken."""

    def __init__(self, ears: Ears, draining: Callable[[], bool], on_failure: OnFailure) -> None:
        self._ears = ears
        self._draining = draining
        self.behind: list[Behind] = []
        self._signatures = Signatures()
        self._seen = Seen(time.monotonic)
        self._tasks = Supervisor(on_failure)
        self._leaving = False
        self._empty = asyncio.Event()

    # -- the webhook -------------------------------------------------------------------------
    async def webhook(self, request: Request) -> Response:
        body = await body_of(request, MOST_BYTES)
        if isinstance(body, Response):
            return body
        secrets = [entry.secret for entry in self.behind]
        secret = self._signatures.secret_of(body, request.headers, secrets)
        if secret is None:
            return plain(401, "the signature is missing, wrong or stale")
        call = incoming(body)
        if isinstance(call, str):
            return plain(400, call)
        message = request.headers["webhook-id"]
        # Another message about the same call says nothing new.
        if call is not None and self._seen.first(f"message {message}", f"call {call.call_id}"):
            self._tasks.spawn(self._ring(call, secret), f"call {call.call_id}")
        return plain(200)

    # -- one call ------------------------------------------------------------------------------
    async def _ring(self, call: Incoming, secret: str) -> None:
        theirs = [entry for entry in self.behind if entry.secret == secret]
        if not theirs:
            return
        try:
            await self._decide(call, theirs)
        except CallOver:
            words = f"{call.call_id}: the caller hung up before the call was taken"
            self._ears.note(theirs[0].deployed, words)
        except RtrunError as error:
            self._ears.note(theirs[0].deployed, f"{call.call_id}: {error.message}")
        finally:
            self._look_whether_empty()

    async def _decide(self, call: Incoming, theirs: list[Behind]) -> None:
        found = None if self._draining() else decided(theirs, call)
        if found is None:
            return await theirs[0].calls.reject(call.call_id, UNAVAILABLE)
        if isinstance(found, int):
            return await self._refuse(theirs[0], call, found, "no rule of calls: fits")
        entry, desk, rule = found
        if rule.reject is not None:
            return await self._refuse(entry, call, rule.reject, "by a rule of calls:")
        if full(desk, entry.ringing):
            return await self._refuse(entry, call, BUSY, "limits.calls is reached")
        entry.ringing.add(call.call_id)
        self._empty.clear()
        try:
            await self._take(entry, desk, call, rule)
        finally:
            entry.ringing.discard(call.call_id)

    async def _refuse(self, entry: Behind, call: Incoming, status: int, why: str) -> None:
        await entry.calls.reject(call.call_id, status)
        self._ears.note(entry.deployed, f"{call.call_id}: refused with {status}, {why}")

    async def _take(self, entry: Behind, desk: Desk, call: Incoming, rule: CallRule) -> None:
        try:
            started = datetime.now().astimezone()
            config = await invitation(desk, call.about, started, rule.answer)
            await entry.calls.accept(call.call_id, config)
        except CallOver:
            raise
        except RtrunError as error:
            self._ears.note(entry.deployed, f"{call.call_id}: {error.message}")
            return await self._rescue(entry, call.call_id, answered=False)
        if rule.transfer:
            # REFER travels inside a call: it has to be answered first.
            return await self._rescue(entry, call.call_id, to=rule.transfer)
        await self._attach(entry, desk, call, started, rule.answer)

    async def _attach(
        self,
        entry: Behind,
        desk: Desk,
        call: Incoming,
        started: datetime,
        agent: str,
        *,
        greet: bool = True,
    ) -> None:
        try:
            live = await attached(
                lambda: desk.open(
                    transport=OpenAIRealtimeSIP(calls=entry.calls),
                    attach=call.call_id,
                    about=call.about,
                    agent=agent,
                    greet=greet,
                    started=started,
                    fit=without_formats,
                ),
                ATTACH_SECONDS if greet else 0.0,
            )
        except ConnectError as error:
            if not greet and isinstance(error, CallOver):
                raise
            # Whether a caller who was just answered is gone indeed, the rescue is told.
            if not isinstance(error, CallOver):
                self._ears.note(entry.deployed, f"{call.call_id}: {error.message}")
            return await self._rescue(entry, call.call_id)
        entry.ringing.discard(call.call_id)
        entry.live[live.id] = live, call
        self._tasks.spawn(self._hold(entry, live), f"the line of {live.id}")

    async def _hold(self, entry: Behind, call: Call) -> None:
        """From the first word to the last."""
        self._ears.began(entry.deployed, call)
        self._keep(entry)
        call.session.on("agent_handoff", lambda _: self._keep(entry))
        call.session.on("settings_applied", lambda _: self._keep(entry))
        await follow(call)
        entry.live.pop(call.id, None)
        self._keep(entry)
        self._ears.ended(entry.deployed, call)
        if call.lost:
            try:
                await self._rescue(entry, call.id)
            except RtrunError as error:
                self._ears.note(entry.deployed, f"{call.id}: {error.message}")
        self._look_whether_empty()

    async def _rescue(
        self, entry: Behind, call_id: str, *, answered: bool = True, to: str = ""
    ) -> None:
        """Nobody steers the call: the caller is put through ``to`` there, or to where the
        deployment says, else hears at least that it is over. CallOver, ConnectError."""
        fallback = entry.desk.deployment.on_failure.transfer if entry.desk is not None else ""
        for uri in dict.fromkeys(filter(None, (to, fallback))):
            try:
                await entry.calls.refer(call_id, uri)
                self._ears.note(entry.deployed, f"{call_id}: put through to {uri}")
                self._tasks.spawn(self._leave(entry, call_id), f"the transfer of {call_id}")
                return
            except CallOver:
                if answered:
                    raise
                # The caller may be there: services refer only who was answered.
                words = f"{call_id}: not put through to {uri} while it rang"
                self._ears.note(entry.deployed, words)
            except ConnectError as error:
                self._ears.note(entry.deployed, f"{call_id}: {error.message}")
        if answered:
            await entry.calls.hangup(call_id)
        else:
            await entry.calls.reject(call_id, UNAVAILABLE)

    async def _leave(self, entry: Behind, call_id: str) -> None:
        """Nobody may have taken the caller, who then hears nothing more at the service."""
        await asyncio.sleep(TAKEN_SECONDS)
        with contextlib.suppress(ConnectError):  # most are gone long since
            await entry.calls.hangup(call_id)

    def _keep(self, entry: Behind) -> None:
        if self._leaving:
            return  # what was kept is for the next process
        try:
            entry.keep()
        except OSError as error:
            words = f"a restart would lose the calls on the line: {error}"
            self._ears.note(entry.deployed, words)

    def prepare(self, entry: Behind) -> None:
        """The first call does not wait for what can be done before it."""
        self._tasks.spawn(entry.calls.prepare(), "the client of the service")

    # -- from one process to the next ------------------------------------------------------------
    async def resume(self, entry: Behind) -> int:
        """Take over the calls that a process before us left on the line; how many there were."""
        desk = entry.desk
        kept = entry.kept.read(time.time()) if desk is not None else []
        taken = 0
        for call in kept:
            assert desk is not None
            headers = (("From", call.sender), ("To", call.called))
            agent = call.agent if call.agent in desk.deployment.agents else ""
            started = datetime.fromtimestamp(call.started).astimezone()
            try:
                about = Incoming(call.call_id, headers)
                await self._attach(entry, desk, about, started, agent, greet=False)
                taken += call.call_id in entry.live
            except CallOver:
                continue
            except RtrunError as error:
                self._ears.note(entry.deployed, f"{call.call_id}: {error.message}")
        return taken

    async def let_go(self) -> None:
        """Leave the calls on the line to the next process: not a word of it is heard."""
        self._leaving = True
        calls = [call for entry in self.behind for call, _ in entry.live.values()]
        await asyncio.gather(*(call.session.close(LEFT) for call in calls))

    async def empty(self) -> None:
        """Wait until nobody is on the line."""
        self._look_whether_empty()
        await self._empty.wait()

    def _look_whether_empty(self) -> None:
        if any(entry.live or entry.ringing for entry in self.behind):
            self._empty.clear()
        else:
            self._empty.set()

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):  # the last word about each call
            async with asyncio.timeout(1):
                await self.empty()
        await self._tasks.close()
        for calls in {id(entry.calls): entry.calls for entry in self.behind}.values():
            await calls.close()
