"""The fields of a request, and what they choose: a deployment, or a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.config.check import near
from runner.desk import Call
from runner.errors import RtrunError
from runner.serve.deployed import Deployed
from runner.serve.house import House


class Refused(RtrunError):
    """What is asked is not understood, or names nothing that is here."""


class Asked:
    def __init__(self, fields: Mapping[str, Any], house: House) -> None:
        self.fields = fields
        self._house = house

    def text(self, name: str) -> str | None:
        value = self.fields.get(name)
        if value is None or isinstance(value, str):
            return value
        raise Refused(f"{name} is a text or null")

    def flag(self, name: str) -> bool:
        value = self.fields.get(name, False)
        if isinstance(value, bool):
            return value
        raise Refused(f"{name} is true or false")

    def number(self, name: str, most: float) -> float | None:
        """From 0 to ``most``."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
            return float(value)
        raise Refused(f"{name} is a number of seconds from 0 to {most:g}")

    def whole(self, name: str) -> int | None:
        value = self.fields.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise Refused(f"{name} is a whole number")

    def deployed(self) -> tuple[str, Deployed]:
        """The one that is named, or the only one."""
        name, known = self.text("deployment"), self._house.deployments
        if name is None and len(known) == 1:
            return next(iter(known.items()))
        if name is None:
            raise Refused(
                f"{len(known)} deployments run here: {', '.join(known)}",
                "choose one with --deployment",
            )
        if name not in known:
            raise Refused(
                f"no deployment '{name}' runs here",
                near(name, known) or f"here: {', '.join(known)}",
            )
        return name, known[name]

    def call(self) -> tuple[str, Call]:
        """The call on the line whose id is ``session``, and its deployment."""
        session, wanted = self.text("session"), self.text("deployment")
        if session is None:
            raise Refused("session is the id of a call", "rtrun ps shows them")
        for name, deployed in self._house.deployments.items():
            calls = {} if deployed.desk is None else deployed.desk.calls
            if session in calls and wanted in (None, name):
                return name, calls[session]
        raise Refused(f"no call {session} is on the line here", "rtrun ps shows those that are")
