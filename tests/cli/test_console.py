"""`rtrun --console` and `rtrun console`, the real command and a plain HTTP client."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from support.command import Command, invoke, rtrun
from support.doors import places
from support.engine import Puppet, serving
from support.live import SHOP
from support.until import until_sync


def test_the_link_of_a_run_and_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    with places() as env, serving(Puppet(), no_speech="typed") as engine:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        with Command("run", str(file), "--engine", engine.url, "--console", "0") as run:
            run.end_input()
            run.wait_for("ready")
            until_sync(lambda: _link(run.errors), 30)
            for link in (_link(run.errors), rtrun("console").stdout.strip()):
                with httpx.Client(trust_env=False, follow_redirects=True) as browser:
                    page = browser.get(link)
                    assert page.status_code == 200
                    assert "rtrun console" in page.text
                    assert "token" not in str(page.url)
            assert run.process.poll() is None, "it waits for browsers"
            os.kill(run.process.pid, signal.SIGTERM)
            assert run.finish() == 0, run.story()
            assert run.of("session_start") == []


@pytest.mark.quick
def test_flags_that_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    for flags, words in (
        (("--console", "0", "--no-console"), "exclude each other"),
        (("--console", "x"), "--console x: not [HOST:]PORT"),
    ):
        code, _, said = invoke("run", file, *flags)
        assert code == 2
        assert words in said


def _link(lines: list[str]) -> str:
    found = re.search(r"console: (http\S+)", "".join(lines))
    return "" if found is None else found[1]
