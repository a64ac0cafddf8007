"""Every key of every example dropped, misspelt and retyped: CI tries a third of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2] / "config" / "test_mutations.py"


def test_every_mutation_of_every_example() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(TESTS)],
        env={**os.environ, "RTRUN_ALL_MUTATIONS": "1"},
        check=False,
    )
    assert done.returncode == 0
