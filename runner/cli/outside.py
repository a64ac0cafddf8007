"""`rtrun doctor --public FILE`: whether the world finds a deployment's telephone, and what to write
where it is announced."""

from __future__ import annotations

import asyncio
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from runner.cli.checkup import Finding
from runner.config.load import load
from runner.config.phone import where
from runner.errors import InputError, UsageError
from runner.model.deployment import Deployment
from runner.serve.phone.phones import Phones, given
from runner.serve.phone.probe import proof
from runner.tasks import in_thread
from runner.transports.posting import NoRedirect

SECONDS = 10.0
_SECRETS = {"sip": "webhook_secret", "twilio": "auth_token"}
_HINT = "does the proxy or tunnel pass it on, unchanged, to {listen}?"


async def outside(file: str, url: str | None, env: Mapping[str, str]) -> list[Finding]:
    """What was found. ConfigError, InputError, UsageError."""
    deployment = (await in_thread(partial(load, file, env=env))).deployment
    kind = deployment.transport.type
    if kind not in _SECRETS:
        raise UsageError(f"{file}: no telephone: transport {kind}", "transport: twilio, or sip")
    address = _address(deployment, url)
    secret = given(deployment, _SECRETS[kind])
    if not secret:
        words = f"transport.{_SECRETS[kind]} is missing: nothing starts without it"
        return [Finding("secret", "broken", words), *_to_write(deployment, address)]
    phones = Phones(_Nobody(), lambda: True, env, lambda name, error: None)
    try:
        with suppress(InputError):  # a run has the port: then it is the one to answer
            await phones.open(deployment, local=False, asked=True)
        found = [await _webhook(deployment, address, secret)]
        if kind == "twilio":
            found.append(await _socket(deployment, address, secret))
    finally:
        await phones.close()
    return [*found, *_to_write(deployment, address)]


def _address(deployment: Deployment, url: str | None) -> str:
    """The public URL of the webhook."""
    base = url or given(deployment, "public_url")
    if not base:
        words = "the file does not say its public address"
        raise UsageError(f"{deployment.name}: {words}", "--url https://voice.example.com")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{base} is no public address", "such as https://voice.example.com")
    path = where(deployment)[1]
    base = base.rstrip("/")
    return base if parts.path.endswith(path) else base + path


async def _webhook(deployment: Deployment, address: str, secret: str) -> Finding:
    nonce, began = secrets.token_hex(16), time.monotonic()
    hint = _HINT.format(listen=where(deployment)[0])
    try:
        said = await in_thread(_get, f"{address}/probe/{nonce}")
    except urllib.error.HTTPError as error:
        error.close()
        return Finding("webhook", "broken", f"{address} answers {error.code}, not rtrun", hint)
    except (OSError, ValueError) as error:
        words = str(getattr(error, "reason", "") or error)
        return Finding("webhook", "broken", f"{address} cannot be reached: {words}", hint)
    return _proven("webhook", address, said, proof(secret, nonce), began, hint)


async def _socket(deployment: Deployment, address: str, secret: str) -> Finding:
    nonce, began = secrets.token_hex(16), time.monotonic()
    hint = "does the proxy or tunnel pass WebSockets on, below the path too?"
    url = f"ws{address.removeprefix('http')}"
    try:
        async with connect(f"{url}/probe/{nonce}", open_timeout=SECONDS, close_timeout=1) as line:
            async with asyncio.timeout(SECONDS):
                said = str(await line.recv())
    except InvalidStatus as error:
        words = f"{url} refuses a WebSocket with {error.response.status_code}"
        return Finding("stream", "broken", words, hint)
    except (OSError, WebSocketException, TimeoutError) as error:
        words = f"{url} takes no WebSocket: {error or type(error).__name__}"
        return Finding("stream", "broken", words, hint)
    return _proven("stream", url, said, proof(secret, nonce), began, hint)


def _proven(name: str, url: str, said: str, expected: str, began: float, hint: str) -> Finding:
    if expected in said.split():
        took = (time.monotonic() - began) * 1000
        return Finding(name, "well", f"{url} leads here ({took:.0f} ms)")
    if said and not said.strip("0123456789abcdef\n"):
        hint = "is that process's secret the one of this file, and the path its own?"
        return Finding(name, "broken", f"{url} leads to an rtrun with another secret", hint)
    return Finding(name, "broken", f"{url} leads to something that is not rtrun", hint)


def _get(url: str) -> str:
    request = urllib.request.Request(url, headers={"User-Agent": "rtrun"})
    with urllib.request.build_opener(NoRedirect).open(request, timeout=SECONDS) as answer:
        return str(answer.read(65536).decode("utf-8", "replace"))


def _to_write(deployment: Deployment, address: str) -> Iterator[Finding]:
    """What is written at the carrier and the service."""
    if deployment.transport.type == "twilio":
        where_to = "Phone Numbers, the number, Voice Configuration, A call comes in"
        yield Finding("at Twilio", "well", f"{where_to}: Webhook, {address}, HTTP POST")
        return
    yield Finding("at OpenAI", "well", f"Webhooks, realtime.call.incoming: {address}")
    trunk = "sip:PROJECT_ID@sip.api.openai.com;transport=tls"
    yield Finding("at the carrier", "well", f"the trunk's origination: {trunk}")


class _Nobody:
    """Hears of no call: none is taken."""

    def began(self, of: Any, call: Any) -> None: ...

    def ended(self, of: Any, call: Any) -> None: ...

    def note(self, of: Any, text: str) -> None: ...
