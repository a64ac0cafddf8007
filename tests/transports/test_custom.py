"""The custom transport of docs/configuration.md on the real engine, and an edit of it in a call."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from support.engine import Puppet, serving, speech_models
from support.until import until

from runner.config.load import Loaded, load
from runner.desk import Address, Call, Desk
from runner.reload.apply import Applied, Applier, Rejected
from runner.toolbox import load_tools

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("\n## transport\n")[2].partition("\n## ")[0]
REST = """\
session: { output_modalities: [text] }
agents:
  desk: { instructions: Be kind. }
"""


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", SECTION, re.S)
    assert found is not None
    return found[1]


def test_the_page_s_transport_carries_a_call_and_an_edit_is_for_the_next(tmp_path: Path) -> None:
    code, file = tmp_path / "line.py", tmp_path / "desk.yaml"
    code.write_text(block("python"))
    file.write_text(block("yaml") + REST)

    def read() -> Loaded:
        return load(file, env={"DESK": "back"})

    async def talk(call: Call) -> None:
        before = len(call.session.history)
        call.session.send_message("Hello")
        await until(lambda: len(call.session.history) == before + 2 and not call.session.busy)
        assert call.session.history[-1].text == "You said: Hello"

    async def main(url: str) -> None:
        loaded = read()
        desk = Desk(loaded.deployment, load_tools(loaded), Address(url, "key"), lambda *_: None)
        applier = Applier(desk, loaded, read)
        try:
            one = await desk.open()
            await talk(one)
            line = vars(one.session.transport)
            assert (line["more"], line["last"]) == ({"X-Desk": "back"}, "response.done")

            code.write_text(block("python").replace("class Marked", "class Other"))
            refused = await applier.saved(time.monotonic())
            assert isinstance(refused, Rejected)
            assert "line.py has no class 'Marked'" in refused.problems[0].message

            code.write_text(block("python").replace("= headers", "= {**headers, 'X-New': '1'}", 1))
            applied = await applier.saved(time.monotonic())
            assert isinstance(applied, Applied)
            assert [(c.path, c.reload) for c in applied.changes] == [("transport.python", "new")]
            two = await desk.open()
            await talk(two)
            await talk(one)
            assert vars(two.session.transport)["more"] == {"X-Desk": "back", "X-New": "1"}
            assert vars(one.session.transport)["more"] == {"X-Desk": "back"}
        finally:
            await desk.close()

    with serving(Puppet(), speech_models()) as engine:
        asyncio.run(main(engine.url))
