"""HTTP tools against real servers on the loopback, most of them hostile."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from support.until import until

from runner.errors import ToolError, UserError
from runner.model.deployment import HttpSpec, ToolSpec
from runner.model.secret import Secret
from runner.tools.base import ToolContext
from runner.tools.exchange import talk, usual_tls
from runner.tools.http import HttpTool, http_tool
from runner.tools.request import request_of, server_of

CONTEXT = ToolContext(agent="desk", name="tool", call_id="call_1")
LOCAL = "127.0.0.1"

Script = Callable[["Web", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Web:
    """A server whose every byte a test decides. ``requests`` holds what it was sent, head and
    body; ``sent`` counts the bytes that a flood got rid of; ``left`` is set when a client is seen
    to have gone."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0
        self.sent = 0
        self.left = asyncio.Event()
        self._serving: set[asyncio.StreamWriter] = set()
        self._script = script
        self._tls = tls

    async def __aenter__(self) -> Web:
        self._server = await asyncio.start_server(self._serve, LOCAL, 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._serving:
            writer.transport.abort()
        await until(lambda: not self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(v) for line in head.lower().split("\r\n")
                 if (v := line.removeprefix("content-length: ")) != line), 0,
            )  # fmt: skip
            self.requests.append((head, await reader.readexactly(length)))
            await self._script(self, reader, writer)
        except (OSError, EOFError):
            self.left.set()
        finally:
            writer.transport.abort()
            self._serving.discard(writer)


def saying(
    body: bytes | str = "", *headers: str, status: str = "200 OK", length: bool = True
) -> Script:
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(data)}"] if length else [])]

    async def script(web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await writer.drain()
        writer.write_eof() if writer.can_write_eof() else None
        await reader.read()

    return script


def tool(
    url: str, *, hosts: Sequence[str] = (LOCAL,), timeout: float = 10.0, **given: Any
) -> HttpTool:
    given["headers"] = {name: Secret(text) for name, text in given.get("headers", {}).items()}
    spec = HttpSpec(url, hosts=tuple(hosts), **given)
    names = spec.arguments()
    parameters = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": list(names),
    }
    return http_tool(
        ToolSpec("ask", description="It asks.", http=spec, parameters=parameters, timeout=timeout)
    )


def answered(script: Script, arguments: str = "{}", path: str = "/", **given: Any) -> str:
    async def main() -> str:
        async with Web(script) as web:
            return await tool(f"http://{LOCAL}:{web.port}{path}", **given).run(arguments, CONTEXT)

    return asyncio.run(main())


def refused(script: Script, **given: Any) -> str:
    with pytest.raises(ToolError) as told:
        answered(script, **given)
    return told.value.message


# -- what works


def test_a_request_and_its_answer() -> None:
    async def main() -> None:
        async with Web(
            saying(' {"id": 7, "x": [1.10]}\n', "Content-Type: application/json")
        ) as web:
            ask = tool(
                f"http://{LOCAL}:{web.port}/slots/{{day}}?k=v",
                method="POST",
                query={"q": "{who}"},
                headers={"Authorization": "Bearer sk-1", "X-Who": "{who}"},
                body={"who": "{who}", "n": 1},
            )
            arguments = '{"day": "2/3 & 4#%", "who": "Zoë"}'
            assert await ask.run(arguments, CONTEXT) == '{"id": 7, "x": [1.10]}'
            ((head, body),) = web.requests
            lines = head.split("\r\n")
            assert lines[0] == "POST /slots/2%2F3%20%26%204%23%25?k=v&q=Zo%C3%AB HTTP/1.1"
            assert f"Host: {LOCAL}:{web.port}" in lines
            assert "Authorization: Bearer sk-1" in lines
            assert "X-Who: Zoë" in lines
            assert body == '{"who":"Zoë","n":1}'.encode()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        (b"", (), "Done; the tool gave no output."),
        ("Grüße".encode("latin-1"), ("Content-Type: text/plain; charset=ISO-8859-1",), "Grüße"),
        ("Grüße".encode("utf-16"), ('Content-Type: text/x; charset="utf-16"',), "Grüße"),
        (b"\xef\xbb\xbfhi", (), "hi"),
        (b"a\xffb", ("Content-Type: text/plain",), "a\ufffdb"),
        (b"hi", ("Content-Type: text/plain; charset=punycode",), "hi"),
        (b"hi", ("Content-Type: application/octet-stream",), "hi"),
        (b"{}", ("Content-Encoding: identity",), "{}"),
    ],
)
def test_answers_are_read_by_their_charset(
    body: bytes, headers: tuple[str, ...], text: str
) -> None:
    assert answered(saying(body, *headers)) == text


def test_chunks_and_the_end_of_a_connection_end_an_answer_too() -> None:
    chunks = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    assert answered(saying(chunks, "Transfer-Encoding: chunked", length=False)) == "abcde"
    assert answered(saying("to the end", length=False)) == "to the end"


def test_notices_before_an_answer_are_passed_over() -> None:
    early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    real = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    async def script(web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((early + real).encode())
        await reader.read()

    assert answered(script) == "hi"


def test_arguments_that_do_not_fit_reach_no_server() -> None:
    async def main() -> None:
        async with Web(saying("hi")) as web:
            ask = tool(f"http://{LOCAL}:{web.port}/{{a}}", headers={"X": "{b}"})
            for arguments, words in (
                ("{", "no JSON"),
                ('{"a": "1"}', "missing argument: b"),
                ('{"a": "1", "b": 2}', "argument b: text is wanted"),
                ('{"a": "1", "b": "x\\r\\nY: z"}', "one line of text"),
                ('{"a": "..", "b": "x"}', "no part of an address"),
            ):
                with pytest.raises(ToolError, match=words):
                    await ask.run(arguments, CONTEXT)
            assert web.connections == 0

    asyncio.run(main())


# -- where it may go


def test_the_loopback_is_closed_unless_it_is_named() -> None:
    async def main() -> None:
        async with Web(saying("secret")) as web:
            spellings = [
                LOCAL, "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1",
                "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[::1]", "0.0.0.0",
                "[::]", "[::127.0.0.1]", "１２７.0.0.1",
            ]  # fmt: skip
            for host in spellings:
                with pytest.raises(ToolError, match="where this tool may not go"):
                    await tool(f"http://{host}:{web.port}/", hosts=[]).run("{}", CONTEXT)
            other = [f"{LOCAL}:{web.port + 1}"]
            with pytest.raises(ToolError, match="where this tool may not go"):
                await tool(f"http://{LOCAL}:{web.port}/", hosts=other).run("{}", CONTEXT)
            assert web.connections == 0
            same = [f"{LOCAL}:{web.port}"]
            for host in ("localhost", "2130706433"):
                ask = tool(f"http://{host}:{web.port}/", hosts=[*same, "::1"])
                assert await ask.run("{}", CONTEXT) == "secret"

    asyncio.run(main())


def test_a_redirect_is_told_and_not_followed() -> None:
    async def main() -> None:
        async with Web(saying("secret")) as inner:
            place = f"http://{LOCAL}:{inner.port}/meta/data?key=abc"
            for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent"):
                async with Web(saying("gone", f"Location: {place}", status=status)) as outer:
                    with pytest.raises(ToolError) as told:
                        await tool(f"http://{LOCAL}:{outer.port}/").run("{}", CONTEXT)
                    assert told.value.message == (
                        f"{LOCAL} answered {status}, which is not followed; it points to "
                        f"http://{LOCAL}:{inner.port}/meta/data"
                    )
            assert inner.connections == 0

    asyncio.run(main())


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to() -> None:
    """A name that leads elsewhere the second time (DNS rebinding) is never asked a second time."""
    asked: list[tuple[str, int]] = []

    def rebinding(name: str, port: int) -> list[str]:
        asked.append((name, port))
        return [LOCAL] if len(asked) % 2 else ["169.254.169.254"]

    async def main() -> None:
        async with Web(saying("hi")) as web:
            ask = tool(f"http://api.test:{web.port}/", hosts=["api.test"])
            ask = replace(ask, resolver=rebinding)
            assert await ask.run("{}", CONTEXT) == "hi"
            assert asked == [("api.test", web.port)]
            assert f"Host: api.test:{web.port}" in web.requests[0][0]
            with pytest.raises(ToolError, match="link-local address"):
                await ask.run("{}", CONTEXT)
            assert web.connections == 1

    asyncio.run(main())


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    async def main() -> None:
        async with Web(saying("hi")) as web:
            ask = tool(f"http://api.test:{web.port}/", hosts=[])
            ask = replace(ask, resolver=lambda name, port: [LOCAL, "8.8.8.8"])
            with pytest.raises(ToolError, match="loopback address"):
                await ask.run("{}", CONTEXT)
            assert web.connections == 0

    asyncio.run(main())


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async def main() -> None:
        async with Web(saying("hi")) as web:
            ask = tool(f"http://api.test:{web.port}/", hosts=["api.test"])
            ask = replace(ask, resolver=lambda name, port: ["127.0.0.9", LOCAL])
            assert await ask.run("{}", CONTEXT) == "hi"

    asyncio.run(main())


def test_proxies_and_passwords_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def main() -> None:
        async with Web(saying("wrong")) as proxy, Web(saying("hi", "Set-Cookie: a=b")) as web:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://{LOCAL}:{proxy.port}")
            (tmp_path / ".netrc").write_text(f"machine {LOCAL} login me password hunter2\n")
            monkeypatch.setenv("HOME", str(tmp_path))
            ask = tool(f"http://{LOCAL}:{web.port}/")
            assert await ask.run("{}", CONTEXT) == "hi"
            assert await ask.run("{}", CONTEXT) == "hi"
            assert proxy.connections == 0
            heads = "".join(head for head, _ in web.requests).lower()
            assert "cookie" not in heads
            assert "authorization" not in heads

    asyncio.run(main())


# -- what goes wrong


def test_nobody_there() -> None:
    async def main() -> None:
        async with Web(saying()) as web:
            port = web.port
        with pytest.raises(ToolError, match=rf"^{LOCAL} cannot be reached: connection refused$"):
            await tool(f"http://{LOCAL}:{port}/").run("{}", CONTEXT)
        with pytest.raises(ToolError, match=r"^no server is called no-such-name\.invalid"):
            await tool("http://no-such-name.invalid/").run("{}", CONTEXT)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        ('{"error":\n "no day"}', (), "404 Not Found", '404 Not Found: {"error": "no day"}'),
        ("<html><style>x{}</style><h1>Oh</h1>\n no</html>", ("Content-Type: text/html",),
         "500 Oops", "500 Oops: Oh no"),
        ("", (), "503 Service Unavailable", "503 Service Unavailable"),
        (b"\x89PNG\0", ("Content-Type: image/png",), "403 Forbidden", "403 Forbidden"),
        ("key sk-123456 is bad", (), "401 Unauthorized", "401 Unauthorized: key *** is bad"),
        ("x" * 100_000, (), "400 Bad Request", f"400 Bad Request: {'x' * 299}…"),
        # Without a time in it: the test is named after its bytes.
        (gzip.compress(b"x", mtime=0), ("Content-Encoding: gzip",),
         "400 Bad Request", "400 Bad Request"),
    ],
)  # fmt: skip
def test_failures_are_told_with_a_bit_of_the_body(
    body: bytes | str, headers: tuple[str, ...], status: str, words: str
) -> None:
    script = saying(body, *headers, status=status)
    key = {"Authorization": "Bearer sk-123456"}
    assert refused(script, headers=key) == f"{LOCAL} answered {words}"


def test_a_key_in_the_query_is_not_told_either() -> None:
    body = "no: /?apiKey=k-1111&page=2222 token=t-3333"
    script = saying(body, status="400 Bad Request")
    told = refused(script, path="/?apiKey=k-1111&page=2222", query={"token": "t-3333"})
    assert told.endswith("no: /?apiKey=***&page=2222 token=***")


def test_a_failure_is_told_without_the_rest_of_its_body() -> None:
    async def script(web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 9000\r\n\r\n" + b"x" * 5000)
        await reader.read()

    assert refused(script, timeout=20).startswith(f"{LOCAL} answered 500 Oops: xxx")


def test_what_is_no_text() -> None:
    png = saying(b"\x89PNG\r\n", "Content-Type: image/png")
    assert refused(png) == f"the answer of {LOCAL} is no text (image/png)"
    assert "is no text (data)" in refused(saying(b"\xff\xfe\x00"))
    assert "is no text" in refused(saying(b"a\0b", "Content-Type: text/plain"))
    bomb = saying(gzip.compress(bytes(1 << 24)), "Content-Encoding: gzip")
    assert refused(bomb) == f"the answer of {LOCAL} is compressed (gzip), unasked"


def test_what_is_no_http() -> None:
    def raw(data: bytes) -> Script:
        async def script(
            web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(data)
            await writer.drain()

        return script

    for data in (
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ):
        with pytest.raises(ToolError, match=r"broke off|without an answer|broke"):
            answered(raw(data))


# -- limits


def flood(head: str, piece: bytes) -> Script:
    """Bytes without end, as fast as they go."""

    async def script(web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(head.encode())
        while True:
            writer.write(piece)
            await writer.drain()
            web.sent += len(piece)

    return script


@pytest.mark.parametrize(
    ("head", "piece", "words"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, "is longer than 256 kB"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 65536,
         "is longer than 256 kB"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         b"10000\r\n" + b"x" * 65536 + b"\r\n", "is longer than 256 kB"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         b"1;" + b"y" * 9000 + b"\r\nx\r\n", "too long"),
        ("HTTP/1.1 500 Oops\r\n\r\n", b"x" * 65536, "answered 500 Oops: xxx"),
        ("HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 1000 + b"\r\n", "broke off|too long"),
        ("", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, "headers of .* are too long"),
        ("", b"x" * 65536, "broke off"),
    ],
)  # fmt: skip
def test_an_endless_answer_is_left_at_the_limit(head: str, piece: bytes, words: str) -> None:
    async def main() -> None:
        async with Web(flood(head, piece)) as web:
            with pytest.raises(ToolError, match=words):
                await tool(f"http://{LOCAL}:{web.port}/", timeout=30).run("{}", CONTEXT)
            await asyncio.wait_for(web.left.wait(), 10)
            # What the sockets of both sides hold, not what the server would like to send.
            assert web.sent < 32 * 1024 * 1024

    asyncio.run(main())


def test_up_to_the_limit_it_is_taken() -> None:
    assert len(answered(saying("x" * 256 * 1024))) == 256 * 1024
    assert "longer" in refused(saying("x" * (256 * 1024 + 1), length=False))


def test_an_answer_in_tiny_chunks() -> None:
    body = b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"
    assert answered(saying(body, "Transfer-Encoding: chunked", length=False)) == "x" * 100_000


def test_what_has_come_already_does_not_hold_the_loop_up() -> None:
    """Tiny chunks are slow to read, and a fast server has sent many before they are looked at."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    come = head + b"1\r\nx\r\n" * 30_000 + b"0\r\n\r\n"

    async def main() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with Web(silence) as web:
            _, writer = await asyncio.open_connection(LOCAL, web.port)
            reader = asyncio.StreamReader()
            reader.feed_data(come)
            spec = HttpSpec(f"http://{LOCAL}:{web.port}/")
            server = server_of(spec.url)
            request = request_of(spec, server, frozenset(), {})
            counting = asyncio.get_running_loop().create_task(count())
            assert (await talk(server, request, reader, writer)).body == b"x" * 30_000
            counting.cancel()
            writer.transport.abort()
        assert turns >= len(come) // (16 * 1024)

    asyncio.run(main())


def dripping(head: bytes, drop: bytes) -> Script:
    async def script(web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)

    return script


async def silence(web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    web.left.set()


@pytest.mark.parametrize(
    "script",
    [
        dripping(b"HTTP/1.1 200 OK\r\nX-A: ", b"y"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"y"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        silence,
    ],
    ids=["headers", "body", "chunks", "nothing"],
)
def test_a_slow_answer_ends_at_the_timeout(script: Script) -> None:
    async def main() -> None:
        async with Web(script) as web:
            with pytest.raises(ToolError, match=r"^Tool 'ask' timed out after 300ms\.$"):
                await tool(f"http://{LOCAL}:{web.port}/", timeout=0.3).run("{}", CONTEXT)
            await asyncio.wait_for(web.left.wait(), 10)

    asyncio.run(main())


def test_a_server_that_does_not_read_ends_at_the_timeout() -> None:
    async def main() -> None:
        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            held.append(writer)

        held: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(deaf, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        ask = tool(f"http://{LOCAL}:{port}/", method="POST", body="{a}", timeout=0.3)
        with pytest.raises(ToolError, match="timed out"):
            await ask.run('{"a": "%s"}' % ("x" * 20_000_000), CONTEXT)
        for writer in held:
            writer.transport.abort()
        server.close()

    asyncio.run(main())


def test_a_name_that_takes_for_ever_ends_at_the_timeout() -> None:
    freed = threading.Event()

    def hanging(name: str, port: int) -> list[str]:
        freed.wait(30)
        return []

    async def main() -> None:
        ask = replace(tool("http://api.test/", timeout=0.1), resolver=hanging)
        with pytest.raises(ToolError, match="timed out after 100ms"):
            await ask.run("{}", CONTEXT)

    try:
        asyncio.run(main())
    finally:
        freed.set()


def test_a_cancelled_call_closes_its_socket() -> None:
    async def main() -> None:
        async with Web(silence) as web:
            ask = tool(f"http://{LOCAL}:{web.port}/")
            call = asyncio.get_running_loop().create_task(ask.run("{}", CONTEXT))
            await until(lambda: web.requests)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(web.left.wait(), 10)

    asyncio.run(main())


# -- TLS


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for ``name``, and a client's that trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


def test_tls_is_checked_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path, "api.test")

    async def main() -> None:
        async with Web(saying("hi"), serving) as web:

            def ask(name: str, trust: Callable[[], ssl.SSLContext]) -> Awaitable[str]:
                made = tool(f"https://{name}:{web.port}/", hosts=[LOCAL])
                made = replace(made, resolver=lambda name, port: [LOCAL], tls=trust)
                return made.run("{}", CONTEXT)

            assert await ask("api.test", lambda: trusting) == "hi"
            for name, trust in (("other.test", lambda: trusting), ("api.test", usual_tls)):
                with pytest.raises(ToolError, match=rf"^the certificate of {name} is not valid"):
                    await ask(name, trust)
            assert len(web.requests) == 1

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(plain, LOCAL, 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ToolError, match=r"cannot be reached: TLS failed \(\w+\)$"):
                await tool(f"https://{LOCAL}:{port}/").run("{}", CONTEXT)

    asyncio.run(main())


# -- how it is declared


def test_keys_are_in_no_text_about_it() -> None:
    ask = tool(
        "https://api.example.com/?key=hunter2",
        headers={"K": "hunter2"},
        body="hunter2",
        method="PUT",
    )
    assert "hunter2" not in repr(ask)
    assert "hunter2" not in str(ask.wire())


def test_what_cannot_be_a_tool() -> None:
    for name in ("Host", "content-length", "Transfer-Encoding", "Connection"):
        with pytest.raises(ToolError, match=f"the header {name} of the tool 'ask'"):
            tool("https://api.example.com/", headers={name: "x"})
    with pytest.raises(ToolError, match="an argument cannot choose the server"):
        tool("https://{host}/")
    with pytest.raises(UserError, match="has no http"):
        http_tool(ToolSpec("ask", python="x.py:y"))
