"""What a Worker makes of each key of a deployment: it obeys it, refuses it where it stands, or
has no part in it. A key that is new in the schema has to be decided here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.deployments import FULL, SMALL, loaded, only

from runner.config import schema as schemas
from runner.config.ground import Ground
from runner.config.load import Loaded, load
from runner.config.worker import worker_problems
from runner.errors import Problem

pytestmark = pytest.mark.quick

#: ``/**`` is a key with all that is in it.
OBEYED = """
    name engine engine.type engine.url engine.api_key engine.headers/** model transport
    transport.type timezone vars/** session/** entry agents agents.* agents.*.instructions/**
    agents.*.greeting/** agents.*.tools agents.*.handoffs agents.*.handoffs.to
    agents.*.handoffs.when agents.*.voice/** tools tools.* tools.*.approval tools.*.description
    tools.*.http/** tools.*.hosted_mcp/** tools.*.parameters/** tools.*.python tools.*.respond
    tools.*.timeout tools.*.while_waiting guardrails guardrails.check guardrails.name
    guardrails.phrases guardrails.python guardrails.regex guardrails.say guardrails.then
    guardrails.to silence/** limits limits.duration
"""
#: Said and done before it is a Worker, or of the machine on which the same file also runs.
NO_PART = """
    apiVersion extends tests/** reload/** engine.brain/**
"""
REFUSED = """
    calls/** on_failure/** records/** limits.calls limits.cost_per_call transport.python
    transport.name transport.options/** transport.ice_servers/** transport.listen transport.path
    transport.webhook_secret transport.public_url transport.auth_token transport.api_url
    agents.*.handoffs.transfer tools.*.command/** tools.*.mcp/** guardrails.moderation/**
"""
#: What is refused of keys that are obeyed for the rest, and how the others are refused.
PLACES = {
    "engine: local": "engine",
    "engine: { type: local, brain: { type: rehearsal } }": "engine.type",
    "transport: { type: custom, python: 'a.py:A', options: { a: 1 } }": "transport.type",
    "transport: { type: custom, name: x }": "transport.type",
    "transport: { type: webrtc, ice_servers: [{ urls: 'stun:x' }] }": "transport.ice_servers",
    "transport: { type: sip, listen: '127.0.0.1:0' }": "transport.listen",
    "transport: { type: sip, path: /x }": "transport.path",
    "transport: { type: sip, webhook_secret: '${S}' }": "transport.webhook_secret",
    "transport: { type: twilio, public_url: 'https://x.example' }": "transport.public_url",
    "transport: { type: twilio, auth_token: '${S}' }": "transport.auth_token",
    "transport: { type: twilio, api_url: 'https://x.example' }": "transport.api_url",
    "transport: sip\ncalls: [{ answer: desk }]": "calls",
    "transport: sip\non_failure: { transfer: 'tel:+15551230100' }": "on_failure",
    "records: { transcript: 'r/{call.id}.json' }": "records",
    "limits: { calls: 3 }": "limits.calls",
    "limits: { cost_per_call: 1 }": "limits.cost_per_call",
    "tools: { t: { description: x, command: [cat] } }": "tools.t.command",
    "tools: { t: { mcp: { command: [cat] } } }": "tools.t.mcp",
    "tools: { t: { python: 'json:dumps', approval: operator } }": "tools.t.approval",
    "tools: { t: { hosted_mcp: { server_label: t, server_url: 'https://x.example' } } }": (
        "tools.t.hosted_mcp"
    ),
    "tools: { t: { hosted_mcp: { server_label: t, server_url: 'https://x.example', "
    "require_approval: { always: { read_only: false } } } } }": (
        "tools.t.hosted_mcp.require_approval"
    ),
    "guardrails: [{ name: m, moderation: { url: 'https://m.example' } }]": (
        "guardrails[0].moderation"
    ),
}


def paths(node: Any, path: str = "", seen: tuple[int, ...] = ()) -> Iterator[str]:
    """Every key that the schema knows; a list's entries stand at the list's own path."""
    for part in schemas.load()._closure(node):
        if id(part) in seen:
            continue  # JSON holds JSON
        within = (*seen, id(part))
        for name, child in part.get("properties", {}).items():
            yield f"{path}.{name}".strip(".")
            yield from paths(child, f"{path}.{name}", within)
        if isinstance(more := part.get("additionalProperties"), Mapping):
            yield f"{path}.*".strip(".")
            yield from paths(more, f"{path}.*", within)
        if isinstance(items := part.get("items"), Mapping):
            yield from paths(items, path, within)


def decided(path: str, table: str) -> bool:
    for entry in table.split():
        whole, every = entry.removesuffix("/**"), entry.endswith("/**")
        if path == whole or (every and path.startswith(f"{whole}.")):
            return True
    return False


def test_every_key_of_the_schema_is_decided_once() -> None:
    found = set(paths(schemas.load().resolved))
    assert len(found) > 150
    tables = (OBEYED, NO_PART, REFUSED)
    answers = {path: [decided(path, table) for table in tables].count(True) for path in found}
    assert {path for path, count in answers.items() if count != 1} == set()
    known = {entry.removesuffix("/**") for table in tables for entry in table.split()}
    assert known - found == set(), "decided, and not in the schema"


def refused(of: Loaded) -> list[Problem]:
    return list(worker_problems(Ground(of.tree, of.deployment.document, Path())))


@pytest.mark.parametrize("text", PLACES, ids=lambda text: PLACES[text] + str(len(text)))
def test_what_is_refused_is_refused_where_it_stands(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.py").write_text("class A: pass\n")
    found = only(refused(loaded(tmp_path, f"{SMALL}{text}\n", {"S": "whsec_c2VjcmV0"})))
    assert (found.path, found.code) == (PLACES[text], "RT602" if "local" in text else "RT601")
    last = PLACES[text].rpartition(".")[2]
    assert found.line == SMALL.count("\n") + 1 + text.partition(last)[0].count("\n")


def test_a_transfer_is_refused_and_what_is_refused_is_tried(tmp_path: Path) -> None:
    handoffs = "    handoffs: [{ transfer: 'tel:+15551230100', when: asked }]\n"
    found = only(refused(loaded(tmp_path, f"transport: sip\n{SMALL}{handoffs}")))
    assert found.path == "agents.desk.handoffs[0].transfer"
    tried = {*PLACES.values(), found.path, *(f"transport.{key}" for key in ("python", "name"))}
    names = {path.replace("[0]", "").replace("tools.t.", "tools.*.") for path in tried}
    names |= {"agents.*.handoffs.transfer", "transport.options"}
    assert {entry.removesuffix("/**") for entry in REFUSED.split()} <= names


def test_everything_at_once() -> None:
    """The file that has every kind of tool and guardrail: all is refused in one run."""
    found = {problem.path for problem in refused(load(FULL, env={}))}
    assert found >= {
        "transport.type",
        "tools.rate.command",
        "tools.rate.approval",
        "tools.invoices.mcp",
        "tools.remote.mcp",
        "tools.wiki.hosted_mcp.require_approval",
        "guardrails[3].moderation",
    }
