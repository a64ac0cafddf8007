"""The state of a process in plain JSON: deployments, their revisions, and their calls."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from runner import __version__
from runner.desk import Call, Desk
from runner.errors import Problem
from runner.serve.deployed import Deployed, Rejection
from runner.serve.house import House


def status(house: House) -> dict[str, Any]:
    """``{pid, version, draining, deployments: [...]}``."""
    return {
        "pid": os.getpid(),
        "version": __version__,
        "draining": house.draining,
        "deployments": [_deployment(*entry) for entry in house.deployments.items()],
    }


def _deployment(name: str, deployed: Deployed) -> dict[str, Any]:
    desk = deployed.desk
    return {
        "deployment": name,
        "file": str(deployed.file.absolute()),
        "valid": desk is not None,
        "revision": None if desk is None else desk.revision,
        "accepted_at": when(deployed.accepted_at),
        "rejected": rejection(deployed.rejected),
        "sessions": [] if desk is None else [session_row(desk, c) for c in desk.calls.values()],
    }


def session_row(desk: Desk, call: Call) -> dict[str, Any]:
    """One call of :func:`status`."""
    return {
        "session": call.id,
        "agent": call.session.agent.name,
        "since": call.started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - call.started.timestamp(), 1),
        "revision": call.revision,
        # The desk's revision is in force; this call takes it when its turn is over.
        "pending": call.revision < desk.revision,
        "state": _state(call),
        # Why it has not what it should have, and goes on with it.
        "degraded": call.degraded or None,
    }


def _state(call: Call) -> str:
    """connecting | reconnecting | in a turn | idle."""
    session = call.session
    if session.connected:
        return "in a turn" if session.busy else "idle"
    return "reconnecting" if session.effective else "connecting"


def rejection(rejected: Rejection | None) -> dict[str, Any] | None:
    """The newest refusal: when, its problems with their places, and the call that refused it."""
    if rejected is None:
        return None
    return {
        "at": when(rejected.at),
        "session": rejected.session or None,
        "problems": [problem(found) for found in rejected.problems],
    }


def problem(found: Problem) -> Mapping[str, Any]:
    told = asdict(found)
    del told["source"]  # the line as it stands may hold a key that was written out
    return told


def when(at: float) -> str | None:
    """time.time() in ISO 8601, UTC; None for never."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") if at else None
