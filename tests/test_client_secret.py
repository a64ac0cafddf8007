"""Client secrets, minted through the openai package on the embedded engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from support.engine import Puppet, Serving, serving

from runner import RealtimeAgent, RealtimeSession, create_client_secret
from runner.errors import ConnectError, UserError


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), None, "none here", key="sk-right") as running:
        yield running


def test_a_phone_gets_a_key_of_its_own_with_the_agent_bound_to_it(engine: Serving) -> None:
    async def story() -> None:
        agent = RealtimeAgent("desk", "Be brief.")
        made = await create_client_secret(
            agent,
            {"model": "gpt-realtime", "config": {"outputModalities": ["text"]}},
            api_key="sk-right",
            url=engine.url,
            expires_after=60,
        )
        assert made.session["instructions"] == "Be brief."
        assert "ek_" not in repr(made)
        options = {"config": {"outputModalities": ["text"]}, "api_key": made.value.reveal}
        async with RealtimeSession(agent, options) as session:
            await session.connect(url=engine.url)
            assert session.effective["instructions"] == "Be brief."

    asyncio.run(story())


def test_refusals_are_told(engine: Serving) -> None:
    async def story() -> None:
        agent = RealtimeAgent("desk")
        with pytest.raises(ConnectError, match=r"401.*Incorrect API key"):
            await create_client_secret(agent, api_key="sk-wrong", url=engine.http)
        with pytest.raises(UserError, match="10 to 7,200"):
            await create_client_secret(agent, api_key="x", url=engine.http, expires_after=5)
        with pytest.raises(ConnectError, match="no client secret"):
            await create_client_secret(agent, api_key="x", url="http://127.0.0.1:9/v1")

    asyncio.run(story())
