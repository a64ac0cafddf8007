"""A transport of one's own, used by transport/counted.yaml: OpenAI's WebSocket with a header more,
that counts what goes over it and says so when the call ends.

rtrun run examples/transport/counted.yaml --say "When are you open?"
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.transports.base import ConnectOptions
from runner.transports.websocket import OpenAIRealtimeWebSocket


class Counted(OpenAIRealtimeWebSocket):
    """``header`` is sent with the request that opens the line. One object is one call's line."""

    def __init__(self, *, header: Mapping[str, str]) -> None:
        super().__init__()
        self._header = header
        self.sent: Counter[str] = Counter()
        self.came: Counter[str] = Counter()
        self.on("*", lambda event: self.came.update([event["type"]]))

    async def connect(self, options: ConnectOptions | None = None, **given: Any) -> None:
        options = options or ConnectOptions()
        headers = {**options.headers, **self._header}
        await super().connect(replace(options, headers=headers), **given)

    def send_event(self, event: Mapping[str, Any]) -> None:
        self.sent[event["type"]] += 1
        super().send_event(event)

    async def close(self) -> None:
        if self.status == "connected":
            sent, came = self.sent.total(), self.came.total()
            print(f"counted: {sent} events sent, {came} came", file=sys.stderr)
        await super().close()
