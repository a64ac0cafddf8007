"""Text cut into pieces that can be spoken on their own, while it is still being written."""

from __future__ import annotations


class ClauseSplitter:
    """Feed text as it comes, speak what comes out.

    The first piece is short so that the caller hears something soon; later ones are sentences,
    cut at a clause when longer than ``limit`` characters. Joined, the pieces are the text.
    """

    def __init__(self, limit: int = 60, hard_limit: int = 240) -> None: ...

    def feed(self, text: str) -> list[str]:
        """Pieces that are complete now. The end of a sentence is known only by what follows."""
        raise NotImplementedError

    def end(self) -> list[str]:
        """The rest, when no more text comes. The splitter is new again."""
        raise NotImplementedError
