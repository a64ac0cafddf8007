"""What the parts of one connection share."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from runner.audio.formats import AudioFormat
from runner.engine.hosted.address import is_loopback
from runner.engine.hosted.offer import Offer, as_functions, offer
from runner.engine.hosted.running import Calls
from runner.engine.hosted.servers import Servers
from runner.engine.ports import Brain, Models, Prompt
from runner.engine.server.answer import Answer, Speaker
from runner.engine.server.leg import Leg
from runner.engine.server.options import EngineOptions
from runner.engine.server.outbox import Outbox
from runner.engine.wire import Items, ResponseParams, Settings, WireError, events, new_id
from runner.engine.wire.usage import Meter, Usage, Weight, prefix_weight
from runner.tasks import Supervisor

TOKENS_A_MINUTE = 1_000_000

log = logging.getLogger("runner.engine")


@dataclass(slots=True)
class Context:
    """``models`` None: there is no local speech here, sessions are text (``no_speech`` says why).

    ``words`` holds the recognition under way, by item: whoever needs an item's text waits there.
    """

    options: EngineOptions
    brain: Brain
    models: Models | None
    no_speech: str
    settings: Settings
    items: Items
    outbox: Outbox
    tasks: Supervisor
    meter: Meter = field(default_factory=Meter)
    conversation_id: str = field(default_factory=lambda: new_id("conv"))
    session_id: str = ""
    responds: bool = True  # sessions of type transcription make no responses
    audio_produced: bool = False
    #: Plays the agent's audio where the media runs through the engine; None: the client does.
    leg: Leg | None = None
    words: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    hosted: Servers = field(init=False)
    calls: Calls = field(init=False)

    def __post_init__(self) -> None:
        self.hosted = Servers(
            self.items,
            self.send,
            self.tasks,
            public_only=not is_loopback(self.options.host),
        )
        self.calls = Calls(self.hosted, self.items, self.tasks)

    def send(self, event: dict[str, Any]) -> None:
        self.outbox.put(event)

    def error(self, error: WireError) -> None:
        self.outbox.put(error.event())

    @property
    def input_format(self) -> AudioFormat:
        """Of the caller's audio as it is handed in; a leg's own whatever the session says."""
        return self.settings.input_format if self.leg is None else self.leg.form

    def output_format(self, params: ResponseParams) -> AudioFormat:
        """Of the agent's audio as it is handed out."""
        return params.output_format if self.leg is None else self.leg.form

    def params(self, response: Any = None, event_id: str | None = None) -> ResponseParams:
        """What a response would be made with now. WireError for a bad response.create."""
        return ResponseParams.parse(
            response,
            self.settings,
            self.items,
            audio_produced=self.audio_produced,
            event_id=event_id,
        )

    def prompt(self, params: ResponseParams, *more: dict[str, Any]) -> Prompt:
        """What the brain sees; ``more`` are items that are not in the conversation yet."""
        items = self.items.prompt() if params.input is None else list(params.input)
        offered = self.offered(params)
        return Prompt(
            instructions=params.instructions,
            items=[*as_functions(items, self.calls.answered_after, self.calls.running), *more],
            tools=offered.tools,
            tool_choice=offered.choice,
            metadata=params.metadata or {},
        )

    def offered(self, params: ResponseParams) -> Offer:
        """The tools for the brain. Out of band nobody could approve a call."""
        targets = self.hosted.targets(params.tools)
        if params.out_of_band:
            targets = [target for target in targets if not target.needs_approval]
        return offer(params.tools, params.tool_choice, targets)

    def weights(self, params: ResponseParams) -> list[Weight]:
        """What the response reads, for its usage."""
        prefix = prefix_weight(params.instructions, params.tools)
        return [prefix, *self.items.weights(params.input)]

    def rate_limits(self, usage: Usage) -> dict[str, Any]:
        """The engine has no limit but the machine: what a minute's allowance would look like."""
        remaining = max(0, TOKENS_A_MINUTE - usage.input_tokens - usage.output_tokens)
        return events.rate_limits_updated(remaining, TOKENS_A_MINUTE, reset_seconds=60.0)

    def speaker(self, params: ResponseParams) -> Speaker:
        if not params.audio or self.models is None:
            return Speaker(None)
        return Speaker(self.models.voice, params.voice, params.speed)

    def think(self, prompt: Prompt, speaker: Speaker, *, held: bool = False) -> Answer:
        """An answer in the making, in a task of its own."""
        answer = Answer(self.brain, prompt, speaker, held)
        answer.attach(self.tasks.spawn(answer.make(), "answer"))
        return answer

    async def all_heard(self, params: ResponseParams) -> None:
        """Until every committed item that a response reads has its words, or has failed."""
        if params.input is not None:
            return
        # Not until the futures are done: between that and the text in its item there is a step of
        # the loop, in which a response would read a caller who said nothing.
        while self.words:
            await asyncio.wait(self.words.values())

    async def calls_settled(self, params: ResponseParams) -> None:
        """Until the MCP calls under way have ended, if nothing was said since: then a response
        can only be about them. Otherwise the caller's words are not kept waiting."""
        last = self.items.last_id()
        if params.input is None and last and self.items.wire(last)["type"] != "message":
            await self.calls.settled()

    def unheard(self) -> bool:
        """Whether some committed item is without its words yet."""
        return bool(self.words)
