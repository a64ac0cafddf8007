"""Usage: the server's own token numbers, summed by modality over a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Field of the sum -> where it stands in the ``usage`` of a response.done (OpenAI Realtime GA).
_WHERE: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "input_text": ("input_token_details", "text_tokens"),
    "input_audio": ("input_token_details", "audio_tokens"),
    "input_image": ("input_token_details", "image_tokens"),
    "cached_text": ("input_token_details", "cached_tokens_details", "text_tokens"),
    "cached_audio": ("input_token_details", "cached_tokens_details", "audio_tokens"),
    "cached_image": ("input_token_details", "cached_tokens_details", "image_tokens"),
    "output_text": ("output_token_details", "text_tokens"),
    "output_audio": ("output_token_details", "audio_tokens"),
}


class UsageSum:
    """A response without usage counts as a request with no tokens."""

    def __init__(self) -> None:
        self._sum: dict[str, int] = {"requests": 0, **dict.fromkeys(_WHERE, 0)}

    def add(self, usage: Mapping[str, Any]) -> None:
        self._sum["requests"] += 1
        for name, path in _WHERE.items():
            node: Any = usage
            for key in path:
                node = node.get(key) if isinstance(node, Mapping) else None
            if isinstance(node, int):
                self._sum[name] += node

    def total(self) -> dict[str, int]:
        return dict(self._sum)
