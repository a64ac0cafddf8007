"""Recognition of what the caller said, and the events that tell the client of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from runner.audio.formats import AudioFormat
from runner.engine.hearing.input import InputBuffer
from runner.engine.ports import Ears
from runner.engine.server.context import Context, log
from runner.engine.wire import ResponseParams, decode_audio, events, usage

_SENTENCE = re.compile(r"\S.*?(?:[.?!]+(?=\s)|$)\s*", re.DOTALL)


class Transcription:
    def __init__(self, context: Context, ears: Ears) -> None:
        self._context = context
        self._ears = ears

    def begin(self, pcm16k: bytes, settled: str = "") -> asyncio.Future[str]:
        """Recognise; the future gets the words or the error."""
        words: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._context.tasks.spawn(self.recognise(pcm16k, settled, words), "recognise")
        return words

    async def recognise(
        self, pcm16k: bytes, settled: str, words: asyncio.Future[str]
    ) -> str | None:
        """The words into ``words``, behind those that are settled; None when it failed."""
        try:
            text = (await self._ears.transcribe(pcm16k)).strip()
        except Exception as error:
            log.exception("speech recognition failed")
            if not words.done():
                words.set_exception(error)
                words.exception()  # taken notice of: it is logged above
            return None
        text = " ".join(part for part in (settled, text) if part)
        if not words.done():
            words.set_result(text)
        return text

    def hear(self, item_id: str) -> None:
        """Recognise a client's own audio item; no events, as in the service."""
        items = self._context.items
        for found, index in items.unheard():
            if found != item_id:
                continue
            words = self.begin(pcm16k_of(*items.audio(item_id, index)))
            key = f"{item_id}/{index}"
            self._context.words[key] = words
            words.add_done_callback(partial(self._heard, key, item_id, index))

    def _heard(self, key: str, item_id: str, index: int, words: asyncio.Future[str]) -> None:
        self._context.words.pop(key, None)
        if not words.cancelled() and words.exception() is None:
            self._context.items.set_transcript(
                item_id, words.result(), content_index=index, public=False
            )

    def publish(self, item_id: str, words: asyncio.Future[str], ms: float) -> None:
        """Give the words to the conversation, and to the client when it asked for them."""
        asked = self._context.settings.transcription
        public = asked is not None
        model = str((asked or {}).get("model", ""))
        self._context.words[item_id] = words

        def heard(done: asyncio.Future[str]) -> None:
            # A callback, not a task: whoever waits for the words wakes behind it and finds them.
            self._context.words.pop(item_id, None)
            if done.cancelled() or item_id not in self._context.items:
                return
            if (error := done.exception()) is not None:
                if public:
                    message = f"Input transcription failed: {error}"
                    self._context.send(events.transcription_failed(item_id, message))
                return
            self._context.items.set_transcript(item_id, done.result(), public=public)
            if public:
                self._completed(item_id, done.result(), ms, model)

        if words.done():
            heard(words)
        else:
            words.add_done_callback(heard)

    def _completed(self, item_id: str, text: str, ms: float, model: str) -> None:
        sentences = _SENTENCE.findall(text)
        for sentence in sentences:
            self._context.send(events.transcription_delta(item_id, sentence))
        if "diarize" in model:
            # One line has one caller. The recogniser gives no times: a sentence takes its share.
            at = 0.0
            for sentence in sentences:
                end = at + ms / 1000 * len(sentence) / len(text)
                segment = events.transcription_segment(item_id, sentence.strip(), at, end, "A")
                self._context.send(segment)
                at = end
        used = usage.transcription(model, ms, text)
        self._context.send(events.transcription_completed(item_id, text, used))


async def heard_input(context: Context, params: ResponseParams) -> ResponseParams:
    """The same with the words of audio that the client put into a response's own ``input``."""
    if params.input is None or context.models is None:
        return params
    items = []
    for item in params.input:
        parts = item.get("content")
        if isinstance(parts, list):
            item = {**item, "content": [await _heard_part(context, part) for part in parts]}
        items.append(item)
    return replace(params, input=tuple(items))


async def _heard_part(context: Context, part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part.get("type") != "input_audio" or part.get("transcript") or not part.get("audio"):
        return part
    assert context.models is not None
    form = context.settings.input_format
    pcm16k = pcm16k_of(decode_audio(part["audio"]), form)
    return {"type": "input_audio", "transcript": await context.models.ears.transcribe(pcm16k)}


def pcm16k_of(audio: bytes, form: AudioFormat) -> bytes:
    """Wire bytes as the ears take them."""
    buffer = InputBuffer(form, push_to_talk=True)
    buffer.append(audio)
    return buffer.commit().pcm16k
