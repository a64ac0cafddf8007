"""A phone call at Twilio, as your server meets it: no account, no number, no network.

``async with TwilioCaller("http://127.0.0.1:8080/twilio", auth_token) as caller`` rings: the webhook
is asked as Twilio asks it, its TwiML is carried out, and where that says so the media stream is
opened. What comes is played at real time, a mark comes back when all before it was played, and on
``clear`` the rest is dropped and its marks come back at once (Twilio, Media Streams).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from runner.codec import b64decode, b64encode, dumps, loads
from runner.errors import ConnectError
from runner.tasks import in_thread
from runner.testing.handset import Handset, Tape
from runner.testing.twiml import Verb, read_twiml
from runner.transports.twilio_signature import HEADER, twilio_signature

WEBHOOK_SECONDS = 15.0
MULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


class TwilioCaller(Handset):
    """One call. ``public_url`` is the webhook as Twilio would know it, where that is another one:
    what is signed is signed for it, and its streams are opened on the webhook's own host.

    ``played`` is what the phone has played (mu-law, 8 kHz), ``got`` every message that came;
    ``done`` are the verbs of TwiML that were carried out, ``failures`` what Twilio would have put
    into its debugger. ``over`` is set when the call has ended, ``reason`` says how.

    ``returns_marks`` False: marks that a ``clear`` dropped are swallowed; ``marks`` False: no mark
    comes back at all. Twilio is seen to do the first by some.
    """

    def __init__(
        self,
        webhook: str,
        auth_token: str,
        *,
        public_url: str = "",
        sender: str = "+15550199",
        to: str = "+15550100",
        returns_marks: bool = True,
        marks: bool = True,
        tape: Tape | None = None,
    ) -> None:
        self._webhook = webhook
        self._token = auth_token
        self._public = public_url or webhook
        super().__init__(sender, to, tape)
        self._returns, self._marks = returns_marks, marks
        self.account_sid = "AC" + secrets.token_hex(16)
        self.call_sid = "CA" + secrets.token_hex(16)
        self.stream_sid = ""
        #: What becomes of each ``<Dial>``, as Twilio tells it: completed, busy, no-answer, failed.
        self.dial_status = "completed"
        self.got: list[dict[str, Any]] = []
        #: How much had been played (bytes) when each ``clear`` came.
        self.cleared: list[int] = []
        self.done: list[Verb] = []
        self._buffer: deque[bytes | str] = deque()
        self._filled = asyncio.Event()
        self._sequence = self._chunk = 0
        self._socket: ClientConnection | None = None
        self._instructed: list[Verb] | None = None

    # -- what the caller does ------------------------------------------------------------------
    async def ring(self) -> None:
        """Ask the webhook, and go on by its TwiML. ConnectError when it gives none."""
        verbs = read_twiml(await self.ask())
        self._tasks.spawn(self._carry_out(verbs), "TwiML")

    async def ask(self, **more: str) -> str:
        """The webhook's answer to this call, ``more`` beside its usual fields. ConnectError."""
        return await self._ask(self._public, self._webhook, CallStatus="ringing", **more)

    async def _ask(self, url: str, here: str, **more: str) -> str:
        """Of ``url``, which is ``here``."""
        fields = {
            "AccountSid": self.account_sid, "CallSid": self.call_sid, "ApiVersion": "2010-04-01",
            "Direction": "inbound", "From": self.sender, "To": self.to,
            "Caller": self.sender, "Called": self.to, **more,
        }  # fmt: skip
        signature = twilio_signature(self._token, url, tuple(fields.items()))
        return await in_thread(_post, here, urlencode(fields).encode(), signature)

    async def press(self, keys: str) -> None:
        for key in keys:
            await self.send({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": key}})

    async def hang_up(self) -> None:
        """Put the phone down."""
        self._end("the caller hung up")
        await self._close_stream()

    async def send(self, message: Mapping[str, Any]) -> None:
        """One message of the stream, numbered and named as Twilio does."""
        if self._socket is None:
            return
        if message.get("event") != "connected":
            self._sequence += 1
            named = {"sequenceNumber": str(self._sequence), "streamSid": self.stream_sid}
            message = {**message, **named}
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(dumps(message))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["event"] == event]

    async def close(self) -> None:
        if not self.over.is_set():
            await self.hang_up()
        await self._tasks.close()
        if self._socket is not None:
            await self._socket.close()
        self.spoken.set()

    # -- what Twilio's REST API does to it -----------------------------------------------------
    async def complete(self) -> None:
        """``Status=completed``."""
        self._end("hung up by REST")
        await self._close_stream()

    async def follow(self, twiml: str) -> None:
        """``Twiml=...``: go on with it. ValueError when it is none."""
        self._instructed = read_twiml(twiml)
        if self._socket is not None:
            await self._close_stream()
        else:
            self._tasks.spawn(self._carry_out([]), "TwiML")

    # -- TwiML ----------------------------------------------------------------------------------
    async def _carry_out(self, verbs: list[Verb]) -> None:
        ahead = deque(verbs)
        while not self.over.is_set():
            if self._instructed is not None:
                ahead, self._instructed = deque(self._instructed), None
            if not ahead:
                return self._end("the TwiML ended")
            verb = ahead.popleft()
            self.done.append(verb)
            match verb.name:
                case "Connect":
                    await self._stream(verb)
                case "Say":
                    continue  # heard by nobody
                case "Dial":
                    ahead = await self._dial(verb, ahead)
                case "Reject":
                    self._end(f"rejected: {verb.attributes.get('reason', 'rejected')}")
                case "Hangup":
                    self._end("hung up by TwiML")
                case _:
                    self.failures.append(f"12100: {verb.name} is no verb that is known here")
                    self._end("the TwiML is wrong")

    async def _dial(self, verb: Verb, behind: deque[Verb]) -> deque[Verb]:
        """What comes afterwards: whoever took the call keeps it."""
        action = verb.attributes.get("action")
        if self.dial_status == "completed":
            self._end(f"put through to {verb.text}")
        elif action:
            told = {"CallStatus": "in-progress", "DialCallStatus": self.dial_status}
            try:
                answer = await self._ask(action, self._here(action, "http"), **told)
                return deque(read_twiml(answer))
            except (ConnectError, ValueError) as error:
                self.failures.append(f"11200: {error}")
                self._end("the TwiML is wrong")
        return behind

    # -- the stream --------------------------------------------------------------------------------
    async def _stream(self, verb: Verb) -> None:
        """Until either side closes it."""
        url = verb.attributes.get("url", "")
        signature = twilio_signature(self._token, url)
        try:
            self._socket = await connect(
                self._here(url),
                additional_headers={HEADER: signature},
                proxy=None,
                close_timeout=1,
            )
        except (OSError, InvalidHandshake, TimeoutError) as error:
            status = error.response.status_code if isinstance(error, InvalidStatus) else error
            self.failures.append(f"31920: the stream was refused: {status}")
            return
        self.stream_sid = "MZ" + secrets.token_hex(16)
        self._sequence = self._chunk = 0
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        ids = {"accountSid": self.account_sid, "streamSid": self.stream_sid}
        await self.send(
            {
                "event": "start",
                "start": {
                    **ids, "callSid": self.call_sid, "tracks": ["inbound"],
                    "customParameters": dict(verb.parameters), "mediaFormat": MULAW,
                },
            }
        )  # fmt: skip
        self.connected.set()
        lanes = [
            self._tasks.spawn(self._speak(), "the caller's sound"),
            self._tasks.spawn(self._play(), "the agent's sound"),
        ]
        try:
            await self._receive(self._socket)
        finally:
            for lane in lanes:
                lane.cancel()
            socket, self._socket = self._socket, None
            self.connected.clear()
            self._buffer.clear()
            await socket.close()

    async def _close_stream(self) -> None:
        """As Twilio does it when the call goes on without it, or ends."""
        socket = self._socket
        if socket is not None:
            stop = {"accountSid": self.account_sid, "callSid": self.call_sid}
            await self.send({"event": "stop", "stop": stop})
            await socket.close()

    def _here(self, url: str, kind: str = "ws") -> str:
        """What is below the public URL is where the webhook is."""
        public, own, asked = urlsplit(self._public), urlsplit(self._webhook), urlsplit(url)
        if asked.netloc != public.netloc:
            return url
        scheme = f"{kind}s" if own.scheme == "https" else kind
        prefix = public.path.removesuffix(own.path)  # what the proxy in front takes away
        path = asked.path.removeprefix(prefix) if prefix != public.path else asked.path
        return asked._replace(scheme=scheme, netloc=own.netloc, path=path).geturl()

    async def _speak(self) -> None:
        """A frame each 20 ms, silence when nothing is said."""
        due, stamp = self._loop.time(), 0
        while True:
            await self.media(self._frame(), stamp)
            stamp += 20
            due = await self._paced(due)

    async def media(self, ulaw: bytes, stamp: int) -> None:
        """One frame of the caller, ``stamp`` milliseconds after the stream began."""
        self._chunk += 1
        body = {"track": "inbound", "chunk": str(self._chunk), "timestamp": str(stamp)}
        await self.send({"event": "media", "media": {**body, "payload": b64encode(ulaw)}})

    async def _receive(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                if not isinstance(text, str):
                    self.failures.append("31950: a message that is no text")
                    return
                await self._received(text)
        except ConnectionClosed:
            return

    async def _received(self, text: str) -> None:
        try:
            message = loads(text)
            event, sid = message["event"], message["streamSid"]
            extra = set(message) - {"event", "streamSid", event}
            data = b64decode(message["media"]["payload"]) if event == "media" else b""
            name = message["mark"]["name"] if event == "mark" else ""
        except (ValueError, KeyError, TypeError) as error:
            self.failures.append(f"31951: {error!r} in {text[:200]}")
            return
        if extra or sid != self.stream_sid or event not in ("media", "mark", "clear"):
            self.failures.append(f"31951: a message that Twilio does not take: {text[:200]}")
            return
        self.got.append(message)
        if event == "clear":
            self.cleared.append(len(self.played))
            dropped, self._buffer = self._buffer, deque()
            if self._tape is not None:
                self._tape.cut(self._loop.time())
            for what in dropped:
                if isinstance(what, str) and self._returns:
                    await self._mark(what)
            return
        self._buffer.append(name if event == "mark" else data)
        self._filled.set()

    async def _play(self) -> None:
        due = self._loop.time()
        while True:
            if not self._buffer:
                self._filled.clear()
                await self._filled.wait()
                due = max(due, self._loop.time())
                continue
            what = self._buffer.popleft()
            if isinstance(what, str):
                await self._mark(what)
                continue
            if self._tape is not None:
                self._tape.agent(what, due)
            due += len(what) / 8000
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            self.played += what

    async def _mark(self, name: str) -> None:
        if self._marks:
            await self.send({"event": "mark", "mark": {"name": name}})


def _post(url: str, form: bytes, signature: str) -> str:
    headers = {
        HEADER: signature,
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "User-Agent": "TwilioProxy/1.1",
    }
    request = urllib.request.Request(url, form, headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=WEBHOOK_SECONDS) as answer:
            return str(answer.read(65536).decode())
    except urllib.error.HTTPError as error:
        words = error.read(300).decode("utf-8", "replace")
        raise ConnectError(f"{url} answered {error.code} {words}", status=error.code) from None
    except (OSError, ValueError) as error:
        raise ConnectError(f"{url} cannot be asked: {error}") from None
