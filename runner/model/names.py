"""Names that the model sees."""

from __future__ import annotations

import re


def transfer_name(agent: str) -> str:
    """The tool that hands over to ``agent``: the SDK's rule, every other sign becomes ``_``."""
    return "transfer_to_" + re.sub(r"[^A-Za-z0-9]", "_", agent)


def telephone_name(uri: str) -> str:
    """The tool that puts the caller through to ``tel:+15551230100``, within the 64 signs of one."""
    return transfer_name(re.sub(r"[^A-Za-z0-9]+", "_", uri))[:64].rstrip("_")
