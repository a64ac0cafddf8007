"""How the model's arguments get into a request, and what they cannot do there."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.codec import loads
from runner.errors import ToolError
from runner.model.deployment import HttpSpec
from runner.model.secret import Secret
from runner.tools.request import Request, request_of, server_of

pytestmark = pytest.mark.quick


def request(url: str, arguments: dict[str, Any], **given: Any) -> Request:
    given["headers"] = {k: Secret(v) for k, v in given.get("headers", {}).items()}
    spec = HttpSpec(url, **given)
    return request_of(spec, server_of(url), frozenset(spec.arguments()), arguments)


def target(url: str, arguments: dict[str, Any], **given: Any) -> str:
    return request(url, arguments, **given).target


@pytest.mark.parametrize(
    ("url", "scheme", "name", "port", "authority"),
    [
        ("https://api.example.com/x", "https", "api.example.com", 443, "api.example.com"),
        ("HTTP://API.example.com.:8080?x", "http", "api.example.com", 8080, "api.example.com:8080"),
        ("https://[2001:db8::1]:443", "https", "2001:db8::1", 443, "[2001:db8::1]"),
        ("http://bücher.example", "http", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
    ],
)
def test_servers(url: str, scheme: str, name: str, port: int, authority: str) -> None:
    server = server_of(url)
    assert (server.scheme, server.name, server.port) == (scheme, name, port)
    assert server.authority == authority


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://x/", "names no server"),
        ("file:///etc/passwd", "names no server"),
        ("https:///x", "names no server"),
        ("https://x:99999/", "names no server"),
        ("https://a..b/", "names no server"),
        ("https://{host}/", "an argument cannot choose the server"),
        ("https://x:{port}/", "names no server"),
        ("https://me:hunter2@x/", "holds a password"),
    ],
)
def test_what_is_no_server(url: str, words: str) -> None:
    with pytest.raises(ToolError, match=words) as refused:
        server_of(url)
    assert "hunter2" not in str(refused.value)


def test_arguments_are_encoded_where_they_stand() -> None:
    arguments = {"a": "x/y?z&w=#%2e +ü", "n": 5, "yes": True}
    encoded = "x%2Fy%3Fz%26w%3D%23%252e%20%2B%C3%BC"
    assert target("https://h/p/{a}/q-{n}?v={a}&n={yes}", arguments) == (
        f"/p/{encoded}/q-5?v={encoded}&n=true"
    )
    assert target("https://h", {"a": "x&y=z", "n": 1}, query={"a b": "{a}", "c": "&{n}"}) == (
        "/?a%20b=x%26y%3Dz&c=%261"
    )
    assert target("https://h/{a}#{n}", {"a": {"k": [1]}}) == "/%7B%22k%22%3A%5B1%5D%7D"


def test_what_the_author_wrote_stands() -> None:
    assert (
        target("https://h/a%20b/c d/ü;v=1?x=1&y=a b", {}) == "/a%20b/c%20d/%C3%BC;v=1?x=1&y=a%20b"
    )
    assert target("https://h/../{x}", {"x": "1"}) == "/../1"


def test_braces_in_an_argument_are_not_filled_in_again() -> None:
    assert target("https://h/{a}", {"a": "{b}", "b": "no"}) == "/%7Bb%7D"
    spec = HttpSpec("https://h/{secretly}/{a}")
    got = request_of(spec, server_of(spec.url), frozenset({"a"}), {"a": "1"})
    assert got.target == "/%7Bsecretly%7D/1"  # no parameter of that name: only braces


@pytest.mark.parametrize(
    "value", [".", "..", "../admin", "x/../y", "..\\x", "a/..;v=1/b", "/..", "./x", "x/."]
)
def test_an_argument_does_not_climb(value: str) -> None:
    with pytest.raises(ToolError, match=r"argument a: \. and \.\. are no part"):
        target("https://h/p/{a}/q", {"a": value})
    assert "?v=" in target("https://h/p?v={a}", {"a": value})  # no path: it is only a value


def test_two_arguments_do_not_climb_together() -> None:
    for a, b in ((".", "."), ("", ".."), ("", ".")):
        with pytest.raises(ToolError):
            target("https://h/p/{a}{b}/q", {"a": a, "b": b})
    with pytest.raises(ToolError, match=r"argument a: \. and"):
        target("https://h/p/.{a}/q", {"a": ""})
    assert target("https://h/p/{a}", {"a": "%2e%2e"}) == "/p/%252e%252e"
    assert target("https://h/v{a}", {"a": "1.2"}) == "/v1.2"


def test_an_address_needs_its_arguments() -> None:
    for arguments in ({}, {"a": ""}, {"a": None}):
        with pytest.raises(ToolError, match="argument a is empty, and the address needs it"):
            target("https://h/p/{a}/q", arguments)


def test_what_was_not_given_is_left_out() -> None:
    got = request(
        "https://h/",
        {"x": "1"},
        method="POST",
        query={"q": "{a}", "r": "a{a}", "s": "{x}"},
        headers={"A": "{a}", "B": "b{a}"},
        body={"k": "{a}", "l": ["{a}", "{x}", {"m": "{a}"}], "t": "<{a}>"},
    )
    assert got.target == "/?r=a&s=1"
    headers = dict(got.headers)
    assert "A" not in headers
    assert headers["B"] == "b"
    assert loads(got.body) == {"l": ["1", {}], "t": "<>"}


def test_a_body_has_the_types_of_its_arguments() -> None:
    arguments = {"n": 5, "ok": False, "tags": ["a", {"b": None}], "text": 'say "hi"\n'}
    body = {"n": "{n}", "all": ["{ok}", "{tags}"], "t": "{text}", "mix": "{n}: {text}", "k": 1.5}
    got = request("https://h/", arguments, method="POST", body=body)
    assert loads(got.body) == {
        "n": 5,
        "all": [False, ["a", {"b": None}]],
        "t": 'say "hi"\n',
        "mix": '5: say "hi"\n',
        "k": 1.5,
    }
    assert dict(got.headers)["Content-Type"] == "application/json"
    assert dict(got.headers)["Content-Length"] == str(len(got.body))


@pytest.mark.parametrize(
    ("kind", "template", "body"),
    [
        ("", "hi {a}", 'hi "x"&<b>=1\n'),
        ("application/json", '{"a": "{a}"}', '{"a": "\\"x\\"&<b>=1\\n"}'),
        ("Application/vnd.api+JSON; v=1", '["{a}"]', '["\\"x\\"&<b>=1\\n"]'),
        ("application/x-www-form-urlencoded", "a={a}&b=2", "a=%22x%22%26%3Cb%3E%3D1%0A&b=2"),
        ("text/xml", "<a>{a}</a>", "<a>&quot;x&quot;&amp;&lt;b&gt;=1\n</a>"),
    ],
)
def test_an_argument_does_not_end_the_text_around_it(kind: str, template: str, body: str) -> None:
    headers = {"content-type": kind} if kind else {}
    got = request("https://h/", {"a": '"x"&<b>=1\n'}, method="PUT", headers=headers, body=template)
    assert got.body.decode() == body
    assert dict(got.headers)["Content-Type"] == (kind or "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "value", ["a\r\nX-Admin: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x85b", "a\u2028b", "a\tb"]
)
def test_an_argument_adds_no_header(value: str) -> None:
    with pytest.raises(ToolError, match="argument a: one line of text is wanted"):
        request("https://h/", {"a": value}, headers={"X-A": "v {a}"})
    assert dict(request("https://h/", {"a": " ü "}, headers={"X-A": "{a}"}).headers)["X-A"] == "ü"


def test_what_every_request_says() -> None:
    assert request("https://h:444/", {}).headers == (
        ("Host", "h:444"),
        ("User-Agent", "rtrun"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    )
    got = request("https://h/", {}, method="POST", headers={"accept": "text/plain"})
    assert dict(got.headers)["Accept"] == "text/plain"
    assert dict(got.headers)["Content-Length"] == "0"


def test_a_request_is_not_printed() -> None:
    got = request(
        "https://h/?key=hunter2", {}, method="POST", headers={"K": "hunter2"}, body="hunter2"
    )
    assert "hunter2" not in repr(got)


VALUES = st.one_of(
    st.text(max_size=30),
    st.text("./\\%2eE?#&=;:@\r\n\0 ", max_size=12),
    st.integers(),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=5), max_size=3),
)


@settings(max_examples=300)
@given(VALUES, VALUES, VALUES)
def test_no_argument_changes_where_it_goes(a: Any, b: Any, c: Any) -> None:
    """Whatever the arguments are, the server stays, the path has as many segments, the query as
    many parameters and the head as many lines, or the call is refused."""
    url = "https://api.example.com/v1/{a}/x-{b}/end?q={c}&fixed=1"
    try:
        got = request(
            url, {"a": a, "b": b, "c": c}, method="POST", query={"w": "<{b}>"},
            headers={"X-A": "{a}", "X-Fixed": "2"}, body={"k": "{c}", "l": 1},
        )  # fmt: skip
    except ToolError:
        return
    assert re.fullmatch(r"/[\x21-\x7e]*", got.target)
    path, _, query = got.target.partition("?")
    segments = path.split("/")
    assert [segments[1], segments[4]] == ["v1", "end"]
    assert len(segments) == 5
    assert all(unquote(segment) not in ("", ".", "..") for segment in segments[1:])
    assert [name for name, _ in parse_qsl(query, keep_blank_values=True)] == ["q", "fixed", "w"]
    assert json.loads(got.body) == {"k": c, "l": 1}
    # And so does a server read it.
    wire = h11.Connection(h11.SERVER)
    client = h11.Connection(h11.CLIENT)
    sent = h11.Request(
        method=got.method, target=got.target, headers=[(k, v.encode()) for k, v in got.headers]
    )
    wire.receive_data(client.send(sent) or b"")
    seen = wire.next_event()
    assert isinstance(seen, h11.Request)
    assert len(seen.headers) == len(got.headers)
    assert dict(seen.headers)[b"host"] == b"api.example.com"
    assert seen.target.decode() == got.target
