from __future__ import annotations

import errno
import json
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.codec import b64decode, b64encode
from runner.errors import ConnectError
from runner.transports.base import ConnectOptions
from runner.transports.wire import (
    LastDelta,
    audio_lane,
    is_loopback,
    realtime_url,
    refusal,
    request_headers,
    shown_address,
    words_of,
)

pytestmark = pytest.mark.quick

DELTA: dict[str, Any] = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": b64encode(bytes(range(256))),
}


def lane(text: str) -> tuple[str, str, int, bytes] | None:
    return audio_lane(text.encode())


def parsed(text: str) -> tuple[str, str, int, bytes]:
    event = json.loads(text)
    return (
        event["response_id"],
        event["item_id"],
        event["content_index"],
        b64decode(event["delta"]),
    )


def compact(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))


def test_the_lane_takes_what_the_service_sends() -> None:
    assert lane(compact(DELTA)) == ("resp_1", "item_1", 0, bytes(range(256)))


@given(
    order=st.permutations(list(DELTA)),
    audio=st.binary(max_size=64),
    ids=st.tuples(st.text(), st.text()),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", ":"), (",", " : ")]),
    escape=st.booleans(),
    slashes=st.booleans(),
    extra=st.dictionaries(
        st.text(max_size=3) | st.just("delta"),
        st.text(max_size=5)
        | st.dictionaries(st.just("delta"), st.just("AAAA") | st.just("~"), max_size=1),
        max_size=2,
    ),
)
def test_the_lane_and_a_json_parser_read_the_same(
    order: list[str],
    audio: bytes,
    ids: tuple[str, str],
    separators: tuple[str, str],
    escape: bool,
    slashes: bool,
    extra: dict[str, Any],
) -> None:
    event = {**DELTA, "response_id": ids[0], "item_id": ids[1], "delta": b64encode(audio)}
    event = {key: event[key] for key in order}
    event = {**{k: v for k, v in extra.items() if k not in DELTA}, "nested": extra, **event}
    text = json.dumps(event, separators=separators, ensure_ascii=escape)
    if slashes:
        text = text.replace("/", "\\/")
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate: no JSON text on any wire
    taken = audio_lane(data)
    assert taken is None or taken == parsed(text)
    plain = separators == (",", ":") and not slashes and not extra
    if plain and not any("\\" in json.dumps(one) for one in ids):
        assert taken is not None  # the fast lane is really taken


parts = st.sampled_from(["a", "b", "resp_1", "x~", 'q"', "back\\slash", ""])


@given(
    events=st.lists(
        st.fixed_dictionaries(
            {
                "order": st.sampled_from(["service", "last", "id last"]),
                "event_id": parts,
                "response_id": parts,
                "item_id": parts,
                "content_index": st.integers(0, 2),
                "audio": st.binary(max_size=6),
                "extra": st.sampled_from([{}, {"event_id": "event_9"}, {"delta": "AAAA"}]),
                "spaces": st.booleans(),
            }
        ),
        max_size=6,
    )
)
def test_what_a_line_remembers_changes_nothing(events: list[dict[str, Any]]) -> None:
    """One event after the other, alike or not: as if each were the first."""
    last = LastDelta()
    for made in events:
        event = {**DELTA, "delta": b64encode(made["audio"])}
        event |= {key: made[key] for key in ("event_id", "response_id", "item_id")}
        event["content_index"] = made["content_index"]
        if made["order"] == "last":
            event = {"delta": event.pop("delta"), **event}
        elif made["order"] == "id last":
            event["event_id"] = event.pop("event_id")
        event = {"nested": made["extra"], **event}
        separators = (", ", ": ") if made["spaces"] else (",", ":")
        data = json.dumps(event, separators=separators).encode()
        assert audio_lane(data, last) == audio_lane(data)


def test_a_line_remembers_whose_audio_it_is() -> None:
    last = LastDelta()
    for number in range(3):
        event = {**DELTA, "event_id": f"event_{number}", "delta": b64encode(bytes([number]))}
        data = compact(event).encode()
        assert audio_lane(data, last) == ("resp_1", "item_1", 0, bytes([number]))
    assert last.ids == ("resp_1", "item_1", 0)
    broken = compact({**DELTA, "delta": "no base64!"}).encode()
    assert audio_lane(broken, last) is None
    cut = compact(DELTA).encode()[:-1]
    assert audio_lane(cut, last) is None
    assert audio_lane(compact(DELTA).encode() + b"}", last) is None


@pytest.mark.parametrize(
    "text",
    [
        # An object inside the event has a delta too, and stands first.
        '{"x":{"delta":"AAAA"},' + compact(DELTA)[1:],
        # Twice the same key: the last one counts.
        '{"delta":"AAAA",' + compact(DELTA)[1:],
        # Something else that quotes the type.
        compact({**DELTA, "type": "error", "quoted": "response.output_audio.delta"}),
        compact({**DELTA, "delta": "no base64!"}),
        compact({**DELTA, "delta": "AAA\\/"}),
        compact({**DELTA, "item_id": 5}),
        compact({**DELTA, "content_index": "0"}),
        compact({**DELTA, "content_index": True}),
        compact({key: DELTA[key] for key in DELTA if key != "response_id"}),
        compact({**DELTA, "delta": None}),
        "[" + compact(DELTA) + "]",
        compact(DELTA)[:-1],
        compact(DELTA)[:-20],
        '"response.output_audio.delta"',
    ],
)
def test_anything_unusual_is_left_to_a_json_parser(text: str) -> None:
    assert lane(text) is None


@pytest.mark.parametrize(
    ("base", "options", "url"),
    [
        ("wss://api.openai.com/v1/realtime", ConnectOptions(), "?model=gpt-realtime-2.1"),
        ("ws://h/v1/realtime", ConnectOptions(model="m o&d"), "?model=m+o%26d"),
        ("ws://h/v1/realtime?model=mine", ConnectOptions(model="other"), "?model=mine"),
        (
            "ws://h/r?intent=transcription",
            ConnectOptions(model="m"),
            "?intent=transcription&model=m",
        ),
        ("ws://h/r", ConnectOptions(call_id="rtc_a/b", model="m"), "?call_id=rtc_a%2Fb"),
        ("ws://h/r?call_id=rtc_1", ConnectOptions(model="m"), "?call_id=rtc_1"),
    ],
)
def test_the_address_names_the_model_or_the_call(
    base: str, options: ConnectOptions, url: str
) -> None:
    assert realtime_url(base, options) == base.partition("?")[0] + url


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConnectError, match=r"ws://\[bad is not a WebSocket address"):
        realtime_url("ws://[bad", ConnectOptions())


def test_people_see_no_query_and_no_password() -> None:
    assert shown_address("wss://me:secret@h:99/v1/realtime?key=secret") == "wss://h:99/v1/realtime"


def test_headers() -> None:
    assert request_headers(ConnectOptions()) == {}
    assert request_headers(ConnectOptions(api_key="sk-1\n")) == {"Authorization": "Bearer sk-1"}
    own = ConnectOptions(api_key="sk-1", headers={"Authorization": "Token t", "X-A": "b "})
    assert request_headers(own) == {"Authorization": "Token t", "X-A": "b"}


@pytest.mark.parametrize("key", ["sk\nX-Evil: 1", "sk-\u2013x", "a\0b"])
def test_a_key_that_would_break_the_request_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConnectError, match="header 'Authorization' holds signs") as caught:
        request_headers(ConnectOptions(api_key=key))
    assert key not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback("example.com")


def test_a_refusal_passes_the_servers_words_on() -> None:
    body = b'{"error":{"message":"Incorrect API key provided."}}'
    error = refusal("ws://h", 401, body)
    assert error.message == "ws://h refused with HTTP 401: Incorrect API key provided."
    assert "OPENAI_API_KEY" in error.hint
    for nothing in (b"", b"<html>", b"[]", b'{"error":"x"}'):
        assert refusal("ws://h", 418, nothing).message == "ws://h refused with HTTP 418"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 9)"), "connection refused"),
        (OSError("Multiple exceptions: [Errno 111] ..., [Errno 111] ..."), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (
            ValueError("did not receive a valid HTTP response"),
            "did not receive a valid HTTP response",
        ),
        (EOFError(), "EOFError"),
    ],
)
def test_what_went_wrong_below_in_words(error: Exception, words: str) -> None:
    assert words_of(error) == words
