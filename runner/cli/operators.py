"""What waits for an operator in the calls of this process, for the control socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from runner.core.events import SessionEvent, ToolApproval
from runner.desk import Call
from runner.serve.control import Waiting
from runner.serve.deployed import Deployed
from runner.serve.house import House


class Operators:
    def __init__(self, house: House, clock: Callable[[], float] = time.monotonic) -> None:
        self._house = house
        self._clock = clock
        #: When a call of a tool was asked about, by session and call id.
        self._since: dict[tuple[str, str], float] = {}
        house.listen(self.heard)

    @property
    def deployment(self) -> str:
        return ", ".join(self._house.deployments)

    def heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        """Every event of every call: the core keeps no clock time of its questions."""
        if isinstance(event, ToolApproval) and event.asks == "operator":
            waiting = {(c.id, r.call_id) for c, r in self._asked()}
            self._since = {key: at for key, at in self._since.items() if key in waiting}
            self._since[call.id, event.call_id] = self._clock()

    def approvals(self) -> list[Waiting]:
        now = self._clock()
        return [
            Waiting(
                session=call.id,
                call_id=request.call_id,
                tool=request.name,
                arguments=request.arguments,
                agent=request.agent,
                kind=request.kind,
                seconds=round(now - self._since.get((call.id, request.call_id), now), 1),
            )
            for call, request in self._asked()
        ]

    def _asked(self) -> list[tuple[Call, ToolApproval]]:
        desks = [d.desk for d in self._house.deployments.values() if d.desk is not None]
        calls = [call for desk in desks for call in desk.calls.values()]
        return [(call, request) for call in calls for request in call.session.approvals]

    async def decide(
        self, session: str, call_id: str, *, yes: bool, message: str | None, always: bool
    ) -> bool:
        """False when no such call waits, or its line went before the word was passed on."""
        for call, request in self._asked():
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
