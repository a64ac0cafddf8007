"""A caller whom nobody took where the agent had put them through, and who comes back.

Twilio's ``<Dial>`` took the line away, and with it the agent's session. So the next stream gets a
session that is told what was said, and why the caller is there again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from runner.core.dialled import stays
from runner.core.events import Item
from runner.errors import NotConnectedError
from runner.session import RealtimeSession

#: Twilio's ``DialCallStatus``: the two have talked.
TALKED = frozenset({"completed", "answered"})
#: They have not.
NOBODY = {
    "busy": "the line is busy",
    "no-answer": "nobody answered",
    "canceled": "the call was called off",
    "failed": "the number could not be reached",
}


@dataclass(frozen=True, slots=True)
class Back:
    """``history`` of the call until it was put through, and what became of that in ``words``."""

    history: tuple[Item, ...]
    words: str

    def go_on(self, session: RealtimeSession) -> None:
        """The agent knows the conversation, and tells the caller. Outputs of tools stay behind:
        what was said of them counts."""
        said = [replace(item, content=()) for item in self.history if item.role and item.text]
        with contextlib.suppress(NotConnectedError):  # hung up meanwhile
            session.update_history(said)
            session.send_message({"role": "system", "content": stays(self.words)})
