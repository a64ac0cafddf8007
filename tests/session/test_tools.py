"""Function tools in a session: who runs, what the model gets, and what is told of it."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from support.onaline import OnALine, lingering, on_a_line, settled, while_closing
from support.until import until

from runner import (
    BackgroundResult,
    RealtimeAgent,
    ToolContext,
    ToolGuardrailArgs,
    errands,
    handoff,
    tool,
)
from runner.errors import ToolError, UserError
from runner.testing import server
from runner.tools.base import FunctionTool, ToolPolicy

pytestmark = pytest.mark.quick

FAILED = "An error occurred while running the tool."


def price(item: str = "pen") -> str:
    """What a thing costs."""
    return f"{item}: 3"


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([price, price], "price: 2 function tools"),
        ([price, tool(name="transfer_to_boss")(price)], "transfer_to_boss: function tool and hand"),
    ],
)
def test_things_of_one_name_are_refused_before_connect(tools: Any, message: str) -> None:
    """SE2, SE3: a name is there once, among tools and handoffs; each is named with its kinds."""

    async def main() -> None:
        from runner import RealtimeSession
        from runner.testing import ScriptedTransport

        line = ScriptedTransport()
        agent = RealtimeAgent("desk", tools=tools, handoffs=[RealtimeAgent("boss")])
        with pytest.raises(UserError, match=message):
            await RealtimeSession(agent, transport=line).connect()
        assert line.calls == ()

    asyncio.run(main())


def test_what_is_not_enabled_is_neither_told_nor_counted() -> None:
    """SE4: disabled tools and handoffs are no duplicates."""
    off = tool(name="price", is_enabled=False)(price)
    ways = [handoff(RealtimeAgent("boss"), is_enabled=lambda context, agent: False)]
    agent = RealtimeAgent("desk", tools=[price, off], handoffs=ways)

    async def story(on: OnALine) -> None:
        assert [t["name"] for t in on.session.effective["tools"]] == ["price"]
        on.calls("transfer_to_boss")
        assert await on.output() == "Tool transfer_to_boss not found"

    on_a_line(story, agent)


class Server:
    """As a local MCP server is one to the session: something that brings tools."""

    def __init__(self, name: str, *tools: Any) -> None:
        self.name = name
        self.listed = 0
        self._tools = tools

    async def tools(self) -> Any:
        self.listed += 1
        if not self._tools:
            raise ToolError(f"{self.name} cannot be reached")
        return self._tools

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("tracing_disabled", [False, True])
def test_tools_of_local_servers(tracing_disabled: bool) -> None:
    """SE9: they are listed once and told before the agent's own, with tracing or without, and
    run like those. A server that is not there is an error and no reason to refuse the caller."""
    ledger = Server("ledger", tool(name="invoice")(price))
    agent = RealtimeAgent("desk", tools=[price], mcp_servers=[Server("gone"), ledger])

    async def story(on: OnALine) -> None:
        first = on.line.sent[0]["session"]
        assert [t["name"] for t in first["tools"]] == ["invoice", "price"]
        assert on.errors() == ["mcp_server_failed"]
        on.calls("invoice", '{"item": "ink"}')
        assert await on.output() == "ink: 3"
        assert ledger.listed == 1

    on_a_line(story, agent, tracing_disabled=tracing_disabled)


def test_a_call_end_to_end() -> None:
    """SE26: output, then an answer is asked for; start and end are told once, to the agent too."""
    mine: list[str] = []
    agent = RealtimeAgent("desk", tools=[price])
    agent.on("agent_tool_start", lambda event: mine.append("start"))
    agent.on("agent_tool_end", lambda event: mine.append("end"))

    async def story(on: OnALine) -> None:
        on.calls("price", '{"item": "ink"}')
        assert await on.output() == "ink: 3"
        assert on.asked == 1
        [start], [end] = on.of("agent_tool_start"), on.of("agent_tool_end")
        assert (start.agent, start.name, start.arguments) == ("desk", "price", '{"item": "ink"}')
        assert (end.call_id, end.output) == ("call_1", "ink: 3")
        assert mine == ["start", "end"]

    on_a_line(story, agent)


def test_a_listener_of_the_start_may_close_the_session() -> None:
    """SE27: then nothing is run and nothing sent."""
    ran: list[str] = []

    def never() -> None:
        ran.append("ran")

    async def story(on: OnALine) -> None:
        on.session.on("agent_tool_start", lambda event: on.session.close())
        on.calls("never")
        await until(lambda: on.of("connection_change")[-1].status == "disconnected")
        await settled()
        assert ran == []
        assert on.outputs() == []

    on_a_line(story, RealtimeAgent("desk", tools=[never]))


def test_a_call_after_the_end_is_not_run() -> None:
    """SE44: nor told of, nor answered."""
    ran: list[str] = []

    def never() -> None:
        ran.append("ran")

    async def story(on: OnALine) -> None:
        await while_closing(on, lambda: on.calls("never"))
        assert ran == []
        assert on.outputs() == []
        assert on.of("agent_start") == []

    on_a_line(story, RealtimeAgent("desk", tools=[never, lingering()]))


def test_agent_end_has_the_words_also_when_a_call_follows_them() -> None:
    """SE28: the text is the last message's, a call behind it does not hide it."""

    async def story(on: OnALine) -> None:
        said = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
        said["content"] = [{"type": "output_audio", "transcript": "One moment."}]  # type: ignore[assignment]
        call = {"id": "c", "type": "function_call", "call_id": "c", "name": "price"}
        on.emit(server.response_created("r"), server.response_done("r", output=[said, call]))
        assert on.of("agent_end")[0].text == "One moment."

    on_a_line(story)


def test_an_unknown_tool_is_said_to_the_model() -> None:
    """SE32, SE78: one text, one error; repeated, nothing more. (The model may go on: we ask.)"""

    async def story(on: OnALine) -> None:
        on.calls("nothing")
        assert await on.output() == "Tool nothing not found"
        on.again("nothing")
        await settled()
        assert len(on.outputs()) == 1
        assert on.errors() == ["tool_not_found"]

    on_a_line(story)


def raising(args: ToolGuardrailArgs) -> None:
    raise RuntimeError("the check broke")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def unprintable(args: ToolGuardrailArgs) -> None:
    raise Unprintable


@pytest.mark.parametrize(
    ("policy", "output", "ran", "errors"),
    [
        (ToolPolicy(input_guardrails=(lambda args: "Not that one.",)), "Not that one.", 0, []),
        (ToolPolicy(input_guardrails=(raising,)), FAILED, 0, ["tool_failed"]),
        (ToolPolicy(input_guardrails=(unprintable,)), FAILED, 0, ["tool_failed"]),
        (ToolPolicy(output_guardrails=(lambda args: "Kept back.",)), "Kept back.", 1, []),
        (ToolPolicy(output_guardrails=(raising,)), FAILED, 1, ["tool_failed"]),
        (ToolPolicy(input_guardrails=(lambda args: None,)), "secret", 1, []),
    ],
    ids=["refuses", "breaks", "has no words", "holds back", "breaks after", "lets pass"],
)
def test_guardrails_of_tools(policy: Any, output: str, ran: int, errors: list[str]) -> None:
    """SE35, SE36, SE38, SE39, SE40: a refusal is the output; a check that breaks lets nothing
    through, is an error, and the call has its one output all the same.

    Defect 7: calls that never got an output."""
    runs: list[int] = []

    def told() -> str:
        runs.append(1)
        return "secret"

    made = replace(tool(told), policy=policy)

    async def story(on: OnALine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        on.calls("told")
        assert await on.output() == output
        assert (len(runs), on.errors(), on.asked) == (ran, errors, 1)

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


@pytest.mark.parametrize("arguments", ["", "nonsense", "[1]", '{"item": 1, "more": 2}'])
def test_arguments_that_are_none_get_an_output_too(arguments: str) -> None:
    """Defect 7: bad JSON. Empty arguments are none given."""

    async def story(on: OnALine) -> None:
        on.again("price", arguments)
        on.emit(server.response_done("resp_call_1"))
        text = await on.output()
        assert text.startswith(FAILED) if arguments else text == "pen: 3"
        assert on.errors() == (["tool_failed"] if arguments else [])
        assert on.asked == 1

    on_a_line(story, RealtimeAgent("desk", tools=[price]))


async def cancelled(*args: Any) -> str:
    """As a library does it whose own task was cancelled."""
    raise asyncio.CancelledError


async def endless(*args: Any) -> str:
    await asyncio.Event().wait()
    return ""


def broken(*args: Any) -> str:
    raise ValueError("inside")


def second_time(predicate: Any) -> Any:
    """True when the agent is prepared, then as ``predicate`` has it."""
    asked: list[int] = []

    def ask(*args: Any) -> Any:
        asked.append(1)
        return True if len(asked) == 1 else predicate(*args)

    return ask


@pytest.mark.parametrize("fault", [broken, cancelled, endless])
@pytest.mark.parametrize(
    "where", ["is_enabled", "needs_approval", "input_guardrails", "output_guardrails"]
)
def test_what_a_program_asks_itself_may_fail_in_any_way(
    where: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defect 7: by an error, by a cancellation of its own, by never answering: the call has one
    output, nothing of the error is in it, an answer is asked for, and the application is told."""
    monkeypatch.setattr(errands, "ASKED_SECONDS", 0.05)
    given = [fault] if where.endswith("s") else fault
    policy: Any = {where: second_time(fault) if where == "is_enabled" else given}
    made = tool(name="price", **policy)(price)

    async def story(on: OnALine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        on.calls("price")
        text = await on.output()
        assert text.startswith(FAILED)
        assert "inside" not in text
        [code] = on.errors()
        assert code in ("approval_failed", "tool_failed")
        assert on.asked == 1

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


@pytest.mark.parametrize(
    ("fault", "output"),
    [(broken, f"{FAILED} ValueError: inside"), (cancelled, f"{FAILED} Tool 't' was cancelled")],
)
@pytest.mark.parametrize("words", [None, cancelled])
def test_a_tool_that_fails_has_its_output(fault: Any, output: str, words: Any) -> None:
    """Defect 7: also when the function that should say so fails as well."""

    if fault is broken:

        @tool(name="t", error_function=words)
        def made() -> str:
            return str(fault())

    else:

        @tool(name="t", error_function=words)
        async def made() -> str:
            return str(await fault())

    async def story(on: OnALine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        on.calls("t")
        assert await on.output() == output
        assert on.errors() == ["tool_failed"]
        assert on.asked == 1

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


def test_time_is_up() -> None:
    """SE33, SE34: the words say so, an answer is asked for, and the error is told. A function in
    a thread that goes on after that changes nothing any more."""
    over, left = threading.Event(), threading.Event()

    @tool(timeout=0.05)
    def slow() -> str:
        over.wait(5)
        left.set()
        return "late"

    async def story(on: OnALine) -> None:
        on.calls("slow")
        assert await on.output() == f"{FAILED} Tool 'slow' timed out after 50ms."
        over.set()
        await until(left.is_set)
        # The thread's last step is to say so to the loop: a second call is behind it.
        on.calls("quick", call_id="call_2")
        assert await on.output("call_2") == "pen: 3"
        assert len(on.outputs()) == 1
        assert on.errors() == ["tool_failed"]
        assert len(on.of("agent_tool_end")) == 2

    on_a_line(story, RealtimeAgent("desk", tools=[slow, tool(name="quick")(price)]))


def test_an_error_function_chooses_the_words() -> None:
    @tool(error_function=lambda context, error: f"{context.name} is out of order")
    def broken() -> str:
        raise ValueError("inside")

    async def story(on: OnALine) -> None:
        on.calls("broken")
        assert await on.output() == "broken is out of order"
        assert on.errors() == ["tool_failed"]

    on_a_line(story, RealtimeAgent("desk", tools=[broken]))


def test_a_background_result_asks_for_no_answer() -> None:
    """SE86, TO1: its text goes out as JSON, and the agent does not speak because of it."""

    def note() -> BackgroundResult:
        return BackgroundResult({"noted": True})

    async def story(on: OnALine) -> None:
        on.calls("note")
        assert await on.output() == '{"noted":true}'
        assert on.asked == 0

    on_a_line(story, RealtimeAgent("desk", tools=[note]))


@pytest.mark.parametrize("name", ["quiet", "refused"])
def test_a_tool_whose_output_is_not_spoken_of(name: str) -> None:
    """Its output goes out and no answer is asked for; that it was refused is spoken of."""
    quiet = tool(name="quiet", respond=False)(price)
    refused = tool(name="refused", respond=False, input_guardrails=[lambda args: "No."])(price)

    async def story(on: OnALine) -> None:
        on.calls(name)
        assert await on.output() == ("pen: 3" if name == "quiet" else "No.")
        assert on.asked == (name == "refused")

    on_a_line(story, RealtimeAgent("desk", tools=[quiet, refused]))


@pytest.mark.parametrize("when", ["while it runs", "when it is done", "in the listener"])
def test_a_call_that_comes_again_runs_once(when: str) -> None:
    """SE68, SE70, SE71: however often the server says it. The output goes out once: the service
    refuses a second one. With other arguments it is an error at once, and is not run."""
    runs: list[int] = []
    go = asyncio.Event

    async def story(on: OnALine) -> None:
        if when == "in the listener":
            on.session.on("agent_tool_end", lambda event: on.again("count"))
        on.calls("count")
        if when == "while it runs":
            on.again("count")
            on.again("count", '{"changed": 1}')
            assert on.errors() == ["call_changed"]
        gate.set()
        assert await on.output() == "1"
        on.again("count")
        await settled()
        before = on.errors()
        assert len(before) == (when == "while it runs")
        on.again("count", '{"changed": 1}')
        await settled()
        assert on.errors() == [*before, "call_changed"]
        assert len(on.outputs()) == 1
        assert runs == [1]

    async def count() -> int:
        await gate.wait()
        runs.append(1)
        return len(runs)

    gate = go()
    on_a_line(story, RealtimeAgent("desk", tools=[count]))


def test_a_call_is_taken_before_its_predicate_is_asked() -> None:
    """SE74: a slow is_enabled does not let a repetition in."""
    asked: list[str] = []
    gate = asyncio.Event()

    async def allowed(context: Any, agent: Any) -> bool:
        asked.append("asked")
        if len(asked) > 1:
            await gate.wait()
        return True

    made = tool(is_enabled=allowed)(price)

    async def story(on: OnALine) -> None:
        on.calls("price")
        on.again("price")
        gate.set()
        assert await on.output() == "pen: 3"
        assert len(on.of("agent_tool_start")) == 1

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


def test_a_tool_that_was_switched_off_meanwhile_is_not_run() -> None:
    on_now = [True]
    made = tool(is_enabled=lambda context, agent: on_now[0])(price)

    async def story(on: OnALine) -> None:
        on_now[0] = False
        on.calls("price")
        assert await on.output() == "Tool price not found"

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


@pytest.mark.parametrize("what", ["the tool", "the predicate"])
def test_what_ends_after_a_new_connect_says_nothing_into_it(what: str) -> None:
    """SE73, SE75: the call was of the line before."""
    gate = threading.Event()
    asked: list[int] = []

    def slow() -> str:
        gate.wait(5)
        return "old news"

    async def allowed(context: Any, agent: Any) -> bool:
        asked.append(1)
        if what == "the predicate" and len(asked) == 2:
            await asyncio.to_thread(gate.wait, 5)
        return True

    made = tool(is_enabled=allowed)(slow)

    async def story(on: OnALine) -> None:
        on.calls("slow")
        await until(lambda: len(asked) == 2)
        await settled()
        await on.session.close()
        before = len(on.line.calls)
        on.seen.clear()
        await on.session.connect()
        gate.set()
        await settled()
        assert [c for c in on.line.calls[before:] if "function_call_output" in str(c)] == []
        assert on.of("agent_tool_end") == []

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


def test_siblings_are_answered_together() -> None:
    """Defect 6: a fast call does not make the model speak before it has what the slow one says."""
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow"

    def fast() -> str:
        return "fast"

    async def story(on: OnALine) -> None:
        on.emit(server.response_created("r"))
        for name in ("slow", "fast"):
            item = {"id": name, "type": "function_call", "call_id": name, "name": name}
            item |= {"arguments": "{}", "status": "completed"}
            done = {"type": "response.output_item.done", "response_id": "r", "item": item}
            on.emit(done)
        on.emit(server.response_done("r"))
        assert await on.output("fast") == "fast"
        assert on.asked == 0
        gate.set()
        assert await on.output("slow") == "slow"
        assert on.asked == 1

    on_a_line(story, RealtimeAgent("desk", tools=[slow, fast]))


def test_a_long_tool_does_not_hold_the_conversation_up() -> None:
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "done"

    async def story(on: OnALine) -> None:
        on.calls("slow")
        await on.told("agent_tool_start")
        on.session.send_message("Are you still there?")
        assert on.asked == 1
        on.emit(*server.written("Yes.", to=on.request))
        await settled()
        gate.set()
        assert await on.output() == "done"
        assert on.asked == 2

    on_a_line(story, RealtimeAgent("desk", tools=[slow]))


@pytest.mark.parametrize("quick", [True, False])
def test_words_while_waiting(quick: bool) -> None:
    """They are said when the tool takes longer than a moment, and only then."""
    gate = asyncio.Event()

    @tool(while_waiting="One moment.")
    async def look() -> str:
        if not quick:
            await gate.wait()
        return "found"

    async def story(on: OnALine) -> None:
        began = time.monotonic()
        on.calls("look")
        if quick:
            await on.output()
            said = [e["response"].get("instructions", "") for e in on.sent("response.create")]
            assert said == [""]
            return
        await until(lambda: on.asked)
        assert time.monotonic() - began > 0.5
        [asked] = on.sent("response.create")
        assert asked["response"]["instructions"].endswith("One moment.")
        assert asked["response"]["tool_choice"] == "none"
        gate.set()
        assert await on.output() == "found"

    on_a_line(story, RealtimeAgent("desk", tools=[look]))


def test_a_call_in_flight_keeps_its_code_over_an_edit() -> None:
    gate = asyncio.Event()

    async def old() -> str:
        await gate.wait()
        return "the old code"

    async def new() -> str:
        return "the new code"

    def agent(function: Any) -> RealtimeAgent:
        return RealtimeAgent("desk", tools=[tool(name="look")(function)])

    async def story(on: OnALine) -> None:
        on.calls("look")
        await on.told("agent_tool_start")
        session = on.session
        await session.reconfigure({"desk": agent(new)}, session.settings, 1, between_turns=False)
        gate.set()
        assert await on.output() == "the old code"
        on.calls("look", call_id="call_2")
        assert await on.output("call_2") == "the new code"

    on_a_line(story, agent(old))


def test_a_tool_knows_its_call() -> None:
    """SE10: the history that a tool sees is the one up to its call."""
    seen: list[ToolContext] = []

    def look(context: ToolContext) -> str:
        seen.append(context)
        return ""

    async def story(on: OnALine) -> None:
        item = {"id": "u", "type": "message", "role": "user", "status": "completed"}
        item["content"] = [{"type": "input_text", "text": "Look!"}]  # type: ignore[assignment]
        on.emit({"type": "conversation.item.done", "item": item})
        on.calls("look")
        await on.output()
        [context] = seen
        assert (context.agent, context.name, context.call_id) == ("desk", "look", "call_1")
        assert context.context == {"who": "Ada"}
        assert [entry.type for entry in context.history] == ["message", "function_call"]
        on.emit({"type": "conversation.item.deleted", "item_id": "u"})
        on.calls("look", call_id="call_2")
        await on.output("call_2")
        assert [entry.item_id for entry in seen[1].history] == ["item_call_1", "item_call_2"]

    on_a_line(story, RealtimeAgent("desk", tools=[look]), context={"who": "Ada"})


def test_a_tool_made_by_hand_is_one() -> None:
    """TO2: what has the shape of a tool is taken; only type, name, description and parameters
    are told to the model."""
    made = FunctionTool("look", lambda: "seen", "Look around.")

    async def story(on: OnALine) -> None:
        [wire] = on.session.effective["tools"]
        assert set(wire) == {"type", "name", "description", "parameters"}
        on.calls("look")
        assert await on.output() == "seen"

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


def test_an_output_that_was_not_sent_goes_to_the_next_line_and_the_tool_runs_once() -> None:
    """SE69: the line breaks while the tool runs."""
    gate = asyncio.Event()
    runs: list[int] = []

    async def book() -> str:
        runs.append(1)
        await gate.wait()
        return "booked"

    async def story(on: OnALine) -> None:
        on.calls("book")
        await on.told("agent_tool_start")
        before = len(on.line.sent)
        on.line.disconnect()
        gate.set()
        await on.told("reconnected")
        await until(lambda: "booked" in str(on.line.sent[before:]))
        await settled()
        assert str(on.line.sent[before:]).count("booked") == 1
        assert runs == [1]

    on_a_line(story, RealtimeAgent("desk", tools=[book]))
