"""One response: an answer taken piece by piece, put on the wire at the pace of its playback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal

from runner.audio.formats import PCM16
from runner.engine.hosted.calls import McpCall
from runner.engine.hosted.offer import Offer
from runner.engine.ports import Call, Say, Spoken
from runner.engine.server.answer import Answer, Failure
from runner.engine.server.budget import Budget
from runner.engine.server.context import Context, log
from runner.engine.server.output import Message, Status, function_call
from runner.engine.server.sound import Encoder, Pace, chunks
from runner.engine.server.speculation import HeardTimes
from runner.engine.server.transcription import heard_input
from runner.engine.wire import Items, ResponseParams, events, new_id
from runner.engine.wire.response import failure, response_object
from runner.engine.wire.usage import Usage

TOO_LONG = Failure("max_output_tokens", "")


class Response:
    """``on_over`` is called once, right behind response.done.

    All its events are sent by synchronous code between awaits, so cancel() may close it from
    another task at any time: what was streamed is closed off, nothing of it follows.
    """

    def __init__(
        self,
        context: Context,
        params: ResponseParams,
        on_over: Callable[[Response], None],
        times: HeardTimes | None,
    ) -> None:
        self.id = new_id("resp")
        self._context = context
        self._params = params
        self._on_over = on_over
        self._times = times
        self._offered: Offer | None = None
        self._mcp_calls: list[McpCall] = []
        # Out of band: a store of its own, so that the conversation never sees it.
        self._items = Items() if params.out_of_band else context.items
        self._answer: Answer | None = None
        self._message: Message | None = None
        self._output: list[dict[str, Any]] = []
        self._pace = Pace(context.options.lead_ms)
        self._form = context.output_format(params)
        self._encoder = Encoder(self._form)
        self._budget = Budget(params.max_output_tokens)
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    # -- life -------------------------------------------------------------------------------

    def start(self, answer: Answer | None) -> None:
        """Announce it and begin. ``answer`` may have been made ahead; it is used if it fits."""
        self._answer = answer
        self._context.send(events.response_created(self._object()))
        self._task = self._context.tasks.spawn(self._run(), f"response {self.id}")

    def cancel(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """Close off what was streamed, then response.done cancelled."""
        self._end("incomplete", status="cancelled", reason=reason)

    def remaining_seconds(self) -> float:
        """Until the audio sent has been played."""
        return self._pace.remaining_seconds()

    async def _run(self) -> None:
        try:
            failed = await self._work()
        except Exception as error:
            # One answer failed, not the session: the client hears of it and may go on.
            log.exception("response %s failed", self.id)
            failed = Failure("server_error", f"{type(error).__name__}: {error}")
        if failed is None:
            self._end("completed", status="completed")
        elif failed is TOO_LONG:
            self._end("incomplete", status="incomplete", reason="max_output_tokens")
        else:
            log.error("response %s: %s: %s", self.id, failed.code, failed.message)
            told = failure(failed.code, failed.message)
            self._end("completed", status="failed", error=told)

    async def _work(self) -> Failure | None:
        await self._context.hosted.listed(self._params.tools)
        await self._context.calls_settled(self._params)
        await self._context.all_heard(self._params)
        read = await heard_input(self._context, self._params)
        self._answer = self._made(read, self._answer)
        return await self._stream(self._answer)

    def _made(self, read: ResponseParams, ahead: Answer | None) -> Answer:
        """The answer made ahead, if nothing has changed since; else a new one."""
        context = self._context
        prompt = context.prompt(read)
        self._offered = context.offered(read)
        speaker = context.speaker(read)
        if ahead is not None:
            if ahead.fits(prompt, speaker):
                ahead.release()
                return ahead
            ahead.drop()
        return context.think(prompt, speaker)

    def _end(self, item_status: Status, **how: Any) -> None:
        if self._ended:
            return
        self._ended = True
        if self._answer is not None:
            self._answer.drop()
        self._close_message(item_status)
        # A call that was streamed whole is made, whatever became of the rest of the response.
        for call in self._mcp_calls:
            if call.request_id is not None:
                self._output.append(call.ask(len(self._output)))
        context = self._context
        usage = self._usage()
        context.send(context.rate_limits(usage))
        context.send(events.response_done(self._object(output=self._output, usage=usage, **how)))
        if context.leg is not None:
            context.leg.finished(self.id)
        context.calls.take(self._mcp_calls)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._on_over(self)

    # -- streaming --------------------------------------------------------------------------

    async def _stream(self, answer: Answer) -> Failure | None:
        while (piece := await answer.take()) is not None:
            if isinstance(piece, Failure):
                await self._flush()
                return piece
            if isinstance(piece, Call):
                await self._flush()
                self._close_message("completed")
                if self._budget.call(piece) is None:
                    return TOO_LONG
                self._call(piece)
            elif isinstance(piece, Say):
                said = self._budget.text(piece)
                self._open_message().write(said.text)
                if said is not piece:
                    return TOO_LONG
            else:
                spoken = self._budget.speech(piece)
                await self._speak(spoken)
                if spoken is not piece:
                    await self._flush()
                    return TOO_LONG
        await self._flush()
        return None

    def _open_message(self) -> Message:
        if self._message is None:
            form = self._form if self._params.audio else None
            self._message = Message(self._context, self._items, self.id, len(self._output), form)
        return self._message

    def _close_message(self, status: Status) -> None:
        if self._message is not None:
            self._output.append(self._message.end(status))
            self._message = None

    def _call(self, piece: Call) -> None:
        target = self._offered.targets.get(piece.name) if self._offered else None
        if target is not None:
            index = len(self._output)
            call = McpCall(self._context, self._items, self.id, index, target, piece.arguments)
            self._mcp_calls.append(call)
            self._output.append(call.wire())
            return
        self._output.append(
            function_call(
                self._context,
                self._items,
                self.id,
                len(self._output),
                piece.name,
                piece.arguments,
            )
        )

    async def _speak(self, spoken: Spoken) -> None:
        message, text, pcm24k = self._open_message(), spoken.text, spoken.pcm24k
        message.say(text)
        if not pcm24k:
            message.sound(b"", text, 0.0)  # a clause without sound, such as a lone dash
            return
        whole_ms: float | None = PCM16.ms(len(pcm24k))
        # By pieces: a long clause encoded at once would hold the other callers up for 10 ms.
        for piece in chunks(pcm24k):
            await self._sound(message, self._encoder.encode(piece), text, whole_ms)
            text, whole_ms = "", None

    async def _sound(
        self, message: Message, data: bytes, text: str = "", whole_ms: float | None = None
    ) -> None:
        if wait := self._pace.wait_seconds():
            await asyncio.sleep(wait)
        message.sound(data, text, whole_ms)
        self._pace.sent(self._form.ms(len(data)))
        self._note_first_sound()
        await asyncio.sleep(0)  # other callers get their turn between two pieces

    async def _flush(self) -> None:
        """What the resampler holds back goes out before the message is closed."""
        if self._message is not None and self._params.audio and (rest := self._encoder.flush()):
            await self._sound(self._message, rest)

    # -- what it says of itself -------------------------------------------------------------

    def _object(self, **fields: Any) -> dict[str, Any]:
        return response_object(self.id, self._params, self._context.conversation_id, **fields)

    def _usage(self) -> Usage:
        context, budget = self._context, self._budget
        return context.meter.response(
            context.weights(self._params),
            text=budget.written,
            audio_ms=budget.audio_ms,
            keep=not self._params.out_of_band,
        )

    def _note_first_sound(self) -> None:
        """Where the time of a spoken turn went, for whoever measures."""
        times, self._times = self._times, None
        if times is None or self._answer is None:
            return
        made = self._answer.timings
        steps = {
            "response": self.id,
            "paused": times.paused,
            "recognised": times.recognised,
            "stopped": times.stopped,
            "words": made.words,
            "sound": made.sound,
            "sent": time.monotonic(),
        }
        log.debug("first audio", extra={"steps": steps})
