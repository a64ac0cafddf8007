"""Answers that are cut off, and what the server is told of them: the SDK's WebSocket cases."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import (
    Playbook,
    audio_done,
    cancelled,
    done,
    message,
    output_item,
    speech_started,
    view,
)

from runner.core.events import AgentEnd, Audio, Interrupted

pytestmark = pytest.mark.quick


def running(ms: float = 1000, **options: Any) -> Playbook:
    """An answer that is still being made, ``ms`` of it received, nothing heard."""
    play = Playbook(**options).open()
    play.do(play.core.send_message, "hello").begin("r1")
    play >> output_item("added", "r1", message("a1"))
    assert play.audio("r1", "a1", ms)
    return play


def cut_at(play: Playbook) -> int:
    (truncate,) = play.sent("conversation.item.truncate")
    assert truncate["item_id"] == "a1"
    end = truncate["audio_end_ms"]
    assert type(end) is int
    return end


def test_speech_over_an_answer_cuts_it() -> None:
    """WS25: it is truncated to what was heard and nothing more of it sounds. The cancel is the
    server's own; after response.done more speech sends nothing."""
    play = running().heard("a1", 300)
    play >> speech_started("u1")
    assert cut_at(play) == 300
    assert not play.sent("response.cancel")
    assert not play.audio("r1", "a1", 100)
    play >> cancelled("r1")
    assert [e.status for e in play.told(AgentEnd)] == ["cancelled"]
    play >> speech_started("u2")
    assert not play.sent()


def test_speech_over_an_answer_that_the_server_does_not_end_by_itself() -> None:
    """WS25: with interrupt_response off, the program cuts, and cancels too."""
    off = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    off["audio"]["input"]["turn_detection"]["interrupt_response"] = False
    play = running(agent=view(over=off)).heard("a1", 300)
    play >> speech_started("u1")
    assert not play.sent()
    play.do(play.core.interrupt)
    assert [event["type"] for event in play.sent()] == [
        "response.cancel",
        "conversation.item.truncate",
    ]


def test_speech_after_the_audio_was_made() -> None:
    """WS26: what was generated is not what was heard. Nothing is sent when all was played, and
    the rest is cut when it was not.

    Defect 5: the SDK lets an interruption after the generation pass."""
    play = running().heard("a1", 1000)
    play >> audio_done("r1", "a1")
    play >> done("r1")
    play.drained() >> speech_started("u1")
    assert not play.sent()
    play = running().heard("a1", 400)
    play >> audio_done("r1", "a1")
    play >> done("r1")
    play >> speech_started("u1")
    assert cut_at(play) == 400


def test_nothing_is_cut_on_a_line_that_is_gone() -> None:
    """WS28: interrupt sends nothing after the end."""
    play = running().heard("a1", 300)
    play.do(play.core.disconnected, reason="closed")
    play.do(play.core.interrupt)
    assert not play.sent()


@pytest.mark.parametrize(
    ("received", "heard", "end"),
    [
        (100.52, 100.52, 100),  # floored where the audio is no whole milliseconds
        (1000, 250.9, 250),  # floored where it was being played
        (100.52, 5000, 100),  # never beyond what came
        (1000, 0.9, 0),  # less than a millisecond is nothing
        (1000, 0, 0),
    ],
)
@pytest.mark.parametrize("speed", [None, 1, 1.25])
def test_the_end_is_whole_milliseconds_of_what_came(
    received: float, heard: float, end: int, speed: float | None
) -> None:
    """WS32, WS33, WS34, WS35, WS36, WS37: counted in samples that were played, at any speed."""
    over = {} if speed is None else {"audio": {"output": {"speed": speed}}}
    play = running(received, agent=view(over=over))
    play.heard("a1", heard).do(play.core.interrupt)
    assert cut_at(play) == end


def test_a_whole_cut() -> None:
    """WS38: one interruption is told, and interrupting again does nothing."""
    play = running().heard("a1", 420)
    play.do(play.core.interrupt)
    assert [event["type"] for event in play.sent()] == [
        "response.cancel",
        "conversation.item.truncate",
    ]
    assert cut_at(play) == 420
    assert play.told(Interrupted) == [Interrupted("desk", "a1", 420)]
    play.do(play.core.interrupt)
    assert not play.sent()
    play >> speech_started("u1")
    assert not play.sent()
    assert len(play.ever_told(Interrupted)) == 1
    assert not play.ever_told(Audio)


def test_a_message_after_a_cut() -> None:
    """WS39: its item goes at once, the request for an answer when the cut one is done."""
    play = running().heard("a1", 420)
    play.do(play.core.interrupt)
    play.do(play.core.send_message, "something else")
    assert [event["type"] for event in play.sent()] == ["conversation.item.create"]
    play >> cancelled("r1", "client_cancelled")
    assert [event["type"] for event in play.sent()] == ["response.create"]
