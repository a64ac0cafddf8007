"""Answer phone calls: OpenAI's webhook in, a session attached to each call.

OPENAI_API_KEY and OPENAI_WEBHOOK_SECRET have to be set; OPENAI_BASE_URL may name another service.
"""

from __future__ import annotations

import os

import uvicorn
from openai import AsyncOpenAI, InvalidWebhookSignatureError, NotFoundError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runner import OpenAIRealtimeSIP, RealtimeAgent, RealtimeSession

agent = RealtimeAgent(
    name="Greeter",
    instructions="You answer the phone of a bike shop, which is open from nine to six.",
    greeting="Bike shop, good day.",
)
openai = AsyncOpenAI()
answered: set[str] = set()


async def answer(call_id: str) -> None:
    options = {"model": "gpt-realtime-2.1"}
    try:
        config = await OpenAIRealtimeSIP.build_initial_config(agent, options)
        await openai.realtime.calls.accept(call_id, **config)
    except NotFoundError:
        return  # the caller has hung up
    session = RealtimeSession(agent, transport=OpenAIRealtimeSIP(), **options)
    session.on("transcript", lambda said: print(f"{said.role}: {said.text}", flush=True))
    url = str(openai.base_url).replace("http", "ws", 1) + "realtime"
    await session.connect(api_key=openai.api_key, url=url, call_id=call_id)
    async for _ in session:
        pass
    print("the call is over", flush=True)


async def webhook(request: Request) -> Response:
    try:
        event = openai.webhooks.unwrap(await request.body(), request.headers)
    except InvalidWebhookSignatureError:
        return Response("Invalid signature", status_code=400)
    if event.type != "realtime.call.incoming" or event.data.call_id in answered:
        return Response(status_code=200)
    answered.add(event.data.call_id)
    # The webhook is answered first: one that takes its time is sent again.
    return Response(status_code=200, background=BackgroundTask(answer, event.data.call_id))


app = Starlette(routes=[Route("/webhook", webhook, methods=["POST"])])

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8080"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
