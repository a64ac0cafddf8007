"""What is in the wheel and in the source archive, built as a user's installer would."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import runner

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return target


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (file,) = built.glob("*.whl")
    assert file.name == f"rtrun-{runner.__version__}-py3-none-any.whl"
    return zipfile.ZipFile(file)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    inside = set(wheel.namelist())
    info = f"rtrun-{runner.__version__}.dist-info"
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "runner").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == ours | {
        "runner/config/rtrun.v1.schema.json",
        f"{info}/METADATA",
        f"{info}/WHEEL",
        f"{info}/RECORD",
        f"{info}/entry_points.txt",
        f"{info}/licenses/LICENSE",
    }
    assert "runner/py.typed" in inside


def test_the_schema_in_the_wheel_is_the_one_of_the_repository(wheel: zipfile.ZipFile) -> None:
    copy = wheel.read("runner/config/rtrun.v1.schema.json")
    assert copy == (ROOT / "schemas" / "rtrun.v1.schema.json").read_bytes()


def test_the_command_and_the_transports_are_entry_points(wheel: zipfile.ZipFile) -> None:
    points = wheel.read(f"rtrun-{runner.__version__}.dist-info/entry_points.txt").decode()
    assert "rtrun = runner.cli.entry:main" in points
    assert "websocket = runner.transports.websocket:OpenAIRealtimeWebSocket" in points


def test_what_an_installer_is_told(wheel: zipfile.ZipFile) -> None:
    text = wheel.read(f"rtrun-{runner.__version__}.dist-info/METADATA").decode()
    told = HeaderParser().parsestr(text)
    assert told["Name"] == "rtrun"
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Requires-Python"] == ">=3.11"
    assert set(told.get_all("Provides-Extra") or ()) == {
        "local",
        "mic",
        "fast",
        "mcp",
        "test",
        "dev",
    }
    core = {
        line.partition(">")[0].partition("<")[0].partition("=")[0].strip()
        for line in told.get_all("Requires-Dist") or ()
        if "extra ==" not in line
    }
    assert core >= {
        "pyyaml",
        "jsonschema",
        "websockets",
        "aiortc",
        "sounddevice",
        "click",
        "watchfiles",
    }
    assert "<18,>=15" in next(
        line for line in told.get_all("Requires-Dist") or () if line.startswith("websockets")
    )
    # The page of the package is the README.
    assert told.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_the_source_archive_can_be_tested(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert inside >= {
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "pyproject.toml",
        "schemas/rtrun.v1.schema.json",
        "agents.d/receptionist.yaml",
        "examples/session.py",
        "docs/README.md",
        "tests/test_package.py",
        "runner/session.py",
        ".ci/run",
    }
    assert not [name for name in inside if "__pycache__" in name or name.endswith(".pyc")]


def test_the_version_is_told_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli.main", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.split()[-1] == runner.__version__
    assert runner.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
