"""What a page asks for. A request is a JSON object, ``do`` its verb; the reply has ``ok`` first.

Those of the control socket (``runner.serve.verbs``) that fit a page, and::

    {"do": "type", "session", "text"}          a typed turn; cuts the answer that sounds
    {"do": "interrupt", "session"}
    {"do": "mute", "session", "muted"}
    {"do": "hang_up", "session"}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.errors import RtrunError
from runner.serve.asked import Asked, Refused
from runner.serve.console.book import Book, no_mute
from runner.serve.house import House
from runner.serve.verbs import Stream, Verbs

#: What a page may ask of the process itself. ``drain`` is for who started it.
PASSED_ON = ("decide", "send", "reload", "revisions")
#: A typed turn is a sentence or a page, not a book.
LONGEST_TEXT = 20_000
REASON = "hung up in the console"


class Steering:
    def __init__(self, house: House, verbs: Verbs, book: Book) -> None:
        self._house = house
        self._verbs = verbs
        self._book = book

    async def answer(self, request: Any) -> Mapping[str, Any]:
        """Never raises for what is asked wrongly, or cannot be done."""
        try:
            if not isinstance(request, dict):
                raise Refused("the request is not an object")
            verb = request.get("do")
            if verb in PASSED_ON:
                reply = await self._verbs.answer(request)
                if isinstance(reply, Stream):  # none of these is one
                    reply.close()
                    raise Refused("there is no such request")
                return reply
            return await self._own(verb, Asked(request, self._house))
        except RtrunError as error:
            return {"ok": False, "error": error.message, "hint": error.hint}

    async def _own(self, verb: Any, asked: Asked) -> Mapping[str, Any]:
        if verb not in ("type", "interrupt", "mute", "hang_up"):
            raise Refused("there is no such request")
        name, call = asked.call()
        session = call.session
        match verb:
            case "type":
                text = (asked.text("text") or "").strip()
                if not text or len(text) > LONGEST_TEXT:
                    raise Refused(f"a turn has 1 to {LONGEST_TEXT:,} characters")
                if session.busy:
                    session.interrupt()
                session.send_message(text)
            case "interrupt":
                if not session.busy:
                    raise Refused("nobody is speaking")
                session.interrupt()
            case "mute":
                if why := no_mute(call):
                    raise Refused(why)
                session.mute(asked.flag("muted"))
                self._book.refresh(name, call)
            case "hang_up":
                deployed = self._house.deployments[name]
                assert deployed.desk is not None
                await deployed.desk.hang_up(call, REASON)
        return {"ok": True}
