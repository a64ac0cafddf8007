"""``extends``: one file on top of another, each value with the place where it stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deployments import only, write

from runner.config import schema as schemas
from runner.config.extends import MAX_BASES, merge
from runner.config.load import Loaded, files_of, load
from runner.config.source import make_source
from runner.config.tree import Tree, parse
from runner.errors import ConfigError, InputError, Problem
from runner.toolbox import load_tools

pytestmark = pytest.mark.quick

BASE = """\
vars: { shop: Northwind, hours: all day }
session:
  audio: { output: { voice: marin, speed: 1.1 } }
agents:
  desk: { instructions: "Hello from ${vars.shop}.", greeting: Hi!, tools: [end_call] }
  billing: { instructions: Bills., handoffs: [{ to: desk }] }
limits: { duration: 30m }
"""


def on(folder: Path, text: str, base: str = BASE, name: str = "_base.yaml") -> Loaded:
    write(folder, base, name)
    return load(write(folder, f"extends: {name}\n{text}"), env={})


def refused(file: Path, marked: Path | None = None) -> Problem:
    """The one problem of ``file``, which has to stand where ¦ stands in ``marked``."""
    marked = marked or file
    head, sign, tail = marked.read_text().partition("¦")
    assert sign
    marked.write_text(head + tail)
    with pytest.raises(ConfigError) as caught:
        load(file, env={})
    problem = only(caught.value.problems)
    line, column = head.count("\n") + 1, len(head) - head.rfind("\n")
    assert (problem.file, problem.line, problem.column) == (str(marked), line, column)
    assert problem.source == (head + tail).split("\n")[line - 1]
    return problem


def test_maps_merge_lists_replace(tmp_path: Path) -> None:
    text = """\
vars: { shop: Southwind }
session: { audio: { output: { speed: 1.0 } } }
agents:
  desk: { tools: [] }
  new: { instructions: I am new. }
"""
    d = on(tmp_path, text).deployment
    assert d.name == "d"
    assert list(d.agents) == ["desk", "billing", "new"]
    assert d.entry == "desk"
    assert d.agents["desk"].instructions == "Hello from Southwind."
    assert d.agents["desk"].tools == ()
    assert d.agents["desk"].greeting == "Hi!"
    assert d.session.wire["audio"]["output"]["voice"] == "marin"
    assert d.session.wire["audio"]["output"]["speed"] == 1.0
    assert d.vars == {"shop": "Southwind", "hours": "all day"}
    assert "extends" not in d.document


def test_null_deletes_where_it_is_no_value(tmp_path: Path) -> None:
    d = on(tmp_path, "agents: { billing: null }\nvars: { hours: null }\nlimits: null\n").deployment
    assert list(d.agents) == ["desk"]
    assert d.vars == {"shop": "Northwind"}
    assert d.limits.duration is None


def test_null_turns_off_where_it_is_a_value(tmp_path: Path) -> None:
    base = BASE.replace("output:", "input: { turn_detection: { type: server_vad } }, output:")
    text = "session: { audio: { input: { turn_detection: null } } }\n"
    d = on(tmp_path, text, base).deployment
    assert d.session.wire["audio"]["input"]["turn_detection"] is None


def test_null_for_what_no_base_has_is_told(tmp_path: Path) -> None:
    write(tmp_path, BASE, "_base.yaml")
    text = "extends: _base.yaml\nagents:\n  biling: ¦null\n"
    assert refused(write(tmp_path, text)).message == "is empty; a map belongs here"


def test_a_map_of_another_type_is_another_thing(tmp_path: Path) -> None:
    vad = "session: { audio: { input: { turn_detection: { type: %s } } } }\n"
    base = BASE.replace("output:", "input: { turn_detection: { %s } }, output:")
    server = base % "type: server_vad, threshold: 0.7"
    d = on(tmp_path, vad % "semantic_vad", server).deployment
    assert d.session.wire["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    text = (vad % "server_vad").replace("server_vad", "server_vad, silence_duration_ms: 300")
    d = on(tmp_path, text, server).deployment
    assert d.session.wire["audio"]["input"]["turn_detection"]["threshold"] == 0.7


def test_the_arguments_of_a_tool_are_only_a_map(tmp_path: Path) -> None:
    tool = "tools: { t: { description: D, http: { url: 'https://x.example' }, parameters: %s } }\n"
    base = BASE + tool % "{ type: object, properties: { n: { type: string, title: N } } }"
    text = "tools: { t: { parameters: { properties: { n: { type: integer } } } } }\n"
    d = on(tmp_path, text, base).deployment
    assert d.document["tools"]["t"]["parameters"]["properties"]["n"] == {
        "type": "integer",
        "title": "N",
    }


def test_a_fault_in_a_base_is_told_there(tmp_path: Path) -> None:
    base = write(tmp_path, BASE.replace("speed: 1.1", "speed: ¦9.9"), "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\nname: x\n")
    assert "9.9 is above 1.5" in refused(file, base).message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("¦tools2: {}\n", "unknown key"),
        ("model: ¦${NO_SUCH}\n", "not set"),
        ("agents: ¦{ desk: { instructions: x }\n", "'{' is never closed"),
        ("a: 1\n¦a: 2\n", "twice"),
    ],
)
def test_every_kind_of_fault_in_a_base(tmp_path: Path, text: str, word: str) -> None:
    base = write(tmp_path, text, "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\nagents: { a: { instructions: x } }\n")
    assert word in refused(file, base).message


def test_problems_of_both_files_at_once(tmp_path: Path) -> None:
    write(tmp_path, BASE + "modell: x\n", "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\ntransprot: websocket\n")
    with pytest.raises(ConfigError) as caught:
        load(file, env={})
    assert [os.path.basename(p.file) for p in caught.value.problems] == ["d.yaml", "_base.yaml"]


def test_a_key_that_both_lack_is_missing_in_the_upper_file(tmp_path: Path) -> None:
    write(tmp_path, "agents: { desk: { voice: cedar } }\n", "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\nagents:\n  ¦desk: { greeting: Hi }\n")
    assert refused(file).message == "'instructions' is missing"


def test_relative_paths_begin_in_the_file_where_they_stand(tmp_path: Path) -> None:
    """A base in another folder brings its prompts, tools, scripts and servers along."""
    write(tmp_path, "The base's prompt.", "shared/prompts/p.md")
    write(tmp_path, "def f() -> str:\n    'F.'\n    return 'shared'\n", "shared/tools/t.py")
    write(tmp_path, "def trips(text: str) -> bool:\n    return False\n", "shared/rules.py")
    write(tmp_path, "print(1)\n", "shared/tools/run.py")
    write(tmp_path, "", "shared/data/x")
    base = """\
agents:
  desk: { instructions: { file: prompts/p.md }, tools: [f, c, m, d] }
tools:
  f: { python: "tools/t.py:f" }
  c: { command: [python3, tools/run.py], description: C }
  d: { command: { argv: [python3, tools/run.py], cwd: data }, description: D }
  m: { mcp: { command: [python3, tools/run.py] } }
guardrails:
  - { name: r, python: "rules.py:trips" }
"""
    write(tmp_path, base, "shared/_base.yaml")
    write(tmp_path, "", "agents.d/mine/x")
    more = "tools: { c: { timeout: 2s }, d: { command: { memory_mb: 64 } } }\n"
    file = write(tmp_path, f"extends: ../shared/_base.yaml\n{more}", "agents.d/d.yaml")
    loaded = load(file, env={})
    d, shared = loaded.deployment, tmp_path / "shared"
    assert d.agents["desk"].instructions == "The base's prompt."
    assert {tool.base for tool in d.tools.values()} == {shared}
    assert d.guardrails[0].base == shared
    command, with_cwd = d.tools["c"].command, d.tools["d"].command
    assert command
    assert (command.cwd, command.argv) == (shared, ("python3", "tools/run.py"))
    assert with_cwd
    assert with_cwd.cwd == shared / "data"
    assert with_cwd.argv == ("python3", str(shared / "tools" / "run.py"))
    assert set(load_tools(loaded).tools) >= {"f", "c", "d"}
    names = ("_base.yaml", "prompts/p.md", "tools/t.py", "tools/run.py", "rules.py")
    assert set(d.files) == {file, *(shared / name for name in names)}
    assert all(d.digests.values())
    assert set(files_of(file, env={})) == set(d.files)


def test_an_override_of_a_path_begins_in_the_overriding_file(tmp_path: Path) -> None:
    write(tmp_path, "agents: { desk: { instructions: { file: p.md } } }\n", "shared/_base.yaml")
    write(tmp_path, "shared", "shared/p.md")
    write(tmp_path, "mine", "agents.d/p.md")
    same = "extends: ../shared/_base.yaml\n"
    text = same + "agents: { desk: { instructions: { file: p.md } } }\n"
    assert (
        load(write(tmp_path, text, "agents.d/a.yaml"), env={})
        .deployment.agents["desk"]
        .instructions
        == "mine"
    )
    file = write(tmp_path, same, "agents.d/b.yaml")
    assert load(file, env={}).deployment.agents["desk"].instructions == "shared"
    sets = [("agents.desk.instructions.file", "p.md")]
    assert load(file, env={}, overrides=sets).deployment.agents["desk"].instructions == "mine"


def test_a_missing_prompt_of_a_base(tmp_path: Path) -> None:
    text = "agents: { desk: { instructions: { file: ¦nowhere.md } } }\n"
    base = write(tmp_path, text, "shared/_base.yaml")
    file = write(tmp_path, "extends: ../shared/_base.yaml\n", "agents.d/d.yaml")
    problem = refused(file, base)
    assert problem.message == f"no file nowhere.md in {tmp_path / 'shared'}"
    assert problem.hint == "the path begins in the folder of _base.yaml"


def test_set_goes_on_top(tmp_path: Path) -> None:
    write(tmp_path, BASE, "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\nvars: { shop: S }\n")
    d = load(file, env={}, overrides=[("vars.shop", "T"), ("vars.hours", "none")]).deployment
    assert d.vars == {"shop": "T", "hours": "none"}


def test_a_base_cannot_be_set(tmp_path: Path) -> None:
    file = write(tmp_path, BASE)
    with pytest.raises(ConfigError, match="settled before --set"):
        load(file, env={}, overrides=[("extends", "_base.yaml")])


def test_a_chain(tmp_path: Path) -> None:
    write(tmp_path, BASE, "_a.yaml")
    write(tmp_path, "extends: _a.yaml\nvars: { shop: B, b: 1 }\nlimits: null\n", "_b.yaml")
    d = load(write(tmp_path, "extends: _b.yaml\nvars: { b: 2 }\n"), env={}).deployment
    assert d.vars == {"shop": "B", "hours": "all day", "b": 2}
    assert [file.name for file in d.files] == ["d.yaml", "_b.yaml", "_a.yaml"]


def test_a_missing_base_is_watched(tmp_path: Path) -> None:
    write(tmp_path, BASE, "_base.yaml")
    file = write(tmp_path, "extends: ¦_bse.yaml\n")
    problem = refused(file)
    assert "no such file" in problem.message
    assert problem.hint == "did you mean _base.yaml?"
    assert files_of(file, env={}) == (file, tmp_path / "_bse.yaml")


def test_a_broken_base_is_watched(tmp_path: Path) -> None:
    base = write(tmp_path, "agents: {\n", "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\n")
    assert set(files_of(file, env={})) == {file, base}


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("/etc/passwd", "is not relative"),
        ("~/x.yaml", "is not relative"),
        ("../../x.yaml", "leads out of"),
        ("[a.yaml]", "the name of one file"),
        ("''", "the name of one file"),
        ("{ file: a.yaml }", "the name of one file"),
        ("null", "the name of one file"),
        ("${BASE}", "without ${...}"),
        (".", "this is a folder"),
        ("d.yaml", "d.yaml -> d.yaml"),
        ("./../%s/d.yaml", "d.yaml -> d.yaml"),
    ],
)
def test_what_is_no_base(tmp_path: Path, written: str, word: str) -> None:
    written = written.replace("%s", tmp_path.name)
    assert word in refused(write(tmp_path, f"extends: ¦{written}\n")).message


def test_the_base_of_a_base_stays_inside_the_deployment_s_root(tmp_path: Path) -> None:
    write(tmp_path, BASE, "far.yaml")
    base = write(tmp_path, "extends: ¦../far.yaml\n", "p/_b.yaml")
    file = write(tmp_path, "extends: ../../p/_b.yaml\n", "p/agents.d/eu/d.yaml")
    with pytest.raises(ConfigError, match=r"../../p/_b.yaml leads out of"):
        load(file, env={})
    file = write(tmp_path, "extends: ../_b.yaml\n", "p/agents.d/d.yaml")
    assert "leads out of" in refused(file, base).message


def test_circles(tmp_path: Path) -> None:
    write(tmp_path, "extends: _b.yaml\n", "_a.yaml")
    b = write(tmp_path, "extends: ¦_a.yaml\n", "_b.yaml")
    problem = refused(write(tmp_path, "extends: _a.yaml\n"), b)
    assert "d.yaml -> _a.yaml -> _b.yaml -> _a.yaml" in problem.message


def test_a_circle_over_a_link(tmp_path: Path) -> None:
    file = write(tmp_path, "extends: _link.yaml\n")
    (tmp_path / "_link.yaml").symlink_to(file)
    with pytest.raises(ConfigError, match="extend one another"):
        load(file, env={})


def test_the_depth_is_bounded(tmp_path: Path) -> None:
    write(tmp_path, BASE, "_0.yaml")
    for i in range(MAX_BASES):
        write(tmp_path, f"extends: _{i}.yaml\n", f"_{i + 1}.yaml")
    assert load(tmp_path / f"_{MAX_BASES}.yaml", env={}).deployment.entry == "desk"
    with pytest.raises(ConfigError, match="more than 8 files"):
        load(write(tmp_path, f"extends: _{MAX_BASES}.yaml\n"), env={})


def test_the_size_is_bounded(tmp_path: Path) -> None:
    pad = "# " + "x" * ((1 << 20) - 200) + "\n"
    write(tmp_path, BASE, "_0.yaml")
    for i in range(5):
        write(tmp_path, f"{pad}extends: _{i}.yaml\n", f"_{i + 1}.yaml")
    with pytest.raises(ConfigError, match="over 4 MiB"):
        load(write(tmp_path, "extends: _5.yaml\n"), env={})
    assert load(write(tmp_path, "extends: _3.yaml\n"), env={})


def test_the_values_are_bounded(tmp_path: Path) -> None:
    write(tmp_path, BASE + "x-a: [" + "1, " * 6000 + "1]\n", "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\nx-b: [" + "1, " * 6000 + "1]\n")
    with pytest.raises(ConfigError, match="more than 10000 values"):
        load(file, env={})


def test_the_file_itself_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load(tmp_path / "none.yaml", env={})


def test_anchors_end_with_their_file(tmp_path: Path) -> None:
    write(tmp_path, "x-v: &v { voice: cedar }\n" + BASE, "_base.yaml")
    file = write(tmp_path, "extends: _base.yaml\nagents: { n: ¦*v }\n")
    assert "no anchor &v" in refused(file).message


SCHEMA = schemas.load()
NAMES = st.sampled_from(["vars", "agents", "x", "y"])
VALUES = st.recursive(
    st.integers(0, 3) | st.booleans() | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


def tree_of(value: dict[str, object], name: str) -> Tree:
    import json

    return parse(make_source(name, json.dumps(value)))


def laid(under: object, over: object) -> object:
    """What the rule says, in three lines."""
    if isinstance(under, dict) and isinstance(over, dict):
        rest = {key: laid(under[key], item) if key in under else item for key, item in over.items()}
        return {**under, **rest}
    return over


def at(value: object, path: tuple[str | int, ...]) -> object:
    for step in path:
        value = value[step]  # type: ignore[index]
    return value


@settings(max_examples=60, deadline=None)
@given(MAPS, MAPS)
def test_merging(a: dict[str, object], b: dict[str, object]) -> None:
    """Every value has a place in the file that says it."""
    merged = merge(tree_of(a, "a"), tree_of(b, "b"), SCHEMA)
    assert merged.value == laid(a, b)
    assert merge(tree_of(a, "a"), tree_of(a, "b"), SCHEMA).value == a
    leaves = 0
    for path, place in merged.places.items():
        found, said = at(merged.value, path), at({"a": a, "b": b}[place.source.name], path)
        assert type(found) is type(said)
        assert isinstance(found, dict) or found == said
        leaves += 1
    assert leaves >= len({**a, **b}) + 1
