"""Secrets do not get out, whatever they stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deployments import loaded

from runner.codec import dumps
from runner.model.deployment import Deployment
from runner.serve.mask import Masks, masked

pytestmark = pytest.mark.quick

FILE = """\
engine: { url: "ws://127.0.0.1:1/v1/realtime", api_key: "${ENGINE}" }
agents:
  desk:
    instructions: Be kind.
    tools: [book, files]
tools:
  book:
    description: Books.
    http: { url: "https://api.example/v1", headers: { Authorization: "Bearer ${TOKEN}" } }
  files:
    hosted_mcp: { server_label: files, server_url: "https://m.example", authorization: "${MCP}" }
"""
ENV = {"ENGINE": "engine-key-1", "TOKEN": "tok-2", "MCP": "mcp-key-3"}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return loaded(tmp_path, FILE, ENV).deployment


def test_a_document_is_plain_and_says_where_secrets_are(deployment: Deployment) -> None:
    plain = masked(deployment.document)
    text = dumps(plain)
    assert not any(secret in text for secret in ENV.values())
    assert plain["tools"]["book"]["http"]["headers"]["Authorization"] == "***"


@given(st.text(max_size=5), st.text(max_size=5), st.sampled_from(sorted(ENV.values())))
def test_a_secret_within_a_text_is_found(before: str, after: str, secret: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        masks = Masks(lambda name: loaded(Path(folder), FILE, ENV).deployment)
        event = {"a": [{"b": f"{before}{secret}{after}"}], "n": 1, "none": None}
        told = masks("shop", event)
    assert secret not in dumps(told)
    assert (told["n"], told["none"]) == (1, None)


def test_secrets_of_a_version_that_was_replaced_stay_secret(tmp_path: Path) -> None:
    versions = [
        loaded(tmp_path, FILE, {**ENV, "MCP": key}).deployment for key in ("first-1", "second-2")
    ]
    masks = Masks(lambda name: versions[0])
    assert masks("shop", "first-1 second-2") == "*** second-2"
    versions.pop(0)
    assert masks("shop", "first-1 second-2") == "*** ***"


def test_a_short_secret_hides_itself_and_leaves_words_alone(tmp_path: Path) -> None:
    masks = Masks(lambda name: loaded(tmp_path, FILE, {**ENV, "MCP": "abc"}).deployment)
    assert masks("shop", ["abc", "abcdef"]) == ["***", "abcdef"]


@pytest.mark.parametrize("value", [None, 1, True, "text", [], {}])
def test_what_has_no_secret_stays(value: Any) -> None:
    assert Masks(lambda name: None)("shop", value) == value
