from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.engine import Puppet, Serving, serving
from support.mcp_server import HttpServer, http_server

the_puppet = Puppet()


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    """An engine for text; the puppet thinks."""
    with serving(the_puppet, None, "not needed here") as running:
        yield running


@pytest.fixture
def puppet() -> Iterator[Puppet]:
    the_puppet.answer = the_puppet.repeat
    the_puppet.prompts.clear()
    yield the_puppet
    the_puppet.answer = the_puppet.repeat


@pytest.fixture(scope="module")
def invoices() -> Iterator[HttpServer]:
    """A real MCP server, all its tools."""
    with http_server("--extra") as running:
        yield running
