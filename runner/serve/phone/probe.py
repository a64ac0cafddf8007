"""Does a public address lead here? Asked by `rtrun doctor --public`, from outside, of whoever is
there: who knows the phone's secret answers with proof of it, and tells nothing else."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from runner.serve.door import plain

#: Below the path of the phone's webhook.
PATH = "/probe/{nonce:str}"
_LONGEST = 64


def proof(secret: str, nonce: str) -> str:
    """What is no signature that Twilio or OpenAI would make, whatever the nonce."""
    key = hashlib.sha256(b"rtrun doctor\0" + secret.encode()).digest()
    return hmac.new(key, nonce.encode(), hashlib.sha256).hexdigest()


def proofs(secrets: Iterable[str], nonce: str) -> str:
    """One a line, of all phones behind an address."""
    fit = len(nonce) <= _LONGEST and nonce.isalnum()
    return "\n".join(sorted({proof(secret, nonce) for secret in secrets})) if fit else ""


def answer(request: Request, secrets: Iterable[str]) -> Response:
    return plain(200, proofs(secrets, request.path_params["nonce"]))


async def answer_socket(socket: WebSocket, secrets: Iterable[str]) -> None:
    await socket.accept()
    await socket.send_text(proofs(secrets, socket.path_params["nonce"]))
    await socket.close()
