"""The local engine as a child process, which comes back when it ends by itself."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
from support.command import Command, kill_engine
from support.phones.sipp import Script, run
from support.until import until, until_sync

from runner import engines
from runner.engines import Engines
from runner.model.deployment import EngineSpec

SHOP = """\
transport: websocket
agents:
  desk:
    instructions: |
      You are the front desk of a bicycle shop called Spokes.
      We are open from 9 to 5, Monday to Friday.
      A flat tyre costs 12 dollars to repair.
"""
PHONE = """\
transport: { type: sip, listen: "127.0.0.1:0" }
agents:
  desk:
    instructions: You answer the phone.
    greeting: Hello.
"""


def test_a_call_goes_on_when_its_engine_was_killed(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    with Command("run", str(tmp_path / "shop.yaml"), "--engine", "local", "--text") as command:
        command.wait_for("session_start")
        command.type("What are your opening hours?")
        command.wait_for("turn_end")
        kill_engine(command.process.pid)
        command.wait_for("reconnected")
        command.type("What does a flat tyre cost?")
        command.wait_for("transcript", lambda row: "12 dollars" in row["text"])
        command.end_input()
        assert command.finish() == 0, command.story()
    (session,) = {row["session"] for row in command.rows if "session" in row}
    assert session
    said = "".join(command.errors)
    assert "engine: it ended with exit code -9, and is started again" in said
    assert "engine: it is back" in said


def test_the_phone_is_answered_again_at_its_address(tmp_path: Path) -> None:
    (tmp_path / "phone.yaml").write_text(PHONE)
    env = {"RTRUN_SIP": "127.0.0.1:0", "RTRUN_STATE": str(tmp_path / "state")}
    with Command("run", str(tmp_path / "phone.yaml"), env=env) as command:
        dial = command.wait_for("ready")["urls"]["dial"].partition("@")[2]
        kill_engine(command.process.pid)
        until_sync(lambda: any("it is back" in line for line in command.errors), 30)
        script = Script().invite().answered().wait(500).bye()
        result = run(script, dial, tmp_path)
        assert (result.code, result.good) == (0, 1), result.output
        command.wait_for("session_end")


def test_it_is_given_up_when_it_cannot_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "AGAIN", (0.0, 0.1))

    async def main() -> list[str]:
        said: list[str] = []
        running = Engines(dict(os.environ), said.append, lasting=True)
        try:
            engine = await running.get(EngineSpec(type="local"))
            port = int((engine.address.url or "").rpartition(":")[2].partition("/")[0])
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

                def taken() -> bool:
                    try:
                        other.bind(("127.0.0.1", port))
                    except OSError:
                        return False
                    return True

                kill_engine(os.getpid())
                await until(taken)  # a moment after it is dead, and long before the next is there
                other.listen()
                await until(lambda: said and "given up" in said[-1], 60)
        finally:
            await running.close()
        return said

    said = asyncio.run(main())
    assert sum("in use" in line for line in said) == 2, said
