"""Twenty answers from a loudspeaker beside the microphone, at both levels: the agent's echo stops
none of them, and the caller stops all that are spoken into."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.speakerphone import LOUD, QUIET, on_the_phone, push_to_talk

ANSWERS = 20
BARGE_INS = ("Wait, please stop a moment.", "No, that is not what I asked.", "Hold on, please.")


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
@pytest.mark.parametrize("level", [QUIET, LOUD], ids=["quiet", "loud"])
def test_no_answer_is_cut_by_its_own_echo(level: float, transport: str, tmp_path: Path) -> None:
    with on_the_phone(tmp_path, gain_db=level, transport=transport, drift_ppm=50) as phone:
        for _ in range(ANSWERS):
            phone.ask("How much is a repair?", "40")
        assert not phone.run.of("interrupted"), phone.run.story()
        for words in BARGE_INS:
            phone.cut("What are your opening hours?", words)
            phone.quiet()
        push_to_talk(phone)
        phone.hang_up()


def test_without_echo_cancelling_the_microphone_waits(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "livekit.py").write_text("raise ImportError('no such package')")
    with on_the_phone(tmp_path, gain_db=LOUD, absent=absent) as phone:
        for _ in range(3):
            phone.ask("How much is a repair?", "40")
        phone.hang_up()
    assert "half duplex" in "".join(phone.run.errors)
    assert "rtrun[mic]" in "".join(phone.run.errors)
