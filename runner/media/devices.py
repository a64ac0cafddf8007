"""The microphone and the speaker of the machine, each its own 48 kHz stream of PortAudio."""

from runner.media.device import OnFailure
from runner.media.microphone import Microphone
from runner.media.portaudio import available, device_name
from runner.media.speaker import Speaker

__all__ = ["Microphone", "OnFailure", "Speaker", "available", "device_name"]
