"""A moderation endpoint as a guardrail's check, through the official `openai` package."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runner.errors import ToolError
from runner.tasks import in_thread

SECONDS = 5.0
DEFAULT_MODEL = "omni-moderation-latest"


def moderation(given: Mapping[str, Any]) -> Callable[[Any], Awaitable[Any]]:
    """A check of (args with ``text``): the names of the categories that were flagged, or None.
    ``given`` holds ``url`` (an OpenAI-compatible base address), ``model`` and ``api_key``.
    ToolError when the endpoint cannot be reached: the caller says so, and the call goes on."""
    client: Any = None

    async def execute(args: Any) -> str | None:
        nonlocal client
        # Half a second of imports, in which the call goes on.
        openai = await in_thread(importlib.import_module, "openai")
        if client is None:
            client = openai.AsyncOpenAI(
                base_url=plain(given.get("url")) or None,
                api_key=plain(given.get("api_key")) or "none",
                timeout=SECONDS,
                max_retries=1,
            )
        try:
            answer = await client.moderations.create(
                input=args.text, model=given.get("model") or DEFAULT_MODEL
            )
        except openai.OpenAIError as error:
            raise ToolError(f"the moderation endpoint failed: {type(error).__name__}") from None
        flagged = [
            name
            for result in answer.results
            if result.flagged
            for name, is_so in result.categories.model_dump(by_alias=True).items()
            if is_so
        ]
        return ", ".join(flagged) or None

    return execute


def plain(value: Any) -> str:
    reveal = getattr(value, "reveal", None)
    return str(reveal() if reveal is not None else value or "")
