"""The session: its defaults, what ``session.update`` may do to it, and the echo.

Source: OpenAI's API reference of the session object (GA). An update merges (keys left out stay),
and one wrong value refuses it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from runner.audio.formats import PCM16, AudioFormat
from runner.engine.wire import fields
from runner.engine.wire.errors import WireError
from runner.engine.wire.shape import invalid, is_object, missing, not_one_of, wrong_type

SessionType = Literal["realtime", "transcription"]

DEFAULT_INSTRUCTIONS = (
    "You are a friendly and helpful voice assistant. Answer in one or two short spoken sentences, "
    "in the caller's language. Say so when you do not know something."
)
"""What a session holds until the client sets its own; ``""`` clears it."""

DEFAULT_VOICE = "marin"


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """Effective turn detection. ``eagerness`` counts for semantic_vad, the numbers for
    server_vad; ``idle_timeout_ms`` None is off."""

    kind: Literal["server_vad", "semantic_vad"]
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    eagerness: Literal["auto", "low", "medium", "high"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = None


# 200 ms of silence is what the service echoes when nothing was asked for, though the prose of
# its reference says 500.
_TURN_DEFAULTS: dict[str, dict[str, Any]] = {
    "server_vad": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
}


_SECRET = ("authorization", "headers")


def _audio_input() -> dict[str, Any]:
    return {
        "format": PCM16.wire(),
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": dict(_TURN_DEFAULTS["server_vad"]),
    }


class Settings:
    """One session's settings. ``expires_at`` in unix seconds; ``model`` any name, preview names
    too, and fixed from here on."""

    def __init__(
        self,
        model: str,
        session_id: str,
        *,
        type: SessionType = "realtime",
        expires_at: int = 0,
        instructions: str = DEFAULT_INSTRUCTIONS,
        voice: str = DEFAULT_VOICE,
        model_named: bool = True,
    ) -> None:
        # A client that named no model when it connected may do so once, in an update.
        self._model_named = model_named
        self._session: dict[str, Any]
        if type == "transcription":
            self._session = {
                "type": type,
                "id": session_id,
                "object": "realtime.transcription_session",
                "expires_at": expires_at,
                "include": None,
                "audio": {"input": _audio_input()},
            }
        else:
            self._session = {
                "type": type,
                "object": "realtime.session",
                "id": session_id,
                "model": model,
                "output_modalities": ["audio"],
                "instructions": instructions,
                "tools": [],
                "tool_choice": "auto",
                "max_output_tokens": "inf",
                "tracing": None,
                "truncation": "auto",
                "prompt": None,
                "expires_at": expires_at,
                "audio": {
                    "input": _audio_input(),
                    "output": {"format": PCM16.wire(), "voice": voice, "speed": 1.0},
                },
                "include": None,
            }

    def effective(self) -> dict[str, Any]:
        """The full session in GA shape, as session.created and session.updated carry it. A copy.

        ``parallel_tool_calls`` and ``reasoning`` are in it once they were set. The keys of MCP
        servers are not: whoever may read the session need not hold them.
        """
        session: dict[str, Any] = _copied(self._session)
        for tool in session.get("tools", ()):
            for key in _SECRET if tool.get("type") == "mcp" else ():
                tool.pop(key, None)
        return session

    def update(
        self,
        patch: Any,
        *,
        audio_produced: bool = False,
        responding: bool = False,
        event_id: str | None = None,
    ) -> None:
        """Merge the ``session`` object of a session.update.

        ``audio_produced``: the session has spoken, its voice is fixed. ``responding``: a response
        is in progress, the speed is fixed. On WireError nothing has changed.
        """
        try:
            self._session = self._merged(patch, audio_produced, responding)
            self._model_named = self._model_named or "model" in patch
        except WireError as error:
            raise error.about(event_id) from None

    def _merged(self, patch: Any, audio_produced: bool, responding: bool) -> dict[str, Any]:
        old = self._session
        is_object(patch, "session")
        self._check_type(patch)
        realtime = old["type"] == "realtime"
        checked = (fields.REALTIME if realtime else fields.TRANSCRIPTION)(patch, "session")
        new: dict[str, Any] = _copied(old)
        audio = _copied(checked.pop("audio", {}))
        new.update(_copied(checked))
        _merge_input(new["audio"]["input"], audio.get("input", {}))
        if not realtime:
            _check_whisper(new["audio"]["input"])
            return new
        output = audio.get("output", {})
        if "format" in output:
            output["format"] = AudioFormat.from_wire(output["format"]).wire()
        new["audio"]["output"].update(output)
        self._check_pinned(new, audio_produced, responding)
        return new

    def _check_type(self, patch: dict[str, Any]) -> None:
        own = self._session["type"]
        if "type" not in patch:
            missing("session.type")
        asked = patch["type"]
        if not isinstance(asked, str):
            wrong_type("session.type", "a string", asked)
        if asked not in get_args(SessionType):
            not_one_of("session.type", asked, get_args(SessionType))
        if asked != own:
            invalid(
                "session.type",
                f"Passing a {asked} session update event to a {own} session is not allowed.",
            )

    def _check_pinned(self, new: dict[str, Any], audio_produced: bool, responding: bool) -> None:
        """What may not change any more, compared by value: repeating it is always fine."""
        old = self._session
        before, after = old["audio"]["output"], new["audio"]["output"]
        if self._model_named and new["model"] != old["model"]:
            invalid(
                "session.model",
                f"Invalid value: '{fields.clip(new['model'])}'. The model of a session cannot be "
                f"changed, it is '{old['model']}'.",
            )
        if audio_produced and after["voice"] != before["voice"]:
            # The service names no param here.
            raise WireError(
                "Cannot update a conversation's voice if assistant audio is present.",
                code="cannot_update_voice",
            )
        if responding and after["speed"] != before["speed"]:
            invalid(
                "session.audio.output.speed",
                "Cannot update the speed while a response is in progress.",
            )
        if old["tracing"] is not None and new["tracing"] != old["tracing"]:
            invalid(
                "session.tracing",
                "Cannot update the tracing configuration once tracing is enabled.",
            )

    # What the engine goes by ---------------------------------------------------------------
    @property
    def id(self) -> str:
        return str(self._session["id"])

    @property
    def type(self) -> str:
        """``realtime`` or ``transcription``; the latter makes no responses."""
        return str(self._session["type"])

    @property
    def model(self) -> str:
        return str(self._session.get("model", ""))

    @property
    def turn_detection(self) -> TurnDetection | None:
        """None is push to talk."""
        value = self._session["audio"]["input"]["turn_detection"]
        if value is None:
            return None
        return TurnDetection(kind=value["type"], **{k: v for k, v in value.items() if k != "type"})

    @property
    def input_format(self) -> AudioFormat:
        return AudioFormat.from_wire(self._session["audio"]["input"]["format"])

    @property
    def output_format(self) -> AudioFormat:
        return AudioFormat.from_wire(self._output.get("format", PCM16.wire()))

    @property
    def transcription(self) -> dict[str, Any] | None:
        """``{"model": ..., "language": ..., ...}`` with what was set, None when off."""
        value: dict[str, Any] | None = _copied(self._session["audio"]["input"]["transcription"])
        return value

    @property
    def noise_reduction(self) -> dict[str, Any] | None:
        value: dict[str, Any] | None = _copied(self._session["audio"]["input"]["noise_reduction"])
        return value

    @property
    def voice(self) -> str:
        """A name, or the id of a custom voice."""
        value = self._output.get("voice", DEFAULT_VOICE)
        return str(value["id"] if isinstance(value, dict) else value)

    @property
    def speed(self) -> float:
        return float(self._output.get("speed", 1.0))

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self._session.get("output_modalities", ("text",)))

    @property
    def instructions(self) -> str:
        return str(self._session.get("instructions", ""))

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Function and mcp tools in the wire's shape."""
        return list(self._session.get("tools", ()))

    @property
    def tool_choice(self) -> Any:
        return self._session.get("tool_choice", "auto")

    @property
    def max_output_tokens(self) -> int | str:
        """1 to 4096, or ``"inf"``."""
        value: int | str = self._session.get("max_output_tokens", "inf")
        return value

    @property
    def logprobs(self) -> bool:
        """Whether transcription events should carry log probabilities."""
        return bool(self._session["include"])

    @property
    def _output(self) -> dict[str, Any]:
        value: dict[str, Any] = self._session["audio"].get("output", {})
        return value


def _copied(value: Any) -> Any:
    """A copy of what JSON can say, in a third of the time that copy.deepcopy takes."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value


def _merge_input(state: dict[str, Any], patch: dict[str, Any]) -> None:
    """``patch`` is checked; ``state`` is a copy that may be changed in place."""
    path = "session.audio.input"
    if "format" in patch:
        state["format"] = AudioFormat.from_wire(patch["format"]).wire()
    if "turn_detection" in patch:
        state["turn_detection"] = _turn(state["turn_detection"], patch["turn_detection"])
    if "transcription" in patch:
        asked = patch["transcription"]
        if asked is not None and "model" not in asked:
            # Without a model it refines what is there; with one it is the whole of it.
            if state["transcription"] is None:
                missing(f"{path}.transcription.model")
            asked = {**state["transcription"], **asked}
        state["transcription"] = asked
    if "noise_reduction" in patch:
        asked = patch["noise_reduction"]
        if asked is not None:
            asked = {**(state["noise_reduction"] or {}), **asked}
            if "type" not in asked:
                missing(f"{path}.noise_reduction.type")
        state["noise_reduction"] = asked


def _turn(old: dict[str, Any] | None, patch: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same type is merged, another type starts from its own defaults."""
    if patch is None:
        return None
    base = old if old and old["type"] == patch["type"] else _TURN_DEFAULTS[patch["type"]]
    return {**base, **patch}


def _check_whisper(state: dict[str, Any]) -> None:
    model = (state["transcription"] or {}).get("model")
    if model == "gpt-realtime-whisper" and state["turn_detection"] is not None:
        invalid(
            "session.audio.input.turn_detection",
            "Turn detection must be null for the transcription model 'gpt-realtime-whisper'.",
        )
