"""What the engine knows of the Realtime protocol: pure, no input or output, no clock.

``check`` a client event, keep the session in :class:`Settings` and the conversation in
:class:`Items`, resolve a ``response.create`` with :meth:`ResponseParams.parse`, and build what
goes back with :mod:`.events`. Everything a client got wrong is a :class:`WireError`.
"""

from __future__ import annotations

from runner.engine.wire.client import check, decode_audio
from runner.engine.wire.errors import WireError
from runner.engine.wire.ids import new_id
from runner.engine.wire.items import Items
from runner.engine.wire.params import ResponseParams
from runner.engine.wire.response import failure, response_object
from runner.engine.wire.settings import Settings, TurnDetection

__all__ = [
    "Items",
    "ResponseParams",
    "Settings",
    "TurnDetection",
    "WireError",
    "check",
    "decode_audio",
    "failure",
    "new_id",
    "response_object",
]
