"""Telephone calls: each announced by webhook, decided over REST, bridged to a session.

INVITE, 100, the webhook, 180; then ``accept`` answers it with 200 and a session begins whose
sound is the call's, ``reject`` refuses it, and nobody's word within ``decide_seconds`` is 480.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runner.audio.formats import AudioFormat
from runner.engine.server.calls import Call, Calls
from runner.engine.server.connection import Connection
from runner.engine.sip.agent import UserAgent
from runner.engine.sip.bodies import description
from runner.engine.sip.dialog import Dialog, Flow, place, told
from runner.engine.sip.lines import Lines
from runner.engine.sip.media.negotiate import Negotiated
from runner.engine.sip.media.port import RtpPort
from runner.engine.sip.message import BadMessage, Message
from runner.engine.sip.news import Changed, Confirmed, Effect, Gone, Pressed, Referred, Ring, Send
from runner.engine.sip.options import SipOptions
from runner.engine.sip.webhook import deliver, incoming
from runner.tasks import Supervisor

log = logging.getLogger("runner.engine")

#: Seconds for the caller's phone to say what it makes of a REFER.
REFER_SECONDS = 10.0

#: Makes a session whose sound has this format: (call, model, session, format).
Make = Callable[[Call, str | None, dict[str, Any], AudioFormat], Connection]


class Gone404(Exception):
    """There is no such call, or not any more."""


class Refused(Exception):
    """The caller's phone did not do it; ``status`` is its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the caller's phone answered {status}")
        self.status = status


@dataclass(slots=True, eq=False)
class _Phone:
    """One call. ``accepted``: it has a session."""

    exchange: Exchange
    dialog: Dialog
    port: RtpPort
    agreed: Negotiated
    call: Call = field(default_factory=lambda: Call(None))
    accepted: bool = False
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    pending: Negotiated | None = None
    referring: asyncio.Future[int] | None = None

    async def hang_up(self, reason: str) -> None:
        """From this side: BYE."""
        self.port.close()
        self.exchange.bye(self)


class Exchange:
    """``full(more)``: is there no session for one beside ``more`` others? ``dial``: where calls are
    taken, ``HOST:PORT``."""

    def __init__(
        self, options: SipOptions, calls: Calls, make: Make, full: Callable[[int], bool]
    ) -> None:
        self.dial = ""
        self.dial_tls = ""
        self._options = options
        self._calls = calls
        self._make = make
        self._full = full
        self._agent = UserAgent(self._renegotiate, lambda: secrets.token_hex(8))
        self._lines = Lines(self._heard, options.public)
        self._tasks = Supervisor(self._failed)
        self._phones: dict[Dialog, _Phone] = {}
        #: Calls that are on their way to be announced.
        self._arriving: set[Dialog] = set()
        self._by_id: dict[str, _Phone] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # -- listening -------------------------------------------------------------------------------
    async def open(self) -> None:
        """InputError when a port or a certificate cannot be had."""
        options = self._options
        port = await self._lines.open(options.host, options.port)
        self.dial = place(options.host, port)
        if options.certificate:
            host = options.tls_host or options.host
            files = options.certificate, options.key
            port = await self._lines.open_tls(host, options.tls_port, *files)
            self.dial_tls = place(host, port)

    async def close(self) -> None:
        """Refuse what rings, hang the others up, and give them a moment to hear of it."""
        self._closed = True
        for phone in tuple(self._phones.values()):
            if phone.accepted:
                await phone.call.hang_up("the engine stops")
            else:
                self._end(phone, 503)
        await asyncio.sleep(0)
        if self._timer is not None:
            self._timer.cancel()
        self._lines.close()
        await self._tasks.close()

    # -- what a server decides ---------------------------------------------------------------------
    def ringing(self, call_id: str) -> bool:
        phone = self._by_id.get(call_id)
        return phone is not None and not phone.accepted

    async def accept(self, call_id: str, model: str | None, session: dict[str, Any]) -> None:
        """Answer it with this session. Gone404."""
        if "accept-late" in self._options.faults:
            await asyncio.sleep(5.3)
            phone = self._by_id.get(call_id)
            if phone is not None and not phone.accepted:
                self._end(phone, 480)
        phone = self._by_id.get(call_id)
        if phone is None or phone.accepted:
            raise Gone404()
        phone.accepted = True
        phone.decided.set()
        phone.call.line = phone
        agreed = phone.agreed

        def make(call: Call) -> Connection:
            made = self._make(call, model, session, agreed.form)
            phone.port.attach(made)
            return made

        self._tasks.spawn(self._run(phone, make), f"call {call_id}")
        await asyncio.sleep(0)  # it stands in the table now, so that a control socket finds it
        self._do(self._agent.answer(phone.dialog, agreed.sdp, self._now()))
        if not agreed.waits:
            phone.port.start(agreed)

    async def _run(self, phone: _Phone, make: Callable[[Call], Connection]) -> None:
        try:
            await self._calls.run(phone.call, make)
        finally:
            self._drop(phone)

    def reject(self, call_id: str, status: int) -> None:
        """Refuse it while it rings. Gone404."""
        phone = self._by_id.get(call_id)
        if phone is None or phone.accepted:
            raise Gone404()
        self._end(phone, status)

    async def refer(self, call_id: str, uri: str) -> None:
        """Put the caller through. Gone404; Refused when the caller's phone will not."""
        phone = self._by_id.get(call_id)
        if phone is None or not phone.accepted:
            raise Gone404()
        if "refer-500" in self._options.faults:
            raise Refused(500)
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        phone.referring = asked
        self._do(self._agent.refer(phone.dialog, uri, self._now()))
        try:
            async with asyncio.timeout(REFER_SECONDS):
                status = await asked
        except TimeoutError:
            status = 408
        finally:
            phone.referring = None
        if status >= 300:
            raise Refused(status)

    def bye(self, phone: _Phone) -> None:
        self._do(self._agent.bye(phone.dialog, self._now()))

    # -- what comes in -----------------------------------------------------------------------------
    def _heard(self, message: Message | BadMessage, flow: Flow) -> None:
        if isinstance(message, BadMessage):
            log.debug("SIP from %s: %s", flow.peer, message)
            self._do(self._agent.bad(message, flow, self._now()))
        else:
            self._do(self._agent.receive(message, flow, self._now()))

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(flow, data):
                    self._lines.send(flow, data)
                case Ring(dialog):
                    self._ring(dialog)
                case _:
                    phone = self._phones.get(effect.dialog)
                    if phone is not None:
                        self._tell(phone, effect)
        self._schedule()

    def _tell(self, phone: _Phone, effect: Effect) -> None:
        match effect:
            case Confirmed(_, body) if phone.agreed.waits and not phone.pending:
                agreed = phone.port.accept(body)
                if agreed is None:
                    self._tasks.spawn(phone.call.hang_up("no sound in common"), "a call")
                    return
                phone.agreed = agreed
                phone.port.start(agreed)
            case Confirmed(_, body) if phone.pending is not None and phone.pending.waits:
                agreed = phone.port.accept(body)
                if agreed is not None:
                    self._agree(phone, agreed)
            case Changed() if phone.pending is not None and not phone.pending.waits:
                self._agree(phone, phone.pending)
            case Pressed(_, key):
                phone.port.on_digit(key)
            case Referred(_, status):
                if phone.referring is not None and not phone.referring.done():
                    phone.referring.set_result(status)
                elif 200 <= status < 300:  # the new call stands: this one has done its part
                    self._tasks.spawn(phone.call.hang_up("put through"), "a call")
            case Gone(_, reason):
                self._gone(phone, reason)

    def _agree(self, phone: _Phone, agreed: Negotiated) -> None:
        phone.agreed, phone.pending = agreed, None
        phone.port.change(agreed)

    def _renegotiate(self, dialog: Dialog, offer: bytes) -> bytes | None:
        phone = self._phones.get(dialog)
        if phone is None:
            return None
        secure = dialog.flow.transport == "tls"
        phone.pending = phone.port.answer(offer or None, secure=secure)
        return None if phone.pending is None else phone.pending.sdp

    # -- a call that comes -------------------------------------------------------------------------
    def _ring(self, dialog: Dialog) -> None:
        waiting = sum(not phone.accepted for phone in self._phones.values())
        if self._closed or self._full(waiting + len(self._arriving)):
            self._do(self._agent.refuse(dialog, 503 if self._closed else 486, self._now()))
            return
        self._arriving.add(dialog)
        self._tasks.spawn(self._announce(dialog), "a call that rings")

    async def _announce(self, dialog: Dialog) -> None:
        try:
            phone = await self._open(dialog)
        finally:
            self._arriving.discard(dialog)
        if phone is None:
            return
        options, call = self._options, phone.call
        webhook_id, body = incoming(call.id, told(dialog.invite))
        why = await deliver(
            options.webhook, options.secret, webhook_id, body, lambda: not phone.decided.is_set()
        )
        if why:
            log.warning("call %s: the webhook %s failed: %s", call.id, options.webhook, why)
            self._end(phone, 503)
            return
        self._do(self._agent.ring(dialog, self._now()))
        try:
            async with asyncio.timeout(options.decide_seconds):
                await phone.decided.wait()
        except TimeoutError:
            self._end(phone, 480)

    async def _open(self, dialog: Dialog) -> _Phone | None:
        """The call with a port for its sound; None when it was refused, or is over already."""
        try:
            port = await RtpPort.open(dialog.flow.host, dialog.flow.named)
        except OSError as error:
            log.warning("no port for a call: %s", error)
            self._do(self._agent.refuse(dialog, 503, self._now()))
            return None
        secure = dialog.flow.transport == "tls"
        agreed = port.answer(description(dialog.invite) or None, secure=secure)
        if agreed is None or dialog.state == "over":
            port.close()
            self._do(self._agent.refuse(dialog, 488, self._now()))
            return None
        phone = _Phone(self, dialog, port, agreed)
        port.on_silence = lambda seconds: self._silent(phone, seconds)
        self._phones[dialog] = self._by_id[phone.call.id] = phone
        return phone

    def _silent(self, phone: _Phone, seconds: float) -> None:
        reason = f"no sound from the caller's phone for {seconds:.0f} s"
        log.warning("call %s: %s", phone.call.id, reason)
        self._tasks.spawn(phone.call.hang_up(reason), "a silent call")

    # -- the end -----------------------------------------------------------------------------------
    def _end(self, phone: _Phone, status: int) -> None:
        """Of a call that was not answered."""
        phone.decided.set()
        self._do(self._agent.refuse(phone.dialog, status, self._now()))
        self._drop(phone)

    def _gone(self, phone: _Phone, reason: str) -> None:
        phone.decided.set()
        if phone.referring is not None and not phone.referring.done():
            phone.referring.set_result(200)  # phones hang up as soon as they are put through
        if not phone.accepted:
            self._drop(phone)
            return
        phone.port.close()
        if "control-early" in self._options.faults:
            phone.call.close_controls()
        phone.call.over()

    def _drop(self, phone: _Phone) -> None:
        phone.port.close()
        self._phones.pop(phone.dialog, None)
        self._by_id.pop(phone.call.id, None)

    # -- time ------------------------------------------------------------------------------------
    def _now(self) -> float:
        return time.monotonic()

    def _schedule(self) -> None:
        due = self._agent.deadline
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None and not self._closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - self._now()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._do(self._agent.tick(self._now()))

    def _failed(self, name: str, error: BaseException) -> None:
        log.error("%s failed: %r", name, error, exc_info=error)
