"""The default conversation: its items, their order, their audio, and what was heard of it.

Source of the rules: OpenAI's API reference of conversation.item.* (GA); the error codes are those
that clients of the service test for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, NoReturn

from runner.audio.formats import PCM16, AudioFormat
from runner.engine.wire import usage
from runner.engine.wire.errors import WireError
from runner.engine.wire.itemshape import check_item
from runner.engine.wire.parts import Part
from runner.engine.wire.shape import invalid
from runner.engine.wire.stored import Stored, from_client, weight_of

MAX_AUDIO_KEPT = 64 * 1024 * 1024
"""Bytes of audio one conversation keeps for retrieve (22 minutes of PCM); the oldest go first."""


class Items:
    """The items of one conversation. A throwaway one serves an out-of-band response.

    What events carry (:meth:`wire`) never holds audio bytes and always holds ``transcript`` on
    input_audio. The methods under "what the engine adds" trust their caller and go on working
    for an item that the client deletes while it is being written.
    """

    def __init__(self) -> None:
        self._items: dict[str, Stored] = {}
        self._order: list[str] = []
        # Approval requests that were answered, also those whose answer was deleted since.
        self._decided: set[str] = set()
        # Those that a response has made: only behind these stands a call.
        self._requested: set[str] = set()

    # What clients ask for ------------------------------------------------------------------
    def create(
        self,
        item: Any,
        previous_item_id: str | None = None,
        *,
        input_format: AudioFormat = PCM16,
        event_id: str | None = None,
    ) -> dict[str, Any]:
        """Validate and store a client's item; its wire view.

        ``previous_item_id`` None appends, ``"root"`` puts it first. ``input_format`` is that of
        input_audio content. WireError: nothing was stored.
        """
        try:
            made = self._made(item, input_format)
            at = self._place(previous_item_id)
        except WireError as error:
            raise error.about(event_id) from None
        if made.type == "mcp_approval_response":
            self._decided.add(made.fields["approval_request_id"])
        return self._put(made, at)

    def delete(self, item_id: str) -> None:
        """WireError ``item_delete_invalid_item_id`` for an unknown one."""
        item = self._known(item_id, "delet")
        self._order.remove(item_id)
        if item.unfinished:
            item.gone = True
        else:
            del self._items[item_id]

    def retrieve(self, item_id: str) -> dict[str, Any]:
        """The wire view with base64 audio. WireError ``item_retrieve_invalid_item_id``."""
        return self._known(item_id, "retriev").wire(audio=True)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut audio and transcript of an assistant message to what was heard.

        Later than the audio that was sent is an error, and nothing is cut. The words kept are
        those that were whole at that moment, by the marks of :meth:`add_audio`.
        """
        item = self._known(item_id, "truncat")
        parts = item.parts or []
        part = parts[content_index] if content_index < len(parts) else None
        if item.fields.get("role") != "assistant" or not parts:
            part = None
        elif part is None:
            invalid(
                "content_index",
                f"Invalid 'content_index': item '{item_id}' has no content part {content_index}.",
            )
        if part is None or part.kind != "output_audio" or not (part.nbytes or part.cut):
            raise WireError(
                "Only model output audio messages can be truncated",
                code="unsupported_content_type",
            )
        if audio_end_ms > ceil(part.ms):
            invalid(
                "audio_end_ms",
                f"Audio content of {int(part.ms)}ms is already shorter than {audio_end_ms}ms",
            )
        part.truncate(audio_end_ms)
        item.edits += 1

    # What the engine adds ------------------------------------------------------------------
    def add_user_audio(self, item_id: str, audio: bytes, format: AudioFormat) -> dict[str, Any]:
        """A committed input buffer: a completed user message of one input_audio part."""
        part = Part("input_audio", format=format, audio=bytearray(audio), nbytes=len(audio))
        fields = {"id": item_id, "type": "message", "status": "completed", "role": "user"}
        return self._put(Stored(fields, [part]))

    def set_transcript(
        self, item_id: str, text: str, *, content_index: int = 0, public: bool = True
    ) -> None:
        """What was recognised. Not ``public``: for the brain alone (transcription is off)."""
        item = self._items.get(item_id)
        if item is None or not item.parts:
            return
        part = item.parts[content_index]
        part.spoken = text
        if public:
            part.text = text

    def start_message(self, item_id: str) -> dict[str, Any]:
        """An assistant message, in_progress and empty, at the end of the conversation."""
        fields = {"id": item_id, "type": "message", "status": "in_progress", "role": "assistant"}
        return self._put(Stored(fields, []))

    def start_call(self, item_id: str, call_id: str, name: str) -> dict[str, Any]:
        """A function call, in_progress, arguments ``""``."""
        fields = {
            "id": item_id,
            "type": "function_call",
            "status": "in_progress",
            "call_id": call_id,
            "name": name,
            "arguments": "",
        }
        return self._put(Stored(fields))

    def start_mcp_list(self, item_id: str, label: str) -> dict[str, Any]:
        """The tools of an MCP server, none yet."""
        fields = {"id": item_id, "type": "mcp_list_tools", "server_label": label, "tools": []}
        return self._put(Stored(fields, running=True))

    def set_mcp_tools(self, item_id: str, tools: list[dict[str, Any]]) -> None:
        """What the server listed, before :meth:`finish`."""
        self._items[item_id].fields["tools"] = tools

    def start_mcp_call(
        self, item_id: str, label: str, name: str, request_id: str | None
    ) -> dict[str, Any]:
        """A call of an MCP tool, arguments ``""``; ``request_id`` of its approval."""
        fields = {
            "id": item_id,
            "type": "mcp_call",
            "server_label": label,
            "name": name,
            "arguments": "",
            "approval_request_id": request_id,
            "output": None,
            "error": None,
        }
        return self._put(Stored(fields, running=True))

    def await_outcome(self, item_id: str) -> None:
        """The arguments are whole. The item stays unfinished, and is in :meth:`prompt` from now."""
        self._items[item_id].awaits = True

    def set_mcp_outcome(
        self, item_id: str, *, output: str | None = None, error: dict[str, Any] | None = None
    ) -> None:
        """What came of the call, before :meth:`finish`."""
        item = self._items[item_id]
        item.fields.update(output=output, error=error)
        item.edits += 1

    def start_mcp_request(
        self, item_id: str, label: str, name: str, arguments: str
    ) -> dict[str, Any]:
        """A request for the approval of a call of an MCP tool."""
        self._requested.add(item_id)
        fields = {
            "id": item_id,
            "type": "mcp_approval_request",
            "server_label": label,
            "name": name,
            "arguments": arguments,
        }
        return self._put(Stored(fields, running=True))

    def add_part(self, item_id: str, kind: str, format: AudioFormat = PCM16) -> int:
        """An empty ``output_audio`` or ``output_text`` part; its content_index."""
        parts = self._parts(item_id)
        parts.append(
            Part("output_audio" if kind == "output_audio" else "output_text", "", format=format)
        )
        return len(parts) - 1

    def add_text(self, item_id: str, content_index: int, text: str) -> None:
        """More text of an output_text part."""
        part = self._parts(item_id)[content_index]
        part.text = (part.text or "") + text

    def add_audio(
        self,
        item_id: str,
        content_index: int,
        audio: bytes,
        text: str = "",
        ms: float | None = None,
    ) -> None:
        """``audio`` was sent to the client, in the part's format.

        ``text`` is the clause that begins with this audio and lasts ``ms`` (left out: as long as
        this audio); it is joined to the transcript. Further pieces of a clause carry no text.
        """
        self._parts(item_id)[content_index].add_audio(audio, text, ms)

    def add_arguments(self, item_id: str, arguments: str) -> None:
        """More JSON text of a function call."""
        self._items[item_id].fields["arguments"] += arguments

    def finish(self, item_id: str, status: str = "completed") -> dict[str, Any]:
        """Close an item as ``completed`` or ``incomplete``; its wire view."""
        item = self._items[item_id]
        item.running = False
        if "status" in item.fields:
            item.fields["status"] = status
        if item.gone:
            del self._items[item_id]
        self._let_go()
        return item.wire()

    # Views ---------------------------------------------------------------------------------
    def __contains__(self, item_id: object) -> bool:
        item = self._items.get(item_id) if isinstance(item_id, str) else None
        return item is not None and not item.gone

    def __len__(self) -> int:
        return len(self._order)

    def ids(self) -> list[str]:
        """In the order of the conversation."""
        return list(self._order)

    def previous_id(self, item_id: str) -> str | None:
        """The id before this item, None for the first."""
        if item_id not in self:
            return None
        at = self._order.index(item_id)
        return self._order[at - 1] if at else None

    def last_id(self) -> str | None:
        """The id at the end of the conversation, None when it is empty."""
        return self._order[-1] if self._order else None

    def wire(self, item_id: str) -> dict[str, Any]:
        """The item as events carry it, without audio. KeyError for an unknown id."""
        return self._items[item_id].wire()

    def transcript(self, item_id: str, content_index: int = 0) -> str:
        """Text or transcript of a part so far, ``""`` when there is none."""
        return self._parts(item_id)[content_index].text or ""

    def audio_ms(self, item_id: str, content_index: int = 0) -> float:
        """Milliseconds of audio of a part: received, or sent."""
        return self._parts(item_id)[content_index].ms

    def audio(self, item_id: str, content_index: int = 0) -> tuple[bytes, AudioFormat]:
        """The audio of a part, received or sent, and its format."""
        part = self._parts(item_id)[content_index]
        return bytes(part.audio), part.format

    def unheard(self) -> list[tuple[str, int]]:
        """Item and part of all user audio that nothing was recognised in yet: what the client
        created without a transcript."""
        return [
            (item_id, index)
            for item_id in self._order
            for index, part in enumerate(self._items[item_id].parts or ())
            if part.kind == "input_audio" and part.spoken is None
        ]

    def prompt(self, item_id: str | None = None) -> list[dict[str, Any]]:
        """The finished items for a brain, user audio with what was recognised filled in; or the
        one item. Answers of which nothing was heard and calls cut short are not among them; calls
        of MCP tools that run, or wait for a yes, are."""
        if item_id is not None:
            return [self._items[item_id].wire(told=False)]
        return [i.wire(told=False) for i in self._finished()]

    def weights(self, context: Iterable[Mapping[str, Any]] | None = None) -> list[usage.Weight]:
        """What the conversation costs as input, or ``context`` (ResponseParams.input)."""
        if context is None:
            return [weight_of(i) for i in self._finished()]
        return [
            weight_of(self._items[i["id"]])
            if i.get("id") in self
            else weight_of(from_client(i, PCM16))
            for i in context
        ]

    # ---------------------------------------------------------------------------------------
    def _finished(self) -> list[Stored]:
        out = []
        for item in (self._items[i] for i in self._order):
            if item.unfinished and not item.awaits:
                continue
            if item.fields.get("role") == "assistant" and not any(p.text for p in item.parts or ()):
                continue
            if item.type == "function_call" and item.status == "incomplete":
                continue
            out.append(item)
        return out

    def _made(self, item: Any, input_format: AudioFormat) -> Stored:
        made = from_client(check_item(item, "item"), input_format)
        item_id = made.fields["id"]
        if item_id in self._items:
            invalid("item.id", f"Error creating item: the item with id '{item_id}' already exists.")
        if made.type == "function_call_output":
            call_id = made.fields["call_id"]
            calls = (self._items[i].fields for i in self._order)
            if not any(c["type"] == "function_call" and c["call_id"] == call_id for c in calls):
                raise WireError(
                    f"Tool call ID '{call_id}' not found in conversation.",
                    code="invalid_tool_call_id",
                )
        if made.type == "mcp_approval_response":
            self._check_approval(made.fields["approval_request_id"])
        return made

    def _check_approval(self, request_id: str) -> None:
        """It answers a request that a response made, for the first time."""
        if request_id not in self or request_id not in self._requested:
            invalid(
                "item.approval_request_id",
                f"Error creating item: no approval request with id '{request_id}' exists.",
            )
        if request_id in self._decided:
            invalid(
                "item.approval_request_id",
                f"Error creating item: the approval request '{request_id}' was answered before.",
            )

    def _place(self, previous_item_id: str | None) -> int | None:
        """Where to insert; None is the end."""
        if previous_item_id is None:
            return None
        if previous_item_id == "root":
            return 0
        if previous_item_id not in self:
            invalid(
                "previous_item_id",
                f"Error creating item: the previous item with id '{previous_item_id}' does not "
                "exist.",
            )
        return self._order.index(previous_item_id) + 1

    def _put(self, item: Stored, at: int | None = None) -> dict[str, Any]:
        item_id = item.fields["id"]
        self._items[item_id] = item
        self._order.insert(len(self._order) if at is None else at, item_id)
        self._let_go()
        return item.wire()

    def _parts(self, item_id: str) -> list[Part]:
        parts = self._items[item_id].parts
        if parts is None:
            raise KeyError(item_id)
        return parts

    def _known(self, item_id: str, verb: str) -> Stored:
        if item_id not in self:
            _unknown_item(item_id, verb)
        return self._items[item_id]

    def _let_go(self) -> None:
        """Forget the oldest audio beyond what is kept; its length stays known."""
        parts = [p for i in self._order for p in self._items[i].parts or ()]
        total = sum(len(p.audio) for p in parts)
        for part in parts:
            if total <= MAX_AUDIO_KEPT:
                break
            total -= len(part.audio)
            part.audio = bytearray()


def _unknown_item(item_id: str, verb: str) -> NoReturn:
    raise WireError(
        f"Error {verb}ing item: the item with id '{item_id}' does not exist.",
        code=f"item_{verb}e_invalid_item_id",
    )
