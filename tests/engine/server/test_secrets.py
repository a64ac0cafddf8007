"""Client secrets of the engine: made with its key, bound to a session, and refused in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import websockets
from support.engine import Puppet, Serving, serving

KEY = {"Authorization": "Bearer sk-right"}


@pytest.fixture(scope="module")
def locked() -> Iterator[Serving]:
    with serving(Puppet(), None, "none here", key="sk-right") as running:
        yield running


def make(engine: Serving, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(
        f"{engine.http}/realtime/client_secrets", json=body, headers={**KEY, **headers}
    )


async def first(url: str, key: str, **options: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    async with websockets.connect(url, additional_headers=headers, **options) as socket:
        return json.loads(await socket.recv())


def test_a_secret_opens_sessions_that_begin_as_it_says(locked: Serving) -> None:
    session = {"type": "realtime", "model": "gpt-realtime-mini", "instructions": "Speak softly."}
    made = make(locked, {"session": {**session, "output_modalities": ["text"]}})
    assert made.status_code == 200
    told = made.json()
    assert told["value"].startswith("ek_")
    assert told["session"]["instructions"] == "Speak softly."
    for _ in range(2):  # any number of sessions until it expires
        created = asyncio.run(first(locked.url, told["value"]))
        assert created["session"]["instructions"] == "Speak softly."
        assert created["session"]["model"] == "gpt-realtime-mini"


def test_a_browser_brings_its_secret_by_subprotocol(locked: Serving) -> None:
    value = make(locked, {}).json()["value"]

    async def story() -> None:
        protocols = ["realtime", f"openai-insecure-api-key.{value}"]
        async with websockets.connect(locked.url, subprotocols=protocols) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"

    asyncio.run(story())


def test_foreign_and_expired_secrets_are_refused(
    locked: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(websockets.InvalidStatus, match="401"):
        asyncio.run(first(locked.url, "ek_" + "0" * 32))
    value = make(locked, {"expires_after": {"anchor": "created_at", "seconds": 10}}).json()["value"]
    asyncio.run(first(locked.url, value))
    later = time.time() + 11
    monkeypatch.setattr(locked.engine.secrets, "_now", lambda: later)
    with pytest.raises(websockets.InvalidStatus, match="401"):
        asyncio.run(first(locked.url, value))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "used_at", "seconds": 60}}, "expires_after.anchor"),
        ({"session": {"type": "realtime", "voise": "ash"}}, "session.voise"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    locked: Serving, body: dict[str, Any], param: str
) -> None:
    refused = make(locked, body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param


def test_a_secret_makes_no_secrets(locked: Serving) -> None:
    value = make(locked, {}).json()["value"]
    assert make(locked, {}, Authorization=f"Bearer {value}").status_code == 401


def test_an_open_engine_refuses_a_secret_that_is_none() -> None:
    with serving(Puppet(), None, "none here") as open_engine:
        with pytest.raises(websockets.InvalidStatus, match="401"):
            asyncio.run(first(open_engine.url, "ek_made_up"))
        assert asyncio.run(first(open_engine.url, "anything"))["type"] == "session.created"
