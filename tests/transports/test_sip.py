"""A phone call followed by its id, and the session object that accepts it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from openai.resources.realtime.calls import AsyncCalls
from support.phone_service import PhoneCall, PhoneService
from support.wsserver import Service

from runner import RealtimeAgent, SessionOptions, tool
from runner.errors import CallOver, UserError
from runner.model.settings import SESSION_KEYS, SessionSettings
from runner.transports.base import ConnectOptions
from runner.transports.phonecalls import PhoneCalls
from runner.transports.sip import OpenAIRealtimeSIP


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def build(agent: Any, *given: Any) -> dict[str, Any]:
    return asyncio.run(OpenAIRealtimeSIP.build_initial_config(agent, *given))


# -- attaching -----------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [None, ConnectOptions(model="m")])
def test_a_call_id_is_needed(options: ConnectOptions | None) -> None:
    """SI1, WS48: connect without a call id is refused, before anything is opened."""

    async def test() -> None:
        line = OpenAIRealtimeSIP(url="ws://127.0.0.1:9/")
        with pytest.raises(UserError, match="no call to attach to"):
            await line.connect(options)
        assert line.status == "disconnected"

    run(test)


def test_the_call_id_stands_in_the_address() -> None:
    """SI2, WS48: the WebSocket's way with that id, by keyword and by a session's options."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeSIP(url=service.url)
            await line.connect(call_id="rtc_1", api_key="k")
            await line.close()
            await line.connect(ConnectOptions(model="m", call_id="rtc_2"))
            paths = [request.path for request in service.requests]
            assert paths == ["/v1/realtime?call_id=rtc_1", "/v1/realtime?call_id=rtc_2"]
            assert line.playback == "server"
            await line.close()

    run(test)


def test_audio_comes_by_phone() -> None:
    """SI7, WS50: send_audio raises, before connect and after."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeSIP(url=service.url)
            with pytest.raises(UserError, match="no audio"):
                line.send_audio(b"\0\0")
            await line.connect(call_id="rtc_1")
            with pytest.raises(UserError, match="no audio"):
                line.send_audio(b"", commit=True)
            await line.close()

    run(test)


# -- accepting -----------------------------------------------------------------------------------
@tool
def price(item: str) -> str:
    """What an item costs."""
    return "one"


def test_the_session_object_of_a_call() -> None:
    """SI3: agent, options and overrides in one payload, which the openai package takes."""
    agent = RealtimeAgent("shop", "Sell.", tools=[price], voice="ash")
    options = {"model": "gpt-realtime", "config": {"toolChoice": "auto", "speed": 0.9}}
    config = build(agent, options, {"audio": {"output": {"speed": 1.1}}})
    assert config == {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": "Sell.",
        "output_modalities": ["audio"],
        "tool_choice": "auto",
        "tools": [price.wire()],
        "audio": {
            "input": {
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"voice": "ash", "speed": 1.1},
        },
    }
    inspect.signature(AsyncCalls.accept).bind(None, "rtc_1", **config)


def test_overrides_win_and_the_rest_comes_from_agent_and_options() -> None:
    """WS49: model and instructions from agent and options, the overrides' speed."""
    config = build(RealtimeAgent("desk", "Be kind."), {"model": "m"}, {"speed": 1.5})
    assert (config["model"], config["instructions"]) == ("m", "Be kind.")
    assert config["audio"]["output"]["speed"] == 1.5
    assert "tools" not in config


def test_what_is_left_out_is_the_default() -> None:
    config = build(RealtimeAgent("desk"))
    assert config["model"] == "gpt-realtime-2.1"
    assert config["audio"]["output"] == {"voice": "marin"}
    assert "tracing" not in config


def test_options_of_a_session_do_as_well() -> None:
    async def named(context: Any, agent: Any) -> str:
        return f"for {context['who']}"

    agent = RealtimeAgent("desk", named, voice="ash")
    options = SessionOptions(model="m", config={"voice": "cedar"}, context={"who": "Ada"})
    config = build(agent, options)
    assert (config["instructions"], config["model"]) == ("for Ada", "m")
    assert config["audio"]["output"]["voice"] == "cedar"
    whole = SessionOptions(config=SessionSettings().merged({"model": "mine"}))
    config = build(RealtimeAgent("desk", voice="ash"), whole)
    assert (config["model"], config["audio"]["output"]["voice"]) == ("mine", "ash")
    kept = SessionOptions(config={"voice": "cedar"}, own_voice=False)
    assert build(RealtimeAgent("desk", voice="ash"), kept)["audio"]["output"]["voice"] == "ash"


def test_what_only_the_service_knows_travels_in_the_body() -> None:
    config = build(RealtimeAgent("desk"), {"config": {"providerData": {"newest": 1}}})
    assert config["extra_body"] == {"newest": 1}
    inspect.signature(AsyncCalls.accept).bind(None, "rtc_1", **config)


def test_the_keys_of_a_session_are_those_of_the_openai_package() -> None:
    takes = inspect.signature(AsyncCalls.accept).parameters
    own = {"self", "call_id", "extra_headers", "extra_query", "extra_body", "timeout"}
    assert set(SESSION_KEYS) <= set(takes) - own


@pytest.mark.parametrize(
    "detection",
    [
        {"type": "server_vad", "threshold": 0.5, "prefixPaddingMs": 300, "silenceDurationMs": 500},
        {"type": "server_vad", "threshold": 0, "prefix_padding_ms": 1, "silence_duration_ms": 0},
    ],
    ids=["SDK", "wire"],
)
@pytest.mark.parametrize("where", ["options", "overrides"])
def test_fields_that_a_phone_call_does_not_take(detection: dict[str, Any], where: str) -> None:
    """SI4, SI5: all are named, in either spelling and wherever they come from."""
    config = {"audio": {"input": {"turnDetection": detection}}}
    given = ({"config": config},) if where == "options" else (None, config)
    with pytest.raises(UserError, match="threshold, prefix_padding_ms, silence_duration_ms"):
        build(RealtimeAgent("desk"), *given)
    with pytest.raises(UserError) as caught:
        build(RealtimeAgent("desk"), {"config": {"turn_detection": {"threshold": 0.1}}})
    assert caught.value.message.endswith("with threshold")


@pytest.mark.parametrize(
    "detection",
    [
        None,
        {"type": "semantic_vad", "eagerness": "low", "create_response": False},
        {"type": "server_vad", "idle_timeout_ms": 6000, "interrupt_response": True},
        {"type": "server_vad", "model_version": "x"},
    ],
)
def test_fields_that_a_phone_call_takes(detection: Any) -> None:
    """SI6: the other fields of the turn detection pass."""
    config = build(RealtimeAgent("desk"), {"config": {"turn_detection": detection}})
    assert config["audio"]["input"]["turn_detection"] == detection


def test_a_call_that_rings_is_refused() -> None:
    async def refuse(status: int) -> None:
        await OpenAIRealtimeSIP(url=service.url, api_key="k").reject("rtc_1", status)

    with PhoneService() as service:
        call = service.calls["rtc_1"] = PhoneCall(service, "rtc_1")
        asyncio.run(refuse(486))
        assert call.requests == [("reject", {"status_code": 486})]
        with pytest.raises(UserError, match="200 refuses no call"):
            asyncio.run(refuse(200))
        del service.calls["rtc_1"]
        with pytest.raises(CallOver):
            asyncio.run(refuse(603))


async def _ended_twice() -> None:
    calls = PhoneCalls("ws://127.0.0.1:9/v1/realtime", "key")
    late = calls._client(5).realtime.calls.hangup("rtc_x")
    await calls.close()
    with pytest.raises(CallOver):
        await calls._done(late, "hang up")


def test_a_call_that_was_ended_by_somebody_else_meanwhile_is_over() -> None:
    asyncio.run(_ended_twice())
