"""Which voice counts, and the names that the package exports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import runner
from runner import RealtimeAgent, RealtimeSession

pytestmark = pytest.mark.quick

PCMU = {"type": "audio/pcmu"}
AUDIO = {"input": {"format": PCMU}, "output": {"format": PCMU}}


def audio(agent_voice: str | None, config: dict[str, Any]) -> dict[str, Any]:
    """``audio`` of the session object that a session of such an agent begins with."""
    session = RealtimeSession(RealtimeAgent("desk", voice=agent_voice), config=config)
    found: dict[str, Any] = asyncio.run(session.initial_session_config())["audio"]
    return found


def test_a_flat_voice_beside_the_wires_formats() -> None:
    """VC1: the formats stay, and the voice is set."""
    made = audio(None, {"voice": "alloy", "audio": AUDIO})
    assert made["input"]["format"] == PCMU
    assert made["output"] == {"format": PCMU, "voice": "alloy"}


def test_the_voice_of_the_config_stands_above_the_agents() -> None:
    """VC2: the formats stay, and audio.output.voice wins."""
    config = {"audio": {**AUDIO, "output": {"format": PCMU, "voice": "echo"}}}
    made = audio("alloy", config)
    assert made["output"] == {"format": PCMU, "voice": "echo"}
    assert made["input"]["format"] == PCMU


def test_a_flat_voice_stands_above_the_agents() -> None:
    """VC3: config.voice beats the voice of the agent."""
    assert audio("alloy", {"voice": "echo"})["output"]["voice"] == "echo"


def test_the_agents_voice_counts_when_nothing_else_was_said() -> None:
    """VC4: with a config without a voice, and without any."""
    assert audio("alloy", {"audio": AUDIO})["output"] == {"format": PCMU, "voice": "alloy"}
    assert audio("alloy", {})["output"]["voice"] == "alloy"
    assert audio(None, {})["output"]["voice"] == "marin"


def test_the_agent_is_there() -> None:
    """IX1: RealtimeAgent is exported and can be made."""
    assert "RealtimeAgent" in runner.__all__
    assert runner.RealtimeAgent("desk", "Be kind.").name == "desk"


def test_the_session_is_there() -> None:
    """IX2: RealtimeSession is exported and can be made."""
    assert "RealtimeSession" in runner.__all__
    assert not runner.RealtimeSession(runner.RealtimeAgent("desk")).connected
