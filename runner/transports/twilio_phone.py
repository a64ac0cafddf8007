"""The phone's half of a Twilio Media Stream, for whichever line leads to the model.

Standard library alone: a Worker has it too.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any, Protocol

from runner.codec import dumps, loads
from runner.errors import CallOver, NotConnectedError
from runner.listeners import report
from runner.tasks import Supervisor
from runner.transports.base import ApiKey, Closed, ConnectOptions
from runner.transports.mediastream import INACTIVITY_MS, Caller, MediaStream
from runner.transports.messages import MessageLine

MULAW = {"type": "audio/pcmu"}
DTMF = "input_audio_buffer.dtmf_event_received"
#: Messages that Twilio has not taken: a second of sound and its marks come to a hundred.
MOST_WAITING = 1000


class FarSocket(Protocol):
    """What is needed of the socket that Twilio opened."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str | bytes:
        """The next message; any exception is the end."""
        ...

    async def close(self) -> None: ...


class TwilioPhone(MessageLine):
    """To stand before a line to the model among the bases of a class. ``twilio_websocket`` is
    the server's side of Twilio's connection, accepted: Starlette's or FastAPI's WebSocket, a
    connection of ``websockets``, or any :class:`FarSocket`.

    Listeners beside the base's: ``twilio_message`` each of Twilio's messages as it came, ``dtmf``
    a digit, ``call_started`` Twilio's ``start`` with its ids and custom parameters.
    ``input_audio_inactivity_timeout_ms`` as in the SDK.
    """

    audio_format = MULAW

    def __init__(
        self,
        twilio_websocket: Any,
        *,
        url: str | None = None,
        api_key: ApiKey | None = None,
        model: str | None = None,
        input_audio_inactivity_timeout_ms: float | None = INACTIVITY_MS,
    ) -> None:
        super().__init__(url=url, api_key=api_key, model=model)
        self._far = far_socket(twilio_websocket)
        caller = Caller(self._hear, self._digit, self._started, self._stopped, self._warn)
        self._stream = self.sink = MediaStream(
            self._to_twilio, caller, inactivity_ms=input_audio_inactivity_timeout_ms
        )
        self._outbox: list[str] = []
        self._phone = Supervisor(lambda name, error: report(f"{name} failed", error))
        self._answered = self._sending = self._hung_up = self._let_down = False
        #: How the phone call ended.
        self._over = CallOver().message

    @property
    def stream_sid(self) -> str:
        """Twilio's name of the stream, empty before it has begun."""
        return self._stream.stream_sid

    async def connect(self, options: ConnectOptions | None = None, **given: Any) -> None:
        """As the WebSocket's; Twilio's messages are read from here on. CallOver when the caller
        has hung up meanwhile."""
        if self._hung_up:
            raise CallOver(self._over)
        if not self._answered:
            self._answered = True
            self._phone.spawn(self._read(), "Twilio's messages")
        await super().connect(options, **given)
        if self._hung_up:
            await super().close()
            raise CallOver(self._over)

    async def close(self) -> None:
        """The line to the model; when no session holds it any more, Twilio's socket too."""
        await super().close()
        if self.receiver is None and not self._let_down:
            self._let_down = self._hung_up = True
            self._stream.close()
            with contextlib.suppress(Exception):  # whatever its library raises: it is closed
                await self._far.close()
            await self._phone.close()

    def deliver(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "input_audio_buffer.speech_started":
                self._stream.speaking(True)
            case "input_audio_buffer.speech_stopped":
                self._stream.speaking(False)
        super().deliver(event)

    # -- the phone -----------------------------------------------------------------------------
    async def _read(self) -> None:
        reason = "Twilio closed the stream"
        while not self._hung_up:
            try:
                text = await self._far.receive()
            except Exception as error:  # each library has its own for the end
                reason = str(error) or reason
                break
            try:
                message = loads(text)
            except ValueError:
                self._warn("Twilio sent something that is no JSON")
                continue
            if isinstance(message, dict):
                self.call("twilio_message", message)
                self.call("*", {"type": "twilio_message", "message": message})
                self._stream.received(message)
        self._stopped(reason)

    def _to_twilio(self, message: dict[str, Any]) -> None:
        if self._hung_up:
            return
        if len(self._outbox) >= MOST_WAITING:
            return self._stopped("Twilio takes no more sound")
        self._outbox.append(dumps(message))
        if not self._sending:
            self._sending = True
            self._phone.spawn(self._write_out(), "to Twilio")

    async def _write_out(self) -> None:
        try:
            while self._outbox:
                await self._far.send(self._outbox.pop(0))
        except Exception:  # the reader sees the end as well, and tells it
            self._outbox.clear()
        finally:
            self._sending = False

    def _hear(self, ulaw: bytes) -> None:
        with contextlib.suppress(NotConnectedError):  # before the first line, or after the last
            if self.receiver is not None:
                self.receiver.send_audio(ulaw, False)
            else:
                self.send_audio(ulaw)

    def _digit(self, digit: str) -> None:
        self.call("dtmf", digit)
        # As the service tells of the keys of a SIP call.
        self.deliver({"type": DTMF, "event": digit, "received_at": int(time.time())})

    def _started(self, start: Mapping[str, Any]) -> None:
        self.call("call_started", start)

    def _stopped(self, reason: str) -> None:
        if self._hung_up:
            return
        self._hung_up, self._over = True, reason
        self._stream.close()
        if self.status == "connected" and self._early is None:  # else connect() tells it
            # Who is told closes us, and with us the line to the model.
            self.lost(Closed(reason, 1000, True, over=True))

    def _warn(self, text: str) -> None:
        error = {"type": "twilio_error", "code": "twilio_message", "message": text}
        self.tell({"type": "error", "error": error})


def far_socket(socket: Any) -> FarSocket:
    """``socket`` under one roof. TypeError when it has no way to send or to receive a text."""
    if hasattr(socket, "send_text") and hasattr(socket, "receive_text"):
        return _Under(socket.send_text, socket.receive_text, socket.close)
    if hasattr(socket, "recv"):
        return _Under(socket.send, socket.recv, socket.close)
    if all(hasattr(socket, name) for name in ("send", "receive", "close")):
        own: FarSocket = socket
        return own
    raise TypeError(f"{type(socket).__name__} is no WebSocket that we know: see FarSocket")


class _Under:
    def __init__(self, send: Any, receive: Any, close: Any) -> None:
        self.send, self.receive, self.close = send, receive, close
