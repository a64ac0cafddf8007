"""The microphone stays open while the agent speaks from a loudspeaker beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.speakerphone import LOUD, QUIET, on_the_phone


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
def test_the_agent_is_cut_by_the_caller_and_not_by_its_own_echo(
    transport: str, tmp_path: Path
) -> None:
    level = LOUD if transport == "websocket" else QUIET
    with on_the_phone(tmp_path, gain_db=level, transport=transport, drift_ppm=80) as phone:
        assert "40" in phone.ask("How much is a repair?")
        heard = phone.cut("What are your opening hours?", "Wait, please stop a moment.")
        assert 0 < heard < 6000, phone.run.story()
        phone.hang_up()
    assert "half duplex" not in phone.run.story()
    assert len(phone.run.of("interrupted")) == 1
