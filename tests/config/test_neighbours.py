"""What a module imports from beside it, found without carrying anything out."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.diff import diff
from runner.config.load import Loaded, files_of, load
from runner.config.neighbours import neighbours, standard

pytestmark = pytest.mark.quick

SHOP = """\
agents:
  desk: { instructions: x, tools: [price] }
tools:
  price: { python: "tools/price.py:price" }
guardrails:
  - { name: mine, check: output, python: "rails.py:trips" }
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, code in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code)
    return folder


def shop(folder: Path, **more: str) -> Loaded:
    files = {
        "shop.yaml": SHOP,
        "tools/price.py": "import our_days, our_soon\ndef price(): ...\n",
        "tools/our_days.py": "import os\n",
        "rails.py": "from .our_rules import RULES\ndef trips(text): ...\n",
        "our_rules.py": "RULES = 1\n",
    }
    write(folder, {**files, **more})
    return load(folder / "shop.yaml", env={})


def test_neighbours_are_files_of_the_deployment(tmp_path: Path) -> None:
    loaded = shop(tmp_path)
    names = {file.relative_to(tmp_path).as_posix() for file in loaded.deployment.files}
    # One that is not there yet is looked for: to write it is a save.
    code = {"tools/price.py", "tools/our_days.py", "tools/our_soon.py", "rails.py", "our_rules.py"}
    assert names == {"shop.yaml", *code}
    assert set(files_of(tmp_path / "shop.yaml", env={})) == set(loaded.deployment.files)


def test_an_edited_neighbour_is_a_change_of_what_imports_it(tmp_path: Path) -> None:
    old = shop(tmp_path)
    [change] = diff(old.deployment, shop(tmp_path, **{"tools/our_days.py": "\n"}).deployment)
    assert (change.path, change.reload) == ("tools.price.python", "live")
    old = shop(tmp_path)
    [change] = diff(old.deployment, shop(tmp_path, **{"our_rules.py": "RULES = 2\n"}).deployment)
    assert (change.path, change.reload) == ("guardrails.mine.python", "live")
    old = shop(tmp_path)
    [change] = diff(old.deployment, shop(tmp_path, **{"tools/our_soon.py": ""}).deployment)
    assert change.path == "tools.price.python"


@pytest.mark.parametrize("broken", ["def f(:\n", "x = '\xff'\n", "\0", "(" * 3000])
def test_a_file_that_is_no_python_leads_nowhere(tmp_path: Path, broken: str) -> None:
    write(tmp_path, {"a.py": "import our_b\n"})
    (tmp_path / "our_b.py").write_bytes(broken.encode("latin-1"))
    found = neighbours(tmp_path / "a.py")
    assert [path.name for path in found.files] == ["our_b.py"]
    assert neighbours(tmp_path / "nothing.py").files == ()


def test_what_another_place_brings_is_no_neighbour(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import json, yaml, our_b, nowhere.at.all\n"})
    write(tmp_path, {"json.py": "", "yaml.py": "", "our_b.py": ""})
    found = neighbours(tmp_path / "a.py")
    assert [path.name for path in found.code] == ["a.py", "our_b.py"]
    assert [path.name for path in found.missing] == ["nowhere.py"]
    # In a Worker nothing is installed.
    there = neighbours(tmp_path / "a.py", standard)
    assert {path.name for path in there.code} == {"a.py", "our_b.py", "yaml.py"}


def test_nothing_above_the_folder_is_a_neighbour(tmp_path: Path) -> None:
    write(tmp_path, {"above.py": "", "in/a.py": "from ..above import x\nfrom .. import above\n"})
    assert neighbours(tmp_path / "in/a.py").files == ()
