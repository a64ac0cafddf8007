"""Which calls are tapped: those that somebody looks at, and no others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from runner.core.events import Connection, SessionEvent
from runner.desk import Call
from runner.serve.deployed import Deployed
from runner.serve.house import House
from runner.serve.redacted import Wire
from runner.serve.tail import Tails
from runner.serve.wiretap import From, Wiretap, without_payload


class Wires:
    """``began`` is the time.monotonic() that ``t`` counts from. Each event is a row
    ``{"t", "deployment", "session", "from": "client" | "server", "wire": {...}}``."""

    def __init__(
        self,
        house: House,
        tails: Tails,
        began: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._house = house
        self._tails = tails
        self._began = began
        self._clock = clock
        self._taps: dict[str, Wiretap] = {}
        #: What went over each wire by now, as far as it may be shown; the ways do not meet.
        self._shown: dict[tuple[str, From], Wire] = {}
        #: Hears both sides of each call that is tapped: ``sound(session, side, data)``.
        self.sound: Callable[[str, From, bytes], None] = lambda session, side, data: None
        self._away = house.listen(self._heard)

    def refresh(self) -> None:
        """Readers came or went."""
        live: dict[str, None] = {}
        for name, deployed in self._house.deployments.items():
            for call in () if deployed.desk is None else tuple(deployed.desk.calls.values()):
                if self._wanted(name, call.id):
                    live[call.id] = None
                    self._tap(name, call)
        for call_id in [call_id for call_id in self._taps if call_id not in live]:
            self._untap(call_id)

    def close(self) -> None:
        self._away()
        for tap in self._taps.values():
            tap.close()
        self._taps.clear()

    def _wanted(self, name: str, call_id: str) -> bool:
        return any(self._tails.wanted(kind, name, call_id) for kind in ("wire", "audio"))

    def _tap(self, name: str, call: Call) -> None:
        if call.id not in self._taps:
            tell = partial(self._told, name, call.id)
            sound = partial(self._sounded, call.id)
            self._taps[call.id] = Wiretap(call.session.transport, tell, sound)

    def _untap(self, call_id: str) -> None:
        self._taps.pop(call_id).close()
        self._shown = {key: wire for key, wire in self._shown.items() if key[0] != call_id}

    def _heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        """A call that begins is told of before its line is opened."""
        if isinstance(event, Connection) and event.status == "disconnected":
            if call.id in self._taps:
                self._untap(call.id)
        elif len(self._tails) and call.id not in self._taps and self._wanted(of.name, call.id):
            self._tap(of.name, call)

    def _sounded(self, call_id: str, side: From, data: bytes) -> None:
        self.sound(call_id, side, data)

    def _told(self, name: str, call_id: str, side: From, event: Mapping[str, Any]) -> None:
        deployed = self._house.deployments.get(name)
        if deployed is not None and deployed.desk is not None:
            shown = self._shown.setdefault((call_id, side), Wire())
            event = shown(deployed.desk.deployment.records.redactor, event)
        row: dict[str, Any] = {
            "t": round(self._clock() - self._began, 3),
            "deployment": name,
            "session": call_id,
            "from": side,
        }
        if self._tails.wanted("wire", name, call_id):
            self._tails.put("wire", {**row, "wire": without_payload(event)})
        self._tails.put("audio", {**row, "wire": event})
