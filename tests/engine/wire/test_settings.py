from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.openai_types import check_types

from runner.audio.formats import PCM16, PCMA, PCMU
from runner.engine.wire import Settings, TurnDetection, WireError, events

pytestmark = pytest.mark.quick

SERVER_ONLY = ("id", "object", "expires_at")


def made(**more) -> Settings:
    return Settings("gpt-realtime", "sess_1", expires_at=1_800_000_000, **more)


def update(settings: Settings, session: dict, **more) -> dict:
    settings.update({"type": settings.type, **session}, **more)
    return settings.effective()


def refused(session, settings=None, **more) -> WireError:
    settings = settings or made()
    before = settings.effective()
    with pytest.raises(WireError) as caught:
        settings.update(session, **more)
    assert settings.effective() == before
    check_types(caught.value.event())
    return caught.value


def audio_input(**fields) -> dict:
    return {"audio": {"input": fields}}


def audio_output(**fields) -> dict:
    return {"audio": {"output": fields}}


def test_the_defaults_are_the_services():
    session = made().effective()
    check_types(events.session_created(session))
    check_types(events.session_updated(session))
    assert session["id"] == "sess_1"
    assert session["object"] == "realtime.session"
    assert session["expires_at"] == 1_800_000_000
    assert session["output_modalities"] == ["audio"]
    assert session["instructions"]
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.0,
    }
    assert session["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
            "idle_timeout_ms": None,
            "create_response": True,
            "interrupt_response": True,
        },
    }
    for key in ("tracing", "prompt", "include"):
        assert session[key] is None
    assert session["tools"] == []
    assert session["tool_choice"] == session["truncation"] == "auto"
    assert session["max_output_tokens"] == "inf"


def test_a_preview_model_is_accepted_and_repeating_it_too():
    settings = Settings("gpt-4o-realtime-preview-2024-12-17", "s")
    update(settings, {"model": "gpt-4o-realtime-preview-2024-12-17"})
    error = refused({"type": "realtime", "model": "gpt-realtime"}, settings)
    assert (error.code, error.param) == ("invalid_value", "session.model")


def test_what_is_left_out_stays():
    settings = made()
    update(settings, {"instructions": "Be brief.", **audio_output(voice="cedar")})
    session = update(settings, audio_output(speed=1.2))
    assert session["instructions"] == "Be brief."
    assert session["audio"]["output"]["voice"] == "cedar"
    assert settings.speed == 1.2
    assert update(settings, {"instructions": ""})["instructions"] == ""


def test_turn_detection_merges_within_its_type():
    settings = made()
    turns = audio_input(turn_detection={"type": "server_vad", "silence_duration_ms": 700})
    update(settings, turns)
    update(settings, audio_input(turn_detection={"type": "server_vad", "threshold": 0.8}))
    assert settings.turn_detection == TurnDetection(
        "server_vad", threshold=0.8, silence_duration_ms=700
    )


def test_another_turn_detection_starts_from_its_defaults():
    settings = made()
    update(settings, audio_input(turn_detection={"type": "server_vad", "create_response": False}))
    session = update(settings, audio_input(turn_detection={"type": "semantic_vad"}))
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    assert settings.turn_detection == TurnDetection("semantic_vad")


def test_null_turns_things_off():
    settings = made()
    update(
        settings,
        {
            "prompt": {"id": "pmpt_1", "version": None, "variables": None},
            **audio_input(
                transcription={"model": "whisper-1"}, noise_reduction={"type": "far_field"}
            ),
        },
    )
    assert settings.transcription == {"model": "whisper-1"}
    assert settings.effective()["prompt"] == {"id": "pmpt_1"}
    off = audio_input(transcription=None, noise_reduction=None, turn_detection=None)
    update(settings, {"prompt": None, "include": None, **off})
    assert settings.transcription is None
    assert settings.noise_reduction is None
    assert settings.turn_detection is None


def test_a_transcription_with_a_model_is_whole_and_without_one_refines():
    settings = made()
    update(settings, audio_input(transcription={"model": "gpt-4o-transcribe", "language": "de"}))
    update(settings, audio_input(transcription={"prompt": "dentistry"}))
    assert settings.transcription == {
        "model": "gpt-4o-transcribe",
        "language": "de",
        "prompt": "dentistry",
    }
    update(settings, audio_input(transcription={"model": "gpt-4o-transcribe"}))
    assert settings.transcription == {"model": "gpt-4o-transcribe"}


def test_noise_reduction_keeps_its_strength():
    settings = made()
    update(settings, audio_input(noise_reduction={"type": "near_field", "strength": 0.5}))
    update(settings, audio_input(noise_reduction={"type": "far_field"}))
    assert settings.noise_reduction == {"type": "far_field", "strength": 0.5}


@pytest.mark.parametrize(
    ("wire", "format"),
    [
        ({"type": "audio/pcm", "rate": 24000}, PCM16),
        ({"type": "audio/pcmu"}, PCMU),
        ({"type": "audio/pcma"}, PCMA),
    ],
)
def test_formats(wire, format):
    settings = made()
    session = update(settings, {"audio": {"input": {"format": wire}, "output": {"format": wire}}})
    assert settings.input_format == settings.output_format == format
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == wire


def test_a_g711_rate_is_taken_and_not_echoed():
    session = update(made(), audio_input(format={"type": "audio/pcmu", "rate": 8000}))
    assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}


def test_the_voice_is_fixed_once_it_was_heard():
    settings = made()
    update(settings, audio_output(voice="cedar"))
    patch = {"type": "realtime", "instructions": "x", **audio_output(voice="ash")}
    error = refused(patch, settings, audio_produced=True, event_id="e9")
    assert (error.code, error.param, error.event_id) == ("cannot_update_voice", None, "e9")
    same = {"instructions": "x", **audio_output(voice="cedar")}
    assert update(settings, same, audio_produced=True)["instructions"] == "x"


def test_a_custom_voice_is_echoed_and_named_by_its_id():
    settings = made()
    session = update(settings, audio_output(voice={"id": "voice_1"}))
    assert session["audio"]["output"]["voice"] == {"id": "voice_1"}
    assert settings.voice == "voice_1"
    check_types(events.session_updated(session))


def test_speed_waits_for_the_end_of_a_response():
    settings = made()
    error = refused({"type": "realtime", **audio_output(speed=1.1)}, settings, responding=True)
    assert (error.code, error.param) == ("invalid_value", "session.audio.output.speed")
    update(settings, audio_output(speed=1.0), responding=True)
    update(settings, audio_output(speed=1.1))


def test_tracing_is_set_once():
    settings = made()
    update(settings, {"tracing": None})
    update(settings, {"tracing": "auto"})
    update(settings, {"tracing": "auto"})
    for value in (None, {"workflow_name": "w"}):
        error = refused({"type": "realtime", "tracing": value}, settings)
        assert error.param == "session.tracing"


def test_optional_fields_are_echoed_once_set():
    settings = made()
    assert "reasoning" not in settings.effective()
    session = update(settings, {"reasoning": {"effort": "low"}, "parallel_tool_calls": False})
    assert session["reasoning"] == {"effort": "low"}
    assert session["parallel_tool_calls"] is False
    check_types(events.session_updated(session))


GOOD_TOOLS = [
    {"type": "function", "name": "find_slots"},
    {"type": "function", "name": "a-B_9", "description": "d", "parameters": {"type": "object"}},
    {"type": "mcp", "server_label": "x", "server_url": "https://x.example"},
    {
        "type": "mcp",
        "server_label": "x",
        "tunnel_id": "tunnel_" + "a1" * 16,
        "allowed_tools": {"tool_names": ["a"], "read_only": True},
        "allowed_callers": ["direct"],
        "require_approval": {"always": {"tool_names": ["a"]}},
        "headers": {"A": "b"},
        "authorization": "t",
        "server_description": "d",
        "defer_loading": True,
    },
    {
        "type": "mcp",
        "server_label": "x",
        "connector_id": "connector_gmail",
        "allowed_tools": ["a"],
        "require_approval": "never",
    },
]


KEYS = ("headers", "authorization")
ECHOED = [{k: v for k, v in tool.items() if k not in KEYS} for tool in GOOD_TOOLS]


def test_tools_are_replaced_whole_and_echoed_without_the_keys_of_mcp_servers():
    settings = made()
    session = update(settings, {"tools": GOOD_TOOLS})
    assert session["tools"] == ECHOED
    check_types(events.session_updated(session))
    assert settings.tools == GOOD_TOOLS
    assert update(settings, {"tools": []})["tools"] == []


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": 1}, "invalid_type", "session.type"),
        ({"type": "speech"}, "invalid_value", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ("text", "invalid_type", "session"),
        ({"voice": "ash"}, "unknown_parameter", "session.voice"),
        ({"id": "sess_2"}, "unknown_parameter", "session.id"),
        ({"audio": {"speed": 1}}, "unknown_parameter", "session.audio.speed"),
        ({"instructions": None}, "invalid_type", "session.instructions"),
        ({"tools": None}, "invalid_type", "session.tools"),
        ({"tools": {}}, "invalid_type", "session.tools"),
        ({"audio": None}, "invalid_type", "session.audio"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": ["video"]}, "invalid_value", "session.output_modalities[0]"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
        ({"max_output_tokens": 4097}, "integer_above_max_value", "session.max_output_tokens"),
        ({"max_output_tokens": "many"}, "invalid_type", "session.max_output_tokens"),
        ({"max_output_tokens": True}, "invalid_type", "session.max_output_tokens"),
        (audio_output(speed=0.2), "decimal_below_min_value", "session.audio.output.speed"),
        (audio_output(speed=1.6), "decimal_above_max_value", "session.audio.output.speed"),
        (audio_output(speed=float("nan")), "decimal_below_min_value", "session.audio.output.speed"),
        (audio_output(voice=None), "invalid_type", "session.audio.output.voice"),
        (audio_output(voice=""), "empty_string", "session.audio.output.voice"),
        (
            audio_output(format={"type": "audio/pcm"}),
            "missing_required_parameter",
            "session.audio.output.format.rate",
        ),
        (
            audio_output(format={"type": "audio/pcm", "rate": 16000}),
            "integer_below_min_value",
            "session.audio.output.format.rate",
        ),
        (audio_input(format="pcm16"), "invalid_type", "session.audio.input.format"),
        (audio_input(format={"type": "opus"}), "invalid_value", "session.audio.input.format.type"),
        (
            audio_input(turn_detection={"threshold": 0.4}),
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        (
            audio_input(turn_detection={"type": "server_vad", "threshold": 1.1}),
            "decimal_above_max_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            audio_input(turn_detection={"type": "server_vad", "idle_timeout_ms": 4999}),
            "integer_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            audio_input(turn_detection={"type": "server_vad", "idle_timeout_ms": 30001}),
            "integer_above_max_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            audio_input(turn_detection={"type": "server_vad", "eagerness": "low"}),
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            audio_input(turn_detection={"type": "semantic_vad", "eagerness": "keen"}),
            "invalid_value",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            audio_input(turn_detection={"type": "none"}),
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        (
            audio_input(transcription={"language": "en"}),
            "missing_required_parameter",
            "session.audio.input.transcription.model",
        ),
        (
            audio_input(noise_reduction={"type": "no_field"}),
            "invalid_value",
            "session.audio.input.noise_reduction.type",
        ),
        (
            audio_input(noise_reduction={"type": "near_field", "strength": float("inf")}),
            "decimal_above_max_value",
            "session.audio.input.noise_reduction.strength",
        ),
        ({"tools": [{"name": "x"}]}, "missing_required_parameter", "session.tools[0].type"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        (
            {"tools": [{"type": "function", "name": "a b"}]},
            "invalid_value",
            "session.tools[0].name",
        ),
        (
            {"tools": [{"type": "function", "name": "a" * 65}]},
            "string_above_max_length",
            "session.tools[0].name",
        ),
        (
            {"tools": [{"type": "function", "name": "a", "strict": True}]},
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        (
            {"tools": [{"type": "function", "name": "a", "parameters": []}]},
            "invalid_type",
            "session.tools[0].parameters",
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "x"}]},
            "missing_required_parameter",
            "session.tools[0].server_url",
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "x", "tunnel_id": "t"}]},
            "invalid_value",
            "session.tools[0].tunnel_id",
        ),
        ({"tool_choice": "never"}, "invalid_value", "session.tool_choice"),
        ({"tool_choice": {"type": "function"}}, "missing_required_parameter",
         "session.tool_choice.name"),
        ({"tool_choice": {"type": "mcp"}}, "missing_required_parameter",
         "session.tool_choice.server_label"),
        ({"tool_choice": 1}, "invalid_type", "session.tool_choice"),
        ({"truncation": "never"}, "invalid_value", "session.truncation"),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 1.5}},
            "decimal_above_max_value",
            "session.truncation.retention_ratio",
        ),
        ({"tracing": "always"}, "invalid_type", "session.tracing"),
        ({"include": ["everything"]}, "invalid_value", "session.include[0]"),
        ({"prompt": {}}, "missing_required_parameter", "session.prompt.id"),
        ({"reasoning": {"effort": "huge"}}, "invalid_value", "session.reasoning.effort"),
    ],
)  # fmt: skip
def test_a_wrong_value_refuses_the_whole_update(session, code, param):
    if isinstance(session, dict) and session and "type" not in session:
        session = {"type": "realtime", **session}
        session = {**session, "max_output_tokens": session.get("max_output_tokens", 77)}
    error = refused(session, event_id="e1")
    assert (error.code, error.param, error.event_id) == (code, param, "e1")


def test_the_sentences_are_the_services():
    assert refused({}).message == "Missing required parameter: 'session.type'."
    assert (
        refused({"type": "realtime", **audio_input(format="pcm16")}).message
        == "Invalid type for 'session.audio.input.format': expected an object, but got a string "
        "instead."
    )
    assert (
        refused({"type": "realtime", "max_output_tokens": 5000}).message
        == "Invalid 'session.max_output_tokens': integer above maximum value. Expected a value "
        "<= 4096, but got 5000 instead."
    )
    assert (
        refused({"type": "realtime", "tool_choice": "x"}).message
        == "Invalid value: 'x'. Supported values are: 'none', 'auto', and 'required'."
    )


def test_a_transcription_session():
    settings = made(type="transcription")
    session = settings.effective()
    check_types(events.session_created(session))
    assert session["object"] == "realtime.transcription_session"
    assert "model" not in session
    assert set(session["audio"]) == {"input"}
    session = update(
        settings,
        {
            "include": ["item.input_audio_transcription.logprobs"],
            **audio_input(transcription={"model": "gpt-4o-transcribe"}, turn_detection=None),
        },
    )
    check_types(events.session_updated(session))
    assert settings.logprobs
    assert settings.modalities == ("text",)
    error = refused({"type": "transcription", "instructions": "x"}, settings)
    assert error.code == "unknown_parameter"
    error = refused({"type": "realtime"}, settings)
    assert error.param == "session.type"


def test_live_transcription_needs_push_to_talk():
    settings = made(type="transcription")
    whisper = {"model": "gpt-realtime-whisper", "delay": "low"}
    error = refused({"type": "transcription", **audio_input(transcription=whisper)}, settings)
    assert error.param == "session.audio.input.turn_detection"
    update(settings, audio_input(transcription=whisper, turn_detection=None))


def test_nobody_can_reach_inside():
    settings = made()
    patch = {"type": "realtime", "tools": copy.deepcopy(GOOD_TOOLS)}
    settings.update(patch)
    patch["tools"][1]["parameters"]["type"] = "string"
    settings.effective()["audio"]["input"]["format"]["type"] = "x"
    assert settings.tools == GOOD_TOOLS
    assert settings.effective()["tools"] == ECHOED
    assert settings.input_format == PCM16


# Any patch at all -------------------------------------------------------------------------------

junk = st.sampled_from([None, True, "", "auto", 0, -1, 1.5, 10**12, [], {}, ["x"], {"type": "x"}])
turns = st.fixed_dictionaries(
    {"type": st.sampled_from(["server_vad", "semantic_vad"])},
    optional={
        "threshold": st.floats(0, 1) | junk,
        "prefix_padding_ms": st.integers(0, 1000) | junk,
        "silence_duration_ms": st.integers(0, 3000) | junk,
        "idle_timeout_ms": st.none() | st.integers(5000, 30000) | junk,
        "eagerness": st.sampled_from(["low", "high", "auto", "medium"]) | junk,
        "create_response": st.booleans() | junk,
        "interrupt_response": st.booleans() | junk,
    },
)
formats = st.sampled_from(
    [{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}]
)
patches = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "model": st.sampled_from(["gpt-realtime", "other"]) | junk,
        "output_modalities": st.sampled_from([["audio"], ["text"]]) | junk,
        "instructions": st.text(max_size=5) | junk,
        "tools": st.lists(st.sampled_from(GOOD_TOOLS) | junk, max_size=2) | junk,
        "tool_choice": st.sampled_from(["none", {"type": "function", "name": "f"}]) | junk,
        "parallel_tool_calls": st.booleans() | junk,
        "reasoning": st.just({"effort": "low"}) | junk,
        "max_output_tokens": st.integers(1, 4096) | st.just("inf") | junk,
        "truncation": st.just({"type": "retention_ratio", "retention_ratio": 0.5}) | junk,
        "tracing": st.sampled_from(["auto", {"group_id": "g"}]) | junk,
        "prompt": st.just({"id": "p"}) | junk,
        "include": st.just(["item.input_audio_transcription.logprobs"]) | junk,
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "input": st.fixed_dictionaries(
                    {},
                    optional={
                        "format": formats | junk,
                        "turn_detection": turns | junk,
                        "transcription": st.just({"model": "whisper-1"}) | junk,
                        "noise_reduction": st.just({"type": "near_field"}) | junk,
                    },
                )
                | junk,
                "output": st.fixed_dictionaries(
                    {},
                    optional={
                        "format": formats | junk,
                        "voice": st.sampled_from(["ash", "cedar", {"id": "v"}]) | junk,
                        "speed": st.floats(0.25, 1.5) | junk,
                    },
                )
                | junk,
            },
        )
        | junk,
    },
)


@given(st.lists(st.tuples(patches, st.booleans(), st.booleans()), max_size=4))
def test_any_patches_leave_a_whole_session_that_takes_its_own_echo(steps):
    settings = made()
    for patch, produced, responding in steps:
        before, sent = settings.effective(), copy.deepcopy(patch)
        try:
            settings.update(patch, audio_produced=produced, responding=responding)
        except WireError as error:
            check_types(error.event())
            session = before
        else:
            session = settings.effective()
        assert settings.effective() == session
        assert patch == sent
        check_types(events.session_updated(session))
        json.dumps(session, allow_nan=False)
        echo = {k: v for k, v in session.items() if k not in SERVER_ONLY}
        settings.update(echo, audio_produced=True, responding=True)
        assert settings.effective() == session
        turn = settings.turn_detection
        assert (turn is None) == (session["audio"]["input"]["turn_detection"] is None)
        assert settings.output_format.wire() == session["audio"]["output"]["format"]
        assert 0.25 <= settings.speed <= 1.5
