"""A chat model that answers a question about a turn with yes or no."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.errors import RtrunError
from runner.model.deployment import Deployment
from runner.tasks import in_thread
from runner.testing.diary import Entry

SECONDS = 30.0
#: Why a question cannot be answered.
NO_JUDGE = (
    "there is no judge: a local engine with a chat brain is one, or set RTRUN_JUDGE_URL, "
    "RTRUN_JUDGE_MODEL and RTRUN_JUDGE_KEY"
)
_TASK = (
    "You check a phone call between a caller and a voice agent. Answer the question about it "
    "with YES or NO as the first word, then say why in one short sentence."
)


@dataclass(frozen=True, slots=True)
class Judge:
    """An OpenAI-compatible chat endpoint. ``api_key`` in the clear: never print it."""

    url: str
    model: str
    api_key: str = field(default="none", repr=False)

    async def ask(self, question: str, entries: Sequence[Entry]) -> tuple[bool, str]:
        """Its answer, and its words. RtrunError when it cannot be asked."""
        openai = await in_thread(importlib.import_module, "openai")
        call = "\n".join(f"{e.kind}: {e.text}" for e in entries)
        asked = f"The call:\n{call}\n\nThe question: {question}"
        client: Any = openai.AsyncOpenAI(
            base_url=self.url, api_key=self.api_key, timeout=SECONDS, max_retries=1
        )
        try:
            answer = await client.chat.completions.create(
                model=self.model,
                messages=[
                    {"role": "system", "content": _TASK},
                    {"role": "user", "content": asked},
                ],
            )
            said = str(answer.choices[0].message.content or "").strip()
        except (openai.OpenAIError, IndexError) as error:
            raise RtrunError(f"the judge did not answer: {type(error).__name__}") from None
        finally:
            await client.close()
        return said.upper().lstrip("*\"' ").startswith("YES"), said


def judge_of(deployment: Deployment, env: Mapping[str, str]) -> Judge | None:
    """RTRUN_JUDGE_URL and its company, else the deployment's own chat brain, else None."""
    if url := env.get("RTRUN_JUDGE_URL"):
        key = env.get("RTRUN_JUDGE_KEY") or "none"
        return Judge(url, env.get("RTRUN_JUDGE_MODEL") or "default", key)
    brain = deployment.engine.brain
    if brain.get("type") == "chat" and brain.get("url"):
        return Judge(*(_plain(brain.get(key)) for key in ("url", "model", "api_key")))
    return None


def _plain(value: Any) -> str:
    reveal = getattr(value, "reveal", None)
    return str(reveal() if reveal is not None else value or "none")
