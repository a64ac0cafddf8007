from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from runner.errors import UserError
from runner.model.legacy import audio_format, wire_settings

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
    with pytest.raises(UserError, match=r"says two things about audio\.output\.voice"):
        wire_settings({"voice": "cedar", "audio": {"output": {"voice": "marin"}}})


def test_the_names_of_formats() -> None:
    assert audio_format("pcm16") == {"type": "audio/pcm", "rate": 24000}
    assert audio_format("mp3") == "mp3"
    own = audio_format("g711_ulaw")
    own["type"] = "changed"
    assert audio_format("g711_ulaw") == {"type": "audio/pcmu"}
