"""Which files a command line means: names, folders, patterns, bases and tests."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path

from runner.config.find import SUFFIXES, deployments_in, is_base, is_tests
from runner.config.load import files_of
from runner.errors import InputError

_MAGIC = frozenset("*?[")


def meant(given: str) -> list[str]:
    """``given`` itself, the deployments of a folder, or those that a pattern fits (``**`` goes
    through folders). InputError when there is none."""
    if os.path.isdir(given):
        return deployments_in(given)
    if os.path.lexists(given) or not _MAGIC & set(given):
        return [given]
    fit = [p for p in glob.glob(given, recursive=True) if p.endswith(SUFFIXES)]
    found = sorted(p for p in fit if os.path.isfile(p) and not is_base(p) and not is_tests(p))
    if not found:
        raise InputError(f"{given}: no .yaml file fits this pattern")
    return found


def extending(base: str, env: Mapping[str, str]) -> list[str]:
    """The deployments in the folder of ``base`` and below it that stand on it."""
    target = Path(os.path.abspath(base))
    folder = os.path.dirname(base) or "."
    found = []
    for name in sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*"), recursive=True)):
        if not name.endswith(SUFFIXES) or is_base(name) or is_tests(name):
            continue
        if os.path.isfile(name) and target in files_of(name, env=env):
            found.append(os.path.normpath(name))
    return found


def deployment_of(tests: str) -> str:
    """The deployment beside ``NAME.test.yaml``. InputError when there is none."""
    stem = Path(tests).stem.removesuffix(".test")
    for suffix in SUFFIXES:
        file = Path(tests).with_name(stem + suffix)
        if file.is_file():
            return str(file)
    raise InputError(f"{tests}: no deployment {stem}.yaml beside these tests")
