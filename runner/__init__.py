"""rtrun: a declarative runner for realtime voice agents.

The names that a program uses live here and load on first use, so that importing
``runner`` costs nothing and works where only the standard library is present.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.agent import RealtimeAgent, handoff, tool
    from runner.session import RealtimeSession
    from runner.transports.base import RealtimeTransportLayer
    from runner.transports.websocket import OpenAIRealtimeWebSocket

__version__ = "0.1.0"

_HOMES = {
    "RealtimeAgent": "runner.agent",
    "handoff": "runner.agent",
    "tool": "runner.agent",
    "RealtimeSession": "runner.session",
    "RealtimeTransportLayer": "runner.transports.base",
    "OpenAIRealtimeWebSocket": "runner.transports.websocket",
}

__all__ = [
    "OpenAIRealtimeWebSocket",
    "RealtimeAgent",
    "RealtimeSession",
    "RealtimeTransportLayer",
    "handoff",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
