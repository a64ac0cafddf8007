"""The user agent server: SIP requests, time and decisions in; messages and news out. No I/O.

RFC 3261 (calls), 3311 (UPDATE), 3515 (REFER), 4028 (session timers), 6086 and its forebears (keys
by INFO). Digest, PRACK and registration are not here: a call is let in or not by who decides on
it, and 100rel is refused with 420.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from runner.engine.sip.bodies import description, expires, key_of, refer_status, refresher
from runner.engine.sip.checks import ALLOW, timed, unmet
from runner.engine.sip.dialog import AGENT, Dialog, Flow, reached
from runner.engine.sip.message import BadMessage, Message, received_from, respond, transaction
from runner.engine.sip.news import Changed, Confirmed, Effect, Gone, Pressed, Referred, Ring, Send
from runner.engine.sip.transactions import Client, Server

T1 = 0.5  #: Seconds until a message over UDP is sent again; doubled each time,
T2 = 4.0  #: up to this.
T4 = 5.0  #: So long a message may be on its way.
GIVE_UP = 64 * T1
#: Transactions kept at once. Of a flood beyond, what is not part of a call is not answered.
MOST = 10_000


class UserAgent:
    """``renegotiate(dialog, offer)`` gives the session description for a 200, None when nothing
    of the offer fits; ``token()`` a fresh random word."""

    def __init__(
        self,
        renegotiate: Callable[[Dialog, bytes], bytes | None],
        token: Callable[[], str],
    ) -> None:
        self._renegotiate = renegotiate
        self._token = token
        self._now = 0.0
        self._out: list[Effect] = []
        self._dialogs: dict[tuple[str, str, str], Dialog] = {}
        self._servers: dict[tuple[str, str, str], Server] = {}
        self._clients: dict[str, Client] = {}
        self._invites: dict[Dialog, Server] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    # -- in ------------------------------------------------------------------------------------
    def receive(self, message: Message, flow: Flow, now: float) -> list[Effect]:
        self._now = now
        if message.method:
            self._request(received_from(message, *flow.peer), reached(flow, message))
        else:
            self._response(message)
        return self._take()

    def bad(self, error: BadMessage, flow: Flow, now: float) -> list[Effect]:
        """Something that is no message. What can be answered is."""
        self._now = now
        message = error.message
        if message is not None and message.get("via") and message.method not in ("", "ACK"):
            words = str(error).replace("\\", "/").replace('"', "'")
            why = (("Warning", f'399 {AGENT} "{words}"'), ("Server", AGENT))
            request = received_from(message, *flow.peer)
            answer = respond(request, error.status, self._token(), why)
            self._send(reached(flow, message), answer.encode())
        return self._take()

    def tick(self, now: float) -> list[Effect]:
        self._now = now
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        return self._take()

    @property
    def deadline(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    # -- decisions -------------------------------------------------------------------------------
    def ring(self, dialog: Dialog, now: float) -> list[Effect]:
        self._now = now
        server = self._invites.get(dialog)
        if server is not None and not server.final:
            self._answer(server, 180, more=(("Contact", dialog.contact),))
        return self._take()

    def answer(self, dialog: Dialog, sdp: bytes, now: float) -> list[Effect]:
        self._now = now
        server = self._invites.get(dialog)
        if server is not None and not server.final:
            dialog.state = "confirmed"
            self._accept(server, dialog, sdp)
        return self._take()

    def refuse(self, dialog: Dialog, status: int, now: float) -> list[Effect]:
        self._now = now
        server = self._invites.get(dialog)
        if server is not None and not server.final:
            self._answer(server, status)
            self._forget(dialog)
        return self._take()

    def bye(self, dialog: Dialog, now: float) -> list[Effect]:
        """Hang up a call that was answered."""
        self._now = now
        self._bye(dialog)
        return self._take()

    def refer(self, dialog: Dialog, uri: str, now: float) -> list[Effect]:
        """Ask the caller's phone to call ``uri`` instead. Ends in Referred, twice when it does."""
        self._now = now
        if dialog.state == "confirmed":
            more = (("Refer-To", f"<{uri}>"), ("Referred-By", dialog.contact))
            self._ask(dialog, "REFER", lambda s: self._out.append(Referred(dialog, s)), more)
        return self._take()

    # -- requests ----------------------------------------------------------------------------------
    def _request(self, request: Message, flow: Flow) -> None:
        method = request.method
        if method == "ACK":
            self._acknowledged(request)
            return
        key = transaction(request, method)
        known = self._servers.get(key)
        if known is not None:
            if known.last:  # it was lost on its way, or overtaken
                self._send(flow, known.last)
            return
        dialog = self._dialogs.get((request.call_id, request.to_tag, request.from_tag))
        ours = dialog is not None or (
            method == "CANCEL" and transaction(request, "INVITE") in self._servers
        )
        server = Server(request, flow)
        if ours or method == "INVITE":
            if len(self._servers) >= MOST and not ours:
                return
            self._servers[key] = server  # all others are answered alike each time they come
        if method == "CANCEL":
            self._cancelled(server)
            return
        refusal = unmet(request)
        if refusal is not None:
            self._answer(server, refusal[0], more=refusal[1])
            return
        if not request.to_tag:
            self._begun(server)
            return
        if dialog is None:
            self._answer(server, 481)
        elif request.cseq[0] <= dialog.heard:
            self._answer(server, 500)
        else:
            server.dialog = dialog
            self._inside(server, dialog)

    def _begun(self, server: Server) -> None:
        request = server.request
        if request.method == "OPTIONS":
            more = (("Allow", ALLOW), ("Accept", "application/sdp"), ("Supported", "timer"))
            self._answer(server, 200, more=more)
        elif request.method != "INVITE":
            self._answer(server, 481)
        elif any(d.invite.cseq == request.cseq for d in self._same_call(request)):
            self._answer(server, 482)  # the same request by another way
        else:
            dialog = Dialog(request, server.flow, self._token())
            server.dialog = dialog
            self._dialogs[dialog.ids] = dialog
            self._invites[dialog] = server
            self._send(server.flow, respond(request, 100).encode())
            self._out.append(Ring(dialog))

    def _same_call(self, request: Message) -> Iterable[Dialog]:
        wanted = (request.call_id, request.from_tag)
        return [d for ids, d in self._dialogs.items() if (ids[0], ids[2]) == wanted]

    def _inside(self, server: Server, dialog: Dialog) -> None:
        request = server.request
        offers = request.method == "INVITE" or (request.method == "UPDATE" and request.body)
        early = dialog.state == "early" or dialog.unacknowledged is not None
        if offers and early:
            self._answer(server, 491)
            return
        dialog.renewed(request, server.flow)
        match request.method:
            case "INVITE":
                self._change(server, dialog)
            case "UPDATE" if request.body:
                self._change(server, dialog)
            case "UPDATE":
                self._ok(server, dialog)
            case "BYE":
                self._answer(server, 200)
                first = self._invites.get(dialog)
                if first is not None and not first.final:
                    self._answer(first, 487)
                self._over(dialog, "the caller hung up")
            case "INFO":
                self._answer(server, 200)
                key = key_of(request)
                if key:
                    self._out.append(Pressed(dialog, key))
            case "NOTIFY":
                self._answer(server, 200)
                status = refer_status(request)
                if status >= 200:
                    self._out.append(Referred(dialog, status))
            case _:
                self._answer(server, 200, more=(("Allow", ALLOW),))

    def _change(self, server: Server, dialog: Dialog) -> None:
        sdp = self._renegotiate(dialog, description(server.request) or b"")
        if sdp is None:
            self._answer(server, 488)
            return
        if server.request.method == "INVITE":
            self._accept(server, dialog, sdp)
        else:
            self._ok(server, dialog, sdp)
        self._out.append(Changed(dialog))

    def _cancelled(self, server: Server) -> None:
        invite = self._servers.get(transaction(server.request, "INVITE"))
        if invite is None:
            self._answer(server, 481)
            return
        self._answer(server, 200, invite.dialog.tag if invite.dialog else "")
        if invite.dialog is not None and not invite.final:
            self._answer(invite, 487)
            self._over(invite.dialog, "the caller gave up")

    def _acknowledged(self, request: Message) -> None:
        server = self._servers.get(transaction(request, "INVITE"))
        if server is not None and server.final >= 300:
            if not server.acknowledged:
                server.acknowledged = True
                key = transaction(request, "INVITE")
                self._at(T4, lambda: self._servers.pop(key, None))
            return
        dialog = self._dialogs.get((request.call_id, request.to_tag, request.from_tag))
        if dialog is not None and dialog.unacknowledged == request.cseq[0]:
            dialog.unacknowledged = None
            self._out.append(Confirmed(dialog, description(request) or b""))

    # -- answers ---------------------------------------------------------------------------------
    def _answer(
        self,
        server: Server,
        status: int,
        tag: str = "",
        more: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        request, dialog = server.request, server.dialog
        tag = tag or (dialog.tag if dialog is not None else self._token())
        server.last = respond(request, status, tag, (*more, ("Server", AGENT)), body).encode()
        self._send(server.flow, server.last)
        if status < 200:
            return
        server.final = status
        key = transaction(request, request.method)
        if self._servers.get(key) is server:
            self._at(GIVE_UP, lambda: self._servers.pop(key, None))
        if request.method == "INVITE" and status >= 300 and not server.flow.reliable:
            self._repeat(server, T1, self._now + GIVE_UP, lambda: not server.acknowledged)

    def _ok(self, server: Server, dialog: Dialog, sdp: bytes = b"") -> None:
        more = [("Contact", dialog.contact), ("Allow", ALLOW), ("Supported", "timer")]
        request = server.request
        seconds = expires(request)
        if seconds and timed(request):
            dialog.refresh, dialog.refreshed = seconds, self._now
            # Who asks for our refreshes gets them (RFC 4028, table 2), by UPDATE.
            ours = refresher(request) == "uas" and "UPDATE" in request.every("allow")
            more.append(("Session-Expires", f"{seconds};refresher={'uas' if ours else 'uac'}"))
            if ours:
                self._refresh(dialog)
            else:
                more.append(("Require", "timer"))
            self._watch_refresh(dialog)
        if sdp:
            more.append(("Content-Type", "application/sdp"))
        self._answer(server, 200, more=more, body=sdp)

    def _accept(self, server: Server, dialog: Dialog, sdp: bytes) -> None:
        """A 200 to an INVITE, said again until its ACK comes, over TCP as well (13.3.1.4)."""
        self._ok(server, dialog, sdp)
        number = dialog.unacknowledged = server.request.cseq[0]

        def waits() -> bool:
            return dialog.unacknowledged == number and dialog.state == "confirmed"

        def give_up() -> None:
            if waits():
                self._bye(dialog)
                self._out.append(Gone(dialog, "the caller never acknowledged the answer"))

        self._repeat(server, T1, self._now + GIVE_UP, waits)
        self._at(GIVE_UP, give_up)

    def _repeat(
        self, server: Server, wait: float, until: float, wanted: Callable[[], bool]
    ) -> None:
        def again() -> None:
            if wanted() and self._now < until:
                self._send(server.flow, server.last)
                self._repeat(server, min(2 * wait, T2), until, wanted)

        self._at(wait, again)

    def _refresh(self, dialog: Dialog) -> None:
        begun, seconds = dialog.refreshed, dialog.refresh
        more = (("Session-Expires", f"{seconds};refresher=uac"), ("Supported", "timer"))

        def refreshed(status: int) -> None:
            if 200 <= status < 300 and dialog.state == "confirmed":
                dialog.refreshed = self._now
                self._refresh(dialog)
                self._watch_refresh(dialog)

        def ask() -> None:
            if dialog.state == "confirmed" and dialog.refreshed == begun:
                self._ask(dialog, "UPDATE", refreshed, more)

        self._at(seconds / 2, ask)

    def _watch_refresh(self, dialog: Dialog) -> None:
        begun, seconds = dialog.refreshed, dialog.refresh

        def expire() -> None:
            if dialog.state == "confirmed" and dialog.refreshed == begun:
                self._bye(dialog)
                self._out.append(Gone(dialog, "the caller's phone did not refresh the session"))

        self._at(seconds - min(32.0, seconds / 3), expire)

    # -- requests of ours --------------------------------------------------------------------------
    def _bye(self, dialog: Dialog) -> None:
        if dialog.state == "confirmed":
            self._ask(dialog, "BYE", lambda status: None)
            self._forget(dialog)

    def _ask(
        self,
        dialog: Dialog,
        method: str,
        then: Callable[[int], None],
        more: tuple[tuple[str, str], ...] = (),
    ) -> None:
        branch = "z9hG4bK" + self._token()
        request = dialog.request(method, branch, more)
        client = self._clients[branch] = Client(request.encode(), dialog, then)
        self._send(dialog.flow, client.data)
        wait = T1

        def again() -> None:
            nonlocal wait
            if branch in self._clients:
                self._send(dialog.flow, client.data)
                wait = min(2 * wait, T2)
                self._at(wait, again)

        def give_up() -> None:
            if self._clients.pop(branch, None) is not None:
                then(408)

        if not dialog.flow.reliable:
            self._at(wait, again)
        self._at(GIVE_UP, give_up)

    def _response(self, response: Message) -> None:
        client = self._clients.get(response.branch)
        if client is None or response.status < 200:
            return
        del self._clients[response.branch]
        client.then(response.status)
        if response.status in (408, 481) and client.dialog.state == "confirmed":
            self._over(client.dialog, "the caller's phone knows nothing of the call")

    # -- housekeeping ---------------------------------------------------------------------------
    def _over(self, dialog: Dialog, reason: str) -> None:
        self._forget(dialog)
        self._out.append(Gone(dialog, reason))

    def _forget(self, dialog: Dialog) -> None:
        dialog.state = "over"
        self._dialogs.pop(dialog.ids, None)
        self._invites.pop(dialog, None)

    def _send(self, flow: Flow, data: bytes) -> None:
        self._out.append(Send(flow, data))

    def _at(self, seconds: float, act: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (self._now + seconds, self._count, act))

    def _take(self) -> list[Effect]:
        out, self._out = self._out, []
        return out
