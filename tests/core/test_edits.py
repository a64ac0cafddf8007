"""Edits of the history as client events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runner.core.edits import edits
from runner.core.events import Item, Role
from runner.errors import UserError

pytestmark = pytest.mark.quick


def text(name: str, words: str = "x", role: Role = "user") -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    part = {"type": kind, "text": words}
    return Item(name, "message", role, "completed", words, content=(part,))


SPOKEN = Item(
    "a1", "message", "assistant", "completed", "Hi",
    content=({"type": "output_audio", "transcript": "Hi"},),
)  # fmt: skip
CALL = Item("f1", "function_call", None, "completed", name="f", arguments="{}", call_id="c1")


def run(old: list[Item], new: list[Item], **anchors: str) -> list[tuple[str, dict[str, Any]]]:
    found = edits(old, new, lambda i: anchors.get(i, i))
    return [(kind.rpartition(".")[2], fields) for kind, fields in found]


def test_nothing_changed_is_nothing_sent() -> None:
    items = [text("a"), SPOKEN, CALL]
    assert run(items, list(items)) == []
    assert run(items, [replace(i) for i in items]) == []


def test_missing_items_are_deleted_calls_too() -> None:
    assert run([text("a"), CALL, SPOKEN], [text("a")]) == [
        ("delete", {"item_id": "f1"}),
        ("delete", {"item_id": "a1"}),
    ]


def test_new_items_name_their_predecessor() -> None:
    new = [text("0"), text("a"), CALL, text("b", "hi", "assistant")]
    made = run([text("a"), CALL], new, f1="o1")
    assert [(k, f["previous_item_id"]) for k, f in made] == [("create", "root"), ("create", "o1")]
    assert made[1][1]["item"] == {
        "id": "b",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "hi"}],
    }


def test_a_changed_item_keeps_its_place() -> None:
    made = run([text("a"), text("b"), text("c")], [text("a"), text("b", "new"), text("c")])
    assert [k for k, _ in made] == ["delete", "create"]
    assert made[1][1]["previous_item_id"] == "a"


def test_a_spoken_answer_may_become_text() -> None:
    made = run([SPOKEN], [replace(SPOKEN, text="Hello")])
    assert made[1][1]["item"]["content"] == [{"type": "output_text", "text": "Hello"}]


def test_what_the_caller_said_is_created_as_text() -> None:
    heard = Item(
        "u1", "message", "user", "completed", None,
        content=({"type": "input_audio", "transcript": "hello"},),
    )  # fmt: skip
    assert run([], [heard])[0][1]["item"]["content"] == [{"type": "input_text", "text": "hello"}]


def test_images_are_created_as_they_are() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA"}
    made = run([], [Item("u1", "message", "user", content=(image,))])
    assert made[0][1]["item"]["content"] == [image]


@pytest.mark.parametrize(
    "wrong",
    [SPOKEN, CALL, Item("x", "message", text="no role"), Item("", "message", "user", text="no id")],
)
def test_what_cannot_be_created_is_refused_before_anything_is_sent(wrong: Item) -> None:
    with pytest.raises(UserError):
        run([text("a")], [wrong])


def test_a_changed_call_is_refused() -> None:
    with pytest.raises(UserError):
        run([CALL], [replace(CALL, arguments="[]")])
