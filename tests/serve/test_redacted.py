"""A card number, a telephone's and an address of mail reach the model and the tool, and nobody
who looks or reads."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.engine import Puppet, serving
from support.houses import SHOP, hall
from support.until import until

from runner.cli.recorder import Records
from runner.core.events import (
    Dtmf,
    SessionError,
    SessionEvent,
    ToolApproval,
    Transcript,
    TranscriptDelta,
    Transfer,
)
from runner.engine.ports import Call as ToolCall
from runner.engine.ports import Prompt
from runner.model.redaction import Redactor
from runner.serve.redacted import Redacted, Wire
from runner.testing.record import read_log, replay_log

CARD = "4111 1111 1111 1111"
FILE = (
    SHOP
    + '    tools: [pay]\nrecords: { transcript: "kept/{call.id}.json", redact: [card_number] }\n'
    + "tools: { pay: { python: tools.py:pay } }\n"
)
TOOL = "paid = []\ndef pay(card: str) -> str:\n    paid.append(card)\n    return f'took {card}'\n"
REDACTOR = Redactor(("card_number", "email"))


def pays(prompt: Prompt) -> list[str | ToolCall | Exception]:
    if prompt.items[-1]["type"] == "function_call_output":
        return ["I took ", "4111 11", "11 1111 ", "11", "11 for ", "you."]
    return [ToolCall("pay", json.dumps({"card": CARD}))]


def free_of_it(text: str) -> bool:
    return not re.search(r"1111|4111", text)


def test_nothing_of_it_is_shown_or_kept(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(TOOL)
    puppet = Puppet()
    puppet.answer = pays
    shown: list[SessionEvent] = []
    lines: list[str] = []

    async def main(url: str) -> Any:
        async with hall(tmp_path, url, shop=FILE) as it:
            it.house.overhear(lambda of, call, event: shown.append(event))
            records = Records(tmp_path / "log", lambda words: None)
            it.house.listen(records.heard)
            tail = await it.stream("tail", raw=True)
            call = await it.call("shop")
            call.session.send_message(f"Pay with {CARD}, please.")
            await until(lambda: "for you" in str(call.session.history[-1:]))
            await call.session.quiet()
            # What the conversation has is whole: the model and the tool were given it.
            assert str(call.session.history).count(CARD) >= 3
            desk = it["shop"].desk
            assert desk is not None
            await desk.hang_up(call, "that was all")
        lines.extend([line async for line in tail.lines])
        assert it.failed == []
        return call

    with serving(puppet, no_speech="typed") as engine:
        call = asyncio.run(main(engine.url))
    assert CARD in str(puppet.prompts[-1].items)
    kept = (tmp_path / "kept" / f"{call.id}.json").read_text()
    [log] = (tmp_path / "log").iterdir()
    for text in (repr(shown), "\n".join(lines), kept, log.read_text()):
        assert free_of_it(text), text
        assert "[card_number]" in text
    # What was said in pieces is shown in pieces, up to the number and from its end on.
    deltas = "".join(e.delta for e in shown if isinstance(e, TranscriptDelta))
    assert deltas.startswith("I took ")
    said = [event.text for event in shown if isinstance(event, Transcript)]
    assert said[-1] == "I took [card_number] for you."
    [tool] = [item for item in json.loads(kept)["items"] if "tool" in item]
    assert json.loads(tool["arguments"]) == {"card": "[card_number]"}
    assert replay_log(read_log(log)).difference is None


def test_every_event_with_words() -> None:
    shown = Redacted()
    for event, left in (
        (ToolApproval("a", "c", "t", f'{{"n": "{CARD}"}}', ""), "arguments"),
        (SessionError("x", f"no {CARD}"), "message"),
        (Transfer("tel:+1", f"refused {CARD}"), "failed"),
        (Dtmf("4"), "key"),
    ):
        clean = shown(REDACTOR, "c", event)
        assert clean is not None
        assert getattr(clean, left) != getattr(event, left)
        assert free_of_it(repr(clean))
        assert shown(Redactor(), "c", event) is event


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("response.output_audio_transcript.delta", "delta"),
        ("response.output_text.delta", "delta"),
        ("response.function_call_arguments.delta", "delta"),
        ("conversation.item.input_audio_transcription.delta", "delta"),
        ("conversation.item.input_audio_transcription.segment", "text"),
    ],
)
def test_pieces_on_the_wire(kind: str, piece: str) -> None:
    wire = Wire()
    pieces = ["it is ", "41", "11 1111", " 11", "11 11", "11. Thanks a ", "lot"]
    told = [wire(REDACTOR, {"type": kind, "item_id": "i", piece: part})[piece] for part in pieces]
    assert told == ["it is ", "", "", "", "", "[card_number]. Thanks a ", ""]


def test_keys_and_sound_on_the_wire() -> None:
    wire = Wire()
    key = wire(REDACTOR, {"type": "input_audio_buffer.dtmf_event_received", "event": "4"})
    assert key["event"] == "[redacted]"
    sound = {"type": "response.output_audio.delta", "delta": "4111111111111111"}
    assert wire(REDACTOR, sound) == sound
    pressed = {
        "event": "dtmf",
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": "4"},
    }
    twilio = wire(REDACTOR, {"type": "twilio_message", "message": pressed})
    assert twilio["message"]["dtmf"] == {"track": "inbound_track", "digit": "[redacted]"}
    media = {
        "type": "twilio_message",
        "message": {"event": "media", "media": {"payload": "4" * 16}},
    }
    assert wire(REDACTOR, media) == media
    append = {"type": "input_audio_buffer.append", "audio": "4111111111111111"}
    assert wire(REDACTOR, append) == append
