"""`rtrun doctor --public`: does the world find the telephone?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.command import invoke
from support.twilio import TOKEN, exchange

from runner.cli.outside import outside
from runner.serve.phone.probe import proof, proofs

TWILIO = """\
timezone: none
transport:
  type: twilio
  listen: 127.0.0.1:0
  public_url: "${PUBLIC:-http://127.0.0.1:9}"
  auth_token: ${TOKEN:-}
agents: { desk: { instructions: x } }
"""
SIP = """\
timezone: none
transport: { type: sip, listen: "127.0.0.1:0", webhook_secret: "${SECRET:-}" }
agents: { desk: { instructions: x } }
"""


def test_an_address_that_leads_here_and_others(tmp_path: Path) -> None:
    """Asked of a run that has the port, and of one with another token."""
    (tmp_path / "sip.yaml").write_text(SIP)

    async def main() -> None:
        async with exchange(tmp_path, "ws://127.0.0.1:1", one=TWILIO) as it:
            file, base = str(tmp_path / "one.yaml"), it.webhook.removesuffix("/twilio")

            async def told(file: str, url: str | None = None, **env: str) -> list[tuple[str, str]]:
                return [(f.state, f.text) for f in await outside(file, url, env)]

            here = await told(file, PUBLIC=base, TOKEN=TOKEN)
            assert [state for state, _ in here] == ["well", "well", "well"]
            assert here[0][1].startswith(f"{it.webhook} leads here")
            assert here[1][1].startswith("ws://")
            assert f"Webhook, {it.webhook}, HTTP POST" in here[2][1]
            assert (await told(file, it.webhook, TOKEN=TOKEN))[0][0] == "well"
            other = await told(file, PUBLIC=base, TOKEN="another")
            assert [state for state, _ in other] == ["broken", "broken", "well"]
            assert all("another secret" in words for _, words in other[:2])
            lost = await told(file, PUBLIC=f"{base}/elsewhere", TOKEN=TOKEN)
            assert "answers 404, not rtrun" in lost[0][1]
            assert [state for state, _ in lost] == ["broken", "broken", "well"]
            none = await told(file, TOKEN="")
            assert "auth_token is missing" in none[0][1]
            sip = await told(str(tmp_path / "sip.yaml"), base, SECRET="whsec_YWJj")
            assert [state for state, _ in sip] == ["broken", "well", "well"]
            assert f"realtime.call.incoming: {base}/webhook" in sip[1][1]

    asyncio.run(main())


def test_what_it_cannot_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text("agents: { desk: { instructions: x } }\n")
    code, _, said = invoke("doctor", "--public", file)
    assert (code, "no telephone" in said) == (2, True)
    code, _, said = invoke("doctor", "--url", "https://x.example")
    assert (code, "--url goes with --public" in said) == (2, True)
    (tmp_path / "sip.yaml").write_text(SIP)
    code, _, said = invoke("doctor", "--public", tmp_path / "sip.yaml")
    assert (code, "--url https://voice.example.com" in said) == (2, True)
    (tmp_path / "one.yaml").write_text(TWILIO)
    monkeypatch.setenv("TOKEN", "tok")
    code, out, _ = invoke("doctor", "--public", tmp_path / "one.yaml")
    assert code == 1
    assert "http://127.0.0.1:9/twilio cannot be reached" in out


def test_a_proof_is_one_of_a_nonce() -> None:
    assert proofs(["b", "a", "a"], "n1").split() == sorted([proof("a", "n1"), proof("b", "n1")])
    assert proofs(["a"], "evt.1700000000.{}") == ""
    assert proofs(["a"], "n" * 65) == ""
    assert proofs([], "n1") == ""
