"""What a running process does when it is asked, by its socket or over HTTP.

A request is a JSON object, ``do`` its verb; a reply is one too, ``ok`` first, ``error`` in words
when it is false. ``deployment`` chooses among several, a session by its id needs no other word::

    {"do": "ps"}
    {"do": "approvals"}
    {"do": "decide", "session", "call_id", "yes", "message"?, "always"?}
    {"do": "tail", "deployment"?, "session"?, "raw"?, "audio"?}      a line an event, to the end
    {"do": "send", "session", "event", "seconds"?}
    {"do": "reload", "deployment"?, "to"?}
    {"do": "plan", "deployment"?, "file"?}                           what a reload would do
    {"do": "revisions", "deployment"?}
    {"do": "drain", "deadline"?}                                     open until the process ends
    {"do": "console"}                                                a link into the console
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.config.load import Loaded
from runner.desk import Call
from runner.errors import RtrunError
from runner.serve import changing, sending
from runner.serve.asked import Asked, Refused
from runner.serve.house import House
from runner.serve.mask import Masks
from runner.serve.operators import Operators
from runner.serve.status import status
from runner.serve.tail import Kind, Tails
from runner.serve.wires import Wires
from runner.tasks import OnFailure, Supervisor

#: A reload reads the file, imports its tools and waits for the answers of the calls.
SECONDS = 60.0

Reply = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """``first`` is the reply, ``lines`` follow until either side closes; then ``close()``."""

    first: Reply
    lines: AsyncGenerator[str, None]
    close: Callable[[], None]


class Verbs:
    """``began`` is the time.monotonic() from which the lines of ``tails`` count their time.
    ``on_failure`` hears of a verb that raised what it should not; ``load(file)`` reads another
    deployment file as those of the house are read."""

    def __init__(
        self,
        house: House,
        tails: Tails,
        began: float,
        on_failure: OnFailure,
        *,
        load: Callable[[Path], Loaded],
    ) -> None:
        self._house = house
        self._tails = tails
        self._load = load
        self._operators = Operators(house)
        tails.masked = Masks(self.in_force)
        self.wires = Wires(house, tails, began)
        #: Makes a link into the console, None while the process has none.
        self.link: Callable[[], str] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._tasks = Supervisor(on_failure)
        self._verbs: Mapping[str, Callable[[Asked], Coroutine[Any, Any, Reply | Stream]]] = {
            "ps": self._ps,
            "approvals": self._approvals,
            "decide": self._decide,
            "tail": self._tail,
            "send": self._send,
            "reload": self._reload,
            "plan": self._plan,
            "revisions": self._revisions,
            "drain": self._drain,
            "console": self._console,
        }

    async def answer(self, request: Any) -> Reply | Stream:
        """Never raises for what is asked wrongly, or cannot be done."""
        try:
            if not isinstance(request, dict):
                raise Refused("the request is not an object")
            verb = request.get("do")
            act = self._verbs.get(verb) if isinstance(verb, str) else None
            if act is None:
                raise Refused("there is no such request")
        except Refused as error:
            return _no(error)
        # Whoever asks may go: a reload is never left half done.
        work = self._tasks.spawn(self._act(act, request), str(verb))
        done, _ = await asyncio.wait({work}, timeout=SECONDS)
        if not done:
            return {"ok": False, "error": f"it is not done after {SECONDS:.0f} s, and goes on"}
        if work.cancelled() or work.exception() is not None:
            return {"ok": False, "error": "it failed inside; the log of the process says how"}
        return work.result()

    async def _act(
        self, act: Callable[[Asked], Coroutine[Any, Any, Reply | Stream]], request: dict[str, Any]
    ) -> Reply | Stream:
        try:
            return await act(Asked(request, self._house))
        except RtrunError as error:
            return _no(error)

    async def close(self) -> None:
        """Ends every stream."""
        self._over.set()
        if self._deadline is not None:
            self._deadline.cancel()
        self._tails.close()
        self.wires.close()
        await self._tasks.close()

    def in_force(self, name: str) -> Any:
        deployed = self._house.deployments.get(name)
        return None if deployed is None or deployed.desk is None else deployed.desk.deployment

    # -- looking -------------------------------------------------------------------------------
    async def _ps(self, asked: Asked) -> Reply:
        return {"ok": True, **status(self._house)}

    async def _tail(self, asked: Asked) -> Stream:
        session = asked.text("session")
        name = asked.text("deployment")
        if session is not None:
            name, _ = asked.call()
        elif name is not None:
            name, _ = asked.deployed()
        raw, audio = asked.flag("raw"), asked.flag("audio")
        kind: Kind = "log" if not raw else "audio" if audio else "wire"
        reader = self._tails.open(kind, name, session)
        self.wires.refresh()

        def close() -> None:
            reader.close()
            self.wires.refresh()

        known = [name] if name is not None else list(self._house.deployments)
        first = {"ok": True, "pid": os.getpid(), "deployments": known, "session": session}
        return Stream(first, reader.lines(), close)

    async def _console(self, asked: Asked) -> Reply:
        if self.link is None:
            raise Refused("this process has no console", "start it with --console 0")
        return {"ok": True, "pid": os.getpid(), "url": self.link()}

    # -- calls ---------------------------------------------------------------------------------
    async def _approvals(self, asked: Asked) -> Reply:
        waiting = [asdict(entry) for entry in self._operators.waiting()]
        return {"ok": True, "pid": os.getpid(), "approvals": waiting}

    async def _decide(self, asked: Asked) -> Reply:
        session, call_id = asked.text("session"), asked.text("call_id")
        if session is None or call_id is None:
            raise Refused("session and call_id are texts")
        yes, always = asked.fields.get("yes"), asked.fields.get("always", False)
        if not (isinstance(yes, bool) and isinstance(always, bool)):
            raise Refused("yes and always are true or false")
        done = await self._operators.decide(
            session, call_id, yes=yes, message=asked.text("message"), always=always
        )
        return {"ok": True, "done": done}

    async def _send(self, asked: Asked) -> Reply:
        name, call = asked.call()
        event = asked.fields.get("event")
        if not (isinstance(event, dict) and isinstance(event.get("type"), str) and event["type"]):
            raise Refused("event is a JSON object with a type", "such as response.create")
        if not isinstance(event.get("event_id", ""), str):
            raise Refused("event_id is a text", "or left out: one is made")
        return {"ok": True, **await self._sent(name, call, event, asked.number("seconds", 30))}

    async def _sent(
        self, name: str, call: Call, event: Mapping[str, Any], seconds: float | None
    ) -> dict[str, Any]:
        wait = sending.SECONDS if seconds is None else seconds
        event_id, said = await sending.send(call, event, wait)
        error = said.get("error") if said is not None and said.get("type") == "error" else None
        return {
            "deployment": name,
            "session": call.id,
            "event_id": event_id,
            "answer": None if error else self._shown(name, said),
            "error": self._shown(name, error),
        }

    def _shown(self, name: str, value: Any) -> Any:
        deployment = self.in_force(name)
        clean = value if deployment is None else deployment.records.redactor.value(value)
        return self._tails.masked(name, clean)

    # -- configuration -------------------------------------------------------------------------
    async def _reload(self, asked: Asked) -> Reply:
        name, deployed = asked.deployed()
        done = await changing.reload(deployed, asked.whole("to"))
        return {"ok": True, "deployment": name, **done}

    async def _plan(self, asked: Asked) -> Reply:
        name, deployed = asked.deployed()
        planned = await changing.plan(deployed, asked.text("file"), self._load)
        return {"ok": True, "deployment": name, **planned}

    async def _revisions(self, asked: Asked) -> Reply:
        name, deployed = asked.deployed()
        return {"ok": True, "deployment": name, **changing.revisions(deployed)}

    # -- the end -------------------------------------------------------------------------------
    async def _drain(self, asked: Asked) -> Stream:
        """A later deadline stands above an earlier one; without one, calls take their time."""
        deadline = asked.number("deadline", 24 * 3600)
        known = status(self._house)["deployments"]
        if not self._house.draining:
            self._house.drain()
        if deadline is not None:
            if self._deadline is not None:
                self._deadline.cancel()
            loop = asyncio.get_running_loop()
            # Asked twice, the process ends at once.
            self._deadline = loop.call_later(deadline, self._house.drain)
        first = {
            "ok": True,
            "pid": os.getpid(),
            "deployments": [entry["deployment"] for entry in known],
            "calls": sum(len(entry["sessions"]) for entry in known),
        }
        return Stream(first, self._until_over(), lambda: None)

    async def _until_over(self) -> AsyncGenerator[str, None]:
        await self._over.wait()
        return
        yield ""  # a stream without lines


def _no(error: RtrunError) -> Reply:
    return {"ok": False, "error": error.message, "hint": error.hint}
