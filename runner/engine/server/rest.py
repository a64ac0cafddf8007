"""The engine's REST side: models, speech, health, and OpenAI's way of saying no."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runner import codec
from runner.audio.formats import PCM16
from runner.engine.ports import Models
from runner.engine.server.auth import allowed, presented_key, refusal

MODELS = (
    "gpt-realtime",
    "gpt-realtime-1.5",
    "gpt-realtime-2",
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
    "gpt-realtime-mini",
)
MAX_BODY = 1024 * 1024
MAX_INPUT = 4096  # characters; OpenAI's reference, createSpeech


def json(body: Any, status: int = 200) -> Response:
    return Response(codec.dumps(body), status, media_type="application/json")


def problem(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
) -> Response:
    """OpenAI's error body."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return json({"error": {"message": message, "type": kind, "param": param, "code": code}}, status)


async def on_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = f"{request.method} {request.url.path}"
    if status == 404:
        return problem(404, f"Invalid URL ({path})", code="unknown_url")
    if status == 405:
        return problem(405, f"Not allowed to {path}", code="method_not_supported")
    return problem(status, f"{path}: {error}")


async def on_crash(request: Request, error: Exception) -> Response:
    return problem(500, "The engine had an error while processing your request.")


Handler = Callable[[Request], Awaitable[Response]]


class Rest:
    """Handlers of one engine. ``key`` '' opens to anybody."""

    def __init__(self, key: str, models: Models | None, no_speech: str) -> None:
        self._key = key
        self._models = models
        self._no_speech = no_speech

    def guarded(self, handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            presented = presented_key(request.headers)
            if not allowed(self._key, presented):
                code, message = refusal(presented)
                return problem(401, message, code=code)
            return await handler(request)

        return handle

    async def list_models(self, request: Request) -> Response:
        return json({"object": "list", "data": [_model(name) for name in MODELS]})

    async def get_model(self, request: Request) -> Response:
        name = request.path_params["model"]
        if name not in MODELS:
            return problem(
                404, f"The model '{name}' does not exist", code="model_not_found", param="model"
            )
        return json(_model(name))

    async def speech(self, request: Request) -> Response:
        """OpenAI's createSpeech with ``pcm`` (24 kHz) and ``wav``."""
        if self._models is None:
            return problem(503, self._no_speech, code="audio_unavailable")
        body = await body_of(request)
        if isinstance(body, Response):
            return body
        text = body.get("input")
        if not isinstance(text, str) or not text.strip():
            return problem(400, "input must be the text to speak.", param="input")
        if len(text) > MAX_INPUT:
            return problem(
                400, f"input has {len(text)} characters; {MAX_INPUT} are allowed.", param="input"
            )
        voice = body.get("voice", "alloy")
        name = voice.get("id") if isinstance(voice, dict) else voice
        if not isinstance(name, str):
            return problem(400, "voice must be the name of a voice.", param="voice")
        form = body.get("response_format", "wav")
        if form not in ("pcm", "wav"):
            return problem(
                400,
                f"response_format {form!r} is not made here; use pcm or wav.",
                param="response_format",
            )
        speed = body.get("speed", 1.0)
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.25 <= speed <= 4:
            return problem(400, "speed must be a number from 0.25 to 4.0.", param="speed")
        pcm = await self._speak(text, name, float(speed))
        if form == "pcm":
            return Response(pcm, media_type="audio/pcm")
        return Response(_wav(pcm), media_type="audio/wav")

    async def _speak(self, text: str, voice: str, speed: float) -> bytes:
        assert self._models is not None
        said = self._models.voice.say(text, voice, speed)
        return b"".join([spoken.pcm24k async for spoken in said])


#: The service's words for a call that is not there (user reports).
GONE = "No session found for the provided call_id"


def no_such_call() -> Response:
    return problem(404, GONE, code="call_id_not_found", param="call_id")


async def read(request: Request, most: int) -> bytes | Response:
    """The whole body, or the refusal of one that is too large."""
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > most:
            return problem(413, f"The body is larger than {most} bytes.")
    return data


async def body_of(request: Request) -> dict[str, Any] | Response:
    data = await read(request, MAX_BODY)
    if isinstance(data, Response):
        return data
    try:
        body = codec.loads(data)
    except ValueError as error:
        return problem(400, f"The body is not valid JSON: {error}")
    if not isinstance(body, dict):
        return problem(400, "The body must be a JSON object.")
    return body


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1756339200, "owned_by": "rtrun"}


def _wav(pcm24k: bytes) -> bytes:
    rate, width = PCM16.rate, PCM16.bytes_per_sample
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * width, width, width * 8)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(pcm24k)) + pcm24k
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
