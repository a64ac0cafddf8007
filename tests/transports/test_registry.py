from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.errors import UserError
from runner.transports import registry
from runner.transports.websocket import OpenAIRealtimeWebSocket

pytestmark = pytest.mark.quick

LINE = """
from runner.transports.base import RealtimeTransportLayer

class Line(RealtimeTransportLayer):
    def __init__(self, *, port=1):
        super().__init__()
        self.port = port
    async def connect(self, options): self.status = "connected"
    def send_event(self, event): pass
    async def close(self): pass

class Half(RealtimeTransportLayer):
    pass

def function(): pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lines_of_a_user.py").write_text(LINE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_ours_by_name() -> None:
    made = registry.create("websocket", url="ws://127.0.0.1:1/")
    assert type(made) is OpenAIRealtimeWebSocket
    assert made.status == "disconnected"


@pytest.mark.usefixtures("module")
def test_a_users_own_by_module() -> None:
    made: Any = registry.create("lines_of_a_user:Line", port=7)
    assert (type(made).__name__, made.port, made.playback) == ("Line", 7, "client")


def test_a_users_own_by_path(module: Path) -> None:
    made: Any = registry.create(f"{module}/lines_of_a_user.py:Line")
    assert made.port == 1


def test_a_users_own_by_entry_point(module: Path) -> None:
    # As pip leaves it beside an installed package.
    installed = module / "theirs-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    points = f"[{registry.GROUP}]\ntheirs = lines_of_a_user:Line\n"
    (installed / "entry_points.txt").write_text(points)
    assert type(registry.create("theirs")).__name__ == "Line"
    with pytest.raises(UserError, match="no transport 'other'") as caught:
        registry.create("other")
    assert "theirs, webrtc, websocket, module:Class" in caught.value.hint


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("carrier-pigeon", "there is no transport 'carrier-pigeon'"),
        ("nowhere_at_all:Line", "cannot be loaded: No module named 'nowhere_at_all'"),
        ("lines_of_a_user:Lien", "cannot be loaded: .*Lien"),
        ("lines_of_a_user:function", "is no RealtimeTransportLayer"),
        ("builtins:int", "is no RealtimeTransportLayer"),
        ("lines_of_a_user:Half", "cannot be made: .*abstract"),
        ("nothing/there.py:Line", "cannot be loaded: "),
        (":Line", "cannot be loaded: "),
        ("lines_of_a_user:", "cannot be loaded: "),
    ],
)
def test_what_is_no_transport_is_named(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        registry.create(name)


@pytest.mark.usefixtures("module")
def test_options_that_do_not_fit() -> None:
    with pytest.raises(UserError, match=r"cannot be made: .*baud"):
        registry.create("lines_of_a_user:Line", baud=9600)


def test_a_module_that_does_not_import(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(UserError, match="cannot be loaded: invalid syntax"):
        registry.create(f"{tmp_path}/broken.py:Line")
