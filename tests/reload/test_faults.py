"""A fault of our own while an edit is applied is a refusal like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.live_shop import SHOP, Shop, in_shop
from support.until import until

from runner.core import settings
from runner.core.conversation import Conversation
from runner.reload.apply import Applied, Rejected
from runner.session import RealtimeSession

POISON = SHOP.replace("Say one.", "Say poison.")
RECONNECT = "reload: { in_call: reconnect }\n"


class Fault:
    """Raises when the ``nth`` call is given the words."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def met(self, *given: Any) -> None:
        if "poison" in repr(given):
            self._left -= 1
            if self._left == 0:
                raise LookupError("a fault of ours")


def wanted(fault: Fault) -> tuple[Any, str, Any]:
    real = settings.difference

    def difference(want: Any, *rest: Any) -> Any:
        fault.met(want.leaves())
        return real(want, *rest)

    return settings, "difference", difference


def applied(fault: Fault) -> tuple[Any, str, Any]:
    real = Conversation.apply

    def apply(self: Conversation, view: Any, *rest: Any, **more: Any) -> Any:
        fault.met(view.settings.leaves())
        return real(self, view, *rest, **more)

    return Conversation, "apply", apply


def resolved(fault: Fault) -> tuple[Any, str, Any]:
    real = RealtimeSession._as_coming

    async def _as_coming(self: RealtimeSession, line: Any, agents: Any) -> Any:
        fault.met(agents["desk"].instructions)
        return await real(self, line, agents)

    return RealtimeSession, "_as_coming", _as_coming


Inject = Callable[[Fault], tuple[Any, str, Any]]


@pytest.fixture
def loud() -> list[str]:
    """What the loop's exception handler is told."""
    return []


@pytest.mark.parametrize("inject", [wanted, applied, resolved])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_fault_takes_the_edit_back_everywhere(
    inject: Inject, nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loud: list[str]
) -> None:
    monkeypatch.setattr(*inject(Fault(nth)))

    async def edit(it: Shop) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: loud.append(str(told)))
        outcome = await it.save(POISON)
        assert isinstance(outcome, Rejected)
        assert outcome.session in {call.id for call in it.desk.live}
        assert outcome.degraded == ()
        assert "LookupError: a fault of ours (internal)" in outcome.problems[0].message
        assert outcome.problems[0].line == 5
        assert it.instructions() == ["Say one."] * 4
        assert [(c.id, e.code) for c, e in it.refusals()] == [(outcome.session, "internal")]
        assert isinstance(await it.save(SHOP.replace("one.", "two.")), Applied)
        assert it.instructions() == ["Say two."] * 4

    in_shop(tmp_path, edit, calls=4)


def test_a_fault_at_the_end_of_a_turn_undoes_the_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*wanted(Fault(3)))

    async def edit(it: Shop) -> None:
        call = await it.busy(2)
        outcome = await it.save(POISON)
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.pending) == (2, 1)
        await it.done(2)
        await until(it.refusals)
        undone = await it.applier.refused_later(*it.refusals()[0])
        assert isinstance(undone, Rejected)
        assert undone.session == call.id
        assert it.instructions() == ["Say one."] * 3
        assert len(it.server.connections) == 3  # no line was lost for it

    in_shop(tmp_path, edit, calls=3)


@pytest.mark.parametrize("inject", [applied, resolved])
def test_a_fault_on_the_way_to_another_line(
    inject: Inject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loud: list[str]
) -> None:
    monkeypatch.setattr(*inject(Fault(2)))

    async def edit(it: Shop) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: loud.append(str(told)))
        assert isinstance(await it.save(SHOP + RECONNECT), Applied)
        outcome = await it.save(POISON + RECONNECT + "model: two\n")
        assert isinstance(outcome, Rejected)
        assert "a fault of ours (internal)" in outcome.problems[0].message
        await until(lambda: all(call.session.connected for call in it.desk.live))
        await until(lambda: it.instructions()[-1] == "Say one.")
        assert [call.ended.is_set() for call in it.desk.live] == [False, False]
        assert isinstance(await it.save(SHOP.replace("one.", "two.") + RECONNECT), Applied)

    in_shop(tmp_path, edit, calls=2)
