"""One phone call that --wav, --say or --text places: by Twilio's double on this machine, or by SIP
at the local engine.

It takes the way of a call from outside: the webhook, the signatures, the media.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from runner.audio.formats import PCMU
from runner.cli.local import LocalCall
from runner.cli.sound import Sound, open_sound
from runner.desk import Call
from runner.model.deployment import Deployment
from runner.model.phone import CallRule
from runner.testing.caller import Ear, Speaks
from runner.testing.handset import Tape
from runner.testing.sip import SipCaller
from runner.testing.twilio import TwilioCaller

#: A number that nobody has: who is called where the file names no number.
CALLED = "+15550100"

#: Makes the phone, and gives what becomes the call when it is taken.
Phone = TwilioCaller | SipCaller
Dial = Callable[[Tape | None], Awaitable[tuple[Phone, "asyncio.Future[Call]"]]]


class PlacedCall(LocalCall):
    """As :class:`LocalCall`; ``dial`` makes the phone. Who hears of calls by phone tells of the
    beginning and the end."""

    def __init__(self, *args: Any, dial: Dial, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._dial = dial
        self._phone: Phone | None = None

    async def run(self) -> bool:
        given = self._given
        sound = await open_sound(
            PCMU, microphone=False, input_device=None, output_device=None, headphones=False,
            out=given.out, warn=self._warn,
        )  # fmt: skip
        phone, taken = await self._dial(sound.tape)
        self._phone = phone
        try:
            await phone.ring()
            over = self._tasks.spawn(phone.over.wait(), "the end of the phone")
            left = self._tasks.spawn(self._leaving.now.wait(), "stop")
            ahead: set[asyncio.Future[Any]] = {taken, over, left}
            await asyncio.wait(ahead, return_when=asyncio.FIRST_COMPLETED)
            if not taken.done():
                if not left.done():
                    self._warn(f"the call was not taken: {phone.reason}")
                return left.done()
            spoken = self._recording is not None or bool(given.say)
            well = await self._hold(taken.result(), sound, spoken)
            for failure in phone.failures:
                self._warn(f"the phone would not take this: {failure}")
            return well and not phone.failures
        finally:
            taken.cancel()
            await phone.close()
            await self._tasks.close()
            sound.close()

    def _mouth(self, call: Call, ear: Ear, sound: Sound) -> Speaks:
        assert self._phone is not None
        return self._phone

    def _ended(self, call: Call, reason: str, sound: Sound) -> None:
        return  # told by the telephone


def number_of(deployment: Deployment) -> str:
    """A number that this deployment answers."""
    named = (rule for rule in deployment.calls or (CallRule(),) if rule.to and rule.answer)
    rule = next(named, None)
    return CALLED if rule is None else rule.to[0].replace("*", "00")
