"""From one of the wire's audio formats into another, as a stream."""

from __future__ import annotations

from collections.abc import Callable

from runner.audio.formats import AudioFormat
from runner.audio.g711 import alaw_encode, ulaw_encode
from runner.media.resample import Resampler
from runner.media.tape import to_pcm16


def converter(fmt: AudioFormat, to: AudioFormat) -> Callable[[bytes], bytes]:
    """What turns chunks of ``fmt`` into chunks of ``to``; a change of rate lags 3 ms behind."""
    decode = to_pcm16(fmt)
    rate = Resampler(fmt.rate, to.rate)
    if to.type == "audio/pcm":
        return lambda data: rate.process(decode(data))
    law = ulaw_encode if to.type == "audio/pcmu" else alaw_encode
    return lambda data: law(rate.process(decode(data)))
