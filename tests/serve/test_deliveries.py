"""`records: { webhook: ... }`: a real receiver, one that is down, and a restart in between."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from support.engine import Puppet, serving
from support.houses import SHOP, hall
from support.until import until

from runner.model.records import Webhook
from runner.model.secret import Secret
from runner.serve import outbox
from runner.serve.deliveries import Deliveries
from runner.serve.outbox import Message, Outbox
from runner.tasks import Supervisor

SECRET = "whsec_" + "c2VjcmV0" * 4


class Receiver:
    """Takes what is posted, checks it as OpenAI's own client does, and answers ``status``."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.got: list[tuple[str, Any]] = []
        self.refused = 0
        self._checks = OpenAI(api_key="none").webhooks

    async def open(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", port)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self.port

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
                headers = {name.lower(): value for name, value in lines}
                body = await reader.readexactly(int(headers["content-length"]))
                self._checks.verify_signature(body, headers, secret=SECRET)
                if self.status == 200:
                    self.got.append((headers["webhook-id"], json.loads(body)))
                else:
                    self.refused += 1
                writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def target(port: int) -> Webhook:
    return Webhook(Secret(f"http://127.0.0.1:{port}/in?x=1"), Secret(SECRET), ("127.0.0.1",))


class Post:
    """One deployment's messages, and whoever sends them."""

    def __init__(self, folder: Path, webhook: Webhook | None) -> None:
        self.webhook, self.warned, self.failed = webhook, list[str](), list[str]()
        self.deliveries = Deliveries(folder, lambda: self.webhook, self.warned.append)
        self.tasks = Supervisor(lambda name, error: self.failed.append(repr(error)))

    async def __aenter__(self) -> Post:
        self.tasks.spawn(self.deliveries.run(), "deliveries")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.tasks.close()
        assert self.failed == []


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LONGEST_PAUSE", 0.02)


def test_a_call_is_told_when_it_is_over(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        receiver = Receiver()
        port = await receiver.open()
        webhook = f'{{ url: "http://127.0.0.1:{port}/in", secret: "{SECRET}", hosts: [127.0.0.1] }}'
        text = SHOP + f"records: {{ webhook: {webhook}, redact: [email] }}\n"
        async with hall(tmp_path, url, shop=text) as it:
            call = await it.call("shop")
            call.session.send_message("I am ann@example.org.")
            await until(lambda: "You said" in str(call.session.history[-1:]))
            await call.session.quiet()
            desk = it["shop"].desk
            assert desk is not None
            await desk.hang_up(call, "that was all")
            await until(lambda: receiver.got)
        await receiver.close()
        assert (it.failed, it.warned) == ([], [])
        [(id, event)] = receiver.got
        assert (event["id"], event["type"], event["object"]) == (id, "call.ended", "event")
        assert event["data"]["call"] == call.id
        assert event["data"]["items"][0] == {"role": "user", "text": "I am [email]."}
        assert not list((tmp_path / "state").rglob("*.json")), "what was taken is forgotten"

    with serving(Puppet(), no_speech="typed") as engine:
        asyncio.run(main(engine.url))


def test_a_receiver_that_comes_back(tmp_path: Path) -> None:
    """Refused connections, then 500, then taken: once each, the same ids, told once."""

    async def main() -> None:
        port = free_port()
        receiver = Receiver(500)
        async with Post(tmp_path, target(port)) as post:
            for n in range(3):
                await post.deliveries.post({"n": n})
            await until(lambda: post.warned)
            files = kept(tmp_path)
            assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
            await receiver.open(port)
            await until(lambda: receiver.refused > 3)
            receiver.status = 200
            await until(lambda: len(receiver.got) == 3)
            assert sorted(id for id, _ in receiver.got) == [file.stem for file in files]
            await until(lambda: len(post.warned) == 2)
            assert await post.deliveries.settle(1) == 0
        assert "takes no records" in post.warned[0]
        assert "takes records again" in post.warned[1]
        await receiver.close()

    asyncio.run(main())


def test_a_restart_with_a_message_that_waits(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        async with Post(tmp_path, target(port)) as post:
            await post.deliveries.post({"n": 1})
            await until(lambda: post.warned)
            assert await post.deliveries.settle(0.01) == 1
        [file] = kept(tmp_path)
        (tmp_path / "evt_half.json").write_text('{"id": "evt_half", "bo')
        (tmp_path / "evt_other.json").write_text(file.read_text())
        receiver = Receiver()
        await receiver.open(port)
        async with Post(tmp_path, target(port)):
            await until(lambda: receiver.got)
        assert [id for id, _ in receiver.got] == [file.stem]
        await receiver.close()

    asyncio.run(main())


def test_addresses_that_a_webhook_may_not_reach(tmp_path: Path) -> None:
    async def main() -> None:
        receiver = Receiver()
        port = await receiver.open()
        inside = Webhook(Secret(f"http://127.0.0.1:{port}/"), Secret(SECRET))
        async with Post(tmp_path, inside) as post:
            await post.deliveries.post({})
            await until(lambda: post.warned)
        assert "loopback" in post.warned[0]
        assert "add 127.0.0.1 to its hosts" in post.warned[0]
        assert receiver.got == []
        await receiver.close()

    asyncio.run(main())


def test_a_full_disk_is_told_once_and_the_message_is_sent(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder can be made here")

    async def main() -> None:
        receiver = Receiver()
        async with Post(tmp_path / "state", None) as post:
            for n in range(2):
                await post.deliveries.post({"n": n})
            assert len(post.warned) == 1
            assert "cannot be kept on disk" in post.warned[0]
            assert await post.deliveries.settle(0.01) == 0, "nothing is left to the next process"
            post.webhook = target(await receiver.open())
            await until(lambda: len(receiver.got) == 2)
        await receiver.close()

    asyncio.run(main())


@pytest.mark.quick
def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST", 3)
    monkeypatch.setattr(outbox, "LONGEST_PAUSE", 3600.0)
    box = Outbox(tmp_path)
    for n in range(5):
        assert box.put(Message(f"evt_{n}", "{}", created=float(n), due=9.0 - n))
    found = box.next()
    assert found is not None
    assert found.id == "evt_4"
    assert [message.id for message in box.overdue(5)] == ["evt_0", "evt_1"]
    assert [m.id for m in box.overdue(outbox.OLDEST + 3.5)] == [f"evt_{n}" for n in range(4)]
    message, pauses = Message("evt_x", "{}", 0, 0), []
    for _ in range(20):
        message = message.later(0)
        pauses.append(message.due)
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == pauses[-1] == 3600
    assert len(Outbox(tmp_path)) == 5
    box.drop(found)
    assert len(Outbox(tmp_path)) == 4
