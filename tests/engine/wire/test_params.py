from __future__ import annotations

import pytest

from runner.audio.formats import PCM16, PCMU
from runner.engine.wire import Items, ResponseParams, Settings, WireError

pytestmark = pytest.mark.quick

MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def parse(response=None, items=None, settings=None, **more):
    return ResponseParams.parse(
        response, settings or Settings("m", "s", instructions="Session."), items or Items(), **more
    )


@pytest.mark.parametrize("response", [None, {}])
def test_without_parameters_it_is_the_sessions(response):
    settings = Settings("m", "s")
    settings.update(
        {
            "type": "realtime",
            "tools": [{"type": "function", "name": "f"}],
            "tool_choice": "required",
            "max_output_tokens": 50,
            "audio": {"output": {"voice": "ash", "speed": 1.2, "format": {"type": "audio/pcmu"}}},
        }
    )
    params = parse(response, settings=settings)
    assert params.instructions == settings.instructions
    assert params.tools == ({"type": "function", "name": "f"},)
    assert params.tool_choice == "required"
    assert params.max_output_tokens == 50
    assert (params.voice, params.speed, params.output_format) == ("ash", 1.2, PCMU)
    assert params.audio
    assert not params.out_of_band
    assert params.metadata is None
    assert params.input is None


def test_what_is_given_replaces():
    params = parse(
        {
            "output_modalities": ["text"],
            "instructions": "Only this.",
            "audio": {"output": {"voice": {"id": "voice_1"}, "format": {"type": "audio/pcmu"}}},
            "tools": [],
            "tool_choice": "none",
            "max_output_tokens": "inf",
            "metadata": {"rtrun": "say"},
            "parallel_tool_calls": True,
            "reasoning": {"effort": "low"},
            "prompt": {"id": "p"},
            "conversation": "auto",
        }
    )
    assert params.modalities == ("text",)
    assert not params.audio
    assert params.instructions == "Only this."
    assert (params.voice, params.output_format) == ("voice_1", PCMU)
    assert params.metadata == {"rtrun": "say"}


def test_null_is_left_out():
    params = parse({"instructions": None, "metadata": None, "audio": {"output": None}})
    assert params.instructions == "Session."
    assert params.output_format == PCM16


def test_out_of_band_input_is_the_context_and_is_not_stored():
    items = Items()
    said = items.create(MESSAGE)
    reference = {"type": "item_reference", "id": said["id"]}
    params = parse({"conversation": "none", "input": [reference, MESSAGE]}, items)
    assert params.out_of_band
    assert [i["content"][0]["text"] for i in params.input] == ["hi", "hi"]
    assert params.input[0]["id"] == said["id"]
    assert items.ids() == [said["id"]]


def test_an_empty_input_is_an_empty_context():
    assert parse({"input": []}).input == ()


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ("x", "invalid_type", "response"),
        ({"modalities": ["text"]}, "unknown_parameter", "response.modalities"),
        ({"voice": "ash"}, "unknown_parameter", "response.voice"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "response.output_modalities"),
        ({"max_output_tokens": 5000}, "integer_above_max_value", "response.max_output_tokens"),
        ({"conversation": "other"}, "invalid_value", "response.conversation"),
        ({"metadata": {"k": 1}}, "invalid_type", "response.metadata.k"),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "response.metadata.k"),
        ({"metadata": {"k" * 65: "v"}}, "string_above_max_length", "response.metadata"),
        (
            {"metadata": {str(i): "" for i in range(17)}},
            "object_above_max_properties",
            "response.metadata",
        ),
        (
            {"tools": [{"type": "function", "name": "f", "strict": True}]},
            "unknown_parameter",
            "response.tools[0].strict",
        ),
        ({"input": {}}, "invalid_type", "response.input"),
        ({"input": [{"type": "note"}]}, "invalid_value", "response.input[0].type"),
        (
            {"input": [{"type": "item_reference"}]},
            "missing_required_parameter",
            "response.input[0].id",
        ),
        (
            {"input": [MESSAGE, {"type": "item_reference", "id": "nope"}]},
            "invalid_value",
            "response.input[1].id",
        ),
        ({"audio": {"output": {"speed": 1}}}, "unknown_parameter", "response.audio.output.speed"),
    ],
)
def test_a_wrong_value_is_refused(response, code, param):
    with pytest.raises(WireError) as caught:
        parse(response, event_id="e1")
    error = caught.value
    assert (error.code, error.param, error.event_id) == (code, param, "e1")


def test_metadata_to_the_limit():
    full = {f"{i:064}": "v" * 512 for i in range(16)}
    assert parse({"metadata": full}).metadata == full


def test_another_voice_is_too_late_once_one_was_heard():
    response = {"audio": {"output": {"voice": "cedar"}}}
    assert parse(response).voice == "cedar"
    with pytest.raises(WireError) as caught:
        parse(response, audio_produced=True)
    assert caught.value.code == "cannot_update_voice"
    same = {"audio": {"output": {"voice": "marin"}}}
    assert parse(same, audio_produced=True).voice == "marin"


def test_a_transcription_session_answers_nothing():
    with pytest.raises(WireError):
        parse(settings=Settings("", "s", type="transcription"))
