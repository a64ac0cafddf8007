"""Tools that want the caller's yes first: their output asks for a question, and after a yes for
the very same call again."""

from __future__ import annotations

import re

from runner.codec import dumps
from runner.engine.brain import social, universal
from runner.engine.brain.choice import Reply
from runner.engine.brain.dialogue import CALL, Dialogue, Turn
from runner.engine.brain.planner import question_in
from runner.engine.brain.results import said_value
from runner.engine.brain.toolbox import Tool
from runner.engine.brain.toolnames import deed
from runner.engine.brain.words import normal
from runner.engine.ports import Call

GO_AHEAD = "Shall I go ahead?"
_WANTED = re.compile(r"\s*confirmation_required\b")
_REFUSED = re.compile(r"\s*the caller (?:did not agree|declined)", re.IGNORECASE)
_LEFT = f"All right, I leave it at that. {social.ELSE}"


def told(turn: Turn, tool: Tool | None) -> str:
    """What is said of an output that is no result but a word on consent, '' for any other."""
    if _REFUSED.match(turn.text):
        return _LEFT
    if not _WANTED.match(turn.text):
        return ""
    what = deed(tool) if tool else "do that"
    values = [said_value(str(value)) for value in turn.arguments.values()]
    return f"I am about to {what}{': ' if values else ''}{', '.join(values)}. {GO_AHEAD}"


def answered(dialogue: Dialogue, text: str) -> Reply | None:
    """The caller's yes or no to that question."""
    agent = dialogue.last_said()
    if agent is None or question_in(agent.text) != GO_AHEAD:
        return None
    low = normal(text)
    if universal.NO.fullmatch(low) or re.match(r"(?:no|not|wait|stop|do not)\b", low):
        return Reply(_LEFT)
    asked = next((turn for turn in reversed(dialogue.turns) if turn.who == CALL), None)
    agreed = universal.YES.fullmatch(low) or re.match(r"(?:yes|yeah|yep|sure|go ahead)\b", low)
    if asked is None or not agreed:
        return None
    return Reply(calls=[Call(asked.name, dumps(dict(asked.arguments)))])
