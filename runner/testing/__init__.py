"""What users need to test their own agents: no network, no key, no waiting."""

from runner.testing import server
from runner.testing.calls import Call, Expectation, ScriptError
from runner.testing.scripted import ScriptedTransport

#: The SDK's name.
ScriptedRealtimeTransport = ScriptedTransport

__all__ = [
    "Call",
    "Expectation",
    "ScriptError",
    "ScriptedRealtimeTransport",
    "ScriptedTransport",
    "server",
]
