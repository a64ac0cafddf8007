"""One client: its events in, the order in which they act, and the end of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from runner import codec
from runner.audio.formats import AudioFormat
from runner.engine.ports import Brain, Models
from runner.engine.server.context import Context, log
from runner.engine.server.idle import IdleTimer
from runner.engine.server.leg import Leg
from runner.engine.server.options import EngineOptions
from runner.engine.server.outbox import Outbox
from runner.engine.server.responses import Responses
from runner.engine.server.turns import Turns
from runner.engine.wire import Items, Settings, WireError, check, decode_audio, events, new_id
from runner.engine.wire.client import invalid_json
from runner.engine.wire.errors import server_error, session_expired
from runner.tasks import Supervisor

DEFAULT_MODEL = "gpt-realtime"
SessionType = Literal["realtime", "transcription"]


class Connection:
    """``send`` puts one text frame on the socket; ``session`` is a patch to begin with. ``media``:
    the audio, of this format, runs through :meth:`hear` and ``leg``, not in events. Make one per
    socket, run it once."""

    def __init__(
        self,
        options: EngineOptions,
        brain: Brain,
        models: Models | None,
        no_speech: str,
        *,
        model: str | None,
        kind: SessionType,
        send: Callable[[str], Awaitable[None]],
        session: dict[str, Any] | None = None,
        media: AudioFormat | None = None,
    ) -> None:
        session_id = new_id("sess")
        expires_at = int(time.time() + options.session_seconds)
        self._tasks = Supervisor(self._task_failed)
        self._context = Context(
            options=options,
            brain=brain,
            models=models,
            no_speech=no_speech,
            settings=Settings(
                model or DEFAULT_MODEL,
                session_id,
                type=kind,
                expires_at=expires_at,
                model_named=model is not None,
            ),
            items=Items(),
            outbox=Outbox(send, stall_seconds=options.stall_seconds),
            tasks=self._tasks,
            session_id=session_id,
            responds=kind == "realtime",
        )
        if media is not None:
            self._context.leg = Leg(self._context.send, media)
        self._idle = IdleTimer(self._idle_seconds, self._timed_out)
        self._responses = Responses(self._context, self._idle)
        self._turns: Turns | None = None
        if models is not None:
            self._turns = Turns(self._context, models, self._responses, self._idle)
        elif kind == "realtime":
            self._context.settings.update({"type": kind, "output_modalities": ["text"]})
        if session:
            # Bound to the client secret, and checked when that was made.
            session.pop("model", None)
            self._context.settings.update(session)
        self._no_audio_said = False
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None] | None]] = {
            "session.update": self._session_update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "output_audio_buffer.clear": self._output_clear,
            "conversation.item.create": self._item_create,
            "conversation.item.retrieve": self._item_retrieve,
            "conversation.item.truncate": self._item_truncate,
            "conversation.item.delete": self._item_delete,
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
        }

    # -- life -------------------------------------------------------------------------------

    async def run(self, receive: Callable[[], Awaitable[str | bytes | None]]) -> None:
        """Until the client goes (``receive`` gives None), is dead, or its time is over.

        DeadPeer when it does not read. Everything of the connection is gone on return.
        """
        context = self._context
        writer = asyncio.current_task()
        assert writer is not None
        context.send(events.session_created(session=context.settings.effective()))
        context.hosted.configure(context.settings.tools)
        reader = self._tasks.spawn(self._read(receive), "reader")
        reader.add_done_callback(lambda _: context.outbox.close())
        try:
            await context.outbox.run()
        finally:
            self._idle.stop()
            if self._turns is not None:
                self._turns.close()
            await context.hosted.close()
            await self._tasks.close()

    async def _read(self, receive: Callable[[], Awaitable[str | bytes | None]]) -> None:
        try:
            async with asyncio.timeout(self._context.options.session_seconds):
                while (message := await receive()) is not None:
                    await self._handle(message)
        except TimeoutError:
            self._context.error(session_expired())

    def _task_failed(self, name: str, error: BaseException) -> None:
        log.error("%s failed: %r", name, error, exc_info=error)
        self._context.error(server_error("The engine had an error; the session goes on."))

    # -- client events ----------------------------------------------------------------------

    async def _handle(self, message: str | bytes) -> None:
        event_id: str | None = None
        try:
            event = check(_parsed(message))
            event_id = event.get("event_id")
            work = self._handlers[event["type"]](event)
            if work is not None:
                await work
        except WireError as error:
            self._context.error(error.about(event_id))
        except Exception:
            log.exception("a client event failed")
            failed = server_error("The engine had an error while processing your event.")
            self._context.error(failed.about(event_id))

    def _session_update(self, event: dict[str, Any]) -> None:
        context = self._context
        session = event["session"]
        if context.models is None:
            refuse_audio(session, context.no_speech, "session")
        context.settings.update(
            session,
            audio_produced=context.audio_produced,
            responding=self._responses.active is not None,
            event_id=event.get("event_id"),
        )
        if self._turns is not None:
            self._turns.configure()
        context.send(events.session_updated(session=context.settings.effective()))
        context.hosted.configure(context.settings.tools)

    @property
    def leg(self) -> Leg | None:
        return self._context.leg

    @property
    def session_id(self) -> str:
        return self._context.session_id

    def effective(self) -> dict[str, Any]:
        """The session object as it is."""
        return self._context.settings.effective()

    async def hear(self, data: bytes) -> None:
        """The caller's audio, of a session with ``media`` and in its format."""
        if self._turns is not None:
            await self._turns.append(data)

    def digit(self, key: str) -> None:
        """The caller pressed a key of the telephone: 0 to 9, ``*``, ``#``, A to D."""
        told = events.input_audio_buffer_dtmf_event_received(key, int(time.time()))
        self._context.send(told)

    async def _append(self, event: dict[str, Any]) -> None:
        if self._context.leg is not None:
            raise WireError(
                "input_audio_buffer.append is for WebSocket sessions: this call brings the "
                "caller's audio with it.",
                code="invalid_event",
                param="type",
            )
        data = decode_audio(event["audio"])
        if self._turns is not None:
            await self._turns.append(data)
        elif not self._no_audio_said:
            # Once: some clients end on each error, and all send fifty of these a second.
            self._no_audio_said = True
            raise no_audio(self._context.no_speech, "audio")

    def _commit(self, event: dict[str, Any]) -> None:
        if self._turns is None:
            raise no_audio(self._context.no_speech)
        self._turns.commit()

    def _clear(self, event: dict[str, Any]) -> None:
        if self._turns is None:
            self._context.send(events.input_audio_buffer_cleared())
        else:
            self._turns.clear()

    def _output_clear(self, event: dict[str, Any]) -> None:
        if self._context.leg is not None:
            self._responses.silence()
            return
        raise WireError(
            "output_audio_buffer.clear is for WebRTC and SIP sessions: over a WebSocket the "
            "client plays the audio itself and stops it itself.",
            code="invalid_event",
            param="type",
        )

    def _item_create(self, event: dict[str, Any]) -> None:
        context = self._context
        item = context.items.create(
            event["item"],
            event.get("previous_item_id"),
            input_format=context.settings.input_format,
            event_id=event.get("event_id"),
        )
        previous = context.items.previous_id(item["id"])
        context.send(events.conversation_item_added(item, previous))
        context.send(events.conversation_item_done(item, previous))
        if self._turns is not None:
            self._turns.hear(item["id"])
        if item["type"] == "mcp_approval_response":
            context.calls.decide(item["approval_request_id"], item["approve"])

    def _item_retrieve(self, event: dict[str, Any]) -> None:
        item = self._context.items.retrieve(event["item_id"])
        self._context.send(events.conversation_item_retrieved(item=item))

    def _item_truncate(self, event: dict[str, Any]) -> None:
        place = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
        self._context.items.truncate(**place)
        self._context.send(events.conversation_item_truncated(**place))

    def _item_delete(self, event: dict[str, Any]) -> None:
        self._context.items.delete(event["item_id"])
        self._context.send(events.conversation_item_deleted(item_id=event["item_id"]))

    def _response_create(self, event: dict[str, Any]) -> None:
        context = self._context
        if context.models is None and event.get("response"):
            refuse_audio(event["response"], context.no_speech, "response")
        self._responses.create(event.get("response"), event.get("event_id"))

    def _response_cancel(self, event: dict[str, Any]) -> None:
        self._responses.cancel(event.get("response_id"))

    # -- idle -------------------------------------------------------------------------------

    def _idle_seconds(self) -> float | None:
        rules = self._context.settings.turn_detection
        if rules is None or rules.idle_timeout_ms is None:
            return None
        return rules.idle_timeout_ms / 1000

    def _timed_out(self) -> None:
        if self._turns is not None:
            self._turns.time_out()


def no_audio(why: str, param: str | None = None) -> WireError:
    return WireError(
        f"This engine has no local speech: {why} Use text.", code="audio_unavailable", param=param
    )


def refuse_audio(wanted: Any, why: str, path: str) -> None:
    """WireError when a session or response asks for sound that cannot be made here."""
    modalities = wanted.get("output_modalities") if isinstance(wanted, dict) else None
    if isinstance(modalities, list) and "audio" in modalities:
        raise no_audio(why, f"{path}.output_modalities")


def _parsed(message: str | bytes) -> Any:
    try:
        return codec.loads(message)
    except ValueError:
        raise invalid_json() from None
