"""Function calls: checked, approved, run, answered once; and the tools of hosted MCP servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.core.approvals import (
    DECLINED,
    OPERATOR_SECONDS,
    REJECTED,
    TOO_LATE,
    UNCLEAR,
    ask_first,
)
from runner.core.effects import CheckTool, PrepareAgent, RunTool
from runner.core.events import (
    McpCallCompleted,
    McpToolsChanged,
    SessionError,
    ToolApproval,
    ToolEnd,
    ToolStart,
)
from runner.core.history import Entry
from runner.core.machinery import quoted
from runner.core.sound import Sound
from runner.core.tools import ASKING, Call
from runner.core.turns import Response

#: A tool that takes longer than this has its waiting words said.
FILLER_AFTER = 0.7

GOODBYE = "The call ends as soon as you have said goodbye. Say a short goodbye now."
ENDING = "The call ends now."
#: Also the words of a brain that only reads out what a tool gave.
ANNOUNCE = "I am putting you through now."
CONNECTING = "The caller is being put through now."


class Calls(Sound):
    def _call(
        self, response: Response, item_id: str, call_id: str, name: str, args: str, now: float
    ) -> None:
        """The model has called a function, whole."""
        view = response.view
        target = view.handoffs.get(name)
        call = Call(call_id, item_id, name, args, response.response_id, view.name, target)
        call.checked = name in view.rules.checked
        preparing = self._ledger.preparing()
        if not self._ledger.start(call, response_over=response.done):
            if self._ledger.changed(call):
                words = f"the call {call_id} came again and says something else"
                self._out.tell(SessionError("call_changed", words))
            return
        response.called = True
        if (entry := self._history.call(call_id)) is not None:
            entry.started = True
        if target is not None:
            self._transfer(call, target, preparing)
        elif name not in self._functions(response):
            self._out.tell(SessionError("tool_not_found", f"Tool {name} not found"))
            self._answer(call, f"Tool {name} not found")
        elif name == view.rules.end_call:
            self._end_call(call, response, now)
        elif name in view.rules.transfers:
            self._end_call(call, response, now, view.rules.transfers[name])
        elif call.checked:
            self._out.add(CheckTool(call_id, name, args, response.response_id, view.name))
        else:
            self._start(call, response, now)

    def _transfer(self, call: Call, target: str, preparing: Call | None) -> None:
        if target == self._view.name and preparing is None:
            self._answer(call, f'{{"assistant":{quoted(target)}}}')
        elif preparing is None:
            self._out.add(PrepareAgent(target, call.call_id, call.name, call.arguments))
        elif preparing.target != target:
            self._answer(call, f"Already transferring to {preparing.target}")

    def _start(self, call: Call, response: Response | None, now: float) -> None:
        """Run it, and have the caller told to wait when it takes long."""
        self._out.tell(ToolStart(call.agent, call.name, call.call_id, call.arguments))
        self._out.add(
            RunTool(call.call_id, call.name, call.arguments, call.response_id, call.agent)
        )
        self._fill(call, response, now)

    def _fill(self, call: Call, response: Response | None, now: float) -> None:
        """Have the caller told to wait for this call, once, unless it is quick."""
        view = self._view if response is None else response.view
        # An answer that spoke beside its call has told the caller to wait already.
        spoke = response is not None and (response.sounded or response.wrote)
        if call.name in view.rules.fillers and not (spoke or call.filled):
            call.filled = True
            self._fillers[call.call_id] = now + FILLER_AFTER

    def _pump_fillers(self, now: float) -> None:
        for call_id, at in tuple(self._fillers.items()):
            if now < at:
                continue
            call = self._ledger.open(call_id)
            del self._fillers[call_id]
            words = "" if call is None else self._view.rules.fillers.get(call.name, "")
            if words and not (self._sounding() or self._caller.speaking):
                self._say(words, "filler", call_id=call_id)

    def _end_call(self, call: Call, response: Response, now: float, transfer: str = "") -> None:
        """Hang up, or put the caller through, when what the agent says about it was heard."""
        self._out.tell(ToolStart(call.agent, call.name, call.call_id, call.arguments))
        spoke = response.sounded or response.wrote
        said, unsaid = (CONNECTING, ANNOUNCE) if transfer else (ENDING, GOODBYE)
        output = said if spoke else unsaid
        self._answer(call, output, respond=not spoke)
        self._tool_ended(call, output)
        self._ending.ask("the agent ended the call", now, transfer)

    def _say(
        self, text: str, purpose: str, *, interruptible: bool = True, call_id: str = ""
    ) -> None:
        """Queue a response of exactly these words."""
        params = {
            "instructions": SAY + text,
            "tool_choice": "none",
            "metadata": {"rtrun": "say", "purpose": purpose},
        }
        self._responses.add("say", params, purpose, interruptible=interruptible, call_id=call_id)

    def _functions(self, response: Response) -> set[object]:
        """Names that the model could know. The effective list counts too, and the request's:
        a program may have sent tools of its own."""
        lists: Iterable[object] = (
            response.view.settings.wire.get("tools"),
            self._settings.effective.get("tools"),
            response.params.get("tools"),
        )
        return {
            tool.get("name")
            for tools in lists
            if isinstance(tools, (list, tuple))
            for tool in tools
            if isinstance(tool, Mapping) and tool.get("type", "function") == "function"
        }

    def _answer(self, call: Call, output: str, *, respond: bool = True) -> bool:
        """Send the one output of a call; False when it has one."""
        first, due = self._ledger.answer(call, output, respond=respond)
        if first:
            self._tell_item(self._history.output(call.call_id, output), False)
            self._fillers.pop(call.call_id, None)
            self._responses.drop(call.call_id)
            self._approvals.take(call.call_id)
        if due:
            self._responses.add("auto")
        return first

    def _tool_ended(self, call: Call, output: str) -> None:
        self._out.tell(ToolEnd(call.agent, call.name, call.call_id, output))

    def _hand_over(self) -> None:
        """Answer the handoff whose settings are on the wire, and those that ask for the same."""
        arrived = self._link.arrived
        if arrived is None or self._settings.unsent:
            return
        self._link.arrived = None
        self._switch(arrived.view)
        for call in self._ledger.of_target(arrived.target):
            self._answer(call, f'{{"assistant":{quoted(arrived.view.name)}}}')

    # -- approvals -------------------------------------------------------------------------
    def _ask_operator(self, call: Call, now: float, within: float | None) -> None:
        standing, refusal = self._approvals.remembered(call.agent, call.name)
        if standing:
            self._decide(call, refusal, now)
            return
        request = ToolApproval(call.agent, call.call_id, call.name, call.arguments)
        seconds = OPERATOR_SECONDS if within is None else within
        if self._approvals.ask(request, now, seconds):
            self._out.tell(request)
            self._fill(call, self._turns.open.get(call.response_id), now)

    def _ask_caller(self, call: Call, now: float) -> None:
        """The second call with the same arguments may run, if the caller said yes in between."""
        asked = self._approvals.was_asked(call)
        deaf = self._settings.get("audio.input.transcription") is None
        answer = self._approvals.judge(call, now, deaf=deaf)
        if answer == "yes":
            self._decide(call, None, now)
        elif answer == "no":
            self._decide(call, DECLINED, now)
        elif answer == "unclear":
            self._out.tell(
                ToolApproval(call.agent, call.call_id, call.name, call.arguments, asks="caller")
            )
            if not asked:
                self._approvals.caller_asked(call)
            self._answer(call, UNCLEAR if asked else ask_first(call.name))

    def _decide(self, call: Call, refusal: str | None, now: float) -> None:
        """The call may run (None), or its output is the words of the refusal."""
        if refusal is None:
            if self._ledger.allowed(call):
                self._start(call, self._turns.open.get(call.response_id), now)
            return
        self._out.tell(ToolStart(call.agent, call.name, call.call_id, call.arguments))
        if self._answer(call, refusal):
            self._tool_ended(call, refusal)

    def _hear_consent(self, text: str | None, now: float, *, typed: bool = False) -> None:
        """Words of the caller, for calls that wait for a yes."""
        if typed:
            self._approvals.typed(text or "")
        else:
            self._approvals.said(text)
        for call_id in self._approvals.hearing:
            call = self._ledger.open(call_id)
            if call is not None and call.state == ASKING:
                self._ask_caller(call, now)

    def _pump_approvals(self, now: float) -> None:
        late, unheard = self._approvals.late(now)
        for call_id in late:
            request = self._approvals.take(call_id)
            call = self._ledger.open(call_id)
            if call is not None:
                self._decide(call, TOO_LATE, now)
            elif request is not None and request.kind == "mcp":
                self._answer_mcp(request, False, TOO_LATE)
        for call_id in unheard:
            if (call := self._ledger.open(call_id)) is not None:
                self._ask_caller(call, now)

    def _answer_mcp(self, request: ToolApproval, approve: bool, reason: str | None) -> None:
        item = {
            "type": "mcp_approval_response",
            "approval_request_id": request.call_id,
            "approve": approve,
        }
        if reason is not None:
            item["reason"] = reason
        self._out.send(
            "conversation.item.create", "approval", previous_item_id=request.call_id, item=item
        )
        if not approve and self._view.rules.answers_mcp:
            # A call that is made ends in an item, and that asks; of one that is not, nobody would.
            self._responses.add("auto")

    def _rejection(self, message: str | None) -> str:
        return REJECTED if message is None else message

    # -- hosted MCP ------------------------------------------------------------------------
    def _mcp_item(self, kind: str, item: Mapping[str, object], entry: Entry, now: float) -> None:
        """An item of a hosted MCP server is done."""
        if kind == "mcp_call":
            self._out.tell(McpCallCompleted(self._view.name, entry.item()))
            if self._view.rules.answers_mcp:
                self._responses.add("auto")
        elif kind == "mcp_approval_request":
            request = ToolApproval(
                self._view.name,
                entry.item_id,
                entry.name or "",
                entry.arguments or "",
                "mcp",
                server_label=entry.extra.get("server_label"),
            )
            if self._approvals.ask(request, now, OPERATOR_SECONDS):
                self._out.tell(request)
            elif self._approvals.get(entry.item_id) not in (request, None):
                words = f"the request {entry.item_id} came again and says something else"
                self._out.tell(SessionError("approval_changed", words))

    def _mcp_listed(self, item: Mapping[str, object]) -> None:
        """A server's tools; those that the agent may not use are left out of the list."""
        label, tools = str(item.get("server_label") or ""), item.get("tools")
        if not isinstance(tools, (list, tuple)):
            return
        before = self._offered()
        self._mcp_tools[label] = tuple(t for t in tools if isinstance(t, Mapping))
        after = self._offered()
        if [t["name"] for t in before] != [t["name"] for t in after]:
            self._out.tell(McpToolsChanged(after))

    def _offered(self) -> tuple[Mapping[str, object], ...]:
        """The tools of hosted servers that the agent on the line may use, first name wins."""
        out: dict[object, Mapping[str, object]] = {}
        wire = self._view.settings.wire.get("tools")
        for entry in wire if isinstance(wire, (list, tuple)) else ():
            if not isinstance(entry, Mapping) or entry.get("type") != "mcp":
                continue
            allowed = entry.get("allowed_tools")
            if isinstance(allowed, Mapping):
                allowed = allowed.get("tool_names")
            label = str(entry.get("server_label") or "")
            for tool in self._mcp_tools.get(label, ()):
                name = tool.get("name")
                if name and (allowed is None or name in allowed):
                    out.setdefault(name, {**tool, "server_label": label})
        return tuple(out.values())


#: The one way to make the agent speak given words; the words follow.
SAY = "Say exactly the following words to the caller, nothing before and nothing after:\n\n"
