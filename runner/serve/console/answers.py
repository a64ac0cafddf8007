"""The answers of the console's port, each with what keeps a browser from being used against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runner.codec import dumps
from runner.errors import RtrunError

FILES = Path(__file__).parent / "page"
NO_ENTRY = "no-entry.html"
_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def file_answer(name: str, headers: Mapping[str, str], status: int = 200) -> Response:
    file = FILES / name
    # Older browsers do not count a WebSocket of the same port to 'self'.
    own = f"ws://{headers.get('host', '')}"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {own}; media-src 'self' blob:; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors 'none'"
    )
    return Response(
        file.read_bytes(),
        status,
        {
            **HEADERS,
            "Content-Security-Policy": policy,
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
        _KINDS[file.suffix],
    )


def json_answer(value: Mapping[str, Any], status: int = 200) -> Response:
    text = dumps(value).encode("utf-8", "replace")
    return Response(text, status, HEADERS, "application/json")


def refused(error: RtrunError) -> Response:
    return json_answer({"ok": False, "error": error.message, "hint": error.hint}, 502)


async def on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return json_answer({"ok": False, "error": error.detail}, error.status_code)
