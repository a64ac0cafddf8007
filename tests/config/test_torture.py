"""Whatever the bytes are: a deployment, or problems with places. Never anything else."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.deployments import EXAMPLES, FULL, SMALL, write

from runner.config import tree as trees
from runner.config.load import load
from runner.config.source import make_source
from runner.config.tree import parse
from runner.errors import ConfigError, InputError

pytestmark = pytest.mark.quick

ALL = [*EXAMPLES, FULL]
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def swallowed(data: bytes) -> bool:
    """True for a valid deployment. Anything but a ConfigError with places fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder), data)
        try:
            loaded = load(file, env={"HOME": "/x", "N": "1"})
        except ConfigError as error:
            problems = error.problems
        else:
            assert loaded.deployment.agents
            return True
    assert problems
    for problem in problems:
        assert problem.message
        assert problem.line >= 1 or "1 MiB" in problem.message
        rendered = problem.render()
        assert "\x1b" not in rendered
        rendered.encode()
    return False


@QUICK
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    swallowed(data)


SIGNS = [*"ab:-?[]{},&*!|>'\"%@`#~ \n\t\\$0.e\u2028\x85é", "\n  ", ": ", "- ", "${a}", "a: &a [*a]"]
yamlish = st.lists(st.sampled_from(SIGNS), max_size=60).map("".join)


@QUICK
@given(yamlish)
def test_random_yaml(text: str) -> None:
    swallowed(text.encode())


@QUICK
@given(yamlish)
def test_both_loaders_agree_on_what_they_accept(text: str) -> None:
    """libyaml is laxer in places; what both accept has the same values and places."""
    results = []
    for loader in (yaml.CSafeLoader, yaml.SafeLoader):
        try:
            tree = parse(make_source("f", text), loader)
        except ConfigError:
            return
        results.append(tree)
    assert results[0].value == results[1].value
    spots = [{p: (q.line, q.column) for p, q in t.places.items() if q.text} for t in results]
    assert spots[0] == spots[1]


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["${N}", "${call.from}", "${", "30m", "marin", "auto"]),
)  # fmt: skip
KEYS = [
    "apiVersion", "name", "engine", "model", "transport", "timezone", "vars", "session", "entry",
    "agents", "tools", "limits", "reload", "guardrails", "silence",
    "audio", "input", "output", "turn_detection", "type",
    "instructions", "greeting", "voice", "handoffs", "to", "when", "python", "parameters",
    "timeout", "duration", "apply", "url", "brain", "api_key", "headers", "file", "format", "rate",
    "http", "command", "mcp", "hosted_mcp", "argv", "env", "cwd", "query", "body", "method",
    "hosts",
    "approval", "while_waiting", "respond", "allow", "server_label", "server_url", "allowed_tools",
    "require_approval", "always", "never", "tool_names", "read_only", "name", "check", "phrases",
    "regex", "moderation", "then", "say", "ask_after", "hang_up_after", "interruptible",
]  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


@QUICK
@given(st.dictionaries(st.sampled_from(KEYS[:15]), values, max_size=6))
def test_right_keys_with_wrong_values(document: dict[str, object]) -> None:
    swallowed(yaml.safe_dump(document).encode())


@QUICK
@given(st.sampled_from(ALL), st.data())
def test_any_value_replaced(file: Path, data: st.DataObject) -> None:
    """One value of an example becomes something else entirely."""
    text = file.read_text()
    document = yaml.safe_load(text)
    path = data.draw(st.sampled_from(sorted(parse(make_source("f", text)).places, key=repr)))
    if not path:
        return
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = data.draw(values)
    swallowed(yaml.safe_dump(document).encode())


@pytest.mark.parametrize("file", ALL, ids=lambda f: f.name)
def test_every_cut_of_a_file(file: Path) -> None:
    """What a watcher may read while an editor still writes."""
    data = file.read_bytes()
    for end in range(0, len(data), 7):
        swallowed(data[:end])


def test_bytes_changed_at_random() -> None:
    rng = random.Random(2)
    for data in [file.read_bytes() for file in ALL[1:]] * 200:
        mutated = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        swallowed(bytes(mutated))


@pytest.mark.parametrize("file", ALL, ids=lambda f: f.name)
def test_examples_without_libyaml(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = load(file, env={})
    monkeypatch.setattr(trees, "LOADER", yaml.SafeLoader)
    slow = load(file, env={})
    assert fast.deployment == slow.deployment
    assert fast.tree.places == slow.tree.places


def test_a_device_that_never_ends() -> None:
    with pytest.raises((ConfigError, InputError)):
        load("/dev/zero", env={})


@pytest.mark.parametrize(
    "text",
    [
        "vars: ['$']\n",
        "agents: ['${x}']\n",
        "tools: 3\nlimits: []\nsession: x\n",
        "agents: { a: { instructions: { file: ['x'] } } }\n",
        "agents: { a: { instructions: x, handoffs: [1, [], { to: {} }] } }\nentry: [a]\n",
        "tools: { t: { python: ':', parameters: { $ref: '#' } } }\n",
        "engine: { type: [], brain: 1, headers: [a] }\n",
        "vars: { '': a, a: { b: $ } }\n",
        "tools: { a: { http: [] }, b: { command: {} }, c: { mcp: 1 }, d: { hosted_mcp: '' } }\n",
        "tools: { a: { command: [[], {}] }, b: { mcp: { command: [''], url: 7 } } }\n",
        "tools: { a: { http: { url: 'http://[', body: { a: '{' }, query: [], headers: 3 } } }\n",
        "tools: { a: { hosted_mcp: { require_approval: { never: { tool_names: [[]] } } } } }\n",
        "guardrails: [1, {}, { name: [], regex: '[[a', phrases: [{}], then: [] }]\n",
        "guardrails: { name: x }\nsilence: [3]\n",
        "silence: { ask_after: 1, hang_up_after: x }\nsession: { tool_choice: { type: mcp } }\n",
    ],
)
def test_wrong_in_odd_ways(text: str) -> None:
    assert not swallowed(text.encode())


def test_the_small_one_is_valid() -> None:
    assert swallowed(SMALL.encode())
