"""The chat brain against a real HTTP server on loopback that streams, refuses and stalls."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from support.chat_server import HEAD, Answer, chat_server, chunk, refusing, streaming, tool_part
from support.utterances import agent, call, output, user

from runner.engine.brain import make_brain
from runner.engine.brain.chat import SPOKEN, SPOKEN_SLOW
from runner.engine.ports import BrainError, Call, Prompt, Say
from runner.errors import UsageError

PROMPT = Prompt("You are Ada.", [user("Hello")])
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "d",
    "parameters": {"type": "object", "properties": {}},
}


async def collect(brain: Any, prompt: Prompt) -> tuple[list[str], list[Call]]:
    said, calls = [], []
    async for piece in brain.think(prompt):
        if isinstance(piece, Say):
            said.append(piece.text)
        else:
            calls.append(piece)
    return said, calls


def ask(
    answer: Answer, prompt: Prompt = PROMPT, **spec: Any
) -> tuple[list[str], list[Call], dict[str, Any], dict[str, str]]:
    async def run() -> Any:
        async with chat_server(answer) as server:
            brain = make_brain({"type": "chat", "url": server.url, "model": "m", **spec})
            try:
                said, calls = await collect(brain, prompt)
            finally:
                await brain.close()
            return said, calls, server.requests[0], server.headers[0]

    return asyncio.run(asyncio.wait_for(run(), 20))


def fail(answer: Answer, **spec: Any) -> BrainError:
    with pytest.raises(BrainError) as caught:
        ask(answer, **spec)
    return caught.value


def test_an_output_that_came_late_is_told_right_behind_its_call() -> None:
    items = [
        user("Look it up."),
        call("weather", "{}", "c1"),
        user("Hurry."),
        call("weather", "{}", "c2"),
        output("wind", "c2"),
        output("rain", "c1"),
        output("snow", "lost"),
    ]
    answer = streaming([chunk(content="Rain.")])
    _, _, request, _ = ask(answer, Prompt("You are Ada.", items))
    told = [
        m.get("tool_call_id") or m["role"] for m in request["messages"] if m["role"] != "system"
    ]
    assert told == ["user", "assistant", "c1", "user", "assistant", "c2"]
    assert [m["content"] for m in request["messages"] if m["role"] == "tool"] == ["rain", "wind"]


def test_text_comes_in_pieces_as_it_is_streamed() -> None:
    said, calls, request, headers = ask(
        streaming([chunk(role="assistant"), chunk(content="Hello. "), chunk(content="I am Ada.")])
    )
    assert said == ["Hello. ", "I am Ada."]
    assert calls == []
    assert request["messages"] == [
        {"role": "system", "content": "You are Ada."},
        {"role": "user", "content": "Hello"},
    ]
    assert request["stream"] is True
    assert "tools" not in request
    assert headers["path"] == "/v1/chat/completions"


def test_the_first_piece_does_not_wait_for_the_rest() -> None:
    async def run() -> None:
        go_on = asyncio.Event()

        async def answer(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
            writer.write(HEAD + chunk(content="One. "))
            await writer.drain()
            await go_on.wait()
            writer.write(chunk(content="Two.") + b"data: [DONE]\n\n")
            await writer.drain()

        async with chat_server(answer) as server:
            brain = make_brain({"type": "chat", "url": server.url, "model": "m"})
            thought = brain.think(PROMPT)
            assert await anext(thought) == Say("One. ")
            go_on.set()
            assert await anext(thought) == Say("Two.")
            await brain.close()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_call_streamed_in_fragments_is_whole() -> None:
    pieces = [
        chunk(tool_calls=[tool_part(0, "c1", "weather", "")]),
        chunk(tool_calls=[tool_part(0, arguments='{"ci')]),
        chunk(
            tool_calls=[
                tool_part(0, arguments='ty":"Paris"}'),
                tool_part(1, "c2", "weather", '{"city":"Rome"}'),
            ]
        ),
    ]
    said, calls, request, _ = ask(streaming(pieces), Prompt("", [user("?")], [WEATHER]))
    assert said == []
    assert calls == [Call("weather", '{"city":"Paris"}'), Call("weather", '{"city":"Rome"}')]
    assert request["tools"][0]["function"]["name"] == "weather"
    assert "tool_choice" not in request


def test_whole_calls_that_share_index_zero_stay_apart() -> None:
    pieces = [
        chunk(tool_calls=[tool_part(0, "a", "weather", "{}")]),
        chunk(tool_calls=[tool_part(0, "b", "weather", "")]),
    ]
    _, calls, _, _ = ask(streaming(pieces), Prompt("", [user("?")], [WEATHER]))
    assert calls == [Call("weather", "{}"), Call("weather", "{}")]


def test_tool_choice_is_carried() -> None:
    pieces = [chunk(content="ok")]
    _, _, request, _ = ask(
        streaming(pieces),
        Prompt("", [user("?")], [WEATHER], {"type": "function", "name": "weather"}),
    )
    assert request["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    _, _, request, _ = ask(streaming(pieces), Prompt("", [user("?")], [WEATHER], "none"))
    assert "tools" not in request


def test_items_become_messages() -> None:
    items = [
        {
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "Be kind."}],
        },
        user("Weather in Paris?"),
        call("weather", '{"city":"Paris"}', "c1"),
        call("weather", '{"city":"Rome"}', "c2"),
        output("sunny", "c1"),
        agent("Sunny."),
        user(""),
        output("lost", "c9"),
        user("Thanks"),
    ]
    _, _, request, _ = ask(streaming([chunk(content="ok")]), Prompt("", items))
    roles = [
        (one["role"], one.get("content"), one.get("tool_call_id")) for one in request["messages"]
    ]
    assert roles == [
        ("system", "Be kind.", None),
        ("user", "Weather in Paris?", None),
        ("assistant", None, None),
        ("tool", "sunny", "c1"),
        ("tool", "The result is not known.", "c2"),
        ("assistant", "Sunny.", None),
        ("user", "Thanks", None),
    ]
    assert [one["id"] for one in request["messages"][2]["tool_calls"]] == ["c1", "c2"]


def test_thoughts_are_not_spoken() -> None:
    pieces = [
        chunk(content="<thi"),
        chunk(content="nk>He wants tea.</th"),
        chunk(content="ink>\n\nTea, "),
        chunk(content="if x <"),
        chunk(content=" y."),
    ]
    said, _, _, _ = ask(streaming(pieces))
    assert "".join(said) == "Tea, if x < y."


def test_the_key_of_openai_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    _, _, _, headers = ask(streaming([chunk(content="ok")]))
    assert "secret" not in str(headers)
    _, _, _, headers = ask(streaming([chunk(content="ok")]), api_key="mine")
    assert headers["authorization"] == "Bearer mine"


def test_a_dead_port() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]

    async def run() -> None:
        brain = make_brain({"type": "chat", "url": f"http://127.0.0.1:{port}/v1", "model": "m"})
        try:
            await collect(brain, PROMPT)
        finally:
            await brain.close()

    with pytest.raises(BrainError) as caught:
        asyncio.run(run())
    assert caught.value.code == "brain_unreachable"
    assert str(port) in str(caught.value)
    assert caught.value.spoken == SPOKEN


def test_refusals_say_the_status() -> None:
    error = fail(refusing("500 Internal Server Error", b"boom"))
    assert error.code == "brain_refused"
    assert "500" in str(error)
    error = fail(refusing("404 Not Found"))
    assert "404" in str(error)
    assert "no such model" in str(error)


def test_a_slow_first_token_is_spoken_about() -> None:
    async def answer(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    error = fail(answer, timeout=0.1)
    assert error.code == "brain_timeout"
    assert error.spoken == SPOKEN_SLOW


def test_a_stream_that_stalls_is_an_error_too() -> None:
    async def answer(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
        writer.write(HEAD + chunk(content="I will "))
        await writer.drain()
        await asyncio.Event().wait()

    assert fail(answer, timeout=0.2).code == "brain_timeout"


CUT_CALL = {"index": 0, "function": {"name": "f", "arguments": "{oops"}}


@pytest.mark.parametrize(
    "body",
    [
        b"data: {not json}\n\n",
        b"data: [1, 2]\n\n",
        b"data: 7\n\n",
        b'data: {"choices": "x"}\n\n',
        b"data: \xff\xfe\n\n",
        chunk(tool_calls=[CUT_CALL]),
    ],
)
def test_garbage_is_an_error_with_words_for_the_caller(body: bytes) -> None:
    error = fail(streaming([body]))
    assert error.code in ("brain_garbled", "brain_refused", "brain_empty")
    assert error.spoken == SPOKEN


def test_a_page_of_html_and_an_empty_answer() -> None:
    page = b"<html>login</html>"

    async def html(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
            + page
        )
        await writer.drain()

    assert fail(html).code in ("brain_empty", "brain_garbled")
    assert fail(streaming([chunk(role="assistant")])).code == "brain_empty"


def test_a_line_cut_in_the_middle() -> None:
    async def answer(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
            b"chunked\r\n\r\n5\r\ndata:"
        )
        await writer.drain()
        writer.transport.abort()

    assert fail(answer).code in ("brain_unreachable", "brain_garbled")


def test_cancelling_closes_the_stream() -> None:
    async def run() -> None:
        async def answer(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
            writer.write(HEAD + chunk(content="A long story. "))
            await writer.drain()
            await asyncio.Event().wait()

        async with chat_server(answer) as server:
            brain = make_brain({"type": "chat", "url": server.url, "model": "m"})
            thought = brain.think(PROMPT)
            assert await anext(thought) == Say("A long story. ")
            await thought.aclose()  # type: ignore[attr-defined]
            await server.closed.wait()
            await brain.close()

    asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"type": "oracle"}, "oracle"),
        ({"type": "chat"}, "url"),
        ({"type": "chat", "url": "http://x"}, "model"),
        ({"type": "chat", "url": "ftp://x", "model": "m"}, "ftp"),
        ({"type": "chat", "url": "http://x", "model": "m", "timeout": 0}, "timeout"),
        ({"type": "chat", "url": "http://x", "model": "m", "modle": 1}, "modle"),
        ({"type": "rehearsal", "model": "m"}, "model"),
    ],
)
def test_a_bad_spec_is_a_usage_error(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_brain(spec)
