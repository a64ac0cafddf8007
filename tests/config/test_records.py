"""`records:`: what a file may say, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import loaded, only, problems

from runner.config.diff import diff

pytestmark = pytest.mark.quick

AGENTS = "agents: { desk: { instructions: x } }\n"
WHOLE = """\
records:
  transcript: kept/{call.id}.json
  audio: "kept/{call.id}.wav"
  redact: [card_number, "(?i)mrn ?\\\\d+"]
  keep: 1h
  webhook: { url: "${URL}", secret: "${KEY}", hosts: [crm.internal] }
"""
ENV = {"URL": "https://crm.internal/in", "KEY": "whsec_c2VjcmV0"}


def warned(folder: Path, text: str) -> list[tuple[str, str]]:
    return [(w.code, w.path) for w in loaded(folder, AGENTS + text, ENV).warnings]


def test_all_of_it(tmp_path: Path) -> None:
    records = loaded(tmp_path, AGENTS + WHOLE, ENV).deployment.records
    assert (records.transcript, records.audio) == ("kept/{call.id}.json", "kept/{call.id}.wav")
    assert records.redactor("MRN 77 of 4111111111111111") == "[redacted] of [card_number]"
    assert records.keep == 3600
    assert records.webhook is not None
    assert records.webhook.url.reveal() == ENV["URL"]
    assert records.webhook.secret.reveal() == ENV["KEY"]
    assert records.webhook.hosts == ("crm.internal",)
    assert "crm.internal/in" not in repr(records)
    assert warned(tmp_path, WHOLE) == [("RT913", "records.audio")]


def test_nothing_of_it(tmp_path: Path) -> None:
    for text in ("", "records: {}\n", "records: { webhook: '', redact: null, keep: null }\n"):
        records = loaded(tmp_path, AGENTS + text).deployment.records
        assert not records.redactor
        assert records.webhook is None
        assert warned(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "records: { transcript: ¦'../{call.id}.json' }",
            "this path leaves the deployment's folder",
        ),
        ("records: { audio: ¦'/var/{call.id}.wav' }", "this path leaves the deployment's folder"),
        ('records: { audio: ¦"C:\\\\{call.id}.wav" }', "this path leaves the deployment's folder"),
        (
            'records: { audio: ¦"a\\\\..\\\\..\\\\{call.id}" }',
            "this path leaves the deployment's fol",
        ),
        (
            "records: { redact: [¦card_numbr] }",
            "nothing that is redacted is called 'card_numbr' (did",
        ),
        ("records: { redact: [¦name] }", "nothing that is redacted is called 'name' (there are"),
        (
            'records: { redact: [¦"x*"] }',
            "this regular expression fits a text without any sign (it",
        ),
        ("records: { transcript: 'a/{call.id}', keep: ¦0d }", "a duration must be longer than"),
        ("records: { webhook: ¦'http://:0/' }", "this URL names no server"),
        ("records: { webhook: { url: ¦'ftp://a' } }", "'ftp://a' is not a URL that begins with"),
        ("transport: sip\nrecords: { ¦audio: 'a/{call.id}.wav' }", "no sound of a phone call at O"),
        ("transport: sip\non_failure: { ¦say: Sorry. }", "no sound of a phone call at OpenAI"),
    ],
)
def test_what_it_may_not_be(tmp_path: Path, text: str, words: str) -> None:
    head, _, tail = (AGENTS + text).partition("¦")
    found = only(problems(tmp_path, f"{head}{tail}\n"))
    assert (found.line, found.column) == (head.count("\n") + 1, len(head) - head.rfind("\n"))
    assert words in found.headline()


def test_what_means_nothing(tmp_path: Path) -> None:
    assert warned(tmp_path, "records: { keep: 30d }\n") == [("RT910", "records.keep")]
    unsigned = "records: { webhook: https://crm.example.com }\n"
    assert warned(tmp_path, unsigned) == [("RT912", "records.webhook")]


def test_an_edit_and_when_it_acts(tmp_path: Path) -> None:
    before = loaded(tmp_path, AGENTS, ENV).deployment
    after = loaded(tmp_path, AGENTS + WHOLE + "on_failure: { say: Sorry. }\n", ENV).deployment
    changes = {change.path: (change.reload, change.new) for change in diff(before, after)}
    assert changes["records.audio"][0] == "new"
    hidden = {"url": "***", "secret": "***", "hosts": ["crm.internal"]}
    assert changes["records.webhook"] == ("live", hidden)
    live = {path for path, (kind, _) in changes.items() if kind == "live"}
    assert live == {
        "records.transcript", "records.redact", "records.keep", "records.webhook", "on_failure.say",
    }  # fmt: skip
