"""What conversation tests are made of: stubs, and what a line does to a voice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from support.chat_server import Answer, chat_server
from support.deployments import ROOT

from runner.desk import Address
from runner.errors import RtrunError
from runner.model.calltest import StubSpec
from runner.testing.acoustics import tail, through
from runner.testing.diary import Entry
from runner.testing.judge import Judge, judge_of
from runner.testing.stubs import StubbedDesk
from runner.testing.suite import read_suite
from runner.toolbox import Toolbox
from runner.tools.base import FunctionTool, Tool, ToolContext


def test_tools_of_a_server_are_stubbed_by_their_own_names() -> None:
    class Server:
        name = "books"
        closed = False

        async def tools(self) -> Sequence[Tool]:
            return [FunctionTool("find", lambda: "really"), FunctionTool("book", lambda: "really")]

        async def close(self) -> None:
            self.closed = True

    async def scenario() -> list[Any]:
        deployment = read_suite(ROOT / "agents.d" / "hello.yaml", {})[0].loaded.deployment
        servers = Server()
        desk = StubbedDesk(
            deployment,
            Toolbox(servers={"books": servers}),
            Address(),
            lambda call, event: None,
            stubs={"book": StubSpec("stubbed")},
        )
        tools = await desk.tools.servers["books"].tools()
        desk.tools = desk.tools  # an edit that keeps the server wraps it no second time
        context = ToolContext("desk", "x", "call_1")
        outputs = [await tool.run("{}", context) for tool in tools]
        await desk.close()
        return [*outputs, servers.closed]

    assert asyncio.run(scenario()) == ["really", "stubbed", True]


def test_noise_is_as_loud_as_it_was_asked_for() -> None:
    tone = (8000 * np.sin(np.arange(48_000) / 20)).astype("<i2")
    noisy = np.frombuffer(through(tone.tobytes(), noise=10.0), "<i2").astype(float)
    power = float(np.mean((noisy - tone) ** 2)) / float(np.mean(tone.astype(float) ** 2))
    assert -10.6 < 10 * np.log10(power) < -9.4
    assert through(tone.tobytes(), noise=10.0) == through(tone.tobytes(), noise=10.0)


@pytest.mark.parametrize(("hertz", "passes"), [(100, False), (1000, True), (6000, False)])
def test_a_telephone_carries_its_band(hertz: int, passes: bool) -> None:
    tone = (8000 * np.sin(2 * np.pi * hertz * np.arange(24_000) / 24_000)).astype("<i2")
    heard = np.frombuffer(through(tone.tobytes(), telephone=True), "<i2").astype(float)
    share = float(np.mean(heard**2)) / float(np.mean(tone.astype(float) ** 2))
    assert (share > 0.8) is passes
    assert (share < 0.02) is not passes


def test_the_silence_after_a_voice() -> None:
    voice = np.full(12_000, 8000, "<i2").tobytes()
    assert tail(voice + bytes(24_000)) == 0.5
    assert tail(bytes(2400)) == tail(b"") == 0.0


@pytest.mark.parametrize(
    ("said", "yes"), [("YES, it is.", True), ("**Yes**", True), ("No, it is rude.", False)]
)
def test_a_judge_answers_with_yes_or_no(said: str, yes: bool) -> None:
    answers: Answer = _completion(said)

    async def scenario() -> tuple[bool, str]:
        async with chat_server(answers) as server:
            env = {"RTRUN_JUDGE_URL": server.url, "RTRUN_JUDGE_KEY": "k"}
            deployment = read_suite(ROOT / "agents.d" / "hello.yaml", {})[0].loaded.deployment
            judge = judge_of(deployment, env)
            assert judge is not None
            answer = await judge.ask("Is it polite?", [Entry(0.0, "agent", "Good morning.")])
            asked = server.requests[0]["messages"][1]["content"]
            assert "agent: Good morning." in asked
            assert asked.endswith("The question: Is it polite?")
            return answer

    assert asyncio.run(scenario()) == (yes, said)


def test_a_judge_that_cannot_be_asked_says_so() -> None:
    judge = Judge("http://127.0.0.1:9/v1", "m")
    with pytest.raises(RtrunError, match="the judge did not answer: APIConnectionError"):
        asyncio.run(judge.ask("Is it polite?", []))


def _completion(said: str) -> Answer:
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    told = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    body = json.dumps({**told, "choices": [choice]}).encode()

    async def answer(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return answer
