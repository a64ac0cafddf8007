"""A chat-completions endpoint in the test's own loop, scripted byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

Answer = Callable[[asyncio.StreamWriter, dict[str, Any]], Awaitable[None]]


class ChatServer:
    """``requests`` are the bodies that came; ``closed`` is set when the client goes."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.closed = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {
                k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:] if x)
            }
            body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))))
            self.requests.append(body)
            self.headers.append({"path": lines[0].split()[1], **headers})
            answering = asyncio.gather(self._answer(writer, body))
            gone = asyncio.gather(reader.read(1))
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                self.closed.set()
            for one in (answering, gone):
                one.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await one
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed.set()
        finally:
            writer.close()


@asynccontextmanager
async def chat_server(answer: Answer):
    served = ChatServer(answer)
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def chunk(**delta: Any) -> bytes:
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}  # fmt: skip
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def tool_part(
    index: int, call_id: str | None = None, name: str | None = None, arguments: str | None = None
) -> dict[str, Any]:
    part: dict[str, Any] = {"index": index, "function": {}}
    if call_id:
        part |= {"id": call_id, "type": "function"}
    if name:
        part["function"]["name"] = name
    if arguments is not None:
        part["function"]["arguments"] = arguments
    return part


def streaming(pieces: Sequence[bytes]) -> Answer:
    async def answer(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        writer.write(HEAD)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()

    return answer


def refusing(status: str, body: bytes = b'{"error":{"message":"no such model"}}') -> Answer:
    async def answer(writer: asyncio.StreamWriter, _: dict[str, Any]) -> None:
        writer.write(
            (
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: "
                f"{len(body)}\r\n\r\n"
            ).encode()
            + body
        )
        await writer.drain()

    return answer
