"""An error that goes to the client as an ``error`` event, while the session stays open."""

from __future__ import annotations

from typing import Any, Literal, Self

from runner.engine.wire.ids import new_id

ErrorType = Literal["invalid_request_error", "server_error"]


class WireError(Exception):
    """``code`` and ``message`` in the real service's words, ``param`` the dotted path of the
    offending field (``session.tools[0].name``), ``event_id`` the client event it answers."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
        type: ErrorType = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.type: ErrorType = type
        self.code = code
        self.param = param
        self.event_id = event_id

    def about(self, event_id: str | None) -> Self:
        """The same error as an answer to that client event, unless it names one already."""
        if self.event_id is None:
            self.event_id = event_id
        return self

    def event(self) -> dict[str, Any]:
        """The whole server event, with an ``event_id`` of its own."""
        return {
            "type": "error",
            "event_id": new_id("event"),
            "error": {
                "type": self.type,
                "code": self.code,
                "message": self.message,
                "param": self.param,
                "event_id": self.event_id,
            },
        }


def active_response(response_id: str) -> WireError:
    """A second response for the conversation while one is running."""
    return WireError(
        f"Conversation already has an active response in progress: {response_id}. "
        "Wait until the response is finished before creating a new one.",
        code="conversation_already_has_active_response",
    )


def cancel_not_active() -> WireError:
    """``response.cancel`` with nothing to cancel. Clients test how the message begins."""
    return WireError(
        "Cancellation failed: no active response found", code="response_cancel_not_active"
    )


def commit_empty(ms: float) -> WireError:
    """``input_audio_buffer.commit`` with under 100 ms of audio in the buffer."""
    return WireError(
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of "
        f"audio, but buffer only has {ms:.2f}ms of audio.",
        code="input_audio_buffer_commit_empty",
    )


def session_expired() -> WireError:
    """The session reached its 60 minutes; the socket closes after this event."""
    return WireError("Your session hit the maximum duration of 60 minutes.", code="session_expired")


def server_error(message: str, *, code: str | None = None) -> WireError:
    """Something of ours failed."""
    return WireError(message, code=code, type="server_error")
