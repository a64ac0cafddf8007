"""`transport: sip` and `calls:`: what a file may say, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import loaded, only, problems, told

from runner.config.diff import diff
from runner.config.phone import same_number
from runner.model.phone import Incoming

pytestmark = pytest.mark.quick

AGENTS = "agents:\n  desk: { instructions: x }\n  night: { instructions: y }\n"


def file(more: str = "", transport: str = "sip") -> str:
    return f"{AGENTS}transport: {transport}\nentry: desk\n{more}"


def warned(folder: Path, text: str) -> list[str]:
    return [w.code for w in loaded(folder, text).warnings if w.code != "RT901"]


def test_a_plain_phone(tmp_path: Path) -> None:
    spec = loaded(tmp_path, file()).deployment.transport
    assert (spec.type, spec.options) == ("sip", {})


def test_rules(tmp_path: Path) -> None:
    text = file(
        "calls:\n"
        "  - { from: ['+1666*', anonymous], reject: 603 }\n"
        "  - { to: '+1 555 0100', hours: 'mon-fri 08:00-18:00', answer: desk }\n"
        "  - { headers: { X-Trunk: '${T}' }, transfer: 'tel:+15550199' }\n"
    )
    deployment = loaded(tmp_path, text, {"T": "s3cret-of-the-trunk"}).deployment
    first, second, third = deployment.calls
    assert (first.sender, first.reject) == (("+1666*", "anonymous"), 603)
    assert (second.to, second.answer) == (("+1 555 0100",), "desk")
    assert third.transfer == "tel:+15550199"
    assert third.fits(Incoming("r", (("x-trunk", "s3cret-of-the-trunk"),)), None)  # type: ignore[arg-type]
    assert "s3cret" not in repr(third)


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("calls: [{ answer: ¦dusk }]\n",
         "calls[0].answer: no agent is called 'dusk' (did you mean desk?)"),
        ("calls: [{ reject: 486, ¦answer: desk }]\n",
         "calls[0].answer: a rule for calls has only one of answer, reject, transfer; "
         "reject and answer stand here (take out all but reject)"),
        ("calls: [¦{ to: '1' }]\n",
         "calls[0]: a rule for calls has one of answer, reject, transfer; here stands to"),
        ("calls: [{ answer: desk, hours: ¦'mo 09:00-17:00' }]\n",
         "calls[0].hours: 'mo 09:00-17:00' is not such as mon-fri 08:00-18:00"),
        ("calls: [{ reject: ¦200 }]\n", "calls[0].reject: 200 is below 400 (the minimum is 400)"),
        ("calls: [{ transfer: ¦'+1555' }]\n",
         "calls[0].transfer: '+1555' is not tel:+15551230100 or sip:name@host"),
        ("session: { audio: { input: { turn_detection: { type: server_vad, "
         "¦threshold: 0.4 } } } }\n",
         "session.audio.input.turn_detection.threshold: a phone call takes no threshold "
         "(leave it out; OpenAI refuses the whole call for it)"),
        ("session: { audio: { output: { ¦format: g711_ulaw } } }\n",
         "session.audio.output.format: the phone decides the audio format (leave it out)"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_place(tmp_path: Path, marked: str, message: str) -> None:
    told(tmp_path, file(marked), message)


def test_a_rule_that_is_never_asked(tmp_path: Path) -> None:
    text = file("calls:\n  - { answer: desk }\n  - { to: '1', answer: night }\n")
    found = only(problems(tmp_path, text))
    assert (found.code, found.path) == ("RT413", "calls[1]")
    assert "the rule in line 7" in found.message
    fine = file("calls:\n  - { from: '2', answer: desk }\n  - { to: '1', answer: night }\n")
    assert problems(tmp_path, fine) == ()


@pytest.mark.parametrize(
    ("kind", "key", "hint"),
    [
        ("websocket", "listen: '127.0.0.1:1'", "type: sip or twilio"),
        ("webrtc", "path: /x", "type: sip or twilio"),
        ("websocket", "webhook_secret: '${S:-}'", "type: sip"),
        ("twilio", "webhook_secret: '${S:-}'", "type: sip"),
        ("sip", "auth_token: '${S:-}'", "type: twilio"),
        ("cloudflare", "public_url: 'https://x.example'", "type: twilio"),
        ("sip", "api_url: 'https://x.example'", "type: twilio"),
    ],
)
def test_keys_of_the_phone_belong_to_it(tmp_path: Path, kind: str, key: str, hint: str) -> None:
    found = only(problems(tmp_path, file(transport=f"{{ type: {kind}, {key} }}")))
    assert (found.code, found.hint) == ("RT109", hint)


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("transport: { type: twilio, public_url: ¦'http://voice.example.com' }\n",
         "transport.public_url: over http: anybody on the way could listen "
         "(https://, which Twilio asks for)"),
        ("transport: { type: twilio, public_url: ¦voice.example.com }\n",
         "transport.public_url: 'voice.example.com' is not a URL such as "
         "https://voice.example.com"),
        ("transport: { type: twilio, api_url: ¦'https://x:99999' }\n",
         "transport.api_url: this URL names no server (such as https://api.example.com/v1)"),
        ("transport: twilio\n"
         "session: { audio: { input: { ¦format: pcm16 } } }\n",
         "session.audio.input.format: Twilio decides the audio format (leave it out)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_twilio_has_its_place(tmp_path: Path, marked: str, message: str) -> None:
    told(tmp_path, AGENTS + "entry: desk\n" + marked, message)


def test_twilio_takes_every_turn_detection_and_a_token_in_the_file_is_warned_of(
    tmp_path: Path,
) -> None:
    text = file(
        "session: { audio: { input: { turn_detection: "
        "{ type: server_vad, threshold: 0.4, silence_duration_ms: 300 } } } }\n",
        "{ type: twilio, public_url: 'http://127.0.0.1:8080', auth_token: 0123456789abcdef }",
    )
    found = loaded(tmp_path, text)
    assert [w.code for w in found.warnings if w.code == "RT904"] == ["RT904"]
    assert "0123456789abcdef" not in "".join(w.render() for w in found.warnings)
    assert "0123456789abcdef" not in repr(found.deployment)


@pytest.mark.parametrize("given", ["8080", "127.0.0.1", "1.2.3.4:99999", "'a b:1'"])
def test_no_address(tmp_path: Path, given: str) -> None:
    assert only(problems(tmp_path, file(transport=f"{{ type: sip, listen: {given} }}")))


def test_rules_without_a_phone_are_warned_of(tmp_path: Path) -> None:
    assert warned(tmp_path, file("calls: [{ answer: desk }]\n", "websocket")) == ["RT910"]


def test_a_handoff_to_a_telephone(tmp_path: Path) -> None:
    text = (
        "transport: sip\nagents:\n  desk:\n    instructions: x\n    handoffs:\n"
        "      - { transfer: 'tel:+1-555-0199', when: The caller is upset. }\n"
    )
    way = loaded(tmp_path, text).deployment.agents["desk"].handoffs[0]
    assert (way.transfer, way.tool_name) == ("tel:+1-555-0199", "transfer_to_tel_1_555_0199")
    assert warned(tmp_path, text.replace("transport: sip", "transport: websocket")) == ["RT910"]
    told(
        tmp_path,
        text.replace("{ transfer", "{ to: night, ¦transfer") + "  night: { instructions: y }\n",
        "agents.desk.handoffs[0].transfer: a handoff has only one of to, transfer; "
        "to and transfer stand here (take out all but to)",
    )


def test_where_a_caller_goes_when_the_service_fails(tmp_path: Path) -> None:
    text = file('on_failure: { transfer: "tel:+15550100" }\nlimits: { cost_per_call: 1.5 }\n')
    deployment = loaded(tmp_path, text).deployment
    assert (deployment.on_failure.transfer, deployment.limits.cost_per_call) == (
        "tel:+15550100",
        1.5,
    )
    assert warned(tmp_path, text.replace("transport: sip", "transport: websocket")) == ["RT910"]


def test_what_an_edit_changes(tmp_path: Path) -> None:
    one = loaded(tmp_path, file("calls: [{ answer: desk }]\nlimits: { calls: 2 }\n")).deployment
    two = loaded(
        tmp_path,
        file(
            "calls: [{ answer: night }]\nlimits: { calls: 3 }\n",
            "{ type: sip, listen: '1.1.1.1:2' }",
        ),
    ).deployment
    assert [(c.path, c.reload) for c in diff(one, two)] == [
        ("transport.listen", "restart"), ("calls", "new"), ("limits.calls", "new"),
    ]  # fmt: skip


def test_what_an_edit_of_twilio_changes(tmp_path: Path) -> None:
    env = {"ONE": "1" * 32, "TWO": "2" * 32}
    one = loaded(tmp_path, file("", "{ type: twilio, auth_token: '${ONE}' }"), env).deployment
    two = loaded(
        tmp_path,
        file("", "{ type: twilio, auth_token: '${TWO}', public_url: 'https://x.example' }"),
        env,
    ).deployment
    changes = diff(one, two)
    assert sorted((c.path, c.reload) for c in changes) == [
        ("transport.auth_token", "restart"), ("transport.public_url", "restart"),
    ]  # fmt: skip
    assert "1111" not in repr(changes)


def test_two_kinds_of_telephone_at_one_address(tmp_path: Path) -> None:
    ours = loaded(tmp_path, file("", "{ type: twilio, listen: '127.0.0.1:1' }"))
    others = (
        ("{ type: sip, listen: '127.0.0.1:1' }", None),
        ("{ type: sip, listen: '127.0.0.1:1', path: /twilio }", "transport sip"),
        ("{ type: twilio, listen: '127.0.0.1:2' }", None),
        ("{ type: twilio, listen: '127.0.0.1:1' }", "answers calls to any number too"),
    )
    for transport, words in others:
        theirs = loaded(tmp_path, file("", transport)).deployment
        clash = same_number(ours, [("other", theirs)])
        assert (clash is None) == (words is None), transport
        if clash is not None and words is not None:
            assert clash.code == "RT413"
            assert words in clash.message
