"""Effects in order, and the names of what was sent."""

from __future__ import annotations

import pytest

from runner.core.effects import Notify, Send, Wake
from runner.core.events import HistoryUpdated
from runner.core.outbox import Outbox

pytestmark = pytest.mark.quick


def test_effects_come_out_once_in_the_order_they_went_in() -> None:
    out = Outbox()
    out.online = True
    name = out.send("response.create", "create", response={})
    out.tell(HistoryUpdated("a"))
    out.add(Wake(1.0))
    assert out.take() == [
        Send({"type": "response.create", "event_id": name, "response": {}}),
        Notify(HistoryUpdated("a")),
        Wake(1.0),
    ]
    assert out.take() == []
    assert out.purpose(name) == "create"


def test_off_line_nothing_is_sent_and_the_name_is_used_up() -> None:
    out = Outbox()
    first = out.send("response.create", "create")
    assert out.take() == []
    assert out.purpose(first) is None
    assert out.name() != first


def test_only_so_many_events_are_remembered() -> None:
    out = Outbox()
    out.online = True
    names = [out.send("x", "edit") for _ in range(1000)]
    assert out.purpose(names[0]) is None
    assert out.purpose(names[-1]) == "edit"
    assert out.purpose(None) is None
