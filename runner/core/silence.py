"""The silent caller: asked once whether they are there, hung up on in the end.

Time counts from the end of what was played, and what ends it is words: a finished transcript that
is not empty. Breath and comfort noise make the server believe in speech, and change nothing.
"""

from __future__ import annotations

from typing import Literal

from runner.core.view import Rules

Due = Literal["ask", "hang_up"]


class Silence:
    def __init__(self) -> None:
        #: Since when the caller could have spoken; None while something is going on.
        self._since: float | None = None
        self._asked = False
        #: The caller said something since the last answer was over.
        self._spoke = True

    def words(self) -> None:
        """The caller said, or typed, something."""
        self._spoke = True
        self._since = None

    def quiet(self, now: float, *, own: bool, by_noise: bool) -> None:
        """An answer was played to its end. ``own``: it was our question, which does not begin
        the count anew; nor does an answer ``by_noise``, one that the server began although no
        words came."""
        if own or (by_noise and not self._spoke):
            return
        self._spoke = self._asked = False
        self._since = now

    def begin(self, now: float) -> None:
        """The line is open: without a greeting the count begins here."""
        self._since = now

    def due(self, rules: Rules, now: float) -> Due | None:
        """What is due, if the line is quiet now."""
        if self._since is None:
            return None
        past = now - self._since
        if rules.hang_up_after is not None and past >= rules.hang_up_after:
            self._since = None
            return "hang_up"
        if rules.ask_after is not None and not self._asked and past >= rules.ask_after:
            self._asked = True
            return "ask"
        return None

    def deadline(self, rules: Rules) -> float | None:
        if self._since is None:
            return None
        ends = [] if self._asked or rules.ask_after is None else [rules.ask_after]
        ends += [] if rules.hang_up_after is None else [rules.hang_up_after]
        return self._since + min(ends) if ends else None
