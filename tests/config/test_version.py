"""``apiVersion``: a clear answer to an unknown one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import SMALL, loaded, only, problems, told

pytestmark = pytest.mark.quick


def test_a_newer_version_is_the_only_thing_told(tmp_path: Path) -> None:
    told(
        tmp_path,
        "apiVersion: ¦rtrun/v2\nagents2: { of: a later format }\n",
        "apiVersion: this rtrun does not know version rtrun/v2 "
        "(known are rtrun/v1; a newer version needs a newer rtrun)",
    )


@pytest.mark.parametrize("written", ["v1", "rtrun/1", "1", "null", "[rtrun/v1]", "rtrun/v"])
def test_what_is_no_version(tmp_path: Path, written: str) -> None:
    found = f"apiVersion: {written} is no version of this format (known are rtrun/v1)"
    if "[" in written:
        found = found.replace("[rtrun/v1]", "['rtrun/v1']")
    told(tmp_path, f"apiVersion: ¦{written}\n{SMALL}", found)


def test_a_version_from_the_environment(tmp_path: Path) -> None:
    text = "apiVersion: ${V}\n" + SMALL
    assert loaded(tmp_path, text, {"V": "rtrun/v1"})
    assert "known are rtrun/v1" in only(problems(tmp_path, text, {"V": "rtrun/v9"})).hint
    assert only(problems(tmp_path, text)).message == "V is not set in the environment"
