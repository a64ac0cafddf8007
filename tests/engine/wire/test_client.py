from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.openai_types import client_types

from runner.engine.wire import WireError, check, decode_audio
from runner.engine.wire.client import CLIENT_EVENTS, MAX_AUDIO_BYTES

pytestmark = pytest.mark.quick

GOOD = {
    "session.update": {"session": {"type": "realtime"}},
    "input_audio_buffer.append": {"audio": "AAAA"},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "output_audio_buffer.clear": {},
    "conversation.item.create": {
        "item": {"type": "message", "role": "user", "content": []},
        "previous_item_id": None,
    },
    "conversation.item.delete": {"item_id": "i"},
    "conversation.item.retrieve": {"item_id": "i"},
    "conversation.item.truncate": {"item_id": "i", "content_index": 0, "audio_end_ms": 10},
    "response.create": {},
    "response.cancel": {},
}


def refused(event) -> WireError:
    with pytest.raises(WireError) as caught:
        check(event)
    return caught.value


def test_the_eleven_are_openais_eleven():
    assert set(CLIENT_EVENTS) == set(client_types()) == set(GOOD)


@pytest.mark.parametrize("kind", CLIENT_EVENTS)
def test_a_good_event_is_given_back(kind):
    event = {"type": kind, "event_id": "e1", **GOOD[kind]}
    client_types()[kind].model_validate(event)
    assert check(event) is event


@pytest.mark.parametrize("kind", CLIENT_EVENTS)
def test_an_unknown_field_is_refused(kind):
    error = refused({"type": kind, "event_id": "e1", **GOOD[kind], "colour": "red"})
    assert (error.code, error.param, error.event_id) == ("unknown_parameter", "colour", "e1")
    assert error.message == "Unknown parameter: 'colour'."


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "nope"}, "invalid_value", "type"),
        ({"type": 5}, "invalid_type", "type"),
        ({}, "missing_required_parameter", "type"),
        ([], "invalid_event", None),
        ("text", "invalid_event", None),
        (None, "invalid_event", None),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": []}, "invalid_type", "session"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": None}, "invalid_type", "audio"),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        ({"type": "response.cancel", "response_id": 1}, "invalid_type", "response_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0},
            "missing_required_parameter",
            "audio_end_ms",
        ),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "i",
                "content_index": 0,
                "audio_end_ms": -1,
            },
            "integer_below_min_value",
            "audio_end_ms",
        ),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "i",
                "content_index": True,
                "audio_end_ms": 1.5,
            },
            "invalid_type",
            "content_index",
        ),
    ],
)
def test_a_bad_event_is_refused_with_its_place(event, code, param):
    error = refused(event)
    assert (error.code, error.param) == (code, param)


def test_an_event_id_may_have_512_characters():
    check({"type": "response.create", "event_id": "x" * 512})
    error = refused({"type": "response.create", "event_id": "x" * 513})
    assert error.code == "string_above_max_length"
    assert error.event_id is None


def test_the_error_event_is_openais():
    from support.openai_types import check_types

    event = refused({"type": "nope", "event_id": "mine"}).event()
    check_types(event)
    assert event["error"]["event_id"] == "mine"
    assert event["event_id"].startswith("event_")


def test_an_append_carries_15_mib():
    check({"type": "input_audio_buffer.append", "audio": "A" * (MAX_AUDIO_BYTES // 3 * 4)})
    big = {"type": "input_audio_buffer.append", "audio": "A" * (MAX_AUDIO_BYTES // 3 * 4 + 8)}
    error = refused(big)
    assert error.code == "string_above_max_length"
    assert len(error.message) < 300


@given(st.binary())
def test_base64_comes_back(data):
    import base64

    assert decode_audio(base64.b64encode(data).decode()) == data
    assert decode_audio(base64.encodebytes(data).decode()) == data


@pytest.mark.parametrize("text", ["A", "!!!!", "data:audio/wav;base64,AAAA", "ÄÖÜ", "AAA=AAAA"])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(WireError) as caught:
        decode_audio(text)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "audio")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(
    ["type", "event_id", "session", "item", "item_id", "audio", "response", "content_index"]
)


@given(st.dictionaries(keys | st.text(max_size=5), json_values | st.sampled_from(CLIENT_EVENTS)))
def test_any_json_is_taken_or_refused_and_what_is_taken_is_openais(event):
    try:
        check(event)
    except WireError:
        return
    # The inside of item, session and response is looked at where it is used.
    shallow = {k: v for k, v in event.items() if k not in ("item", "session", "response")}
    model = client_types()[event["type"]]
    inner = {k: GOOD[event["type"]][k] for k in ("item", "session") if k in event}
    try:
        model.model_validate({**shallow, **inner})
    except ValidationError as fault:  # pragma: no cover
        pytest.fail(str(fault))
