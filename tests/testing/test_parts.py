"""What conversation tests are made of: stubs, and what a line does to a voice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from support.deployments import ROOT

from runner.desk import Address
from runner.model.calltest import StubSpec
from runner.testing.acoustics import tail, through
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
