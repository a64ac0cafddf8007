"""One item of a response on the wire: a message being spoken or written, or a function call.

The order is that of OpenAI's reference and of a GA capture: output_item.added,
conversation.item.added, content_part.added, deltas, the .done's of the part, content_part.done,
conversation.item.done, output_item.done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from runner.audio.formats import AudioFormat
from runner.engine.server.context import Context
from runner.engine.wire import Items, events, new_id

Status = Literal["completed", "incomplete"]
ARGUMENTS_DELTA = 24  # characters; the real service streams a token at a time


class OutputItem:
    """``items`` is the conversation, or a store of the response's own when it is out of band."""

    def __init__(
        self,
        context: Context,
        items: Items,
        response_id: str,
        index: int,
        item_id: str | None = None,
    ) -> None:
        self.id = item_id or new_id("item")
        self._context = context
        self._items = items
        self._mirrored = items is context.items
        self._events = events.Output(response_id, self.id, index)

    def _added(self, item: dict[str, Any]) -> None:
        self._context.send(self._events.added(item))
        if self._mirrored:
            previous = self._items.previous_id(self.id)
            self._context.send(events.conversation_item_added(item, previous))

    def _done(self, status: Status) -> dict[str, Any]:
        # A client may have deleted the item while it was being made: then no mirror of it.
        mirrored = self._mirrored and self.id in self._items
        previous = self._items.previous_id(self.id)
        item = self._items.finish(self.id, status)
        if mirrored:
            self._context.send(events.conversation_item_done(item, previous))
        self._context.send(self._events.done(item))
        return item


class Message(OutputItem):
    """An assistant message of one part: ``output_audio``, or ``output_text`` (no ``form``)."""

    def __init__(
        self,
        context: Context,
        items: Items,
        response_id: str,
        index: int,
        form: AudioFormat | None,
    ) -> None:
        super().__init__(context, items, response_id, index)
        self._response_id = response_id
        self._kind = "text" if form is None else "audio"
        self._text = ""
        self._added(items.start_message(self.id))
        if form is None:
            items.add_part(self.id, "output_text")
        else:
            items.add_part(self.id, "output_audio", form)
        context.send(self._events.part_added(self._kind))

    def write(self, text: str) -> None:
        """More text of a text answer."""
        if text:
            self._text += text
            self._items.add_text(self.id, 0, text)
            self._context.send(self._events.text_delta(text))

    def say(self, text: str) -> None:
        """The words of the clause whose sound follows."""
        if text:
            self._text += text
            self._context.send(self._events.transcript_delta(text))

    def sound(self, data: bytes, text: str = "", ms: float | None = None) -> None:
        """A piece of sound; with the first of a clause its text and whole length in ms."""
        self._items.add_audio(self.id, 0, data, text, ms)
        if data:
            self._context.audio_produced = True
            if (leg := self._context.leg) is not None:
                leg.play(self._response_id, self.id, data)
            else:
                self._context.send(self._events.audio_delta(data))

    def end(self, status: Status) -> dict[str, Any]:
        """Close it off with what was streamed; the finished item."""
        send = self._context.send
        if self._kind == "text":
            send(self._events.text_done(self._text))
        else:
            send(self._events.audio_done())
            send(self._events.transcript_done(self._text))
        send(self._events.part_done(self._kind, self._text))
        return self._done(status)


def function_call(
    context: Context, items: Items, response_id: str, index: int, name: str, arguments: str
) -> dict[str, Any]:
    """A whole function call, its arguments in small deltas; the finished item."""
    return _FunctionCall(context, items, response_id, index).send(name, arguments)


class _FunctionCall(OutputItem):
    def send(self, name: str, arguments: str) -> dict[str, Any]:
        call_id = new_id("call")
        self._added(self._items.start_call(self.id, call_id, name))
        for delta in pieces(arguments, ARGUMENTS_DELTA):
            self._items.add_arguments(self.id, delta)
            self._context.send(self._events.arguments_delta(call_id, delta))
        self._context.send(self._events.arguments_done(call_id, name, arguments))
        return self._done("completed")


def pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
