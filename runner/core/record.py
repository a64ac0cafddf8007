"""Record and replay: every call on a conversation as a row, and the same effects from the rows.

A row is ``{"call": name, "args": [...], "kwargs": {...}, "now": seconds}``, ``kwargs`` and
``now`` where there are any; everything in it is plain JSON, so a log of a call on the line can be
kept as text and replayed in a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from runner.core.conversation import Conversation
from runner.core.effects import Effects
from runner.core.events import GuardrailTripped, Item
from runner.core.view import AgentView, Rules
from runner.model.settings import SessionSettings

Row = dict[str, Any]

#: How many positional arguments stand before ``now``; None: the call takes no time.
_BEFORE_NOW: Mapping[str, int | None] = {
    "connected": 0,
    "disconnected": 0,
    "receive": 1,
    "audio_in": 1,
    "turn_held": 0,
    "turn_let_go": 0,
    "audio_out": 4,
    "take": None,
    "heard": 3,
    "drained": 0,
    "tick": 0,
    "send_message": 1,
    "say": 1,
    "create_response": 1,
    "interrupt": 0,
    "tool_finished": 2,
    "tool_allowed": 1,
    "tool_refused": 2,
    "tool_asks": 1,
    "approve": 1,
    "reject": 1,
    "guardrail_tripped": 1,
    "hang_up": 0,
    "transfer": 1,
    "transfer_failed": 1,
    "collect_digits": 1,
    "agent_ready": 2,
    "agent_failed": 2,
    "update_agent": 1,
    "apply": 2,
    "take_back": 3,
    "update_history": 1,
    "delete_item": 1,
}


class Recorder:
    """Stands before a conversation and looks like it; ``rows`` grow with every call. With
    ``tell``, that gets each row instead, once it is done: with its ``effects`` (as :func:`told`
    has them), its ``result`` where that is no effects, or the error that it ``raised``."""

    def __init__(
        self, conversation: Conversation, tell: Callable[[Row], None] | None = None
    ) -> None:
        self.conversation = conversation
        self.rows: list[Row] = []
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        target = getattr(self.conversation, name)
        if name not in _BEFORE_NOW:
            return target
        before = _BEFORE_NOW[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            args = tuple(_thawed(a) for a in args)
            row: Row = {"call": name}
            rest = dict(kwargs)
            if before is None:
                row["args"] = []
            else:
                placed = _placed(name, args, before)
                row["args"] = [_plain(a) for a in placed[:before]]
                if len(placed) > before:
                    row["now"] = placed[before]
                elif "now" in rest:
                    row["now"] = rest.pop("now")
                extra = placed[before + 1 :]
                if extra:
                    rest.update(zip(_AFTER_NOW[name], extra, strict=False))
            if rest:
                row["kwargs"] = {k: _plain(v) for k, v in rest.items()}
            if self._tell is None:
                self.rows.append(row)
                return target(*args, **kwargs)
            try:
                result = target(*args, **kwargs)
            except Exception as error:
                self._tell({**row, "raised": type(error).__name__})
                raise
            self._tell({**row, **outcome(result)})
            return result

        return call


def outcome(result: Any) -> Row:
    """What a call gave, for its row."""
    if isinstance(result, list):
        return {"effects": told(result)}
    return {} if result is None else {"result": result}


def told(effects: Effects) -> list[Row]:
    """Effects as plain JSON: ``effect`` is the name of each, beside its fields."""
    return [{"effect": type(effect).__name__, **_fields(effect)} for effect in effects]


def _fields(value: Any) -> Row:
    out: Row = {}
    for part in fields(value):
        inner = getattr(value, part.name)
        kind = getattr(inner, "type", None)
        if is_dataclass(inner) and isinstance(kind, str):  # the event of a Notify
            out[part.name] = {"event": kind, **_fields(inner)}
        else:
            out[part.name] = _plain(inner)
    return out


def plain_view(view: AgentView) -> Row:
    """An agent's view as plain JSON, for :func:`view_of`."""
    plain: Row = _plain(view)
    return plain


def view_of(plain: Row) -> AgentView:
    view = _revived(plain)
    if not isinstance(view, AgentView):
        raise ValueError("this is no view of an agent")
    return view


#: Parameters after ``now`` that may be given by position.
_AFTER_NOW: Mapping[str, tuple[str, ...]] = {
    "disconnected": ("reason",),
    "hang_up": ("reason",),
    "say": ("purpose",),
}


def _placed(name: str, args: tuple[Any, ...], before: int) -> tuple[Any, ...]:
    if len(args) < before:
        raise TypeError(f"{name}() is recorded with its arguments given by position")
    return args


def replay(rows: Iterable[Row], conversation: Conversation, *, raw: bool = False) -> list[Any]:
    """Play rows into a fresh conversation; the effects of each row, empty for calls that return
    none (``audio_in``, ``audio_out``, ``heard``). ``raw``: whatever each call returns."""
    played: list[Any] = []
    for row in rows:
        name = row["call"]
        if name not in _BEFORE_NOW:
            raise ValueError(f"{name!r} is no call of a conversation")
        kwargs = {k: _revived(v) for k, v in row.get("kwargs", {}).items()}
        if "now" in row:
            kwargs["now"] = row["now"]
        result = getattr(conversation, name)(*(_revived(a) for a in row["args"]), **kwargs)
        played.append(result if raw or isinstance(result, list) else [])
    return played


def _thawed(value: Any) -> Any:
    """An iterator can be read once only: by the row and by the conversation, it is twice."""
    if isinstance(value, (str, bytes, Mapping, list, tuple)) or not isinstance(value, Iterable):
        return value
    return list(value)


def _plain(value: Any) -> Any:
    """``value`` as plain JSON, a copy of its own."""
    if isinstance(value, AgentView):
        view = {"name": value.name, "settings": _plain(value.settings.wire)}
        rules = {**asdict(value.rules), "checked": sorted(value.rules.checked)}
        return {"$view": {**view, "handoffs": dict(value.handoffs), "rules": rules}}
    if isinstance(value, GuardrailTripped):
        return {"$tripped": _plain(asdict(value))}
    if isinstance(value, Item):
        return {"$item": _plain(asdict(value))}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _revived(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"$view"}:
            view = value["$view"]
            rules = Rules(**{**view["rules"], "checked": frozenset(view["rules"]["checked"])})
            settings = SessionSettings(view["settings"])
            return AgentView(view["name"], settings, view["handoffs"], rules)
        if set(value) == {"$tripped"}:
            return GuardrailTripped(**value["$tripped"])
        if set(value) == {"$item"}:
            item = value["$item"]
            return Item(**{**item, "content": tuple(item["content"])})
        return {k: _revived(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_revived(v) for v in value]
    return value
