from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import pytest
from openai.types.realtime import RealtimeSessionCreateRequest

from runner.errors import UserError
from runner.model.legacy import audio_format, wire_settings
from runner.model.settings import DEFAULT_SETTINGS, SESSION_KEYS, SessionSettings

pytestmark = pytest.mark.quick

VAD = {"type": "server_vad", "silence_duration_ms": 200}


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ({}, {}),
        (
            {"instructions": "Hi", "speed": 1.1},
            {"instructions": "Hi", "audio": {"output": {"speed": 1.1}}},
        ),
        ({"voice": "cedar"}, {"audio": {"output": {"voice": "cedar"}}}),
        ({"modalities": ["text", "audio"]}, {"output_modalities": ["audio"]}),
        ({"modalities": ["text"]}, {"output_modalities": ["text"]}),
        ({"outputModalities": ["text"]}, {"output_modalities": ["text"]}),
        (
            {"inputAudioFormat": "pcm16", "outputAudioFormat": "g711_alaw"},
            {
                "audio": {
                    "input": {"format": {"type": "audio/pcm", "rate": 24000}},
                    "output": {"format": {"type": "audio/pcma"}},
                }
            },
        ),
        (
            {
                "audio": {
                    "input": {"format": "g711_ulaw"},
                    "output": {"format": {"type": "audio/pcma"}},
                }
            },
            {
                "audio": {
                    "input": {"format": {"type": "audio/pcmu"}},
                    "output": {"format": {"type": "audio/pcma"}},
                }
            },
        ),
        (
            {"turnDetection": {"type": "server_vad", "silenceDurationMs": 200}},
            {"audio": {"input": {"turn_detection": VAD}}},
        ),
        ({"turn_detection": None}, {"audio": {"input": {"turn_detection": None}}}),
        (
            {"inputAudioTranscription": {"model": "whisper-1"}, "inputAudioNoiseReduction": None},
            {
                "audio": {
                    "input": {"transcription": {"model": "whisper-1"}, "noise_reduction": None}
                }
            },
        ),
        ({"maxResponseOutputTokens": "inf"}, {"max_output_tokens": "inf"}),
        ({"toolChoice": "auto"}, {"tool_choice": "auto"}),
        (
            {"voice": "cedar", "audio": {"output": {"voice": "cedar", "speed": 1}}},
            {"audio": {"output": {"voice": "cedar", "speed": 1}}},
        ),
        (
            {"speed": 1.2, "audio": {"output": {"voice": "cedar"}}},
            {"audio": {"output": {"voice": "cedar", "speed": 1.2}}},
        ),
        ({"prompt": {"id": "p", "variables": {"firstName": "A"}}},) * 2,
        (
            {"tracing": {"workflowName": "w", "metadata": {"aB": 1}}},
            {"tracing": {"workflow_name": "w", "metadata": {"aB": 1}}},
        ),
        ({"tools": [{"name": "findSlots", "parameters": {"maxAge": 1}}]},) * 2,
    ],
    ids=str,
)
def test_the_sdks_ways_become_the_wires(given: dict[str, Any], wire: dict[str, Any]) -> None:
    before = deepcopy(given)
    assert wire_settings(given) == {"type": "realtime", **wire}
    assert given == before


def test_the_model_is_put_on_top() -> None:
    assert wire_settings({"model": "a"}, model="b") == {"type": "realtime", "model": "b"}
    assert wire_settings({"model": "a"}) == {"type": "realtime", "model": "a"}


def test_two_voices_are_one_too_many() -> None:
    """Nothing of a config is passed over: what contradicts itself is refused."""
    with pytest.raises(UserError, match=r"says two things about audio\.output\.voice"):
        wire_settings({"voice": "cedar", "audio": {"output": {"voice": "marin"}}})


def test_the_names_of_formats() -> None:
    assert audio_format("pcm16") == {"type": "audio/pcm", "rate": 24000}
    assert audio_format("mp3") == "mp3"
    own = audio_format("g711_ulaw")
    own["type"] = "changed"
    assert audio_format("g711_ulaw") == {"type": "audio/pcmu"}


# -- formats -------------------------------------------------------------------------------------
@pytest.mark.parametrize("rate", [math.nan, math.inf, -math.inf])
def test_a_rate_that_is_no_number_is_24000(rate: float) -> None:
    """CM1, CM5: in either direction of a session, and alone."""
    wrong = {"type": "audio/pcm", "rate": rate}
    right = {"type": "audio/pcm", "rate": 24000}
    assert audio_format(wrong) == right
    config = {"audio": {"input": {"format": wrong}, "output": {"format": wrong}}}
    audio = wire_settings(config)["audio"]
    assert audio == {"input": {"format": right}, "output": {"format": right}}
    assert wire_settings({"inputAudioFormat": wrong})["audio"]["input"]["format"] == right


@pytest.mark.parametrize(
    "given",
    [
        {"type": "audio/pcm", "rate": 16000},
        {"type": "audio/pcm", "rate": 24000.0},
        {"type": "audio/pcm"},
        {"type": "audio/pcmu"},
        {"type": "audio/pcma"},
    ],
)
def test_formats_of_the_wire_pass(given: dict[str, Any]) -> None:
    """CM2, CM3: finite PCM and G.711 stay what they are."""
    assert audio_format(given) == given


def test_formats_that_nobody_knows_pass_untouched() -> None:
    """CM4: also with a rate that is no number."""
    given = {"type": "audio/opus", "rate": math.nan}
    assert audio_format(given) is given


# -- values --------------------------------------------------------------------------------------
def test_the_model_and_how_it_thinks() -> None:
    """BA7: model, parallelToolCalls false and reasoning.effort."""
    given = {"model": "m", "parallelToolCalls": False, "reasoning": {"effort": "low"}}
    assert wire_settings(given) == {
        "type": "realtime",
        "model": "m",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
    }


def test_what_helps_the_transcription_goes_as_it_is() -> None:
    """BA8: model, language, languages, prompt, keywords and delay."""
    transcription = {
        "model": "gpt-4o-transcribe",
        "language": "en",
        "languages": ["en", "de"],
        "prompt": "a dentist's",
        "keywords": ["crown", "Zahnarzt"],
        "delay": "low",
    }
    config = {"audio": {"input": {"transcription": transcription}}}
    assert wire_settings(config)["audio"]["input"]["transcription"] == transcription


def test_null_turns_off_what_can_be_off() -> None:
    """BA9: noise reduction, transcription and turn detection stay null, also over the defaults."""
    off = {"noise_reduction": None, "transcription": None, "turn_detection": None}
    for given in (
        {"audio": {"input": off}},
        {"inputAudioNoiseReduction": None, "inputAudioTranscription": None, "turnDetection": None},
    ):
        wire = wire_settings(given)
        assert wire["audio"]["input"] == off
        merged = SessionSettings().merged(wire)
        assert merged.wire["audio"]["input"] == {
            "format": {"type": "audio/pcm", "rate": 24000},
            **off,
        }
    assert wire_settings({"tracing": None, "prompt": None}) == {
        "type": "realtime",
        "tracing": None,
        "prompt": None,
    }


@pytest.mark.parametrize(
    "given",
    [
        {"audio": None},
        {"audio": {"input": None, "output": None}},
        {"audio": {"output": {"voice": None, "speed": None, "format": None}}},
        {"voice": None, "modalities": None, "instructions": None, "providerData": None},
    ],
)
def test_other_nulls_say_nothing(given: dict[str, Any]) -> None:
    """BA10: the defaults stand, as when the key was left out."""
    merged = SessionSettings().merged(wire_settings(given))
    assert merged.wire == {"type": "realtime", **DEFAULT_SETTINGS}


def test_no_and_nothing_are_values() -> None:
    """BA11: false and 0 in turn detection survive the way to the wire."""
    given = {
        "type": "server_vad",
        "createResponse": False,
        "interruptResponse": False,
        "threshold": 0,
        "prefixPaddingMs": 0,
        "silenceDurationMs": 0,
        "idleTimeoutMs": 0,
        "somethingNew": 0,
    }
    for config in ({"turnDetection": given}, {"audio": {"input": {"turnDetection": given}}}):
        assert wire_settings(config)["audio"]["input"]["turn_detection"] == {
            "type": "server_vad",
            "create_response": False,
            "interrupt_response": False,
            "threshold": 0,
            "prefix_padding_ms": 0,
            "silence_duration_ms": 0,
            "idle_timeout_ms": 0,
            "something_new": 0,
        }


def test_defaults_are_merged_with_what_is_given() -> None:
    """BA5: modalities and formats come from the defaults, and the voice is left as it stands."""
    merged = SessionSettings().merged(wire_settings({"audio": {"output": {"speed": 1.1}}}))
    assert merged.get("output_modalities") == ["audio"]
    pcm = {"type": "audio/pcm", "rate": 24000}
    assert merged.get("audio.input.format") == merged.get("audio.output.format") == pcm
    assert merged.get("audio.output") == {"format": pcm, "voice": "marin", "speed": 1.1}


def test_a_stored_prompt_by_the_sdks_name() -> None:
    given = {"prompt": {"promptId": "pmpt_1", "version": "2", "variables": {"promptId": "x"}}}
    assert wire_settings(given)["prompt"] == {
        "id": "pmpt_1",
        "version": "2",
        "variables": {"promptId": "x"},
    }


def test_what_only_the_users_server_knows_is_laid_over_the_rest() -> None:
    given = {"instructions": "x", "providerData": {"myKey": {"aB": 1}, "audio": {"output": 1}}}
    assert wire_settings({**given, "voice": "ash"}) == {
        "type": "realtime",
        "instructions": "x",
        "myKey": {"aB": 1},
        "audio": {"output": 1},
    }


# -- what cannot be ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "words", "hint"),
    [
        ({"instruction": "x"}, "a session has no instruction", "did you mean instructions?"),
        ({"turnDetecton": {}}, "a session has no turn_detecton", "did you mean turn_detection?"),
        ({"audio": {"inptu": {}}}, "audio has no inptu", "did you mean input?"),
        ({"audio": {"output": {"voices": "a"}}}, "audio.output has no voices", "mean voice?"),
        ({"audio": {"input": {"speed": 1}}}, "audio.input has no speed", "provider_data"),
        ({"zzz": 1}, "a session has no zzz", "provider_data"),
        ({"audio": 5}, "audio is a map of input, output", ""),
        ({"audio": {"input": []}}, "audio.input is a map of format", ""),
        ({"providerData": 5}, "provider_data is no map", ""),
        ({"voice": "a", "audio": {"output": {"voice": "b"}}}, "two things about audio.out", "nest"),
        (
            {"outputModalities": ["text"], "output_modalities": ["audio"]},
            "two things about output_modalities",
            "one spelling",
        ),
        (
            {"turnDetection": {"createResponse": True, "create_response": False}},
            "two things about create_response",
            "one spelling",
        ),
    ],
    ids=str,
)
def test_what_a_session_does_not_have(given: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        wire_settings(given)
    assert words in caught.value.message
    assert hint in caught.value.hint


def test_the_keys_of_a_session_are_the_services() -> None:
    assert set(SESSION_KEYS) == set(RealtimeSessionCreateRequest.model_fields)
