"""A call over WebRTC with sound of your own: a track that speaks a file, an element that keeps one.

rtrun engine --port 8700 &
python examples/webrtc-custom-track/call.py question.wav answer.wav ws://127.0.0.1:8700/v1/realtime

question.wav is mono PCM16 of any rate. Without an address the call goes to OpenAI (OPENAI_API_KEY).
"""

from __future__ import annotations

import asyncio
import os
import sys
import wave
from fractions import Fraction

from aiortc import MediaStreamTrack
from av import AudioFrame

from runner import OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession


class FromFile(MediaStreamTrack):
    """Speaks a file at real time from the moment that ``begin`` is set, and is silent behind it.

    Any source can stand here: a capture card, a mixer, another call.
    """

    kind = "audio"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.begin = asyncio.Event()
        with wave.open(name) as file:
            self._rate = file.getframerate()
            self._sound = file.readframes(file.getnframes())
        self._due = 0.0
        self._pts = 0

    async def recv(self) -> AudioFrame:
        clock = asyncio.get_running_loop().time
        self._due = max(self._due + 0.02, clock() - 0.1)
        await asyncio.sleep(self._due - clock())
        samples = self._rate // 50  # 20 ms
        data = b""
        if self.begin.is_set():
            data, self._sound = self._sound[: 2 * samples], self._sound[2 * samples :]
        frame = AudioFrame(format="s16", layout="mono", samples=samples)
        frame.planes[0].update(data.ljust(2 * samples, b"\0"))
        frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
        frame.pts, self._pts = self._pts, self._pts + samples
        return frame


class ToFile:
    """Keeps what the agent says: PCM16, mono, 24 kHz, as it comes."""

    def __init__(self, file: wave.Wave_write) -> None:
        self._file = file
        file.setparams((1, 2, 24000, 0, "NONE", "not compressed"))

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        self._file.writeframes(data)

    def flush(self) -> None:
        """The answer was cut: a loudspeaker would forget here what it has not played yet."""


agent = RealtimeAgent(
    name="Greeter",
    instructions="You work in a bicycle shop. The shop is open from nine to six, Monday to Friday.",
)


async def main(question: str, answer: str, url: str | None) -> None:
    track = FromFile(question)
    with wave.open(answer, "wb") as file:
        transport = OpenAIRealtimeWebRTC(media_stream=track, audio_element=ToFile(file))
        session = RealtimeSession(agent, transport=transport, model="gpt-realtime")
        over = asyncio.Event()
        session.on("transcript", lambda event: print(f"{event.role}: {event.text}"))
        session.on("turn_end", lambda event: over.set())
        await session.connect(api_key=os.environ.get("OPENAI_API_KEY", "local"), url=url)
        print(f"call {transport.call_id}")
        track.begin.set()
        async with asyncio.timeout(60):
            await over.wait()
        await session.close()
    print(f"the track is {track.readyState}")  # it is yours: no close of ours stops it
    track.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
