"""What waits for an operator in the calls of this process, and the operator's word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runner.core.events import SessionEvent, ToolApproval
from runner.desk import Call
from runner.serve.deployed import Deployed
from runner.serve.house import House


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call of a tool that waits for an operator. ``session`` is the id of the call on the
    line, ``arguments`` the model's own JSON, ``kind`` function | mcp, ``seconds`` since it was
    asked."""

    deployment: str
    session: str
    call_id: str
    tool: str
    arguments: str
    agent: str
    kind: str
    seconds: float


class Operators:
    def __init__(self, house: House, clock: Callable[[], float] = time.monotonic) -> None:
        self._house = house
        self._clock = clock
        #: When a call of a tool was asked about, by session and call id.
        self._since: dict[tuple[str, str], float] = {}
        house.listen(self._heard)

    def _heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        """Every event of every call: the core keeps no clock time of its questions."""
        if isinstance(event, ToolApproval) and event.asks == "operator":
            waiting = {(c.id, r.call_id) for _, c, r in self._asked()}
            self._since = {key: at for key, at in self._since.items() if key in waiting}
            self._since[call.id, event.call_id] = self._clock()

    def waiting(self) -> list[Waiting]:
        now = self._clock()
        return [
            Waiting(
                deployment=name,
                session=call.id,
                call_id=request.call_id,
                tool=request.name,
                arguments=self._shown(name, request.arguments),
                agent=request.agent,
                kind=request.kind,
                seconds=round(now - self._since.get((call.id, request.call_id), now), 1),
            )
            for name, call, request in self._asked()
        ]

    def _shown(self, name: str, arguments: str) -> str:
        desk = self._house.deployments[name].desk
        return arguments if desk is None else desk.deployment.records.redactor.json(arguments)

    def _asked(self) -> Iterator[tuple[str, Call, ToolApproval]]:
        for name, deployed in self._house.deployments.items():
            for call in () if deployed.desk is None else tuple(deployed.desk.calls.values()):
                for request in call.session.approvals:
                    yield name, call, request

    async def decide(
        self, session: str, call_id: str, *, yes: bool, message: str | None, always: bool
    ) -> bool:
        """False when no such call waits, or its line went before the word was passed on."""
        for _, call, request in self._asked():
            if (call.id, request.call_id) != (session, call_id):
                continue
            if yes:
                call.session.approve(request, always=always)
            else:
                refused = call.session.reject(request, message=message, always=always)
                if isinstance(refused, asyncio.Future):
                    # Waited for, not awaited: what was decided stays so when the asker leaves.
                    await asyncio.wait({refused})
                    return not refused.cancelled()
            return True
        return False
