"""The text rule of semantic turn detection: do these words read as if more will follow?"""

from __future__ import annotations


def unfinished(text: str) -> bool:
    """True when ``text`` ends in a function word, a filler, or a mark that asks for more."""
    return text.rstrip().endswith((",", "...", "…", "-", "—"))
