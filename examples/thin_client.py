"""The WebSocket transport alone, without a session: you send events and get events.

rtrun engine --port 8700 &
python examples/thin_client.py ws://127.0.0.1:8700/v1/realtime
"""

from __future__ import annotations

import asyncio
import os
import sys

from runner import OpenAIRealtimeWebSocket


async def main(url: str | None) -> None:
    client = OpenAIRealtimeWebSocket()
    done = asyncio.Event()
    heard = bytearray()
    client.on("audio", lambda audio: heard.extend(audio.data))
    client.on("response.output_audio_transcript.delta", lambda e: print(e["delta"], end=""))
    client.on("response.done", lambda event: done.set())
    await client.connect(
        api_key=os.environ.get("OPENAI_API_KEY", "local"),
        url=url,
        model="gpt-4o-mini-realtime-preview",
        initial_session_config={
            "instructions": "You are a pirate. The treasure lies under the old oak.",
            "voice": "ash",
            "modalities": ["text", "audio"],
            "inputAudioFormat": "pcm16",
            "outputAudioFormat": "pcm16",
        },
    )
    words = {"type": "input_text", "text": "Where is the treasure?"}
    item = {"type": "message", "role": "user", "content": [words]}
    client.send_event({"type": "conversation.item.create", "item": item})
    client.send_event({"type": "response.create"})
    await done.wait()
    print(f"\n{len(heard) / 48000:.1f} s of audio")
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
