"""A transport of one's own: never connected here."""

from typing import Any

from runner.transports.websocket import OpenAIRealtimeWebSocket


class Counted(OpenAIRealtimeWebSocket):
    def __init__(self, *, tag: str, token: str, more: dict[str, Any]) -> None:
        super().__init__()
