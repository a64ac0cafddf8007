"""Tools that wait for a yes: who is asked, what binds the answer, what the model is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.engine import Serving, serving
from support.onaline import OnALine, on_a_line, settled
from support.until import until

from runner import RealtimeAgent, RealtimeSession, Rejection, ToolApproval, errands, handoff, tool
from runner.engine.brain import make_brain
from runner.errors import ModelBehaviorError, UserError
from runner.testing import server
from runner.tools.base import FunctionTool, ToolPolicy

DENIED = "Tool execution was not approved."
FAILED = "An error occurred while running the tool."


class Desk:
    """An agent with a tool that wants a yes; ``ran`` has the arguments of each run."""

    def __init__(self, approval: Any = True, **policy: Any) -> None:
        self.ran: list[str] = []

        @tool(needs_approval=approval)
        def book(day: str) -> str:
            self.ran.append(day)
            return f"{day} is booked"

        made = replace(book, policy=replace(book.policy, **policy))
        self.agent = RealtimeAgent("desk", tools=[made], handoffs=[handoff(self.other())])

    def other(self) -> RealtimeAgent:
        @tool(name="book", needs_approval=True)
        def theirs(day: str) -> str:
            self.ran.append(f"theirs {day}")
            return "theirs"

        return RealtimeAgent("other", tools=[theirs])


MONDAY = '{"day": "Monday"}'


def test_nothing_is_sent_before_the_answer() -> None:
    """SE45, SE72: the request is told; yes, also from inside its handler, runs it once; said
    again by the server, nothing more."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        asked = await on.told("tool_approval_requested")
        await settled()
        assert (asked.agent, asked.name, asked.arguments) == ("desk", "book", MONDAY)
        assert (asked.kind, asked.asks) == ("function", "operator")
        assert on.outputs() == []
        assert on.session.approvals == (asked,)
        assert desk.ran == []
        await on.session.approve(asked)
        assert await on.output() == "Monday is booked"
        on.again("book", MONDAY)
        await settled()
        assert (desk.ran, len(on.outputs())) == (["Monday"], 1)
        assert on.session.approvals == ()

    on_a_line(story, desk.agent)


def test_a_yes_inside_the_handler() -> None:
    """SE72: the decision may come while the request is being told."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.session.on("tool_approval_requested", on.session.approve)
        on.calls("book", MONDAY)
        assert await on.output() == "Monday is booked"
        assert desk.ran == ["Monday"]

    on_a_line(story, desk.agent)


def test_no_is_told_to_the_model_and_an_answer_asked_for() -> None:
    """SE59: start and end are told, the tool is not run."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        await on.session.reject((await on.told("tool_approval_requested")).call_id)
        assert await on.output() == DENIED
        assert on.asked == 1
        assert desk.ran == []
        assert on.of("agent_tool_end")[0].output == DENIED

    on_a_line(story, desk.agent)


@pytest.mark.parametrize(
    ("formatter", "message", "output"),
    [
        (lambda asked: f"{asked.tool_name} is not for you", None, "book is not for you"),
        (lambda asked: f"{asked.tool_name} is not for you", "Not today.", "Not today."),
        (lambda asked: None, None, DENIED),
        (lambda asked: 1 / 0, None, DENIED),
        (None, "Not today.", "Not today."),
        (None, "", ""),
    ],
    ids=["formatter", "message first", "formatter without words", "it breaks", "message", "empty"],
)
def test_the_words_of_a_no(formatter: Any, message: str | None, output: str) -> None:
    """SE60, SE62, SE82, SE84, SE85: the message, else the formatter's, else the usual."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        on.calls("book", MONDAY)
        await on.session.reject(await on.told("tool_approval_requested"), message=message)
        assert await on.output() == output

    on_a_line(story, desk.agent, tool_error_formatter=formatter)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_formatter_that_raises_something_strange() -> None:
    """SE81: it is survived, and gets what the SDK's gets."""
    desk = Desk()
    seen: list[Rejection] = []

    async def formatter(asked: Rejection) -> str:
        seen.append(asked)
        raise Unprintable

    async def story(on: OnALine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        on.calls("book", MONDAY)
        await on.session.reject(await on.told("tool_approval_requested"))
        assert await on.output() == DENIED
        [asked] = seen
        assert (asked.kind, asked.call_id) == ("approval_rejected", "call_1")
        assert asked.default_message == DENIED

    on_a_line(story, desk.agent, tool_error_formatter=formatter)


@pytest.mark.parametrize("formatter", [False, True])
@pytest.mark.parametrize("always", [False, True])
def test_after_a_no_there_is_no_yes(formatter: bool, always: bool) -> None:
    """The first decision counts, also while the words of a refusal are still being found: what
    an operator has refused does not run because another one agrees."""
    desk = Desk()
    gate = asyncio.Event()

    async def words(asked: Rejection) -> str:
        await gate.wait()
        return "Not for you."

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        asked = await on.told("tool_approval_requested")
        refusing = on.session.reject(asked, always=always)
        assert on.session.approvals == ()
        on.session.approve(asked)
        await settled()
        on.session.approve(asked.call_id, always=True)
        on.session.reject(asked, message="Once more.")
        gate.set()
        await refusing
        said = "Not for you." if formatter else DENIED
        assert await on.output() == said
        assert desk.ran == []
        on.calls("book", MONDAY, "call_2")
        if always:
            assert await on.output("call_2") == said
        else:
            await until(lambda: on.session.approvals)
        assert desk.ran == []

    on_a_line(story, desk.agent, **({"tool_error_formatter": words} if formatter else {}))


@pytest.mark.parametrize("end", ["it never answers", "it is cancelled"])
def test_a_formatter_that_gives_no_words(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SE62: the usual ones are told after a while."""
    monkeypatch.setattr(errands, "ASKED_SECONDS", 0.05)
    desk = Desk()

    async def formatter(asked: Rejection) -> str:
        if end == "it is cancelled":
            raise asyncio.CancelledError
        await asyncio.Event().wait()
        return ""

    async def story(on: OnALine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        on.calls("book", MONDAY)
        await on.session.reject(await on.told("tool_approval_requested"))
        assert await on.output() == DENIED

    on_a_line(story, desk.agent, tool_error_formatter=formatter)


@pytest.mark.parametrize("yes", [True, False])
def test_a_decision_for_good(yes: bool) -> None:
    """SE83, SE65: later calls of this tool by this agent are not asked about, with the same
    words; another agent's are."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        asked = await on.told("tool_approval_requested")
        if yes:
            on.session.approve(asked, always=True)
        else:
            on.session.reject(asked, message="Never.", always=True)
        await on.output()
        on.calls("book", MONDAY, "call_2")
        assert await on.output("call_2") == ("Monday is booked" if yes else "Never.")
        on.calls("transfer_to_other", "{}", "call_3")
        await on.output("call_3")
        on.calls("book", MONDAY, "call_4")
        await until(lambda: on.session.approvals)
        assert on.session.approvals[0].agent == "other"
        assert on.outputs("call_4") == []

    on_a_line(story, desk.agent)


@pytest.mark.parametrize("yes", [True, False])
def test_a_decision_for_good_is_not_asked_of_the_policy_again(yes: bool) -> None:
    """SE52, SE53: although the policy would say something else, or fail, by now."""
    asked: list[str] = []

    def policy(context: Any, arguments: Any, call_id: str) -> bool:
        asked.append(call_id)
        if len(asked) > 1:
            raise RuntimeError("no policy any more")
        return True

    desk = Desk(policy)

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        request = await on.told("tool_approval_requested")
        decide = on.session.approve if yes else on.session.reject
        decide(request, always=True)
        await on.output()
        on.calls("book", MONDAY, "call_2")
        assert await on.output("call_2") == ("Monday is booked" if yes else DENIED)
        assert asked == ["call_1"]

    on_a_line(story, desk.agent)


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": '{"day": "Friday"}'},
        {"name": "cancel"},
        {"agent": "other"},
        {"kind": "mcp"},
    ],
    ids=["arguments", "tool", "agent", "kind"],
)
@pytest.mark.parametrize("yes", [True, False])
def test_what_was_not_asked_is_not_decided(change: dict[str, Any], yes: bool) -> None:
    """SE43, SE63, SE64, SE66: a request that was changed is refused; the true one still stands."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        asked = await on.told("tool_approval_requested")
        decide = on.session.approve if yes else on.session.reject
        with pytest.raises(ModelBehaviorError, match="not the call"):
            decide(replace(asked, **change))
        # Nor does the server change it by saying it once more.
        on.again("book", '{"day": "Friday"}')
        await settled()
        assert on.session.approvals == (asked,)
        decide(asked)
        assert await on.output() == ("Monday is booked" if yes else DENIED)

    on_a_line(story, desk.agent)


def test_a_request_made_by_hand_is_as_good_when_it_is_the_same() -> None:
    """SE41: equal is equal; decided once, the rest is silent; what is unknown is an error."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        await on.told("tool_approval_requested")
        on.session.approve(ToolApproval("desk", "call_1", "book", MONDAY))
        assert await on.output() == "Monday is booked"
        await on.session.reject("call_1")
        await settled()
        assert on.outputs() == ["Monday is booked"]
        with pytest.raises(ModelBehaviorError, match="call_9"):
            on.session.approve("call_9")

    on_a_line(story, desk.agent)


@pytest.mark.parametrize("how", ["a lost line", "close and connect"])
@pytest.mark.parametrize("yes", [True, False])
def test_a_request_of_another_line_is_refused(how: str, yes: bool) -> None:
    """SE42: the model was told that it was not done, or is not there any more."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        asked = await on.told("tool_approval_requested")
        if how == "a lost line":
            on.line.disconnect()
            await on.told("reconnected")
        else:
            await on.session.close()
            await on.session.connect()
        with pytest.raises(ModelBehaviorError, match="call_1"):
            (on.session.approve if yes else on.session.reject)(asked)
        await settled()
        assert desk.ran == []

    on_a_line(story, desk.agent)


def test_the_agent_that_asked_runs_the_call() -> None:
    """SE6: also when another one has the line by now."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        asked = await on.told("tool_approval_requested")
        await on.session.update_agent(RealtimeAgent("plain"))
        on.session.approve(asked)
        assert await on.output() == "Monday is booked"

    on_a_line(story, desk.agent)


def test_what_was_asked_about_is_what_runs() -> None:
    """SE64: an edit in between changes the code of later calls, not of this one."""
    desk, edited = Desk(), Desk()

    async def story(on: OnALine) -> None:
        session = on.session
        on.calls("book", MONDAY)
        asked = await on.told("tool_approval_requested")
        agents = {"desk": edited.agent}
        await session.reconfigure(agents, session.settings, 1, between_turns=False)
        session.approve(asked, always=True)
        await on.output()
        on.calls("book", MONDAY, "call_2")
        await on.output("call_2")
        assert (desk.ran, edited.ran) == (["Monday"], ["Monday"])

    on_a_line(story, desk.agent)


def test_two_calls_without_call_ids_are_kept_apart() -> None:
    """SE55: by the ids of their items."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.emit(server.response_created("r"))
        for name, day in (("a", "Monday"), ("b", "Tuesday")):
            item = {"id": name, "type": "function_call", "name": "book", "status": "completed"}
            item["arguments"] = f'{{"day": "{day}"}}'
            on.emit({"type": "response.output_item.done", "response_id": "r", "item": item})
        on.emit(server.response_done("r"))
        await until(lambda: len(on.session.approvals) == 2)
        await on.session.reject("a")
        on.session.approve("b")
        assert await on.output("a") == DENIED
        assert await on.output("b") == "Tuesday is booked"
        assert desk.ran == ["Tuesday"]

    on_a_line(story, desk.agent)


def test_the_caller_is_told_to_wait_for_the_operator() -> None:
    """Once, however long the tool takes after the yes."""
    gate = asyncio.Event()

    @tool(needs_approval=True, while_waiting="One moment.")
    async def look() -> str:
        await gate.wait()
        return "found"

    async def story(on: OnALine) -> None:
        on.calls("look")
        asked = await on.told("tool_approval_requested")
        await until(lambda: on.asked)
        said = on.request.event["response"]["instructions"]
        assert said.endswith("One moment.")
        on.emit(*server.spoken("One moment.", to=on.request))
        on.session.approve(asked)
        await on.told("agent_tool_start")
        gate.set()
        assert await on.output() == "found"
        words = [e["response"].get("instructions", "") for e in on.sent("response.create")]
        assert [text for text in words if "One moment" in text] == [said]

    on_a_line(story, RealtimeAgent("desk", tools=[look]))


# -- policies ------------------------------------------------------------------------------
BROKEN = ["", "nonsense", "[1]", '"text"', "null", "3"]


@pytest.mark.parametrize("arguments", [text for text in BROKEN if text])
@pytest.mark.parametrize("by_hand", [False, True], ids=["made by tool()", "made by hand"])
@pytest.mark.parametrize("yes", [True, False])
def test_arguments_that_a_policy_cannot_read(arguments: str, by_hand: bool, yes: bool) -> None:
    """SE46, SE47, SE49, SE50: somebody is asked without it; a no is one refusal, a yes tells
    the model what is wrong with them. Neither the policy nor the tool is called."""
    asked: list[str] = []
    ran: list[str] = []

    def policy(context: Any, given: Any, call_id: str) -> bool:
        asked.append(call_id)
        return False

    def book(day: str) -> str:
        ran.append(day)
        return day

    if by_hand:
        made = FunctionTool("book", book, policy=ToolPolicy(approval=policy))
    else:
        made = tool(needs_approval=policy)(book)

    async def story(on: OnALine) -> None:
        on.calls("book", arguments)
        # Calls that were cut off in the middle are not run at all before they are whole.
        on.again("book", arguments)
        request = await on.told("tool_approval_requested")
        if yes:
            on.session.approve(request)
            assert (await on.output()).startswith(f"{FAILED} the arguments are no JSON")
        else:
            await on.session.reject(request)
            assert await on.output() == DENIED
        assert (asked, ran, on.asked) == ([], [], 1)

    on_a_line(story, RealtimeAgent("desk", tools=[made]))


def test_a_yes_for_good_and_arguments_that_are_none() -> None:
    """SE51: the model is told what is wrong, and answers."""
    desk = Desk()

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        on.session.approve(await on.told("tool_approval_requested"), always=True)
        await on.output()
        on.again("book", "nonsense", "call_2")
        on.emit(server.response_done("resp_call_2"))
        assert (await on.output("call_2")).startswith(f"{FAILED} the arguments are no JSON")

    on_a_line(story, desk.agent)


def test_a_policy_sees_the_call() -> None:
    """SE48, SE54: context, arguments and call id; a fixed rule does not mind what they are."""
    seen: list[Any] = []

    async def policy(context: Any, given: Any, call_id: str) -> bool:
        seen.append((context, given, call_id))
        return bool(given["day"] == "Sunday")

    desk = Desk(policy)

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        assert await on.output() == "Monday is booked"
        on.calls("book", '{"day": "Sunday"}', "call_2")
        await until(lambda: on.session.approvals)
        assert seen[0] == ({"who": "Ada"}, {"day": "Monday"}, "call_1")

    on_a_line(story, desk.agent, context={"who": "Ada"})


def test_a_policy_that_breaks_lets_nothing_run() -> None:
    """The call has its output, and the fault is told."""

    def policy(context: Any, given: Any, call_id: str) -> bool:
        raise RuntimeError("no policy")

    desk = Desk(policy)

    async def story(on: OnALine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        on.calls("book", MONDAY)
        assert await on.output() == FAILED
        assert on.errors() == ["approval_failed"]
        assert desk.ran == []

    on_a_line(story, desk.agent)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("passes", [True, False])
def test_checks_of_the_tool_before_and_after(first: bool, passes: bool) -> None:
    """SE56, SE57, SE58: by default they run after the yes; with the option before it too, and a
    refusal then answers at once, with nobody asked."""
    checked: list[int] = []

    def check(args: Any) -> str | None:
        checked.append(1)
        return None if passes else "Not that day."

    desk = Desk(input_guardrails=(check,))

    async def story(on: OnALine) -> None:
        on.calls("book", MONDAY)
        if first and not passes:
            assert await on.output() == "Not that day."
            assert on.of("tool_approval_requested") == []
            return
        request = await on.told("tool_approval_requested")
        assert len(checked) == first
        on.session.approve(request)
        assert await on.output() == ("Monday is booked" if passes else "Not that day.")
        assert len(checked) == 1 + first

    options = {"tool_execution": {"preApprovalInputGuardrails": first}}
    on_a_line(story, desk.agent, **options)


def test_options_of_approvals_are_looked_at() -> None:
    """SE14: what is no yes or no is refused when the session is made."""
    with pytest.raises(UserError, match="pre_approval_input_guardrails"):
        RealtimeSession(RealtimeAgent("a"), tool_execution={"pre_approval_input_guardrails": "yes"})


# -- the caller ----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(make_brain(), None, "none here") as running:
        yield running


@pytest.mark.parametrize(("words", "ran"), [("Yes, please.", ["Tuesday"]), ("No, wait.", [])])
def test_the_caller_is_asked_in_speech(engine: Serving, words: str, ran: list[str]) -> None:
    """The agent says what it is about to do; a yes runs it once, a no does not."""
    seen: list[str] = []

    @tool(needs_approval="caller")
    def book_table(day: str) -> str:
        """Book a table."""
        seen.append(day)
        return f"The table is booked for {day}."

    async def main() -> None:
        agent = RealtimeAgent("desk", "You book tables.", tools=[book_table])
        config = {"outputModalities": ["text"]}
        session = RealtimeSession(agent, config=config)
        said: list[str] = []
        session.on("transcript", lambda e: said.append(e.text) if e.role != "user" else None)
        await session.connect(api_key="any", url=engine.url)
        session.send_message("Please book a table on Tuesday.")
        await until(lambda: any("Shall I go ahead?" in text for text in said))
        assert seen == []
        session.send_message(words)
        done = "booked for" if ran else "leave it at that"
        await until(lambda: any(done in text for text in said))
        await session.close()
        assert len(seen) == len(ran)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ("Sure, book it.", "booked"),
        ("What is the right day?", "confirmation_required"),
        ("I can't go ahead with that.", "The caller did not agree"),
    ],
)
def test_the_model_does_not_decide_what_a_yes_is(words: str, output: str) -> None:
    """It calls again whatever the caller said: only after a yes the tool runs, and once."""
    ran: list[str] = []

    @tool(needs_approval="caller")
    def book() -> str:
        ran.append("ran")
        return "booked"

    async def story(on: OnALine) -> None:
        on.calls("book")
        await on.output()
        on.session.send_message(words)
        await settled()
        on.calls("book", call_id="call_2")
        assert (await on.output("call_2")).startswith(output)
        on.calls("book", call_id="call_3")
        assert (await on.output("call_3")).startswith("confirmation_required")
        assert len(ran) == (output == "booked")

    on_a_line(story, RealtimeAgent("desk", tools=[book]))


def test_the_same_arguments_in_another_spelling_are_the_same() -> None:
    """The second call of a caller's yes: spaces and the order of keys do not count."""
    ran: list[str] = []

    @tool(needs_approval="caller")
    def book(day: str, name: str) -> str:
        ran.append(f"{day} {name}")
        return "booked"

    async def story(on: OnALine) -> None:
        on.calls("book", '{"day":"Monday","name":"Ada"}')
        assert (await on.output()).startswith("confirmation_required")
        on.session.send_message("yes")
        await settled()
        on.calls("book", '{ "name": "Ada", "day": "Monday" }', "call_2")
        assert await on.output("call_2") == "booked"
        on.session.send_message("yes")
        await settled()
        on.calls("book", '{"day": "Friday", "name": "Ada"}', "call_3")
        assert (await on.output("call_3")).startswith("confirmation_required")
        assert ran == ["Monday Ada"]

    on_a_line(story, RealtimeAgent("desk", tools=[book]))
