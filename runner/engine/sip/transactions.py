"""Requests and what became of them (RFC 3261, 17)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.engine.sip.dialog import Dialog, Flow
from runner.engine.sip.message import Message


@dataclass(slots=True, eq=False)
class Server:
    """A request of theirs and what it was last answered."""

    request: Message
    flow: Flow
    dialog: Dialog | None = None
    last: bytes = b""
    final: int = 0
    acknowledged: bool = False


@dataclass(slots=True, eq=False)
class Client:
    """A request of ours without a final answer."""

    data: bytes
    dialog: Dialog
    then: Callable[[int], None]
