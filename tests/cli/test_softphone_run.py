"""`rtrun phone.yaml` without a key: the local engine answers a SIP phone that is not ours."""

from __future__ import annotations

from pathlib import Path

from support.command import Command
from support.phones.sipp import Script, run

PHONE = """\
timezone: none
transport: { type: sip, listen: "127.0.0.1:0" }
calls:
  - { from: "+1666*", reject: 603 }
  - { answer: desk }
agents:
  desk:
    instructions: You answer ${call.from}.
    greeting: "Hello ${call.from}."
limits: { calls: 1 }
"""


def test_a_softphone_is_answered_without_a_key(tmp_path: Path) -> None:
    (tmp_path / "phone.yaml").write_text(PHONE)
    env = {"RTRUN_SIP": "127.0.0.1:0", "RTRUN_STATE": str(tmp_path / "state")}
    with Command("run", str(tmp_path / "phone.yaml"), env=env) as command:
        ready = command.wait_for("ready")
        name, _, dial = ready["urls"]["dial"].partition("@")
        assert (ready["engine"], name) == ("local", "sip:phone")
        key = "Content-Type: application/dtmf-relay"
        script = Script().invite().answered().wait(1500)
        script.request("INFO", key, body="Signal=5\n").expect(200).wait(1500).bye()
        result = run(script, dial, tmp_path)
        assert (result.code, result.good) == (0, 1), result.output
        started = command.wait_for("session_start")
        assert started["agent"] == "desk"
        assert command.wait_for("turn_end")["played_ms"] > 500
        command.wait_for("dtmf")
        ended = command.wait_for("session_end")
        assert ended["reason"] == "the caller hung up"
        # The file is edited, and the next caller hears of it.
        (tmp_path / "phone.yaml").write_text(PHONE.replace("answer: desk", "reject: 486"))
        command.wait_for("config_applied")
        result = run(Script().invite().refused(486), dial, tmp_path)
        assert (result.code, result.good) == (0, 1), result.output


def test_one_call_is_placed_by_the_flags(tmp_path: Path) -> None:
    (tmp_path / "phone.yaml").write_text(PHONE.replace("Hello ${call.from}.", "Hello."))
    env = {"RTRUN_STATE": str(tmp_path / "state")}
    flags = ("--say", "What time is it?", "--out", str(tmp_path / "call.wav"), "--log-content")
    with Command("run", str(tmp_path / "phone.yaml"), *flags, env=env) as command:
        assert command.finish(90) == 0, command.story()
        texts = [row["text"] for row in command.of("transcript")]
        assert texts[0] == "Hello."
        assert "time" in texts[1]
        assert len(texts) == 3
    assert (tmp_path / "call.wav").stat().st_size > 200_000


def test_what_the_engine_needs_to_be_a_telephone(tmp_path: Path) -> None:
    for flags, words in (
        (["--sip", "0"], "--webhook"),
        (["--sip", "x", "--webhook", "http://127.0.0.1:1/"], "not [HOST:]PORT"),
        (["--webhook", "http://127.0.0.1:1/"], "without --sip"),
        (["--sip", "0", "--webhook", "ftp://x"], "--webhook"),
        (["--sip", "0.0.0.0:0", "--webhook", "http://127.0.0.1:1/"], "without a key"),
        (["--sip", "0", "--sip-tls", "0", "--webhook", "http://127.0.0.1:1/"], "go together"),
        (["--sip-public", "203.0.113.7"], "without --sip"),
        (["--sip", "0", "--sip-public", "x.y", "--webhook", "http://127.0.0.1:1/"], "no IP"),
        (["--sip", "0", "--sip-public", "::", "--webhook", "http://127.0.0.1:1/"], "reach"),
    ):
        env = {"RTRUN_WEBHOOK_SECRET": "whsec_eA=="}
        with Command("engine", "--port", "0", *flags, env=env) as command:
            assert command.finish() == 2, command.story()
            assert words in "".join(command.errors)
    with Command("engine", "--port", "0", "--sip", "0", "--webhook", "http://127.0.0.1:1/") as it:
        assert it.finish() == 2
        assert "RTRUN_WEBHOOK_SECRET" in "".join(it.errors)
