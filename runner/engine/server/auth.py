"""Who may connect: the key by header, or by the subprotocol that browsers use."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

KEY_PROTOCOL = "openai-insecure-api-key."


def presented_key(headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> str:
    """The key a request carries, '' when it carries none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    # Azure-style clients send the bare key.
    if headers.get("api-key"):
        return headers["api-key"].strip()
    for name in subprotocols:
        if name.startswith(KEY_PROTOCOL):
            return name[len(KEY_PROTOCOL) :]
    return ""


def allowed(key: str, presented: str) -> bool:
    """Whether ``presented`` opens an engine with ``key`` ('' opens to any key, or none)."""
    return not key or hmac.compare_digest(key.encode(), presented.encode())


def refusal(presented: str) -> tuple[str, str]:
    """(code, message) for a request that is not allowed."""
    if not presented:
        return (
            "missing_api_key",
            "You didn't provide an API key. Send it in an Authorization header: "
            "Authorization: Bearer YOUR_KEY.",
        )
    return "invalid_api_key", "Incorrect API key provided."
