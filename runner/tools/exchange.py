"""One HTTP/1.1 exchange with an address that was looked at before: strictly bounded, no reuse.

h11 reads and writes the protocol; it comes with uvicorn. A client of its own, because the usual
ones look names up themselves, follow redirects, heed proxies and undo compression: each of them
a way around a check.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

import h11

from runner.errors import ToolError
from runner.tools.answer import MAX_OUTPUT, Answer
from runner.tools.request import Request, Server

#: All headers of an answer, in bytes.
MAX_HEADERS = 64 * 1024
#: Of the body of an answer that is no success, so that it can be told why.
MAX_REASON = 4 * 1024
#: All that is read of an answer. A body in tiny chunks is many times itself.
MAX_WIRE = 4 * MAX_OUTPUT
_PIECE = 16 * 1024


@cache
def usual_tls() -> ssl.SSLContext:
    """The system's certificates, certifi's where it has none. Blocks for some 20 ms."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        with suppress(ImportError, OSError):
            import certifi

            context.load_verify_locations(certifi.where())
    return context


async def exchange(
    server: Server,
    addresses: Sequence[str],
    request: Request,
    tls: ssl.SSLContext | None,
    patience: float,
) -> Answer:
    """Send ``request`` to the first of ``addresses`` that answers, ``patience`` seconds for each
    but the last. With ``tls`` the certificate is checked for ``server.name``. ToolError says what
    went wrong; however it ends, the socket is closed."""
    reader, writer = await _connected(server, addresses, tls, patience)
    try:
        return await talk(server, request, reader, writer)
    except h11.RemoteProtocolError as error:
        raise ToolError(
            f"{server.name} does not answer in HTTP, or broke off", str(error)
        ) from None
    except h11.LocalProtocolError as error:
        raise ToolError(f"the request to {server.name} is no HTTP", _kind(error)) from None
    except (OSError, EOFError) as error:
        raise ToolError(f"the connection to {server.name} broke: {_kind(error)}") from None
    finally:
        # Not close(), which would wait until a slow reader has taken all that was written.
        writer.transport.abort()


async def _connected(
    server: Server, addresses: Sequence[str], tls: ssl.SSLContext | None, patience: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = server.name if tls else None
    for left, address in reversed(list(enumerate(reversed(addresses)))):
        try:
            async with asyncio.timeout(patience if left else None):
                return await asyncio.open_connection(
                    address, server.port, ssl=tls, server_hostname=name, limit=_PIECE
                )
        except ssl.SSLCertVerificationError as error:
            raise ToolError(
                f"the certificate of {server.name} is not valid: {error.verify_message}"
            ) from None
        except OSError as error:  # a TimeoutError is one
            if not left:
                raise ToolError(f"{server.name} cannot be reached: {_kind(error)}") from None
    raise ToolError(f"{server.name} has no address")


async def talk(
    server: Server,
    request: Request,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> Answer:
    """The exchange itself, over a connection that is there. Raises what h11 and the socket do."""
    wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADERS)
    head = h11.Request(
        method=request.method,
        target=request.target,
        headers=[(name.encode(), value.encode()) for name, value in request.headers],
    )
    sent = [wire.send(head)]
    if request.body:
        sent.append(wire.send(h11.Data(request.body)))
    sent.append(wire.send(h11.EndOfMessage()))
    writer.write(b"".join(part for part in sent if part))
    with suppress(ConnectionError):  # it may have answered before it heard all of it
        await writer.drain()

    answer: h11.Response | None = None
    headers: dict[str, str] = {}
    body = bytearray()
    most, received = MAX_OUTPUT, 0
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            if answer is None and received > MAX_HEADERS:
                raise ToolError(f"the headers of {server.name} are too long")
            if received > MAX_WIRE:
                raise ToolError(f"the answer of {server.name} is too long")
            data = await reader.read(_PIECE)
            received += len(data)
            wire.receive_data(data)
            await asyncio.sleep(0)  # a fast server must not keep the loop from the call
        elif isinstance(event, h11.Response):
            answer = event
            headers = {
                key.decode("latin-1"): value.decode("latin-1") for key, value in event.headers
            }
            if not 200 <= answer.status_code < 300:
                most = MAX_REASON
            length = headers.get("content-length", "")
            if length.isdigit() and int(length) > most == MAX_OUTPUT:
                return _answer(answer, headers, b"", cut=True)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most:
                assert answer is not None
                return _answer(answer, headers, bytes(body[:most]), cut=True)
        elif isinstance(event, h11.EndOfMessage):
            assert answer is not None
            return _answer(answer, headers, bytes(body), cut=False)
        elif not isinstance(event, h11.InformationalResponse):
            raise ToolError(f"{server.name} closed the connection without an answer")


def _answer(head: h11.Response, headers: dict[str, str], body: bytes, *, cut: bool) -> Answer:
    return Answer(head.status_code, head.reason.decode("latin-1"), headers, body, cut)


def _kind(error: BaseException) -> str:
    """Words that hold nothing of the request and no address."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason})"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return type(error).__name__
