"""Modules that a tool's file imports from beside it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import ToolError
from runner.model.deployment import ToolSpec
from runner.tools.base import FunctionTool, ToolContext
from runner.tools.python import load

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """No test leaves more behind than modules under names of their own."""
    path, before = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    for name in [name for name in sys.modules if name.startswith("rtrun_tool_")]:
        del sys.modules[name]
    added = set(sys.modules) - before
    assert [name for name in added if name.startswith(("our_", "tool"))] == []


def tool(base: Path, files: dict[str, str], at: str = "tool.py:go") -> FunctionTool:
    for name, code in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(code)
    return load(ToolSpec("named", at, base))


def answer(made: FunctionTool) -> str:
    return asyncio.run(made.run("{}", ToolContext("a", made.name, "c")))


LATE = "def go():\n    import our_days\n    return our_days.word()\n"
EARLY = "import our_days\ndef go(): return our_days.word()\n"
RELATIVE = "from .our_days import word\ndef go(): return word()\n"
WHOLE = "from . import our_days\ndef go(): return our_days.word()\n"
ALL = "from our_days import *\ndef go(): return word()\n"


def word(text: str) -> str:
    return f"def word(): return {text!r}\n"


@pytest.mark.parametrize("code", [LATE, EARLY, RELATIVE, WHOLE, ALL])
def test_an_edited_neighbour_is_new_code_and_what_runs_keeps_the_old(
    tmp_path: Path, code: str
) -> None:
    old = tool(tmp_path, {"tool.py": code, "our_days.py": word("Monday")})
    new = tool(tmp_path, {"our_days.py": word("Friday")})
    # Also the import that is carried out only now was read with the rest.
    assert (answer(old), answer(new)) == ("Monday", "Friday")
    again = tool(tmp_path, {"our_days.py": word("Monday")})
    assert answer(again) == "Monday"


def test_neighbours_of_neighbours(tmp_path: Path) -> None:
    chain = {
        "tool.py": "import our_one\ndef go(): return our_one.two()\n",
        "our_one.py": "from our_two import word as two\n",
        "our_two.py": word("old"),
    }
    old = tool(tmp_path, chain)
    new = tool(tmp_path, {"our_two.py": word("new")})
    assert (answer(old), answer(new)) == ("old", "new")


def test_neighbours_that_import_each_other(tmp_path: Path) -> None:
    files = {
        "tool.py": "import our_a\ndef go(): return our_a.both()\n",
        "our_a.py": "import our_b\nNAME = 'a'\ndef both(): return NAME + our_b.other()\n",
        "our_b.py": "import our_a\ndef other(): return 'b' + our_a.NAME\n",
    }
    assert answer(tool(tmp_path, files)) == "aba"
    tool(tmp_path, {"our_a.py": files["our_a.py"] + "# edited\n"})
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: tool(tmp_path, {}), range(4)))
    assert {answer(one) for one in made} == {"aba"}


def test_a_package_beside_the_tool_is_one_thing(tmp_path: Path) -> None:
    files = {
        "tool.py": "import our_shop.stock.shelf\n"
        "from our_shop import OPEN, hours\n"
        "def go(): return our_shop.stock.shelf.what() + OPEN + hours.TEXT\n",
        "our_shop/__init__.py": "OPEN = ' open '\n",
        "our_shop/hours.py": "TEXT = '9 to 5'\n",
        "our_shop/stock/__init__.py": "",
        "our_shop/stock/shelf.py": "from .. import hours\nfrom ...our_pens import word\n"
        "def what(): return word() + hours.TEXT[0]\n",
        "our_pens.py": word("pens"),
    }
    old = tool(tmp_path, files)
    new = tool(tmp_path, {"our_shop/hours.py": "TEXT = '8 to 6'\n"})
    assert (answer(old), answer(new)) == ("pens9 open 9 to 5", "pens8 open 8 to 6")


def test_a_folder_without_an_init(tmp_path: Path) -> None:
    files = {
        "tool.py": "import our_lib.days\nfrom our_lib import days\n"
        "def go(): return our_lib.days.word() + days.word()\n",
        "our_lib/days.py": word("x"),
    }
    assert answer(tool(tmp_path, files)) == "xx"


def test_two_tools_share_what_their_neighbour_holds(tmp_path: Path) -> None:
    files = {
        "our_store.py": "kept = []\n",
        "put.py": "import our_store\ndef go():\n    our_store.kept.append(1)\n    return 'put'\n",
        "tool.py": "import our_store\ndef go(): return str(len(our_store.kept))\n",
    }
    count = tool(tmp_path, files)
    put = load(ToolSpec("put", "put.py:go", tmp_path))
    assert (answer(put), answer(put), answer(count)) == ("put", "put", "2")
    # An edit of the one tool leaves what the neighbour holds alone.
    edited = tool(tmp_path, {"tool.py": files["tool.py"] + "# edited\n"})
    assert answer(edited) == "2"


def test_neighbours_of_one_name_in_two_folders_do_not_meet(tmp_path: Path) -> None:
    one = tool(tmp_path / "one", {"tool.py": LATE, "our_days.py": word("one")})
    two = tool(tmp_path / "two", {"tool.py": LATE, "our_days.py": word("two")})
    assert (answer(one), answer(two)) == ("one", "two")
    with pytest.raises(ToolError, match=r"No module named 'our_days' at line 1"):
        tool(tmp_path / "three", {"tool.py": EARLY})


def test_what_is_installed_stands_before_a_neighbour(tmp_path: Path) -> None:
    files = {
        "tool.py": "import json, yaml\ndef go(): return json.dumps(yaml.safe_load('[1]'))\n",
        "json.py": "raise AssertionError\n",
        "yaml.py": "raise AssertionError\n",
    }
    assert answer(tool(tmp_path, files)) == "[1]"


def test_a_neighbour_that_need_not_be_there(tmp_path: Path) -> None:
    code = "try:\n    import our_extra\nexcept ImportError:\n    our_extra = None\n"
    code += "def go(): return 'with' if our_extra else 'without'\n"
    without = tool(tmp_path, {"tool.py": code})
    assert answer(without) == "without"
    assert answer(tool(tmp_path, {"our_extra.py": ""})) == "with"


def test_a_class_of_a_neighbour_is_known_by_its_module(tmp_path: Path) -> None:
    files = {
        "our_guest.py": "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Guest:\n    name: str\n    friend: Guest | None = None\n",
        "tool.py": "import pickle, typing\nfrom our_guest import Guest\ndef go():\n"
        "    assert typing.get_type_hints(Guest)['name'] is str\n"
        "    return pickle.loads(pickle.dumps(Guest('Ann'))).name\n",
    }
    assert answer(tool(tmp_path, files)) == "Ann"


@pytest.mark.parametrize(
    ("neighbour", "words"),
    [
        ("x = 1\ndef f(:\n", r"tool\.py does not import: invalid syntax at line 2 of our_days\.py"),
        ("x = 1\ny = z\n", r"NameError: .* at line 2 of our_days\.py"),
        ("from our_days import nothing\n", r"cannot import name 'nothing' from .*'our_days'"),
        ("from ..above import x\n", r"'\.\.above' leads out of .*/ at line 1 of our_days\.py"),
    ],
)
@pytest.mark.parametrize("code", [EARLY, RELATIVE])
def test_a_neighbour_that_does_not_import_says_where(
    tmp_path: Path, neighbour: str, words: str, code: str
) -> None:
    with pytest.raises(ToolError, match=words):
        tool(tmp_path, {"tool.py": code, "our_days.py": neighbour})
    assert [name for name in sys.modules if name.startswith("rtrun_tool_")] == []


def test_a_mistake_in_what_is_imported_later_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        tool(tmp_path, {"tool.py": LATE, "our_days.py": "\n  x = = 1\n"})
    assert caught.value.at is not None
    file, line, _, text = caught.value.at
    assert (Path(file).name, line, text) == ("our_days.py", 2, "  x = = 1")


def test_a_tool_behind_a_link_finds_what_lies_beside_either(tmp_path: Path) -> None:
    real, here = tmp_path / "real", tmp_path / "here"
    here.mkdir()
    tool(real, {"tool.py": "import our_near, our_far\ndef go(): return our_near.N + our_far.F\n",
                "our_far.py": "F = 'far'\n", "our_near.py": "N = 'no'\n"})  # fmt: skip
    (here / "tool.py").symlink_to(real / "tool.py")
    assert answer(tool(here, {"our_near.py": "N = 'near '\n"})) == "near far"


def test_imports_in_many_threads_at_once(tmp_path: Path) -> None:
    files = {
        "tool.py": LATE,
        "our_days.py": "import time\ntime.sleep(0.02)\nseen = []\nseen.append(1)\n"
        "def word(): return str(len(seen))\n",
    }
    made = tool(tmp_path, files)
    start = threading.Barrier(4)

    def ask(_: int) -> str:
        start.wait(5)
        return answer(made)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == ["1"] * 4
