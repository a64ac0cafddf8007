"""Find a transport by its name, by a Python reference, or by an entry point."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from runner.errors import UserError
from runner.transports.base import RealtimeTransportLayer

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

GROUP = "rtrun.transports"

#: Our own, reachable without an installed package's metadata (a checkout, a Worker).
_OWN = {
    "webrtc": "runner.transports.webrtc:OpenAIRealtimeWebRTC",
    "cloudflare": "runner.transports.cloudflare:CloudflareRealtimeTransport",
    "websocket": "runner.transports.websocket:OpenAIRealtimeWebSocket",
}


def create(name: str, **options: Any) -> RealtimeTransportLayer:
    """A new transport. ``name`` is ours (``websocket``), ``module:Class``, ``path.py:Class``, or
    an entry point of group ``rtrun.transports``. UserError when there is none, when it cannot be
    loaded, is no transport or does not take ``options``."""
    kind = find(name)
    try:
        return kind(**options)
    except TypeError as error:
        raise UserError(f"transport '{name}' cannot be made: {error}") from error


def find(name: str) -> type[RealtimeTransportLayer]:
    """The class of a transport, by any name that :func:`create` takes."""
    reference = _OWN.get(name) or (name if ":" in name else _entry_point(name))
    if reference is None:
        raise UserError(f"there is no transport '{name}'", f"known: {', '.join(_known())}")
    module, _, attribute = reference.rpartition(":")
    try:
        home = _from_file(Path(module)) if module.endswith(".py") else import_module(module)
        kind = getattr(home, attribute)
    except (Exception, SystemExit) as error:
        words = str(error) or type(error).__name__
        raise UserError(f"transport '{name}' cannot be loaded: {words}") from error
    if not (isinstance(kind, type) and issubclass(kind, RealtimeTransportLayer)):
        raise UserError(f"transport '{name}' is no RealtimeTransportLayer")
    return kind


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rtrun_transport_{path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _known() -> list[str]:
    names = {*_OWN, *(point.name for point in _points())}
    return [*sorted(names), "module:Class", "path.py:Class"]


def _entry_point(name: str) -> str | None:
    return next((point.value for point in _points() if point.name == name), None)


def _points() -> EntryPoints:
    # Imported when a name is none of ours: it costs a tenth of a client's start.
    from importlib import metadata

    return metadata.entry_points(group=GROUP)
