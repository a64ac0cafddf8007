from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.engine import Puppet, Serving, serving, speech_models

# The SDK would send its traces to OpenAI.
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"

the_puppet = Puppet()


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    """An engine with real ears and a real voice, as other people's clients meet it."""
    with serving(the_puppet, speech_models(), key="sk-interop") as running:
        yield running


@pytest.fixture
def puppet() -> Iterator[Puppet]:
    the_puppet.answer = the_puppet.repeat
    the_puppet.prompts.clear()
    yield the_puppet
    the_puppet.answer = the_puppet.repeat
