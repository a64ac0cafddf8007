"""What users need to test their own agents: no network, no key, no waiting.

:func:`run_test` holds a whole conversation with a deployment; a :class:`ScriptedTransport` is a
line whose other end is a script; a :class:`TwilioCaller` is a phone call at Twilio, a
:class:`SipCaller` one by SIP.
"""

from typing import TYPE_CHECKING, Any

from runner.testing import server
from runner.testing.calls import Call, Expectation, ScriptError
from runner.testing.scripted import ScriptedTransport

if TYPE_CHECKING:
    from runner.testing.program import run_test, running_engine
    from runner.testing.record import attach_recorder
    from runner.testing.report import Report
    from runner.testing.sip import SipCaller
    from runner.testing.twilio import TwilioCaller
    from runner.testing.twilio_api import TwilioApi

#: The SDK's name.
ScriptedRealtimeTransport = ScriptedTransport

#: Loaded when asked for: a scripted line needs no YAML, no sound and no engine.
_LATER = {
    "Report": "report",
    "SipCaller": "sip",
    "TwilioApi": "twilio_api",
    "TwilioCaller": "twilio",
    "attach_recorder": "record",
    "run_test": "program",
    "running_engine": "program",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


__all__ = [
    "Call",
    "Expectation",
    "Report",
    "ScriptError",
    "ScriptedRealtimeTransport",
    "ScriptedTransport",
    "SipCaller",
    "TwilioApi",
    "TwilioCaller",
    "attach_recorder",
    "run_test",
    "running_engine",
    "server",
]
