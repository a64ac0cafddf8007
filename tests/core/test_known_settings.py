"""What a session is known to have is not looked at again, and that changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.playbook import Playbook, error, view

from runner.core.difference import difference
from runner.core.settings import ANSWER_WITHIN

pytestmark = pytest.mark.quick

VALUES: dict[str, list[Any]] = {
    "instructions": ["one", "two"],
    "tool_choice": ["auto", "none"],
    "max_output_tokens": [1, True, 100],
    "truncation": ["auto", {"type": "retention_ratio", "retention_ratio": 0.5}],
}
LEAVES = st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in VALUES.items()})
OTHERS = [
    {"audio": {"output": {"speed": 1.1}}},
    {"audio": {"output": {"voice": "ash"}}},
    {"include": ["x"]},
]
OVERS = LEAVES.map(dict) | st.sampled_from(OTHERS)
STEPS = st.lists(
    st.tuples(st.sampled_from(["apply", "echo", "tells", "refuses", "waits"]), OVERS), max_size=12
)


@given(STEPS)
def test_an_edit_sends_what_a_look_at_everything_would_send(steps: list[tuple[str, Any]]) -> None:
    play = Playbook()
    play.do(play.core.connected) >> play.echo()
    machine = play.core._settings
    for number, (what, over) in enumerate(steps, 1):
        if what == "apply":
            play.do(play.core.apply, view(over=over), number, between_turns=False)
        elif what == "waits":
            play.wait(ANSWER_WITHIN)
        elif what == "refuses" and machine._update is not None:
            play >> error("invalid_value", machine._update.event_id)
        else:  # of what was sent, or something that nobody asked for
            play >> play.echo(**(over if what == "tells" else {}))
        wanted = machine.target.settings
        known = machine.effective, machine._accepted
        assert difference(wanted, *known, machine._have) == difference(wanted, *known)
