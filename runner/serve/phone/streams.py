"""Twilio's reception at one address: calls that ring get TwiML, and their streams an agent.

The webhook of a number says who calls whom, and is answered with what becomes of the call: it is
refused, put through, or told to open a WebSocket below the same address. Both requests carry
Twilio's signature, and the socket's path is a ticket of this one call. What stands behind
``<Connect>`` in the TwiML comes when the stream ends while the call goes on, also because this
process is gone: then nobody is left in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from runner.desk import Call, Desk
from runner.errors import CallOver, ConnectError, RtrunError
from runner.model.deployment import Deployment
from runner.model.phone import Incoming
from runner.model.settings import SessionSettings
from runner.serve.door import body_of, plain
from runner.serve.phone.answering import Ears, Listed, decided, full
from runner.serve.phone.back import NOBODY, TALKED, Back
from runner.serve.phone.socket import FarEnd
from runner.serve.phone.tickets import SECONDS, Tickets
from runner.tasks import OnFailure
from runner.transports.twilio import MULAW, TwilioRealtimeTransport
from runner.transports.twilio_rest import TwilioCalls
from runner.transports.twilio_signature import HEADER, form_fields, twilio_signed
from runner.transports.twiml import connect, dial, hang_up, reject, say, twiml

#: A webhook is a form of some twenty fields.
MOST_BYTES = 64 * 1024
BUSY = 486
#: The other telephone rings for 30 s; whoever talks longer than this only hangs up afterwards.
AWAY_SECONDS = 90.0
#: A session that ends does it within a second.
CLOSING_SECONDS = 3.0
#: The ids of calls, which stand in the names of files: Twilio's are CA and 32 signs.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ENCODING = "audio/x-mulaw"


@dataclass(frozen=True, slots=True)
class Number:
    """One deployment behind an address. ``public`` is the webhook's URL as Twilio knows it, which
    it signs with ``token``; ``api_url`` is Twilio's REST API."""

    deployed: Listed
    token: str = field(repr=False)
    public: str
    api_url: str

    @property
    def desk(self) -> Desk | None:
        desk = self.deployed.desk
        return desk if desk is not None and desk.deployment.transport.type == "twilio" else None


@dataclass(frozen=True, slots=True)
class _Taken:
    """A call that was told to open its stream, and who is to answer it. ``back``: one that was
    put through, and comes back."""

    number: Number
    desk: Desk
    call: Incoming
    agent: str
    back: Back | None = None


@dataclass(frozen=True, slots=True)
class _Away:
    """A call that is being put through by ``agent``; ``live`` is what it was until then."""

    taken: _Taken
    live: Call
    agent: str


@dataclass(slots=True)
class _Open:
    """An open stream; ``live`` is None while its call is being put on the line."""

    number: Number
    live: Call | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Streams:
    """``draining()``: no new calls are taken."""

    def __init__(self, ears: Ears, draining: Callable[[], bool], on_failure: OnFailure) -> None:
        self._ears = ears
        self._draining = draining
        self.behind: list[Number] = []
        self._tickets: Tickets[_Taken] = Tickets(time.monotonic)
        self._away: Tickets[_Away] = Tickets(time.monotonic, AWAY_SECONDS)
        #: Streams that are open, by the id of their call.
        self._open: dict[str, _Open] = {}
        self._on_failure = on_failure
        self._empty = asyncio.Event()

    # -- the webhook -------------------------------------------------------------------------
    async def ring(self, request: Request) -> Response:
        """Twilio's webhook of a call that comes in."""
        body = await body_of(request, MOST_BYTES)
        if isinstance(body, Response):
            return body
        signature = request.headers.get(HEADER, "")
        query = f"?{request.url.query}" if request.url.query else ""
        theirs = [
            n for n in self.behind if twilio_signed(n.token, signature, n.public + query, body)
        ]
        if not theirs:
            return plain(403, "the signature is missing, or not Twilio's for this address")
        fields = tuple(form_fields(body))
        call_id = dict(fields).get("CallSid", "")
        if not _ID.fullmatch(call_id):
            return plain(400, "no CallSid")
        return _answer(self._decide(Incoming(call_id, fields), theirs))

    def _decide(self, call: Incoming, theirs: list[Number]) -> list[str]:
        """What becomes of the call, as TwiML's verbs."""
        found = None if self._draining() else decided(theirs, call)
        if found is None:
            desks = [number.desk for number in theirs]
            return _instead(desks[0].deployment if desks[0] else None) or [reject(BUSY)]
        if isinstance(found, int):
            return self._refuse(theirs[0], call, found, "no rule of calls: fits")
        number, desk, rule = found
        if rule.reject is not None:
            return self._refuse(number, call, rule.reject, "by a rule of calls:")
        if rule.transfer:
            self._ears.note(number.deployed, f"{call.call_id}: put through to {rule.transfer}")
            return [dial(rule.transfer)]
        coming = {t.call_id for t in self._tickets if t.what.number is number}
        coming |= {call_id for call_id, it in self._open.items() if it.number is number}
        if full(desk, coming - {call.call_id}):
            return self._refuse(number, call, BUSY, "limits.calls is reached")
        return self._opening(_Taken(number, desk, call, rule.answer))

    def _opening(self, taken: _Taken) -> list[str]:
        """The call is to open a stream."""
        token = self._tickets.give(taken.call.call_id, taken)
        asyncio.get_running_loop().call_later(SECONDS + 1, self._look_whether_empty)
        url = _socket_url(taken.number.public, token)
        return [connect(url), *_instead(taken.desk.deployment)]

    def _refuse(self, number: Number, call: Incoming, status: int, why: str) -> list[str]:
        self._ears.note(number.deployed, f"{call.call_id}: refused with {status}, {why}")
        return [reject(status)]

    # -- a call that was put through -----------------------------------------------------------
    async def after_transfer(self, request: Request) -> Response:
        """Twilio asks what comes now: nobody took the caller, or they have talked."""
        body = await body_of(request, MOST_BYTES)
        if isinstance(body, Response):
            return body
        token, signature = request.path_params["token"], request.headers.get(HEADER, "")
        theirs = [
            n for n in self.behind if twilio_signed(n.token, signature, f"{n.public}/{token}", body)
        ]
        if not theirs:
            return plain(403, "the signature is missing, or not Twilio's for this address")
        return _answer(self._after(token, dict(form_fields(body)), theirs))

    def _after(self, token: str, fields: Mapping[str, str], theirs: list[Number]) -> list[str]:
        ticket, status = self._away.look(token), fields.get("DialCallStatus", "")
        if ticket is None or ticket.call_id != fields.get("CallSid"):
            return [hang_up()]
        away, number = ticket.what, ticket.what.taken.number
        if number not in theirs:
            return [hang_up()]
        self._away.take(token)
        desk = number.desk
        if desk is None or status in TALKED or fields.get("CallStatus") == "completed":
            self._look_whether_empty()
            return [hang_up()]
        words = NOBODY.get(status, NOBODY["failed"])
        self._note(away.taken, f"comes back to {away.agent}: {words}")
        agent = away.agent if away.agent in desk.deployment.agents else ""
        back = Back(away.live.session.history, words)
        return self._opening(_Taken(number, desk, away.taken.call, agent, back))

    def _leaves(self, taken: _Taken) -> str:
        """The caller is being put through: where that is asked."""
        call_id = taken.call.call_id
        live = self._open[call_id].live
        assert live is not None  # by its own agent
        token = self._away.give(call_id, _Away(taken, live, live.session.agent.name))
        asyncio.get_running_loop().call_later(AWAY_SECONDS + 1, self._look_whether_empty)
        return f"{taken.number.public}/{token}"

    # -- the stream ----------------------------------------------------------------------------
    async def stream(self, socket: WebSocket) -> None:
        """The WebSocket of one call."""
        token = socket.path_params["token"]
        ticket = self._tickets.look(token)
        signature = socket.headers.get(HEADER, "")
        if ticket is not None and ticket.what.back and ticket.call_id in self._open:
            with contextlib.suppress(TimeoutError):  # the stream before is just ending
                await asyncio.wait_for(self._open[ticket.call_id].over.wait(), CLOSING_SECONDS)
            ticket = self._tickets.look(token)
        if (
            ticket is None
            or ticket.call_id in self._open
            or not twilio_signed(
                ticket.what.number.token, signature, _socket_url(ticket.what.number.public, token)
            )
        ):
            await socket.close(1008)  # before it is accepted: HTTP 403
            return
        self._tickets.take(token)
        await socket.accept()
        far, taken = FarEnd(socket), ticket.what
        here = self._open[ticket.call_id] = _Open(taken.number)
        code = 1000
        try:
            await self._take(taken, far)
        except EOFError as error:
            self._note(taken, str(error))
            code = 1008
        except Exception as error:
            self._on_failure(f"call {ticket.call_id}", error)
        finally:
            self._open.pop(ticket.call_id, None)
            here.over.set()
            with contextlib.suppress(Exception):  # whatever is left of it
                await far.end(code)
            self._look_whether_empty()

    async def _take(self, taken: _Taken, far: FarEnd) -> None:
        call, number = taken.call, taken.number
        start = await far.started()
        if start.get("callSid") != call.call_id:
            raise EOFError("the stream is another call's")
        form = start.get("mediaFormat")
        if isinstance(form, dict) and form.get("encoding") != _ENCODING:
            raise EOFError(f"the stream has {form.get('encoding')}, not {_ENCODING}")
        try:
            live = await taken.desk.open(
                transport=TwilioRealtimeTransport(
                    far,
                    auth_token=number.token,
                    api_url=number.api_url,
                    after_transfer=lambda: self._leaves(taken),
                ),
                call_id=call.call_id,
                about=call.about,
                agent=taken.agent,
                greet=taken.back is None,
                fit=in_mulaw,
            )
        except CallOver as error:
            return self._note(taken, f"{error.message} before the call was taken")
        except RtrunError as error:
            return self._note(taken, error.message)  # and Twilio goes on with its TwiML
        self._open[live.id].live = live
        self._ears.began(number.deployed, live)
        if taken.back is not None:
            taken.back.go_on(live.session)
        await live.ended.wait()
        self._ears.ended(number.deployed, live)
        if live.lost:
            await self._rescue(taken, str(start.get("accountSid") or ""), told=live.excused)

    async def _rescue(self, taken: _Taken, account: str, *, told: bool) -> None:
        """The model is gone: the caller hears what the file says now, not when it rang. ``told``:
        the words were said already, just now when there is somebody to talk to."""
        desk, number = taken.number.desk, taken.number
        instead = _instead(desk.deployment if desk is not None else None, told=told)
        if not instead or not account:
            return
        try:
            calls = TwilioCalls(number.token, number.api_url)
            await calls.instruct(account, taken.call.call_id, twiml(*instead))
        except ConnectError as error:
            self._note(taken, error.message)

    def _note(self, taken: _Taken, words: str) -> None:
        self._ears.note(taken.number.deployed, f"{taken.call.call_id}: {words}")

    # -- the end -------------------------------------------------------------------------------
    async def let_go(self) -> None:
        """Close the sockets without a word to Twilio, which goes on with the TwiML behind them."""
        calls = [it.live for it in self._open.values() if it.live is not None]
        await asyncio.gather(*(call.session.close("stopped") for call in calls))

    async def empty(self) -> None:
        """Wait until nobody is on the line."""
        self._look_whether_empty()
        await self._empty.wait()

    def _look_whether_empty(self) -> None:
        if self._open or any(True for _ in self._tickets) or any(True for _ in self._away):
            self._empty.clear()
        else:
            self._empty.set()

    async def close(self) -> None:
        self._tickets.clear()
        self._away.clear()
        with contextlib.suppress(TimeoutError):  # the last word about each call
            async with asyncio.timeout(1):
                await self.empty()


def in_mulaw(settings: SessionSettings) -> SessionSettings:
    """``settings`` with the telephone's sound both ways, whatever else stands there."""
    sides = {side: {"format": MULAW} for side in ("input", "output")}
    return settings.merged({"audio": sides})


def _instead(deployment: Deployment | None, *, told: bool = False) -> list[str]:
    """What the caller gets when no agent does; the words of ``on_failure`` are not repeated to
    one who was ``told`` them and is put through."""
    if deployment is None:
        return []
    words, uri = deployment.on_failure.say, deployment.on_failure.transfer
    speak = words and not (told and uri)
    return [*([say(words)] if speak else []), *([dial(uri)] if uri else [])]


def _answer(verbs: list[str]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(twiml(*verbs), media_type="text/xml", headers=headers)


def _socket_url(public: str, token: str) -> str:
    scheme, _, rest = public.partition("://")
    return f"{'ws' if scheme == 'http' else 'wss'}://{rest}/{token}"
