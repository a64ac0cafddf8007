from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.audio.formats import PCM16
from runner.engine.wire import Items, usage

pytestmark = pytest.mark.quick

TOOL = {"type": "function", "name": "f"}


def test_the_rules():
    assert usage.text_tokens("") == 0
    assert usage.text_tokens("12345") == 2
    assert usage.input_audio_tokens(1000) == 10
    assert usage.output_audio_tokens(1000) == 20
    assert usage.output_ms(20) == 1000


def test_a_conversation_is_read_and_then_cached():
    items, meter = Items(), usage.Meter()
    items.add_user_audio("item_u", b"\0\0" * 24000, PCM16)

    def context(instructions="Be brief and kind"):
        return [usage.prefix_weight(instructions, [TOOL]), *items.weights()]

    first = meter.response(context(), text="Hello.", audio_ms=500)
    assert (first.input_audio, first.cached_audio) == (10, 0)
    assert (first.output_text, first.output_audio) == (2, 10)
    assert first.cached_text == 0

    items.start_message("item_a")
    items.add_part("item_a", "output_audio")
    items.add_audio("item_a", 0, b"\0\0" * 12000, "Hello.")
    items.finish("item_a")
    second = meter.response(context())
    assert second.input_audio == 20
    assert second.cached_audio == 10
    assert second.cached_text == first.input_text

    items.truncate("item_a", 0, 100)
    third = meter.response(context())
    assert third.cached_audio == 10

    fourth = meter.response(context("Be someone else"))
    assert fourth.cached_text == fourth.cached_audio == 0


def test_an_out_of_band_response_leaves_the_cache_alone():
    items, meter = Items(), usage.Meter()
    items.create(
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
    )
    context = [usage.prefix_weight("x", []), *items.weights()]
    meter.response(context)
    aside = [{"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}]
    meter.response(items.weights(aside), keep=False)
    assert meter.response(context).cached_text == 3


def test_a_context_of_references_weighs_what_the_items_weigh():
    items = Items()
    items.add_user_audio("item_u", b"\0\0" * 24000, PCM16)
    assert items.weights(items.prompt()) == items.weights()


weights = st.lists(
    st.builds(usage.Weight, st.integers(0, 3), st.integers(0, 99), st.integers(0, 99)), max_size=6
)


@given(st.lists(weights, max_size=4), st.text(), st.floats(0, 1e5))
def test_it_adds_up(contexts, text, ms):
    meter = usage.Meter()
    for context in contexts:
        wire = meter.response(context, text=text, audio_ms=ms).wire()
        read, wrote = wire["input_token_details"], wire["output_token_details"]
        cached = read["cached_tokens_details"]
        assert wire["total_tokens"] == wire["input_tokens"] + wire["output_tokens"]
        kinds = ("text_tokens", "audio_tokens", "image_tokens")
        assert wire["input_tokens"] == sum(read[k] for k in kinds)
        assert wire["output_tokens"] == wrote["text_tokens"] + wrote["audio_tokens"]
        assert read["cached_tokens"] == sum(cached[k] for k in kinds)
        assert all(cached[k] <= read[k] for k in kinds)


def test_transcriptions_are_billed_by_token_or_by_time():
    assert usage.transcription("whisper-1", 2400, "x") == {"type": "duration", "seconds": 3}
    tokens = usage.transcription("gpt-4o-mini-transcribe", 2400, "12345678")
    assert tokens["input_tokens"] == 24
    assert tokens["total_tokens"] == 26
