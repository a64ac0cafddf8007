"""Ephemeral client secrets: a key for one browser or phone, with the agent's session bound to it.

The server mints them with its own key, through the official ``openai`` package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.agent import RealtimeAgent
from runner.errors import ConnectError, UserError
from runner.model.secret import Secret
from runner.options import SessionOptions
from runner.session import RealtimeSession
from runner.transports.wire import rest_base

FEWEST, MOST = 10, 7200
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """``value.reveal()`` is the key, ``ek_...``; it opens sessions until ``expires_at`` (unix
    seconds). ``session`` is what the service made of the agent."""

    value: Secret
    expires_at: int
    session: Mapping[str, Any]


async def create_client_secret(
    agent: RealtimeAgent,
    options: SessionOptions | Mapping[str, Any] | None = None,
    *,
    api_key: str | None = None,
    url: str | None = None,
    expires_after: int = 600,
) -> ClientSecret:
    """A secret bound to ``agent`` with these session ``options``. ``api_key``: OPENAI_API_KEY
    when left out; ``url`` of the API or of the engine (its WebSocket address will do);
    ``expires_after`` in seconds, 10 to 7,200. UserError for what cannot be, ConnectError with
    the server's words when it refuses."""
    if not FEWEST <= expires_after <= MOST:
        raise UserError(f"a client secret lasts {FEWEST} to {MOST:,} s", f"not {expires_after}")
    session = RealtimeSession(agent, options)
    wire = await session.initial_session_config()
    import openai

    try:
        async with openai.AsyncOpenAI(
            api_key=api_key,
            base_url=rest_base(url) if url else None,
            timeout=SECONDS,
            max_retries=1,
        ) as client:
            made = await client.realtime.client_secrets.create(
                session=wire,  # type: ignore[arg-type]  # the wire's own shape
                expires_after={"anchor": "created_at", "seconds": expires_after},
            )
    except openai.APIStatusError as error:
        words = f"no client secret: {error.status_code}: {_words(error)}"
        raise ConnectError(words, status=error.status_code) from None
    except openai.OpenAIError as error:
        raise ConnectError(f"no client secret: {error}") from None
    return ClientSecret(Secret(made.value), made.expires_at, made.session.model_dump(mode="json"))


def _words(error: Any) -> str:
    body = error.body
    return str(body["message"]) if isinstance(body, dict) and "message" in body else str(error)
