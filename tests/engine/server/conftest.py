from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.engine import Puppet, Serving, serving, speech_models

the_puppet = Puppet()


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    """An engine with real ears and a real voice; the puppet thinks."""
    with serving(the_puppet, speech_models()) as running:
        yield running


@pytest.fixture(scope="module")
def typed() -> Iterator[Serving]:
    """An engine without speech models."""
    with serving(the_puppet, None, "not installed: moonshine-voice.") as running:
        yield running


@pytest.fixture
def puppet() -> Iterator[Puppet]:
    the_puppet.answer = the_puppet.repeat
    the_puppet.prompts.clear()
    yield the_puppet
    the_puppet.answer = the_puppet.repeat
