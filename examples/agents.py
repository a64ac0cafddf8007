"""Two agents, a tool that wants a yes, a rule on what is said, and what the call has used.

rtrun engine --port 8700 &
python examples/agents.py ws://127.0.0.1:8700/v1/realtime
"""

from __future__ import annotations

import asyncio
import os
import sys

from runner import (
    GuardrailArgs,
    RealtimeAgent,
    RealtimeSession,
    ToolApproval,
    guardrail,
    handoff,
    tool,
)


@tool(needs_approval=True, while_waiting="One moment, please.")
async def refund(order: int) -> str:
    """Pay an order back.

    Args:
        order: The number of the order.
    """
    return f"Order {order} is paid back."


def legal_advice(args: GuardrailArgs) -> str | None:
    """What is wrong, or nothing."""
    return "legal advice" if "lawsuit" in args.text.lower() else None


orders = RealtimeAgent(
    "orders", "You look after orders. Money comes back within three days.", tools=[refund]
)
front = RealtimeAgent(
    "front desk",
    "You are the front desk of a shop. We are open from nine to six.",
    handoffs=[handoff(orders, when="The caller wants money back for an order.")],
)


async def main(url: str | None) -> None:
    session = RealtimeSession(
        front,
        model="gpt-realtime",
        guardrails=[guardrail(legal_advice, then="interrupt", say="I cannot speak about that.")],
    )
    turn_over = asyncio.Event()

    def decide(asked: ToolApproval) -> None:
        print(f"approved: {asked.name}({asked.arguments})")
        session.approve(asked)

    session.on("tool_approval_requested", decide)
    session.on("agent_handoff", lambda event: print(f"{event.from_agent} -> {event.to_agent}"))
    session.on("guardrail_tripped", lambda event: print(f"cut: {event.info}"))
    session.on("transcript", lambda event: print(f"{event.role}: {event.text}"))
    session.on("turn_end", lambda event: turn_over.set())
    await session.connect(api_key=os.environ.get("OPENAI_API_KEY", "local"), url=url)
    for words in ("When are you open?", "I want my money back.", "Please refund order 42."):
        turn_over.clear()
        session.send_message(words)
        await turn_over.wait()
        while session.busy:  # a handoff or a tool, and the answer after it
            turn_over.clear()
            await turn_over.wait()
    print(f"tokens: {session.usage['input_tokens']} in, {session.usage['output_tokens']} out")
    await session.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
