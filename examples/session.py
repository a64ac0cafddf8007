"""A session in Python: an agent with a tool, typed turns, and its voice in a file.

rtrun engine --port 8700 &
python examples/session.py ws://127.0.0.1:8700/v1/realtime
"""

from __future__ import annotations

import asyncio
import os
import sys
import wave

from runner import RealtimeAgent, RealtimeSession, tool


@tool
def opening_hours(day: str) -> str:
    """When the shop is open.

    Args:
        day: A day of the week.
    """
    return "closed" if day.lower() == "sunday" else "open from nine to six"


agent = RealtimeAgent(
    name="Greeter",
    instructions="You work in a bicycle shop. Flat tyres cost 12 dollars to repair.",
    tools=[opening_hours],
)


async def main(url: str | None) -> None:
    session = RealtimeSession(agent, transport="websocket", model="gpt-realtime")
    turn_over = asyncio.Event()
    with wave.open("answer.wav", "wb") as speaker:
        speaker.setparams((1, 2, 24000, 0, "NONE", "not compressed"))
        session.on("audio", lambda event: speaker.writeframes(event.data))  # a chunk of PCM16
        session.on("transcript", lambda event: print(f"{event.role}: {event.text}"))
        session.on("turn_end", lambda event: turn_over.set())
        # The JSON as it came, and any event that you want to send yourself.
        session.transport.on("*", lambda event: None)
        await session.connect(api_key=os.environ.get("OPENAI_API_KEY", "local"), url=url)
        for question in ("What does a flat tyre cost?", "Are you open on Sunday?"):
            turn_over.clear()
            session.send_message(question)
            await turn_over.wait()
        await session.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
