"""Everything that the pages show: deployments, their saves, their calls and what happened in them.

It is kept whether a page is open or not, so that one that is opened in the middle of a call shows
the call from its beginning. Of calls that ended the newest stay for a while.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from runner import __version__
from runner.core.events import Audio, Connection, HistoryUpdated, Item, SessionEvent
from runner.desk import Call
from runner.serve.console.fields import fields
from runner.serve.console.saves import Saves
from runner.serve.console.story import Story, now
from runner.serve.deployed import Deployed, Told
from runner.serve.house import House
from runner.serve.status import rejection, session_row, when
from runner.transports.browser import OpenAIRealtimeBrowser
from runner.transports.sip import OpenAIRealtimeSIP

#: Calls that have ended and can still be looked at.
MOST_ENDED = 20
NOT_KEPT = "what was said on the phone is not kept after the call; --log-content keeps it"

Row = dict[str, Any]
#: ``tell(deployment, message)`` for all pages.
Tell = Callable[[str, Row], None]


class Engine(Protocol):
    """What answers a deployment's calls."""

    @property
    def kind(self) -> str: ...
    @property
    def voice(self) -> bool: ...
    @property
    def note(self) -> str: ...


class Book:
    """``engine(deployed)`` answers its calls, None while there is none. ``content``: what is said
    on the phone is kept, too, when its call is over."""

    def __init__(
        self,
        house: House,
        tell: Tell,
        *,
        env: Mapping[str, str],
        engine: Callable[[Deployed], Engine | None],
        content: bool = False,
    ) -> None:
        self._house = house
        self._tell = tell
        self._env = env
        self._engine = engine
        self._content = content
        self._stories: dict[str, Story] = {}
        self._calls: dict[str, Row] = {}
        self._saves: dict[Deployed, Saves] = {}
        self._away = (house.overhear(self._heard), house.follow_saves(self._told))
        for name, deployed in house.deployments.items():
            for call in () if deployed.desk is None else tuple(deployed.desk.calls.values()):
                self._story(name, call)
                self._refresh(name, deployed, call)

    def close(self) -> None:
        for away in self._away:
            away()

    def whole(self) -> Row:
        """All of it, for a page that has just come; secrets are not taken out yet."""
        return {
            "pid": os.getpid(),
            "version": __version__,
            "draining": self._house.draining,
            "deployments": [self.deployment(*e) for e in self._house.deployments.items()],
            "calls": [
                {
                    **row,
                    "rows": list(story.rows.values()),
                    "lost_rows": story.lost_rows,
                    "turns": story.turns.rows,
                }
                for key, row in self._calls.items()
                if (story := self._stories.get(key)) is not None
            ],
        }

    def deployment(self, name: str, deployed: Deployed) -> Row:
        desk, engine = deployed.desk, self._engine(deployed)
        saves = self._saves.get(deployed)
        return {
            "deployment": name,
            "file": str(deployed.file.absolute()),
            "revision": None if desk is None else desk.revision,
            "accepted_at": when(deployed.accepted_at),
            "rejected": rejection(deployed.rejected) is not None,
            "model": None if desk is None else desk.deployment.model,
            "transport": None if desk is None else desk.deployment.transport.type,
            "engine": None if engine is None else engine.kind,
            "no_talk": self.no_talk(deployed),
            "fields": fields(deployed, self._env),
            "saves": [] if saves is None else saves.rows,
        }

    def no_talk(self, deployed: Deployed) -> str:
        """Why a browser cannot call this deployment now, empty when it can."""
        desk, engine = deployed.desk, self._engine(deployed)
        if desk is None or engine is None:
            return "its file has never been valid: mend it"
        if self._house.draining:
            return "rtrun is draining: no new calls are taken"
        if not engine.voice:
            return engine.note or "the engine has no voice"
        most = desk.deployment.limits.calls
        if most is not None and len(desk.calls) >= most:
            return f"limits.calls is reached: {most} on the line"
        return ""

    # -- what happens ----------------------------------------------------------------------------
    def _heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        if isinstance(event, (Audio, HistoryUpdated)):
            return
        story = self._stories.get(call.id) or self._story(of.name, call)
        if call.id in self._calls and self._calls[call.id]["ended"]:
            return
        story.hear(event)
        self._refresh(of.name, of, call)
        if isinstance(event, Connection) and event.status == "disconnected":
            self._ended(of, call, story)

    def _story(self, name: str, call: Call) -> Story:
        story = Story(partial(_item, call), lambda kind, row: self._row(name, call.id, kind, row))
        self._stories[call.id] = story
        return story

    def _row(self, name: str, session: str, kind: str, row: Row) -> None:
        self._tell(name, {"is": kind, "session": session, "row": row})

    def _refresh(self, name: str, deployed: Deployed, call: Call) -> None:
        """Tell of the call when something that a page shows of it is another."""
        if deployed.desk is None:
            return
        records = deployed.desk.deployment.records
        row = {
            **session_row(deployed.desk, call),
            "deployment": name,
            "via": via(call),
            "caller": records.redactor.value(call.about.get("from", "")),
            "muted": call.session.muted,
            "no_mute": no_mute(call),
            "cost": deployed.desk.cost_of(call),
            "usage": dict(call.session.usage),
            "ended": None,
            "reason": None,
        }
        del row["seconds"]  # a page has a clock of its own
        if self._calls.get(call.id) != row:
            self._calls[call.id] = row
            self._tell(name, {"is": "call", "call": row})

    def refresh(self, name: str, call: Call) -> None:
        """Something that no event tells of was done to it."""
        self._refresh(name, self._house.deployments[name], call)

    def _ended(self, of: Deployed, call: Call, story: Story) -> None:
        row = self._calls.get(call.id)
        if row is None:
            return
        row |= {"ended": now(), "reason": call.reason or "closed", "state": "ended"}
        self._tell(of.name, {"is": "call", "call": row})
        if row["via"] in ("phone", "twilio") and not self._content:
            story.forget(NOT_KEPT)
            self._tell(
                of.name, {"is": "forget", "session": call.id, "rows": [*story.rows.values()]}
            )
        ended = [key for key, known in self._calls.items() if known["ended"]]
        for key in ended[:-MOST_ENDED]:
            del self._calls[key], self._stories[key]
            self._tell(of.name, {"is": "gone", "session": key})

    def _told(self, of: Deployed, what: Told) -> None:
        saves = self._saves.setdefault(of, Saves())
        saves.hear(what)
        name = next((n for n, d in self._house.deployments.items() if d is of), of.name)
        self._tell(name, {"is": "deployment", "deployment": self.deployment(name, of)})
        for call in () if of.desk is None else tuple(of.desk.calls.values()):
            self._refresh(name, of, call)


def via(call: Call) -> str:
    """By which way the caller came, as the line under the call says it."""
    transport = call.session.transport
    if isinstance(transport, OpenAIRealtimeBrowser):
        return "browser"
    if isinstance(transport, OpenAIRealtimeSIP):
        return "phone"
    return {"OpenAIRealtimeWebRTC": "webrtc", "TwilioRealtimeTransport": "twilio"}.get(
        type(transport).__name__, "websocket"
    )


def no_mute(call: Call) -> str:
    """Why the caller cannot be muted from here, empty when it can be done."""
    match via(call):
        case "browser":
            return "the microphone is in the browser: mute it there"
        case "phone":
            return "what is said on the phone does not pass through rtrun"
        case _:
            return ""


def _item(call: Call, item_id: str) -> Item | None:
    return next((i for i in reversed(call.session.history) if i.item_id == item_id), None)
