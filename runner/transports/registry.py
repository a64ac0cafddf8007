"""Find a transport by its name, by a Python reference, or by an entry point."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from runner.errors import UserError
from runner.transports.base import RealtimeTransportLayer

GROUP = "rtrun.transports"

#: Our own, reachable without an installed package's metadata (a checkout, a Worker).
_OWN = {"websocket": "runner.transports.websocket:OpenAIRealtimeWebSocket"}


def create(name: str, **options: Any) -> RealtimeTransportLayer:
    """A new transport. ``name`` is ours (``websocket``), ``module:Class``, or an entry point of
    group ``rtrun.transports``. UserError when there is none, or it is no transport."""
    reference = _OWN.get(name) or (name if ":" in name else _entry_point(name))
    if reference is None:
        raise UserError(
            f"there is no transport '{name}'", f"known: {', '.join(sorted(_OWN))}, or module:Class"
        )
    module, _, attribute = reference.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"transport '{name}' cannot be loaded: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, RealtimeTransportLayer)):
        raise UserError(f"transport '{name}' is no RealtimeTransportLayer")
    return kind(**options)


def _entry_point(name: str) -> str | None:
    for point in entry_points(group=GROUP, name=name):
        return point.value
    return None
