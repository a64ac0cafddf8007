"""rtrun as a peer of the comparison bench: a full session with a noop tool.

Copied into the bench's adapters folder by run_peers.py; see there.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Adapter  # type: ignore[import-not-found]  # the bench's own


class Rtrun(Adapter):  # type: ignore[misc]
    name = "rtrun"

    @classmethod
    def load(cls) -> None:
        global RealtimeAgent, RealtimeSession, noop
        from runner import RealtimeAgent, RealtimeSession, tool

        @tool
        async def noop() -> str:
            """noop"""
            return "ok"

    async def connect(self, url: str, on_audio: Callable[[bytes], None]) -> None:
        agent = RealtimeAgent(name="a", instructions="hi", tools=[noop])
        self.session = RealtimeSession(agent, model="gpt-realtime", api_key="sk-x")
        self.session.on("audio", lambda event: on_audio(event.data))
        self.session.on("error", lambda event: print("rtrun error:", event.message, flush=True))
        await self.session.connect(url=url)

    async def send_audio(self, pcm: bytes) -> None:
        self.session.send_audio(pcm)

    async def close(self) -> None:
        await self.session.close()


class RtrunFast(Rtrun):
    """The same with rtrun[fast]: orjson, pybase64, uvloop."""

    name = "rtrun-fast"
    uvloop = True
