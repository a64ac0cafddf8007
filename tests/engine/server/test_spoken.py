"""Spoken turns over a real socket: real ears, real voice, a caller by another synthesiser."""

from __future__ import annotations

import asyncio
import base64
import re

import pytest
from support.engine import (
    Client,
    Puppet,
    Serving,
    connected,
    last_words,
    serving,
    speech_models,
    spoken,
)
from support.speech import silence
from support.until import until

from runner.audio.formats import PCMA, PCMU
from runner.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from runner.media.resample import resample

QUESTION = "What time do you open on Saturday?"
LONG = "Say exactly:\n\n" + "This goes on and on, and it will not stop for a good long while. " * 6
ORDER_OF_A_SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "rate_limits.updated",
    "response.done",
]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


async def heard(pcm24k: bytes) -> list[str]:
    """What the engine's own ears make of 24 kHz audio."""
    text = await asyncio.to_thread(
        lambda: (
            speech_models()
            .ears._thread.submit(
                speech_models().ears.transcribe_now, resample(pcm24k, 24000, 16000)
            )
            .result()
        )
    )
    return words(text)


def user_transcripts(client: Client) -> list[list[str]]:
    done = client.of("conversation.item.input_audio_transcription.completed")
    return [words(e["transcript"]) for e in done]


def test_a_spoken_turn_has_the_services_order_of_events(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=300)
            before = len(client.events)
            await client.say(QUESTION)
            done = await client.until("response.done")
            turn = [t for t in client.types()[before:] if "transcription" not in t]
            firsts = [t for i, t in enumerate(turn) if i == 0 or turn[i - 1] != t]
            answer = "response.output_audio"
            assert [t for t in firsts if not t.startswith(answer)] == [
                t for t in ORDER_OF_A_SPOKEN_TURN if not t.startswith(answer)
            ]
            assert user_transcripts(client) == [words(QUESTION)]
            said = done["response"]["output"][0]["content"][0]["transcript"]
            assert words(said) == words(f"You said {QUESTION}")
            assert await heard(client.audio()) == words(said)
            assert done["response"]["usage"]["input_token_details"]["audio_tokens"] > 10

    asyncio.run(story())


def test_speech_is_placed_in_the_stream_where_it_is(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(
                type="server_vad", silence_duration_ms=400, prefix_padding_ms=200
            )
            speech = spoken(QUESTION)
            await client.speak(silence(2.0) + speech + silence(1.5))
            started = await client.until("input_audio_buffer.speech_started")
            stopped = await client.until("input_audio_buffer.speech_stopped")
            # flite begins and ends with up to 250 ms of quiet.
            assert 1700 <= started["audio_start_ms"] <= 2200
            assert stopped["audio_end_ms"] == pytest.approx(
                2000 + len(speech) / 48 + 400 - 125, abs=175
            )

    asyncio.run(story())


def test_several_turns_hold_their_places(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=300)
            for text in (QUESTION, "Thank you very much.", "See you on Monday then."):
                await client.say(text)
                await client.until("response.done")
            assert user_transcripts(client)[0] == words(QUESTION)
            assert len(client.of("response.done")) == 3
            roles = [i.get("role") for i in puppet.prompts[-1].items]
            assert roles == ["user", "assistant", "user", "assistant", "user"]

    asyncio.run(story())


def test_the_answer_made_ahead_is_the_one_that_is_used(engine: Serving, puppet: Puppet) -> None:
    """One thought a turn: what was thought at the pause is not thought again."""

    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=900)
            await client.speak(spoken(QUESTION) + silence(2.0), pace=1.0)
            done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
            assert [words(last_words(p)) for p in puppet.prompts] == [words(QUESTION)]

    asyncio.run(story())


def test_a_thought_at_a_pause_inside_speech_is_never_seen(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=1200)
            first, second = spoken("I would like a table."), spoken("For two people, please.")
            await client.speak(first + silence(0.5) + second + silence(2.0), pace=1.0)
            await client.until("response.done")
            assert len(client.of("response.created")) == 1
            [transcript] = user_transcripts(client)
            assert transcript[:3] == ["i", "would", "like"]
            assert transcript[-3:] == ["two", "people", "please"]
            assert len(puppet.prompts) >= 2  # it did think at the first pause

    asyncio.run(story())


def test_an_update_after_the_pause_is_obeyed_by_the_answer(engine: Serving, puppet: Puppet) -> None:
    puppet.answer = lambda prompt: [prompt.instructions]

    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=1500)
            await client.update(instructions="The old answer.")
            await client.speak(spoken(QUESTION) + silence(0.2))
            await until(lambda: puppet.prompts)  # thought ahead, with the old instructions
            await client.update(instructions="The new answer.")
            await client.speak(silence(2.0))
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["transcript"] == "The new answer."

    asyncio.run(story())


def test_semantic_turns_wait_for_an_unfinished_sentence(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="semantic_vad", eagerness="medium")
            await client.speak(spoken("I would like to") + silence(1.6), pace=1.0)
            await client.speak(spoken("speak to the manager please.") + silence(1.6), pace=1.0)
            await client.until("response.done")
            assert len(client.of("input_audio_buffer.speech_stopped")) == 1
            [transcript] = user_transcripts(client)
            assert {"would", "manager"} <= set(transcript)

    asyncio.run(story())


def test_push_to_talk(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection()
            await client.send("input_audio_buffer.commit", event_id="empty")
            error = await client.until("error")
            assert error["error"]["code"] == "input_audio_buffer_commit_empty"
            await client.speak(spoken("This is thrown away."))
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
            await client.speak(spoken(QUESTION))
            await client.send("input_audio_buffer.commit")
            committed = await client.until("input_audio_buffer.committed")
            # The response is asked for before the words are there, and waits for them.
            await client.send("response.create")
            done = await client.until("response.done")
            said = words(done["response"]["output"][0]["content"][0]["transcript"])
            assert said == words(f"You said {QUESTION}")
            assert client.of("input_audio_buffer.speech_started") == []
            assert user_transcripts(client) == [words(QUESTION)]
            await client.send("conversation.item.retrieve", item_id=committed["item_id"])
            item = (await client.until("conversation.item.retrieved"))["item"]
            assert item["content"][0]["audio"]
            assert len(client.of("response.created")) == 1

    asyncio.run(story())


def test_without_transcription_the_brain_still_gets_the_words(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.say(QUESTION)
            done = await client.until("response.done")
            said = done["response"]["output"][0]["content"][0]["transcript"]
            assert words(said) == words(f"You said {QUESTION}")
            assert not [t for t in client.types() if "transcription" in t]
            [user] = [e for e in client.of("conversation.item.done") if e["item"]["role"] == "user"]
            await client.send("conversation.item.retrieve", item_id=user["item"]["id"])
            found = await client.until("conversation.item.retrieved")
            assert found["item"]["content"][0]["transcript"] is None

    asyncio.run(story())


def test_recognition_that_fails_is_told(
    engine: Serving, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(pcm16k: bytes) -> str:
        raise RuntimeError("the ears are closed")

    monkeypatch.setattr(speech_models().ears, "transcribe", broken)

    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=300)
            await client.say(QUESTION)
            failed = await client.until("conversation.item.input_audio_transcription.failed")
            assert "the ears are closed" in failed["error"]["message"]
            assert (await client.until("response.done"))["response"]["status"] == "completed"

    asyncio.run(story())


def test_create_response_false_leaves_the_answer_to_the_client(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(
                type="server_vad", silence_duration_ms=300, create_response=False
            )
            await client.say(QUESTION)
            await client.until("conversation.item.input_audio_transcription.completed")
            await client.update()
            assert client.of("response.created") == []
            assert puppet.prompts == []
            await client.send("response.create")
            done = await client.until("response.done")
            assert "saturday" in words(done["response"]["output"][0]["content"][0]["transcript"])

    asyncio.run(story())


async def start_long_answer(client: Client) -> str:
    await client.send("response.create", response={"instructions": LONG})
    return (await client.until("response.output_audio.delta"))["item_id"]


def test_barge_in_ends_the_answer_within_300_ms_of_the_callers_sound(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=300)
            item_id = await start_long_answer(client)
            # Silence, and then speech in steps of 20 ms until the answer ends: no later than
            # 300 ms of the caller's sound may have gone in by then.
            await client.speak(silence(0.5))
            speech = spoken("Stop, please stop.")[: 48 * 1000]
            onset = voiced_from(speech)
            await client.speak(speech[: onset + 300 * 48], chunk=960)
            done = await client.until("response.done")
            assert done["response"]["status"] == "cancelled"
            assert done["response"]["status_details"]["reason"] == "turn_detected"
            assert done["response"]["output"][0]["status"] == "incomplete"
            order = client.types()
            assert order.index("input_audio_buffer.speech_started") < order.index("response.done")
            await client.speak(speech[onset + 300 * 48 :] + silence(1.5))
            done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
            late = client.events[client.events.index(done) :]
            assert item_id not in [e.get("item_id") for e in late]

    asyncio.run(story())


def voiced_from(pcm: bytes) -> int:
    """Byte at which a recording is first louder than a whisper."""
    loud = (
        i
        for i in range(0, len(pcm), 2)
        if abs(int.from_bytes(pcm[i : i + 2], "little", signed=True)) > 400
    )
    return next(loud)


def test_interrupt_response_false_lets_the_answer_finish_first(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(
                type="server_vad", silence_duration_ms=300, interrupt_response=False
            )
            text = "Say exactly:\n\n" + "It goes on for a while before it comes to its end. " * 3
            await client.send("response.create", response={"instructions": text})
            await client.until("response.output_audio.delta")
            await client.say("And on Sunday?")
            await client.until("input_audio_buffer.committed")
            first = await client.until("response.done")
            assert first["response"]["status"] == "completed"
            assert len(client.of("response.created")) == 1
            second = await client.until("response.done")
            said = words(second["response"]["output"][0]["content"][0]["transcript"])
            assert said == ["you", "said", "and", "on", "sunday"]

    asyncio.run(story())


def test_truncate_cuts_the_text_to_what_was_heard(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.send(
                "response.create",
                response={"instructions": "Say exactly:\n\nOne two three four five. Six seven."},
            )
            done = await client.until("response.done")
            [item] = done["response"]["output"]
            place = {"item_id": item["id"], "content_index": 0}
            length = len(client.audio()) // 48
            await client.send(
                "conversation.item.truncate", **place, audio_end_ms=length + 500, event_id="late"
            )
            error = await client.until("error")
            assert error["error"]["event_id"] == "late"
            assert "already shorter than" in error["error"]["message"]
            await client.send("conversation.item.truncate", **place, audio_end_ms=900)
            await client.until("conversation.item.truncated")
            await client.ask("what did I hear")
            kept = [i for i in puppet.prompts[-1].items if i["id"] == item["id"]]
            text = kept[0]["content"][0]["transcript"]
            assert text.startswith("One")
            assert "Six" not in text
            await client.send(
                "conversation.item.truncate", **{**place, "item_id": "none"}, audio_end_ms=0
            )
            await client.until("error")

    asyncio.run(story())


def test_truncate_of_an_item_that_is_still_spoken(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            item_id = await start_long_answer(client)
            place = {"item_id": item_id, "content_index": 0, "audio_end_ms": 60}
            await client.send("conversation.item.truncate", **place)
            await client.until("conversation.item.truncated")
            await client.send("response.cancel")
            assert (await client.until("response.done"))["response"]["status"] == "cancelled"
            await client.ask("what did I hear")
            # 60 ms of it is no word: nothing was said.
            assert item_id not in [i["id"] for i in puppet.prompts[-1].items]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("form", "encode", "decode"),
    [(PCMU, ulaw_encode, ulaw_decode), (PCMA, alaw_encode, alaw_decode)],
    ids=["pcmu", "pcma"],
)
def test_g711_both_ways(engine: Serving, puppet: Puppet, form, encode, decode) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(
                audio={
                    "input": {
                        "format": form.wire(),
                        "transcription": {"model": "whisper-1"},
                        "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
                    },
                    "output": {"format": form.wire()},
                }
            )
            call = resample(spoken(QUESTION) + silence(1.0), 24000, 8000)
            await client.speak(encode(call), chunk=160)
            done = await client.until("response.done")
            assert done["response"]["audio"]["output"]["format"] == form.wire()
            assert user_transcripts(client) == [words(QUESTION)]
            answer = resample(decode(client.audio()), 8000, 24000)
            assert await heard(answer) == words(f"You said {QUESTION}")

    asyncio.run(story())


def test_two_sessions_speak_at_once_and_stay_apart(engine: Serving, puppet: Puppet) -> None:
    async def one(text: str) -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=300)
            for _ in range(2):
                await client.say(text)
                done = await client.until("response.done")
                said = done["response"]["output"][0]["content"][0]["transcript"]
                assert words(said) == words(f"You said {text}")
            assert user_transcripts(client) == [words(text)] * 2

    async def story() -> None:
        await asyncio.gather(one(QUESTION), one("I would like a table for two."))

    asyncio.run(story())


def test_the_idle_timeout_speaks_up(engine: Serving, puppet: Puppet) -> None:
    puppet.answer = lambda prompt: ["Still there?" if last_words(prompt) == "" else "Hi."]

    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", idle_timeout_ms=5000)
            await client.ask("hello")
            await client.speak(silence(1.0))
            triggered = await client.until("input_audio_buffer.timeout_triggered")
            assert triggered["audio_end_ms"] >= triggered["audio_start_ms"]
            committed = await client.until("input_audio_buffer.committed")
            assert committed["item_id"] == triggered["item_id"]
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["transcript"] == "Still there?"
            # The same timer does not run while the caller speaks.
            await client.say("Yes, I am still here.")
            await client.until("response.done")
            assert len(client.of("input_audio_buffer.timeout_triggered")) == 1

    asyncio.run(story())


def test_a_long_utterance_with_pauses_keeps_all_its_words(engine: Serving, puppet: Puppet) -> None:
    """Words recognised early stay as they are; what follows is joined to them."""
    sentences = (
        "I would like to tell you about my holiday in the mountains last summer.",
        "We walked for several hours every morning before breakfast.",
        "In the evening we sat by the fire and told each other stories.",
    )

    async def story() -> None:
        async with connected(engine) as client:
            await client.detection(type="server_vad", silence_duration_ms=1500)
            for sentence in sentences:
                await client.speak(spoken(sentence) + silence(0.6), pace=0.6)
            await client.speak(silence(2.0))
            await client.until("response.done")
            [transcript] = user_transcripts(client)
            assert len(client.of("input_audio_buffer.committed")) == 1
            for word in ("holiday", "summer", "morning", "breakfast", "fire", "stories"):
                assert transcript.count(word) == 1, transcript

    asyncio.run(story())


def test_speed_is_obeyed(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            lengths = []
            for speed in (1.0, 1.5):
                await client.update(audio={"output": {"speed": speed}})
                done = await client.ask("one two three four five six seven eight")
                lengths.append(len(client.audio(done["response"]["id"])))
            assert lengths[1] < 0.8 * lengths[0]

    asyncio.run(story())


def test_a_transcription_session_only_listens(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine, query="?intent=transcription") as client:
            assert client.events[0]["session"]["type"] == "transcription"
            given = {"transcription": {"model": "gpt-4o-transcribe"}}
            await client.send(
                "session.update", session={"type": "transcription", "audio": {"input": given}}
            )
            await client.until("session.updated")
            await client.say(QUESTION)
            await client.until("conversation.item.input_audio_transcription.completed")
            assert user_transcripts(client) == [words(QUESTION)]
            await client.send("response.create")
            await client.until("error")
            assert client.of("response.created") == []

    asyncio.run(story())


def test_a_model_that_tells_speakers_gives_segments(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            given = {"model": "gpt-4o-transcribe-diarize"}
            await client.update(audio={"input": {"transcription": given}})
            await client.say(QUESTION)
            await client.until("conversation.item.input_audio_transcription.completed")
            segments = client.of("conversation.item.input_audio_transcription.segment")
            assert [words(s["text"]) for s in segments] == user_transcripts(client)
            assert {s["speaker"] for s in segments} == {"A"}
            assert 0 == segments[0]["start"] < segments[-1]["end"] < 4
            await client.until("response.done")

    asyncio.run(story())


def test_audio_items_made_by_the_client_are_heard(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            audio = base64.b64encode(spoken(QUESTION)).decode()
            content = [{"type": "input_audio", "audio": audio}]
            await client.send(
                "conversation.item.create",
                item={"type": "message", "role": "user", "content": content},
            )
            await client.send("response.create", response={"output_modalities": ["text"]})
            done = await client.until("response.done")
            text = done["response"]["output"][0]["content"][0]["text"]
            assert words(text) == words(f"You said {QUESTION}")
            [part] = client.of("conversation.item.added")[0]["item"]["content"]
            assert part == {"type": "input_audio", "transcript": None}
            # The same in a response's own input, beside the conversation.
            await client.send(
                "response.create",
                response={
                    "conversation": "none",
                    "output_modalities": ["text"],
                    "input": [{"type": "message", "role": "user", "content": content}],
                },
            )
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == text

    asyncio.run(story())


def test_the_answer_is_paced_and_stays_ahead(puppet: Puppet) -> None:
    async def story(engine: Serving) -> None:
        async with connected(engine) as client:
            loop = asyncio.get_running_loop()
            text = "Say exactly:\n\nIt goes on for a while before it comes to its end, at last."
            await client.send("response.create", response={"instructions": text})
            sizes: list[float] = []
            began = 0.0
            while (event := await client.receive())["type"] != "response.done":
                if event["type"] == "response.output_audio.delta":
                    began = began or loop.time()
                    sizes.append(len(event["delta"]) * 3 // 4 / 48)
                    # The lead, a chunk, and what this client is late itself.
                    assert sum(sizes) - (loop.time() - began) * 1000 < 1800
            assert all(100 <= size <= 200 for size in sizes[:-1])
            assert sum(sizes) > 2500
            assert loop.time() - began > 1

    with serving(puppet, speech_models(), lead_ms=1000) as engine:
        asyncio.run(story(engine))
