"""The history as a program follows it: what is told of each change, and what it may change."""

from __future__ import annotations

from typing import Any

import pytest
from support.onaline import OnALine, on_a_line

from runner.core.events import Item
from runner.errors import UserError
from runner.testing import server

pytestmark = pytest.mark.quick


def test_items_come_and_go() -> None:
    """SE10: a new item is told as added and with the whole history; one that changes or goes,
    with the history alone."""

    async def story(on: OnALine) -> None:
        added: list[str] = []
        wholes: list[list[tuple[str, str | None]]] = []
        on.session.on("history_added", lambda item: added.append(item.item_id))
        on.session.on(
            "history_updated", lambda items: wholes.append([(i.item_id, i.text) for i in items])
        )
        part = {"type": "input_audio", "transcript": None}
        item = {"id": "u", "type": "message", "role": "user", "content": [part]}
        on.emit({"type": "conversation.item.added", "item": item})
        assert (added, [[i for i, _ in whole] for whole in wholes]) == (["u"], [["u"]])
        on.emit(
            {"type": "conversation.item.input_audio_transcription.completed",
             "item_id": "u", "content_index": 0, "transcript": "Hello."},
        )  # fmt: skip
        assert wholes[-1] == [("u", "Hello.")]
        on.emit({"type": "conversation.item.deleted", "item_id": "u"})
        assert wholes[-1] == []
        assert on.session.history == ()
        assert added == ["u"]

    on_a_line(story)


def test_an_edit_that_cannot_be_made_changes_nothing() -> None:
    """UserError before anything is sent, from a list as from a function; a function that raises
    is the program's own affair, and nothing is sent either."""

    async def story(on: OnALine) -> None:
        on.emit(*server.spoken("Good morning.", b"\1\0" * 240, response_id="r", item_id="a"))
        before = on.session.history
        spoken: Any = ({"type": "output_audio", "transcript": "Good night."},)
        new = Item("b", "message", role="assistant", content=spoken)
        with pytest.raises(UserError):
            on.session.update_history([new])
        with pytest.raises(UserError):
            on.session.update_history(lambda items: [*items, new])
        with pytest.raises(ZeroDivisionError):
            on.session.update_history(lambda items: [1 / 0])
        assert on.sent("conversation.item.delete") == []
        assert on.sent("conversation.item.create") == []
        assert on.session.history == before

    on_a_line(story)


def test_the_history_follows_the_server_and_not_the_edit() -> None:
    """SE31: what the server refuses to delete stays, and that is an error event."""

    async def story(on: OnALine) -> None:
        content = [{"type": "input_text", "text": "One"}]
        item = {"id": "u", "type": "message", "role": "user", "content": content}
        on.emit({"type": "conversation.item.done", "item": item})
        on.session.update_history([])
        [delete] = on.sent("conversation.item.delete")
        assert [entry.item_id for entry in on.session.history] == ["u"]
        on.emit(server.error("item_delete_invalid", event_id=delete["event_id"]))
        assert on.errors() == ["item_delete_invalid"]
        assert [entry.item_id for entry in on.session.history] == ["u"]

    on_a_line(story)
