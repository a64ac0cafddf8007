"""Who may ask the admin port."""

from __future__ import annotations

import socket

import pytest

from runner.errors import UsageError
from runner.serve import guard as g

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("8081", ("127.0.0.1", 8081)),
        ("0", ("127.0.0.1", 0)),
        ("0.0.0.0:8081", ("0.0.0.0", 8081)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:8081", ("::1", 8081)),
    ],
)
def test_an_address(spec: str, wanted: tuple[str, int]) -> None:
    assert g.address(spec) == wanted


@pytest.mark.parametrize("spec", ["", ":", "x", "host:", ":80", "1:70000", "80x", "1:-1", "\u0661"])
def test_what_is_no_address(spec: str) -> None:
    with pytest.raises(UsageError, match="HOST"):
        g.address(spec)


@pytest.mark.parametrize(
    ("host", "bound", "wanted"),
    [
        ("127.0.0.1:8081", "127.0.0.1", True),
        ("localhost:8081", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("[::1]:8081", "127.0.0.1", True),
        ("127.0.0.53", "127.0.0.1", True),
        ("evil.example:8081", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("10.0.0.5:8081", "127.0.0.1", False),
        ("evil.example:8081", "0.0.0.0", False),
        ("10.0.0.5:8081", "0.0.0.0", True),
        (f"{socket.gethostname()}:8081", "0.0.0.0", True),
        ("admin.example:8081", "admin.example", True),
        (None, "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
        ("127.0.0.1:x", "127.0.0.1", False),
    ],
)
def test_a_host(host: str | None, bound: str, wanted: bool) -> None:
    assert g.own_host(host, bound) is wanted


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, True),
        ({"origin": "http://127.0.0.1:8081"}, True),
        ({"origin": "http://127.0.0.1:8082"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[", "host": "x"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
    ],
)
def test_an_origin(headers: dict[str, str], wanted: bool) -> None:
    assert g.own_origin({"host": "127.0.0.1:8081", **headers}) is wanted


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("Bearer secret-token-123", True),
        ("bearer  secret-token-123 ", True),
        ("Bearer secret-token-124", False),
        ("Bearer \u00fc\ud800", False),
        ("Basic secret-token-123", False),
        ("secret-token-123", False),
        ("Bearer", False),
        ("", False),
    ],
)
def test_a_token(header: str, wanted: bool) -> None:
    assert g.right_token("secret-token-123", g.given_token({"authorization": header})) is wanted
