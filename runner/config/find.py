"""Which files of a folder are deployments."""

from __future__ import annotations

import os
from pathlib import Path

from runner.errors import InputError

SUFFIXES = (".yaml", ".yml")


def is_base(path: str | os.PathLike[str]) -> bool:
    """``_*.yaml``: what others extend, and no deployment itself."""
    return Path(path).name.startswith("_")


def is_tests(path: str | os.PathLike[str]) -> bool:
    """``NAME.test.yaml``: tests of the deployment ``NAME.yaml`` beside it."""
    return Path(path).stem.endswith(".test")


def deployments_in(folder: str) -> list[str]:
    """The deployment files of ``folder``, sorted: no bases, no tests, no hidden files (editors
    and Kubernetes leave such). InputError when there is none, or the folder cannot be read."""
    path = Path(folder)
    try:
        found = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file())
    except OSError as error:
        raise InputError(f"{folder}: not readable ({error.strerror})") from None
    found = [p for p in found if not is_base(p) and not is_tests(p) and not p.name.startswith(".")]
    if not found:
        raise InputError(f"{folder}: no .yaml file in this folder")
    return [str(file) for file in found]
