"""A page of your own that talks to an agent, with a key that lasts ten minutes.

    python examples/browser/serve.py                        # OpenAI, by OPENAI_API_KEY
    python examples/browser/serve.py ws://127.0.0.1:8765/v1/realtime    # rtrun engine

This server holds the key. The page asks it for a client secret, which has the agent's session
bound to it, and calls the service by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from runner import RealtimeAgent, create_client_secret

AGENT = RealtimeAgent(
    name="bike shop",
    instructions="You answer for a bike shop. It is open from 9 am to 6 pm, and closed on Monday.",
)
PAGE = Path(__file__).with_name("page.html")
ENGINE = sys.argv[1] if len(sys.argv) > 1 else None
CALLS = (ENGINE or "https://api.openai.com/v1/realtime").replace("ws", "http", 1) + "/calls"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(PAGE.read_bytes(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        own = f"http://{self.headers.get('Host', '')}"
        if self.headers.get("Origin") != own:
            self.send_error(403, "only the page itself gets a secret")
            return
        key = os.environ.get("OPENAI_API_KEY") or "an engine on this machine takes any"
        made = asyncio.run(create_client_secret(AGENT, api_key=key, url=ENGINE))
        said = {"secret": made.value.reveal(), "calls": CALLS}
        self.answer(json.dumps(said).encode(), "application/json")

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
