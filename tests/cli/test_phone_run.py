"""`rtrun phone.yaml` against the service's side of a phone call: from the ring to the last word."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.command import Command, Row, rtrun
from support.phone_service import SECRET, PhoneCall, PhoneService

PHONE = """\
timezone: none
records: { transcript: "records/{call.id}.json" }
transport: { type: sip, listen: "127.0.0.1:0", webhook_secret: "${SECRET:-}" }
calls:
  - { from: "+1666*", reject: 603 }
  - { to: "+15550111", transfer: "tel:+15550199" }
  - { answer: desk }
agents:
  desk:
    instructions: You answer ${call.to} for ${call.from}.
    greeting: "Hello ${call.from}."
    tools: [end_call, collect_digits]
    handoffs:
      - { to: billing }
      - { transfer: "tel:+15550177", when: The caller is upset. }
  billing:
    instructions: You do the bills.
"""


@pytest.fixture
def service() -> Iterator[PhoneService]:
    with PhoneService() as it:
        yield it


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "phone.yaml").write_text(PHONE)
    return tmp_path / "phone.yaml"


@contextmanager
def running(service: PhoneService, file: Path, *flags: str) -> Iterator[tuple[Command, str]]:
    """The process, and where it wants to be told of calls."""
    env = {
        "RTRUN_ENGINE_KEY": "the-key", "SECRET": SECRET, "RTRUN_STATE": str(file.parent / "state"),
    }  # fmt: skip
    with Command("run", str(file), "--engine", service.url, *flags, env=env) as run:
        yield run, str(run.wait_for("ready")["urls"]["webhook"])


def greeted(service: PhoneService, run: Command, webhook: str, **call: str) -> PhoneCall:
    phone = service.ring(webhook, **call)
    run.wait_for("session_start")
    phone.until_said("Hello")
    return phone


def ended(run: Command) -> Row:
    return run.wait_for("session_end")


def test_a_call_from_the_ring_to_the_last_word(service: PhoneService, file: Path) -> None:
    """Defect 13: the webhook is served, and the call that it tells of."""
    with running(service, file) as (run, webhook):
        phone = service.ring(webhook, sender="+15559999")
        started = run.wait_for("session_start")
        assert (started["session"], started["agent"]) == (phone.id, "desk")
        phone.until_said("Hello +15559999.")
        verb, session = phone.requests[0]
        assert verb == "accept"
        assert "You answer +15550100 for +15559999." in session["instructions"]
        assert session["type"] == "realtime"
        assert "format" not in session["audio"]["input"]
        assert {tool["name"] for tool in session["tools"]} == {
            "end_call", "collect_digits", "transfer_to_billing", "transfer_to_tel_15550177",
        }  # fmt: skip
        assert service.keys == {"Bearer the-key"}
        phone.answers.append(("transfer_to_billing", {}))
        phone.says("My bill is wrong.")
        run.wait_for("handoff", lambda row: row["to"] == "billing")
        phone.until_said("Aha.")
        phone.hangs_up()
        assert ended(run)["reason"] == "the caller hung up"
        kept = file.parent / "records" / f"{phone.id}.json"
        phone.until(kept.exists)
        told = json.loads(kept.read_text())
        assert kept.stat().st_mode & 0o077 == 0
        assert (told["from"], told["to"]) == ("+15559999", "+15550100")
        assert (told["reason"], told["agents"]) == ("the caller hung up", ["desk", "billing"])
        assert [item.get("text") or item["tool"] for item in told["items"]] == [
            "Hello +15559999.", "My bill is wrong.", "transfer_to_billing", "Aha.",
        ]  # fmt: skip
        # What strangers say is not written down.
        assert [row for row in run.rows if row["event"] == "transcript"]
        assert not [row for row in run.rows if "text" in row or "arguments" in row]
        run.process.send_signal(signal.SIGTERM)
        assert run.finish() == 0, run.story()


def test_calls_that_are_not_answered(service: PhoneService, file: Path) -> None:
    """Defect 13: calls are refused, put through and hung up from a file."""
    with running(service, file) as (run, webhook):
        refused = service.ring(webhook, sender="+16660000")
        refused.until(lambda: refused.requests)
        assert refused.requests == [("reject", {"status_code": 603})]
        put = service.ring(webhook, to="+15550111")
        put.until(lambda: "refer" in put.verbs())
        assert put.requests[1] == ("refer", {"target_uri": "tel:+15550199"})
        service.refuses["refer"] = 500
        kept = service.ring(webhook, to="+15550111")
        kept.until(lambda: kept.verbs() == ["accept", "refer", "hangup"])
        assert run.of("session_start") == []


def test_the_agent_says_goodbye_and_hangs_up(service: PhoneService, file: Path) -> None:
    """The one line that there is becomes free."""
    file.write_text(PHONE + "limits: { calls: 1 }\n")
    with running(service, file) as (run, webhook):
        phone = greeted(service, run, webhook)
        second = service.ring(webhook)
        second.until(lambda: second.requests)
        assert second.requests == [("reject", {"status_code": 486})]
        phone.answers.extend([("end_call", {}), "Goodbye."])
        phone.says("That was all.")
        phone.until(lambda: "hangup" in phone.verbs())
        assert phone.said[-1] == "Goodbye."
        assert ended(run)["reason"] == "the agent ended the call"
        assert run.of("error") == []
        greeted(service, run, webhook)


def asks_for_a_person(service: PhoneService, run: Command, webhook: str) -> PhoneCall:
    phone = greeted(service, run, webhook)
    phone.answers.extend([("transfer_to_tel_15550177", {}), "I connect you.", "It is busy."])
    phone.says("I want a person!")
    assert run.wait_for("transfer")["to"] == "tel:+15550177"
    phone.until(lambda: "refer" in phone.verbs())
    return phone


def test_the_agent_puts_the_caller_through(service: PhoneService, file: Path) -> None:
    with running(service, file) as (run, webhook):
        gone = asks_for_a_person(service, run, webhook)
        assert ended(run)["reason"] == "put through to tel:+15550177"
        assert "hangup" not in gone.verbs()
        service.refuses["refer"] = 500
        stays = asks_for_a_person(service, run, webhook)
        assert "failed" in run.wait_for("transfer")
        stays.until_said("It is busy.")
        stays.hangs_up()
        assert ended(run)["reason"] == "the caller hung up"


def test_keys_of_the_telephone(service: PhoneService, file: Path) -> None:
    with running(service, file) as (run, webhook):
        phone = greeted(service, run, webhook)
        phone.answers.append("You want sales.")
        phone.presses("2#")
        run.wait_for("dtmf")
        phone.until_said("You want sales.")
        phone.answers.extend([("collect_digits", {"count": 4}), "Thank you."])
        phone.says("My account.")
        run.wait_for("tool_start")
        phone.presses("4711")
        phone.until_said("Thank you.")
        outputs = [e["item"] for e in phone.received if e["type"] == "conversation.item.create"]
        assert [i["output"] for i in outputs if i["type"] == "function_call_output"] == ["4711"]
        assert not [row for row in run.of("dtmf") if "key" in row]


def test_a_line_that_breaks_is_attached_again(service: PhoneService, file: Path) -> None:
    with running(service, file) as (run, webhook):
        phone = greeted(service, run, webhook)
        phone.drops()
        run.wait_for("reconnected")
        assert phone.attached == 2
        phone.says("Still there?")
        phone.until_said("Aha.")
        assert phone.said.count("Hello +15559999.") == 1
        phone.vanishes()
        phone.drops()  # and this time nobody is there any more
        assert ended(run)["reason"] == "the caller hung up"


def test_an_edit_reaches_the_caller(service: PhoneService, file: Path) -> None:
    """Their words stand in the log when that is asked for."""
    with running(service, file, "--log-content") as (run, webhook):
        phone = greeted(service, run, webhook)
        phone.says("Is anybody there?")
        run.wait_for("transcript", lambda row: row.get("text") == "Is anybody there?")
        file.write_text(PHONE.replace("You answer", "You sing to"))
        row = run.wait_for("config_applied")
        assert row["sessions"]["total"] == 1
        phone.until(lambda: "You sing to +15550100" in phone.session["instructions"])
        # And without what is redacted from now on.
        file.write_text(PHONE.replace("records: {", "records: { redact: [phone_number],"))
        run.wait_for("config_applied", lambda row: row["revision"] == 2)
        phone.says("Call me at +1 555 123 0100.")
        run.wait_for("transcript", lambda row: row.get("text") == "Call me at [phone_number].")


def test_a_service_that_runs_out_of_quota_in_mid_call(service: PhoneService, file: Path) -> None:
    file.write_text(PHONE + 'on_failure: { transfer: "tel:+15550188" }\n')
    with running(service, file) as (run, webhook):
        phone = greeted(service, run, webhook)
        error = {"type": "x", "code": "insufficient_quota", "message": "No quota left"}
        phone.tells({"type": "error", "error": error})
        assert ended(run)["reason"] == "the service failed: No quota left"
        phone.until(lambda: ("refer", {"target_uri": "tel:+15550188"}) in phone.requests)


def test_the_next_process_takes_the_callers_over(service: PhoneService, file: Path) -> None:
    """Killed in mid-call: nothing is said twice, and the caller has the agent that had the line."""
    with running(service, file) as (run, webhook):
        phone = greeted(service, run, webhook)
        phone.answers.append(("transfer_to_billing", {}))
        phone.says("My bill is wrong.")
        run.wait_for("handoff")
        phone.until_said("Aha.")
        run.process.kill()
        run.process.wait()
    said = len(phone.said)
    with running(service, file) as (run, _):
        started = run.wait_for("session_start")
        assert (started["session"], started["agent"]) == (phone.id, "billing")
        phone.until(lambda: phone.attached == 2)
        phone.says("Are you still there?")
        phone.until(lambda: len(phone.said) == said + 1)
        assert phone.verbs() == ["accept"]
        run.process.send_signal(signal.SIGINT)
        assert ended(run)["reason"] == "stopped"
        assert run.finish() == 0
        assert phone.verbs() == ["accept", "hangup"]


def test_two_signals_leave_the_callers_to_the_next_process(
    service: PhoneService, file: Path
) -> None:
    with running(service, file) as (run, webhook):
        phone = greeted(service, run, webhook)
        run.process.send_signal(signal.SIGTERM)
        refused = service.ring(webhook)
        refused.until(lambda: refused.requests)
        assert refused.requests == [("reject", {"status_code": 503})]
        run.process.send_signal(signal.SIGTERM)
        assert ended(run)["reason"] == "left to the next process"
        assert run.finish() == 0
    with running(service, file) as (run, _):
        assert run.wait_for("session_start")["session"] == phone.id
        assert phone.verbs() == ["accept"]


def test_a_caller_who_is_gone_and_a_service_that_refuses(service: PhoneService, file: Path) -> None:
    with running(service, file) as (run, webhook):
        service.refuses["accept"] = 404
        gone = service.ring(webhook)
        gone.until(lambda: gone.verbs() == ["accept"])
        service.refuses["accept"] = 429
        poor = service.ring(webhook)
        poor.until(lambda: poor.verbs() == ["accept", "reject"])
        assert poor.requests[1] == ("reject", {"status_code": 503})
        file.write_text(PHONE + 'on_failure: { transfer: "tel:+15550100" }\n')
        run.wait_for("config_applied")
        saved = service.ring(webhook)
        saved.until(lambda: saved.verbs() == ["accept", "refer"])
        assert saved.requests[1] == ("refer", {"target_uri": "tel:+15550100"})
        del service.refuses["accept"]
        greeted(service, run, webhook)
        assert len(run.of("session_start")) == 1
        last = next(reversed(service.calls.values()))
        last.drops(1008)  # the service wants no more of it
        assert "1008" not in ended(run)["reason"]
        last.until(lambda: last.verbs()[-1] == "refer")
        assert "No quota left" in "".join(run.errors)


def test_what_is_refused_at_the_start(file: Path) -> None:
    url = ("--engine", "wss://realtime.example.com/v1/realtime")
    without = rtrun("run", str(file), *url)
    assert without.returncode == 2
    assert "transport.webhook_secret is missing" in without.stderr
    typed = rtrun("run", str(file), "--set", f"transport.webhook_secret={SECRET}", *url, "--text")
    assert typed.returncode == 2
    assert "rings by phone" in typed.stderr
