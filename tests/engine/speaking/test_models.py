from __future__ import annotations

import os
import platform
import sys

import pytest
from support.models import local_models

from runner.engine.ports import Ears, Models, Voice
from runner.engine.speaking import models
from runner.engine.speaking.models import LocalModels, missing
from runner.errors import MissingModels


def test_speech_is_available_here() -> None:
    assert missing() is None


def test_the_models_fit_their_ports() -> None:
    loaded: Models = local_models()
    ears: Ears = loaded.ears
    voice: Voice = loaded.voice
    assert ears
    assert voice
    assert 0 <= loaded.vad()(bytes(1024)) < 0.5


def test_each_caller_has_a_detector_of_its_own() -> None:
    first, second = local_models().vad(), local_models().vad()
    assert first is not second
    first.reset()


def test_close_is_idempotent_and_works_before_load() -> None:
    unused = LocalModels()
    unused.close()
    unused.close()


@pytest.mark.parametrize(
    ("system", "machine", "glibc", "says"),
    [
        ("linux", "x86_64", "glibc 2.31", "this is glibc 2.31"),
        ("linux", "riscv64", "glibc 2.36", "this is riscv64"),
        ("linux", "x86_64", "", "another C library"),
        ("freebsd14", "amd64", "", "this is freebsd14"),
        ("win32", "arm64", "", "Windows on arm64"),
    ],
)
def test_other_platforms_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, glibc: str, says: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(os, "confstr", lambda name: glibc or None)
    reason = missing()
    assert reason is not None
    assert says in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("machine", "version", "good"),
    [("arm64", "15.1", True), ("arm64", "14.6", False), ("x86_64", "15.0", False)],
)
def test_macos_needs_15_on_apple_silicon(
    monkeypatch: pytest.MonkeyPatch, machine: str, version: str, good: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), machine))
    assert (missing() is None) is good


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = models.find_spec
    monkeypatch.setattr(models, "find_spec", lambda n: None if n == "moonshine_voice" else real(n))
    reason = missing()
    assert reason is not None
    assert reason.startswith("not installed: moonshine-voice (")
    assert "pip install -e '.[local]'" in reason
    with pytest.raises(MissingModels, match="moonshine-voice"):
        LocalModels().load()
