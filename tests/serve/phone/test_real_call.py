"""A call that the engine holds, with a real voice at its other end, steered by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.engine import Puppet, serving, speech_models, spoken
from support.hearing import words_in
from support.houses import hall
from support.until import until
from support.webrtc import RtcClient, dialled

from runner.core.events import Transcript
from runner.engine.ports import Call as ToolCall
from runner.engine.ports import Prompt
from runner.media.resample import resample
from runner.transports.attached import without_formats
from runner.transports.sip import OpenAIRealtimeSIP

FILE = """\
timezone: none
session: { audio: { input: { turn_detection: { type: server_vad } } } }
agents:
  desk:
    instructions: x
    greeting: The bakery, good morning.
    tools: [end_call]
"""


class Closing(Puppet):
    def __init__(self) -> None:
        super().__init__()
        self.answer = self.act

    def act(self, prompt: Prompt) -> list[str | ToolCall | Exception]:
        if prompt.instructions.startswith("Say exactly"):
            return self.repeat(prompt)
        if prompt.items[-1]["type"] == "function_call_output":
            return ["Goodbye."]
        return [ToolCall("end_call", "{}")]


class Judged(OpenAIRealtimeSIP):
    """Tells who judges the call of what goes over the control socket."""

    def __init__(self, phone: RtcClient) -> None:
        super().__init__()
        self._phone = phone

    def send_event(self, event: Mapping[str, Any]) -> None:
        self._phone.checker.client(dict(event))
        super().send_event(event)


def test_a_call_is_greeted_heard_and_ended(tmp_path: Path) -> None:
    async def main(url: str, http: str) -> None:
        async with hall(tmp_path, url, shop=FILE) as it, dialled(http) as phone:
            desk = it["shop"].desk
            assert desk is not None
            line = Judged(phone)
            call = await desk.open(attach=phone.call_id, transport=line, fit=without_formats)
            assert call.id == phone.call_id
            told: list[Transcript] = []
            call.session.on("transcript", told.append)
            assert await line.alive()
            await phone.until("output_audio_buffer.stopped")
            assert [said.text for said in told] == ["The bakery, good morning."]
            phone.mouth.say(spoken("That was all, goodbye."))
            await until(call.ended.is_set, 30)
            assert (call.reason, call.lost) == ("the agent ended the call", False)
            assert [said.role for said in told] == ["assistant", "user", "assistant"]
            assert "goodbye" in told[1].text.lower().replace("-", "")
            await asyncio.wait_for(phone.closed.wait(), 10)  # it was hung up there, too
            heard = (await words_in(resample(bytes(phone.heard), 48_000, 16_000))).lower()
            assert "bakery" in heard
            assert "bye" in heard

    with serving(Closing(), speech_models()) as engine:
        asyncio.run(main(engine.url, engine.http))
