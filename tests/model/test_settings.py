from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.settings import DEFAULT_SETTINGS, SessionSettings, merge, nested

pytestmark = pytest.mark.quick


def test_left_out_is_the_sdks_default() -> None:
    settings = SessionSettings()
    assert settings.get("audio.input.turn_detection") == {"type": "semantic_vad"}
    assert settings.get("audio.output.voice") == "marin"
    assert settings.get("audio.input.nothing") is None
    assert settings.get("audio.output.voice.deeper") is None


def test_maps_merge_and_whole_objects_replace() -> None:
    over = {
        "audio": {
            "input": {"turn_detection": {"type": "server_vad"}, "transcription": None},
            "output": {"speed": 1.1},
        },
        "tools": [{"name": "a"}],
    }
    settings = SessionSettings().merged(over)
    assert settings.get("audio.input.turn_detection") == {"type": "server_vad"}
    assert settings.get("audio.output") == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.1,
    }
    assert dict(settings.leaves())["audio.input.transcription"] is None
    # Nobody else's object was changed, and none is shared.
    over["tools"][0]["name"] = "b"  # type: ignore[index]
    assert settings.get("tools") == [{"name": "a"}]
    assert SessionSettings().wire == DEFAULT_SETTINGS


def test_the_defaults_cannot_be_changed_through_a_settings_object() -> None:
    first: Any = SessionSettings()
    first.wire["audio"]["output"]["voice"] = "changed"
    assert SessionSettings().get("audio.output.voice") == "marin"


def test_leaves_and_nested_are_each_others_way_back() -> None:
    settings = SessionSettings().merged({"truncation": {"type": "retention_ratio"}, "speed": None})
    assert nested(dict(settings.leaves())) == settings.wire


MAPS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers() | st.none(), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(MAPS, MAPS)
def test_merging(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = deepcopy((base, over))
    out = merge(base, over)
    assert (base, over) == before
    assert merge(out, over) == out
    assert merge(base, {}) == base
    for key in over:
        if not (isinstance(over[key], dict) and isinstance(base.get(key), dict)):
            assert out[key] == over[key]
