"""`rtrun validate`: what is printed, where, and the exit code."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.command import rtrun
from support.deployments import EXAMPLES, SMALL, write

from runner.cli.main import cli, main
from runner.config import schema as schemas

pytestmark = pytest.mark.quick


def validate(*args: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error, through the command's own entry."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(["validate", *map(str, args)])
    return int(left.value.code or 0), out.getvalue(), err.getvalue()


def test_a_valid_file_is_one_line(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL)
    assert validate(file) == (0, f"{file}: ok (1 agent)\n", "")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda f: f.name)
def test_the_examples_are_valid_with_an_empty_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    code, out, err = validate(file)
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    assert "ok (" in out


def test_an_invalid_file(tmp_path: Path) -> None:
    file = write(tmp_path, "modle: x\n" + SMALL + "    greeting: 5\n")
    assert validate(file) == (
        1,
        f"{file}:1:1: modle: unknown key 'modle' (did you mean model?) [RT101]\n"
        "    modle: x\n"
        "    ^\n"
        f"{file}:5:15: agents.desk.greeting: a number where text or a map belongs "
        '(put it in quotes: "5") [RT103]\n'
        "        greeting: 5\n"
        "                  ^\n",
        "",
    )


def test_the_worst_of_several_files(tmp_path: Path) -> None:
    good, bad = write(tmp_path, SMALL, "good.yaml"), write(tmp_path, "a: 1\n", "bad.yaml")
    code, out, err = validate(bad, tmp_path / "none.yaml", good)
    assert code == 2
    assert err == f"rtrun: {tmp_path / 'none.yaml'}: no such file\n"
    assert f"{good}: ok" in out
    assert "unknown key 'a'" in out
    assert validate(bad, good)[0] == 1


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    write(tmp_path, SMALL, "a.yaml")
    write(tmp_path, SMALL, "b.yml")
    write(tmp_path, "no yaml", "c.txt")
    write(tmp_path, SMALL, "deeper/d.yaml")
    code, out, _ = validate(tmp_path)
    assert code == 0
    assert [line.rpartition("/")[2] for line in out.splitlines()] == [
        "a.yaml: ok (1 agent)",
        "b.yml: ok (1 agent)",
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert validate(empty) == (2, "", f"rtrun: {empty}: no .yaml file in this folder\n")


TOOL = SMALL + "    tools: [f]\ntools:\n  f:\n    python: t.py:f\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_module_at_all\n", "t.py does not import: "),
        ("def g(): ...\n", "t.py has no function 'f' (it has g)"),
        ("raise SystemExit(3)\n", "t.py does not import: "),
        ("def f(x: type(print)): ...\n", "parameter x"),
        ("def f(x, /): ...\n", "positional only"),
    ],
)
def test_a_tool_that_cannot_be_used(tmp_path: Path, code: str, message: str) -> None:
    write(tmp_path, code, "t.py")
    file = write(tmp_path, TOOL)
    exit_code, out, err = validate(file)
    assert (exit_code, err) == (1, "")
    assert out.startswith(f"{file}:7:13: tools.f.python: ")
    assert message in out
    assert "Traceback" not in out


@pytest.mark.parametrize("broken", ["t.py", "beside.py"])
@pytest.mark.parametrize("more", ["", "nonsense: 1\n"])
def test_code_that_is_no_python_is_shown_at_its_line(
    tmp_path: Path, broken: str, more: str
) -> None:
    write(tmp_path, "def f():\n    import beside\n", "t.py")
    write(tmp_path, "x = 1\n", "beside.py")
    write(tmp_path, "x = 1\ndef g(:\n    pass\n", broken)
    code, out, err = validate(write(tmp_path, TOOL + more))
    assert (code, err) == (1, "")
    where = tmp_path / broken
    assert f"{where}:2:7: tools.f.python: t.py does not import: invalid syntax at line 2" in out
    assert "    def g(:\n          ^\n" in out


def test_warnings_are_shown_and_do_not_fail(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL + "  lost: { instructions: x }\n")
    code, out, _ = validate(file)
    assert code == 0
    words = "agents.lost: no handoff leads to this agent [RT901]"
    assert out.startswith(f"warning: {file}:4:3: {words}\n")
    assert out.endswith(f"{file}: ok (2 agents)\n")


def test_set(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL)
    assert validate(file, "--set", "model=gpt-realtime-2")[0] == 0
    code, out, _ = validate(file, "--set", "agents.desk.voice=bob")
    assert code == 1
    assert out.startswith("--set: agents.desk.voice: 'bob' is not one of alloy")
    assert validate(file, "--set", "model")[0] == 2


def test_a_missing_schema_is_not_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A validator that cannot find its schema must not print that all is well."""
    file = write(tmp_path, SMALL)
    monkeypatch.setattr(schemas, "__file__", str(tmp_path / "a" / "b" / "schema.py"))
    schemas.load.cache_clear()
    try:
        code, out, err = validate(file)
    finally:
        schemas.load.cache_clear()
    assert (code, out) == (2, "")
    assert "schema rtrun.v1.schema.json is missing" in err


def test_without_a_file() -> None:
    result: Result = CliRunner().invoke(cli, ["validate"])
    assert result.exit_code == 2
    assert "Missing argument 'FILE...'" in result.output


def test_as_a_process(tmp_path: Path) -> None:
    text = EXAMPLES[-1].read_text().replace("greeting:", "greting:")
    for folder in ("prompts", "tools"):
        (tmp_path / folder).symlink_to(EXAMPLES[-1].parent / folder)
    file = write(tmp_path, text)
    done = rtrun("validate", str(file))
    assert done.returncode == 1
    assert done.stderr == ""
    assert (
        "agents.front_desk.greting: unknown key 'greting' (did you mean greeting?)" in done.stdout
    )
    assert rtrun("validate", str(EXAMPLES[-1])).returncode == 0
