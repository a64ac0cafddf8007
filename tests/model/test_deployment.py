from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from runner.model.deployment import AgentSpec, Deployment, HandoffSpec, ToolSpec, transfer_name

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("agent", "tool"),
    [
        ("billing", "transfer_to_billing"),
        ("Front Desk", "transfer_to_Front_Desk"),
        ("a.b-c_1", "transfer_to_a_b_c_1"),
        ("café", "transfer_to_caf_"),
    ],
)
def test_the_name_of_a_transfer_tool(agent: str, tool: str) -> None:
    assert transfer_name(agent) == tool
    assert HandoffSpec(agent).tool_name == tool


def test_where_a_tools_code_stands(tmp_path: Path) -> None:
    assert ToolSpec("t", "tools/cal.py:f", tmp_path).module_file() == tmp_path / "tools/cal.py"
    assert ToolSpec("t", "/abs/cal.py:f", tmp_path).module_file() == Path("/abs/cal.py")
    assert ToolSpec("t", "package.module:f", tmp_path).module_file() is None


def test_a_deployment_is_frozen_and_has_defaults(tmp_path: Path) -> None:
    desk = AgentSpec("desk", "Be kind.")
    deployment = Deployment("front", tmp_path / "front.yaml", {"desk": desk}, "desk")
    assert deployment.engine.type == "auto"
    assert deployment.transport.type == "websocket"
    assert deployment.reload.apply == "between_turns"
    assert deployment.limits.duration is None
    assert deployment.session.get("audio.output.voice") == "marin"
    with pytest.raises(FrozenInstanceError):
        deployment.name = "other"  # type: ignore[misc]
