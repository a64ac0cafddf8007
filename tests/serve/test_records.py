"""`records:`: the transcript of a call, written when it is over."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

from support.engine import Puppet, serving
from support.houses import SHOP, hall
from support.until import until

from runner.engine.ports import Call as ToolCall
from runner.engine.ports import Prompt
from runner.serve.records import write

FILE = (
    SHOP
    + '    tools: [price]\nrecords: { transcript: "kept/{call.id}.json" }\n'
    + "tools: { price: { python: tools.py:price } }\n"
)


def act(prompt: Prompt) -> list[str | ToolCall | Exception]:
    if prompt.items[-1]["type"] == "function_call_output":
        return ["It is nine dollars."]
    return [ToolCall("price", '{"what": "tyre"}')]


def test_what_was_said_and_done(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def price(what: str) -> str:\n    return '9'\n")
    puppet = Puppet()
    puppet.answer = act

    async def main(url: str) -> Any:
        async with hall(tmp_path, url, shop=FILE) as it:
            call = await it.call("shop")
            call.session.send_message("What is a tyre?")
            await until(lambda: "nine" in str(call.session.history[-1:]))
            await call.session.quiet()
            desk = it["shop"].desk
            assert desk is not None
            await desk.hang_up(call, "that was all")
        assert it.failed == []
        return call

    with serving(puppet, no_speech="typed") as engine:
        call = asyncio.run(main(engine.url))
    file = tmp_path / "kept" / f"{call.id}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = json.loads(file.read_text())
    assert told["items"] == [
        {"role": "user", "text": "What is a tyre?"},
        {"tool": "price", "arguments": '{"what": "tyre"}', "output": "9"},
        {"role": "assistant", "text": "It is nine dollars."},
    ]
    assert (told["call"], told["deployment"], told["reason"]) == (call.id, "shop", "that was all")
    assert (told["agents"], told["from"]) == (["desk"], "local")
    assert told["usage"]["output_tokens"] > 0
    assert told["cost"] is None  # there is no price for an engine of one's own


def test_nothing_is_written_over(tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        write(tmp_path / "deep" / "call.json", text)
    found = {file.name: file.read_text() for file in (tmp_path / "deep").iterdir()}
    assert found == {"call.json": "one", "call-2.json": "two", "call-3.json": "three"}


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")

    async def main(url: str) -> list[str]:
        text = SHOP + 'records: { transcript: "kept/{call.id}.json" }\n'
        async with hall(tmp_path, url, shop=text) as it:
            await it.call("shop")
        assert it.failed == []
        return it.warned

    with serving(Puppet(), no_speech="typed") as engine:
        [warned] = asyncio.run(main(engine.url))
    assert "was not written" in warned
