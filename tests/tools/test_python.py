from __future__ import annotations

import asyncio
import calendar
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ToolError
from runner.model.deployment import ToolSpec
from runner.tools.base import FunctionTool, ToolContext
from runner.tools.python import function_of, load

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """What a test imports is gone after it."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def tool(base: Path, code: str, function: str = "go", **more: Any) -> FunctionTool:
    (base / "tool.py").write_text(code)
    return load(ToolSpec("named", f"tool.py:{function}", base, **more))


def answer(made: FunctionTool, arguments: str = "{}") -> str:
    return asyncio.run(made.run(arguments, ToolContext("a", made.name, "c")))


def test_a_function_of_a_file(tmp_path: Path) -> None:
    code = 'def go(day: str):\n    """Find a slot."""\n    return f"free on {day}"\n'
    made = tool(tmp_path, code, timeout=4.0)
    assert (made.name, made.description, made.timeout) == ("named", "Find a slot.", 4.0)
    assert answer(made, '{"day": "Tuesday"}') == "free on Tuesday"


def test_the_file_says_more_than_the_function(tmp_path: Path) -> None:
    parameters = {"type": "object", "properties": {"x": {"type": "string"}}}
    made = tool(
        tmp_path, "def go(x): return x\n", description="In the file.", parameters=parameters
    )
    assert made.description == "In the file."
    assert made.wire()["parameters"] == parameters


def test_a_function_made_a_tool_in_python(tmp_path: Path) -> None:
    code = (
        "from runner import tool\n"
        "@tool(description='From the decorator.')\n"
        "async def go(n: int) -> int:\n    return n + 1\n"
    )
    made = tool(tmp_path, code)
    assert (made.name, made.description) == ("named", "From the decorator.")
    assert answer(made, '{"n": 1}') == "2"


def test_an_edit_gives_new_code_and_calls_in_flight_keep_the_old(tmp_path: Path) -> None:
    old = tool(tmp_path, "def helper(): return 'old'\ndef go(): return helper()\n")
    # The same length and time stamp: only the content tells.
    stamp = (tmp_path / "tool.py").stat()
    new = tool(tmp_path, "def helper(): return 'new'\ndef go(): return helper()\n")
    os.utime(tmp_path / "tool.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (answer(old), answer(new)) == ("old", "new")


def test_an_unchanged_file_is_loaded_once(tmp_path: Path) -> None:
    code = "seen = []\ndef go():\n    seen.append(1)\n    return len(seen)\n"
    assert answer(tool(tmp_path, code)) == "1"
    assert answer(tool(tmp_path, code)) == "2"


def test_two_files_of_the_same_name_are_two_modules(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    code = "import pathlib\ndef go(): return pathlib.Path(__file__).parent.name\n"
    one, two = tool(tmp_path / "a", code), tool(tmp_path / "b", code)
    assert (answer(one), answer(two)) == ("a", "b")


def test_neighbours_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "our_prices.py").write_text("CLEANING = 80\n")
    made = tool(tmp_path, "from our_prices import CLEANING\ndef go(): return CLEANING\n")
    assert answer(made) == "80"


def test_a_calendar_beside_the_tool_does_not_hide_the_standard_one(tmp_path: Path) -> None:
    (tmp_path / "calendar.py").write_text(
        "import calendar\ndef go(): return calendar.month_name[3]\n"
    )
    made = load(ToolSpec("cal", "calendar.py:go", tmp_path))
    assert answer(made) == calendar.month_name[3]
    assert sys.modules["calendar"] is calendar


def test_a_dataclass_and_string_annotations_in_the_file(tmp_path: Path) -> None:
    code = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Guest:\n    name: str\n"
        "def go(guest: Guest) -> str:\n    return guest.name.upper()\n"
    )
    assert answer(tool(tmp_path, code), '{"guest": {"name": "ann"}}') == "ANN"


def test_the_file_is_compiled_by_its_own_rules(tmp_path: Path) -> None:
    # Annotations of a file without the future import are values, not text.
    code = "def inner(x: int): ...\ndef go(): return str(inner.__annotations__['x'])\n"
    assert answer(tool(tmp_path, code)) == "<class 'int'>"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def go(:\n", r"tool\.py does not import: invalid syntax at line 1"),
        ("import nowhere_at_all\n", r"No module named 'nowhere_at_all' at line 1"),
        ("x = 1\nraise ValueError('no key')\n", r"ValueError: no key at line 2"),
        ("import sys\nsys.exit(3)\n", r"SystemExit: 3 at line 2"),
        ("def f():\n    return 1/0\nf()\n", r"ZeroDivisionError: division by zero at line 2"),
        ("x = '\\ud800'\nraise Exception\n", r"does not import: Exception at line 2"),
        ("x = 1\0\n", r"does not import: .*null byte"),
    ],
)
def test_a_file_that_does_not_import_says_where(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        tool(tmp_path, code)
    # Nothing half-made stays behind.
    assert not [name for name in sys.modules if name.startswith("rtrun_tool_tool")]


def test_a_mistake_in_a_neighbour_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "broken_neighbour.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(ToolError, match=r"invalid syntax at line 2 of broken_neighbour\.py"):
        tool(tmp_path, "import broken_neighbour\ndef go(): ...\n")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(ToolError, match=r"tool\.py does not import"):
        load(ToolSpec("t", "tool.py:go", tmp_path))


def test_a_missing_file_and_one_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"nothing\.py does not exist") as caught:
        load(ToolSpec("t", "nothing.py:go", tmp_path))
    assert str(tmp_path) in caught.value.hint
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ToolError, match=r"folder\.py cannot be read"):
        load(ToolSpec("t", "folder.py:go", tmp_path))


def test_a_missing_function_names_those_that_are_there(tmp_path: Path) -> None:
    code = (
        "from os.path import join\nfrom datetime import date\nfrom runner import tool as made\n"
        "def find(): ...\ndef _inner(): ...\n@made\ndef book(): ...\nNUMBER = 5\n"
    )
    with pytest.raises(ToolError, match=r"tool\.py has no function 'fnid'") as caught:
        tool(tmp_path, code, "fnid")
    assert caught.value.hint == "it has find, book"
    with pytest.raises(ToolError, match="has no function 'NUMBER'"):
        tool(tmp_path, code, "NUMBER")


def test_a_function_of_an_installed_module() -> None:
    assert answer(load(ToolSpec("t", "platform:python_implementation", Path()))) != ""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
        ("raise ValueError('no key')\n", "ValueError: no key"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_module_that_does_not_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / "pack_of_tools.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ToolError, match=f"module pack_of_tools does not import: {words}"):
        load(ToolSpec("t", "pack_of_tools:go", Path()))


def test_a_module_that_is_not_installed() -> None:
    with pytest.raises(ToolError, match="No module named 'nowhere_at_all'") as caught:
        load(ToolSpec("t", "nowhere_at_all:go", Path()))
    assert "or name a file" in caught.value.hint


def test_a_file_that_two_threads_want_at_once_is_read_once(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        f"file = pathlib.Path({str(begun)!r})\n"
        "file.write_text(file.read_text() + 'x' if file.exists() else 'x')\n"
        "time.sleep(0.05)\n"
        "def find(day: str) -> str:\n    return day\n"
    )
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: function_of("slow.py:find", tmp_path), range(4)))
    assert len(set(found)) == 1
    assert begun.read_text() == "x"
