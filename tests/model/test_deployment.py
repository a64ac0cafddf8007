from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from runner.model.deployment import (
    AgentSpec,
    Deployment,
    GuardrailSpec,
    HandoffSpec,
    HttpSpec,
    ToolSpec,
    arguments_in,
)
from runner.model.names import transfer_name
from runner.model.secret import Secret
from runner.model.silence import Silence

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


def test_where_a_guardrails_code_stands(tmp_path: Path) -> None:
    assert GuardrailSpec("g", python="r.py:f", base=tmp_path).module_file() == tmp_path / "r.py"
    assert GuardrailSpec("g", phrases=("x",), base=tmp_path).module_file() is None


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("/{b}/{a}/{b}", ("b", "a")),
        ('{} {1} {a b} {"k": {v}} ${x}', ("v", "x")),
        ([{"x": "{a}"}, Secret("Bearer {b}"), 5, None], ("a", "b")),
        ({"{a}": 1}, ()),
    ],
)
def test_arguments_of_a_request(value: object, names: tuple[str, ...]) -> None:
    assert arguments_in(value) == names


def test_arguments_stand_in_order_of_appearance() -> None:
    http = HttpSpec(
        "https://x/{a}", query={"q": "{b}"}, headers={"H": Secret("{c}")}, body=["{d}", "{a}"]
    )
    assert http.arguments() == ("a", "b", "c", "d")


def test_a_hosted_server_on_the_wire() -> None:
    given = {
        "server_label": "w",
        "authorization": Secret("k"),
        "headers": {"H": Secret("v")},
        "allowed_tools": ("a",),
    }
    assert ToolSpec("t", hosted_mcp=given).hosted_wire() == {
        "type": "mcp",
        "server_label": "w",
        "authorization": "k",
        "headers": {"H": "v"},
        "allowed_tools": ["a"],
    }
    unset = ToolSpec("t", hosted_mcp={"server_label": "w", "authorization": Secret("")})
    assert unset.hosted_wire() == {"type": "mcp", "server_label": "w"}


def test_a_deployment_is_frozen_and_has_defaults(tmp_path: Path) -> None:
    desk = AgentSpec("desk", "Be kind.")
    deployment = Deployment("front", tmp_path / "front.yaml", {"desk": desk}, "desk")
    assert deployment.engine.type == "auto"
    assert deployment.transport.type == "webrtc"
    assert deployment.reload.apply == "between_turns"
    assert deployment.limits.duration is None
    assert (deployment.guardrails, deployment.silence) == ((), Silence())
    assert deployment.session.get("audio.output.voice") == "marin"
    with pytest.raises(FrozenInstanceError):
        deployment.name = "other"  # type: ignore[misc]
