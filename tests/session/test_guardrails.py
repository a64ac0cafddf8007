"""Guardrails of a live session: real lines, real threads, a real moderation endpoint."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.lines import Lines, lines
from support.onaline import OnALine, on_a_line, settled
from support.until import until

from runner import RealtimeAgent, RealtimeSession
from runner.guardrails import (
    Guardrail,
    GuardrailArgs,
    GuardrailResult,
    as_guardrail,
    guardrail,
    guardrail_of,
)
from runner.model.deployment import GuardrailSpec
from runner.testing import server
from runner.tools.moderation import moderation

Test = Callable[[RealtimeSession, Lines, list[Any]], Awaitable[None]]
LONG = (
    "The weather is fine today, and it will be fine tomorrow, and on the day after that too, I say."
)


def on_lines(test: Test, agent: RealtimeAgent | None = None, **options: Any) -> None:
    async def main() -> None:
        async with lines() as server:
            session = RealtimeSession(agent or RealtimeAgent("desk", "Be kind."), **options)
            seen: list[Any] = []
            session.on("*", seen.append)
            await session.connect(api_key="key", url=server.url)
            try:
                async with asyncio.timeout(20):
                    await test(session, server, seen)
            finally:
                await session.close()

    asyncio.run(main())


def of(seen: list[Any], kind: str) -> list[Any]:
    return [e for e in seen if e.type == kind]


# -- what the server says --------------------------------------------------------------------
async def begin(server: Lines, response: str = "r1", item: str = "a1") -> None:
    message = {"id": item, "type": "message", "role": "assistant", "content": []}
    await server.send(
        0,
        {"type": "response.created", "response": {"id": response, "output": []}},
        {"type": "response.output_item.added", "response_id": response, "item": message},
    )


def _part(kind: str, response: str, item: str, **fields: Any) -> dict[str, Any]:
    at = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    return {"type": f"response.{kind}", **at, **fields}


async def words(server: Lines, text: str, response: str = "r1", item: str = "a1") -> None:
    await server.send(0, _part("output_audio_transcript.delta", response, item, delta=text))


async def sound(server: Lines, response: str = "r1", item: str = "a1") -> None:
    data = base64.b64encode(b"\1\0" * 24000).decode()
    await server.send(0, _part("output_audio.delta", response, item, delta=data))


async def end(
    server: Lines, text: str = "", response: str = "r1", item: str = "a1", status: str = "completed"
) -> None:
    content = [{"type": "output_audio", "transcript": text}]
    output = [{"id": item, "type": "message", "role": "assistant", "content": content}]
    wire = {"id": response, "status": status, "output": output if text else []}
    await server.send(0, {"type": "response.done", "response": wire})


async def caller_said(server: Lines, text: str, item: str = "u1") -> None:
    await server.send(
        0,
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": item, "content_index": 0, "transcript": text,
        },
    )  # fmt: skip


def bad(args: GuardrailArgs) -> GuardrailResult:
    return GuardrailResult("bomb" in args.text, {"found": "bomb"})


# -- the declaration -------------------------------------------------------------------------
@pytest.mark.parametrize(("given", "debounce"), [(None, 100), ({"debounce_text_length": 250}, 250)])
def test_words_are_checked_each_hundred_characters_unless_said_otherwise(
    given: Any, debounce: int
) -> None:
    """GR1: settings default to debounce 100, a given value wins."""

    async def main() -> None:
        session = RealtimeSession(
            RealtimeAgent("desk"), output_guardrails=[bad], output_guardrail_settings=given
        )
        resolved = await session.resolve(session.initial_agent)
        assert resolved.view.rules.debounce == debounce

    asyncio.run(main())


def test_the_model_is_told_the_rule_by_its_name_and_what_was_found() -> None:
    """GR2: the hint defaults to the name, and both it and the info are in the feedback."""
    check = as_guardrail({"name": "No Bombs", "execute": bad})
    words = check.feedback(GuardrailResult(True, {"found": "bomb"}))
    assert "No Bombs" in words
    assert '{"found":"bomb"}' in words


def test_a_hint_of_its_own_stands_in_place_of_the_name() -> None:
    """GR3: an explicit policy hint replaces the name."""
    check = as_guardrail({"name": "nb", "execute": bad, "policyHint": "Do not speak of bombs"})
    words = check.feedback(GuardrailResult(True, None))
    assert "Do not speak of bombs" in words
    assert "nb" not in words.split()


def test_info_that_is_no_json_is_told_all_the_same() -> None:
    assert "object" in guardrail(bad).feedback(GuardrailResult(True, object()))


# -- on the line -----------------------------------------------------------------------------
def test_an_answer_is_stopped_while_it_is_spoken_and_made_again() -> None:
    """SE22: one event with its item, one cut, and the feedback as a message."""
    given: list[GuardrailArgs] = []

    async def check(args: GuardrailArgs) -> GuardrailResult:
        given.append(args)
        return bad(args)

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await sound(server)
        await words(server, LONG + " This is how to build a bomb")
        await until(lambda: of(seen, "guardrail_tripped"))
        (event,) = of(seen, "guardrail_tripped")
        assert (event.agent, event.name, event.check) == ("desk", "check", "output")
        assert (event.item_id, event.response_id, event.then) == ("a1", "r1", "message")
        assert event.info == {"found": "bomb"}
        assert given[0].text.startswith(LONG)
        assert given[0].agent_output == given[0].text
        assert (given[0].agent.name, given[0].final, given[0].context) == ("desk", False, "us")
        await until(lambda: server.items(0))
        assert [e["response_id"] for e in server.of(0, "response.cancel")] == ["r1"]
        assert len(server.of(0, "conversation.item.truncate")) == 1
        assert len(of(seen, "audio_interrupted")) == 1
        assert "check" in server.items(0)[0]["content"][0]["text"]
        assert not server.of(0, "response.create")
        await words(server, LONG * 3)
        await end(server, LONG, status="cancelled")
        await until(lambda: server.of(0, "response.create"))
        assert len(of(seen, "guardrail_tripped")) == 1

    on_lines(test, output_guardrails=[check], context="us")


def test_the_whole_answer_is_checked_in_the_end_and_the_owner_is_who_spoke() -> None:
    seen_final: list[tuple[str, bool]] = []

    async def check(args: GuardrailArgs) -> bool:
        seen_final.append((args.agent.name, args.final))
        return args.final

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await words(server, "No.")
        await until(lambda: of(seen, "transcript_delta"))
        await session.update_agent(RealtimeAgent("other"))
        await end(server, "No.")
        await until(lambda: of(seen, "guardrail_tripped"))
        assert seen_final == [("desk", True)]
        assert of(seen, "guardrail_tripped")[0].agent == "desk"

    on_lines(test, guardrails=[guardrail(check, then="log")])


def test_what_the_caller_says_is_checked_by_input_rules_alone() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await caller_said(server, "tell me of the bomb")
        await until(lambda: of(seen, "guardrail_tripped"))
        (event,) = of(seen, "guardrail_tripped")
        assert (event.name, event.check, event.item_id) == ("ears", "input", "u1")
        await until(lambda: server.of(0, "response.create"))
        said = server.of(0, "response.create")[0]["response"]["instructions"]
        assert said.endswith("We do not speak of that.")

    ears = guardrail(bad, name="ears", check="input", then="say", say="We do not speak of that.")
    on_lines(test, guardrails=[guardrail(bad, name="mouth"), ears])


def test_a_check_that_raises_is_an_error_and_the_others_count() -> None:
    def broken(args: GuardrailArgs) -> bool:
        raise ValueError("no dictionary")

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(what))
        await begin(server)
        await words(server, LONG + " bomb, bomb, bomb")
        await until(lambda: of(seen, "guardrail_tripped"))
        assert [(e.code, e.message) for e in of(seen, "error")] == [
            ("guardrail_failed", "broken: ValueError: no dictionary")
        ]
        assert len(faults) == 1
        assert of(seen, "guardrail_tripped")[0].name == "bad"
        session.send_message("hello")  # the call goes on
        await until(lambda: session.history)

    on_lines(test, guardrails=[broken, guardrail(bad, then="log")])


def test_slow_checks_hold_up_neither_words_nor_sound() -> None:
    """One sleeps in its thread, one waits in the loop; what the caller hears does not."""
    in_thread, go_on = threading.Event(), threading.Event()
    waiting = asyncio.Event()

    def thread(args: GuardrailArgs) -> bool:
        in_thread.set()
        go_on.wait(10)
        return False

    async def loop(args: GuardrailArgs) -> bool:
        await waiting.wait()
        return False

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await words(server, LONG * 2)
        await until(in_thread.is_set)
        for _ in range(5):
            await sound(server)
        await until(lambda: len(of(seen, "audio")) == 5)
        assert not go_on.is_set()
        go_on.set()
        waiting.set()

    on_lines(test, guardrails=[thread, loop])


def test_a_result_that_comes_too_late_does_not_cut_a_newer_answer() -> None:
    """SE24: the event is told; the new response is neither cancelled nor talked over."""
    verdict = asyncio.Event()

    async def check(args: GuardrailArgs) -> bool:
        if args.text != "Old.":
            return False
        await verdict.wait()
        return True

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await words(server, "Old.")
        await end(server, "Old.")
        await begin(server, "r2", "a2")
        await sound(server, "r2", "a2")
        await until(lambda: of(seen, "audio"))
        verdict.set()
        await until(lambda: of(seen, "guardrail_tripped"))
        session.send_message("hello", respond=False)
        await until(lambda: server.items(0))
        assert [e["type"] for e in server.heard[0]] == [
            "session.update",
            "conversation.item.create",
        ]
        assert not of(seen, "audio_interrupted")

    on_lines(test, output_guardrails=[check])


def test_a_result_after_the_end_of_the_call_is_nobodys() -> None:
    """SE25: a guardrail's result after close is ignored entirely."""
    begun, verdict = threading.Event(), threading.Event()

    def check(args: GuardrailArgs) -> bool:
        begun.set()
        verdict.wait(10)
        return True

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await words(server, LONG * 2)
        await until(begun.is_set)
        await session.close()
        told = len(seen)
        verdict.set()
        await asyncio.to_thread(lambda: None)
        assert not of(seen, "guardrail_tripped")
        assert len(seen) == told

    on_lines(test, output_guardrails=[check])


def test_a_rule_cuts_where_the_caller_may_not() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await sound(server)
        started = {"type": "input_audio_buffer.speech_started", "item_id": "u1"}
        await server.send(0, {**started, "audio_start_ms": 0})
        await until(lambda: of(seen, "speech_started"))
        assert not of(seen, "audio_interrupted")
        await words(server, LONG * 2 + " bomb")
        await until(lambda: of(seen, "audio_interrupted"))
        await until(lambda: server.of(0, "response.cancel"))

    on_lines(
        test,
        output_guardrails=[bad],
        config={
            "audio": {
                "input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}
            }
        },
    )


def test_a_rule_may_give_the_line_to_another_agent() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await words(server, LONG * 2 + " bomb")
        await until(lambda: of(seen, "agent_handoff"))
        assert session.agent.name == "police"
        await until(lambda: len(server.of(0, "session.update")) == 2)

    on_lines(
        test,
        guardrails=[guardrail(bad, then="handoff", to="police")],
        agents={"police": RealtimeAgent("police", "Ask what happened.")},
    )


def test_a_rule_may_end_the_call() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await begin(server)
        await words(server, LONG * 2 + " bomb")
        await end(server, status="cancelled")
        await until(lambda: server.of(0, "response.create"))
        metadata = server.of(0, "response.create")[0]["response"]["metadata"]
        wire = {"id": "r2", "output": [], "metadata": metadata}
        await server.send(0, {"type": "response.created", "response": wire})
        await end(server, "Goodbye.", "r2", "a2")
        await until(lambda: of(seen, "connection_change")[-1].status == "disconnected")
        assert of(seen, "connection_change")[-1].reason == "a guardrail ended the call"

    on_lines(test, guardrails=[guardrail(bad, then="hang_up", say="Goodbye.")])


@pytest.mark.parametrize(
    ("spec", "text", "found"),
    [
        (GuardrailSpec("r", phrases=("diagnos*", "for sure")), "My DIAGNOSIS is", "DIAGNOSIS"),
        (GuardrailSpec("r", phrases=("diagnos*", "for sure")), "that is for,  sure", "for,  sure"),
        (GuardrailSpec("r", phrases=("diagnos*", "for sure")), "unsure of this", None),
        (GuardrailSpec("r", regex=r"\d{4} \d{4}"), "it is 1234 5678.", "1234 5678"),
        (GuardrailSpec("r", regex=r"\d{4} \d{4}"), "it is 12345678.", None),
    ],
)
def test_phrases_and_patterns_of_a_file(spec: GuardrailSpec, text: str, found: str | None) -> None:
    async def main() -> None:
        result = await guardrail_of(spec).run(GuardrailArgs(None, text, True))
        assert result == GuardrailResult(found is not None, found)

    asyncio.run(main())


# -- moderation ------------------------------------------------------------------------------
class Endpoint:
    """A moderation service that flags whoever speaks of bombs."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], str | None]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(size))
                outer.asked.append((self.path, body, self.headers.get("Authorization")))
                flagged = "bomb" in body["input"]
                categories = {"violence": flagged, "hate": False, "illicit/violent": flagged}
                scores = {name: float(so) for name, so in categories.items()}
                result = {
                    "flagged": flagged, "categories": categories, "category_scores": scores,
                    "category_applied_input_types": {},
                }  # fmt: skip
                answer = {"id": "m", "model": body["model"], "results": [result]}
                data = json.dumps(answer).encode()
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    serving = Endpoint()
    thread = threading.Thread(target=serving.server.serve_forever)
    thread.start()
    try:
        yield serving
    finally:
        serving.server.shutdown()
        thread.join()
        serving.server.server_close()


def test_a_moderation_endpoint_names_what_it_flags() -> None:
    with endpoint() as service:

        async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
            await begin(server)
            await words(server, "Have a nice day.")
            await end(server, "Have a nice day.")
            await until(lambda: service.asked)
            await begin(server, "r2", "a2")
            await words(server, "Build a bomb.", "r2", "a2")
            await end(server, "Build a bomb.", "r2", "a2")
            await until(lambda: of(seen, "guardrail_tripped"))
            (event,) = of(seen, "guardrail_tripped")
            assert (event.response_id, event.info) == ("r2", "illicit/violent, violence")
            path, body, key = service.asked[-1]
            assert path == "/v1/moderations"
            assert body == {"input": "Build a bomb.", "model": "omni-moderation-latest"}
            assert key == "Bearer sk-rules"

        spec = GuardrailSpec(
            "m", moderation={"url": service.url, "api_key": "sk-rules"}, then="log"
        )
        on_lines(test, guardrails=[guardrail_of(spec)])


def test_a_moderation_endpoint_that_fails_is_an_error_and_the_call_goes_on() -> None:
    with endpoint() as service:
        service.status = 401

        async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
            await caller_said(server, "hello there")
            await until(lambda: of(seen, "error"))
            assert [(e.code, e.message) for e in of(seen, "error")] == [
                (
                    "guardrail_failed",
                    "m: ToolError: the moderation endpoint failed: AuthenticationError",
                )
            ]
            assert "sk-secret" not in of(seen, "error")[0].message
            assert session.connected

        check = Guardrail(
            "m", moderation({"url": service.url, "api_key": "sk-secret"}), check="input", then="log"
        )
        on_lines(test, guardrails=[check])


def test_a_quick_check_does_not_wait_for_a_slow_one() -> None:
    """They look at the same words beside each other, whatever their order."""
    gate = asyncio.Event()

    async def slow(args: GuardrailArgs) -> bool:
        await gate.wait()
        return True

    checks = [guardrail(slow), guardrail(lambda args: "bad" in args.text, name="quick")]

    async def story(on: OnALine) -> None:
        on.emit(*server.written("This is bad.", response_id="r"))
        tripped = await on.told("guardrail_tripped")
        assert tripped.name == "quick"
        gate.set()
        await settled()
        assert len(on.of("guardrail_tripped")) == 1

    on_a_line(story, guardrails=checks)


def test_the_words_of_a_guardrail_do_not_trip_it() -> None:
    """It would cut its own apology for ever."""
    rule = guardrail(lambda args: "advice" in args.text, then="interrupt", say="I give no advice.")

    async def story(on: OnALine) -> None:
        on.emit(*server.spoken("My advice is this.", b"\1\0" * 24000, response_id="r"))
        await until(lambda: on.asked)
        on.emit(*server.spoken("I give no advice.", to=on.request))
        await settled()
        assert len(on.of("guardrail_tripped")) == 1
        assert on.asked == 1

    on_a_line(story, guardrails=[rule])
