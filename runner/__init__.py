"""rtrun: a declarative runner for realtime voice agents.

The names that a program uses live here and load on first use, so that importing
``runner`` costs nothing and works where only the standard library is present.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.agent import Handoff, RealtimeAgent, handoff, hosted_mcp_tool, tool
    from runner.client_secret import ClientSecret, create_client_secret
    from runner.core.events import Item, ToolApproval
    from runner.errands import Rejection
    from runner.guardrails import Guardrail, GuardrailArgs, GuardrailResult, guardrail
    from runner.options import SessionOptions
    from runner.session import RealtimeSession
    from runner.tools.base import BackgroundResult, ToolContext, ToolGuardrailArgs
    from runner.tools.mcp import mcp_server
    from runner.transports.base import RealtimeTransportLayer
    from runner.transports.cloudflare import (
        CloudflareRealtimeTransport,
        CloudflareRealtimeTransportLayer,
    )
    from runner.transports.sip import OpenAIRealtimeSIP
    from runner.transports.twilio import TwilioRealtimeTransport, TwilioRealtimeTransportLayer
    from runner.transports.webrtc import OpenAIRealtimeWebRTC
    from runner.transports.websocket import OpenAIRealtimeWebSocket

__version__ = "0.1.0"

_HOMES = {
    "Handoff": "runner.agent",
    "RealtimeAgent": "runner.agent",
    "handoff": "runner.agent",
    "hosted_mcp_tool": "runner.agent",
    "tool": "runner.agent",
    "ClientSecret": "runner.client_secret",
    "create_client_secret": "runner.client_secret",
    "Item": "runner.core.events",
    "ToolApproval": "runner.core.events",
    "Rejection": "runner.errands",
    "Guardrail": "runner.guardrails",
    "GuardrailArgs": "runner.guardrails",
    "GuardrailResult": "runner.guardrails",
    "guardrail": "runner.guardrails",
    "SessionOptions": "runner.options",
    "RealtimeSession": "runner.session",
    "BackgroundResult": "runner.tools.base",
    "ToolContext": "runner.tools.base",
    "ToolGuardrailArgs": "runner.tools.base",
    "mcp_server": "runner.tools.mcp",
    "RealtimeTransportLayer": "runner.transports.base",
    "CloudflareRealtimeTransport": "runner.transports.cloudflare",
    "CloudflareRealtimeTransportLayer": "runner.transports.cloudflare",
    "OpenAIRealtimeSIP": "runner.transports.sip",
    "TwilioRealtimeTransport": "runner.transports.twilio",
    "TwilioRealtimeTransportLayer": "runner.transports.twilio",
    "OpenAIRealtimeWebRTC": "runner.transports.webrtc",
    "OpenAIRealtimeWebSocket": "runner.transports.websocket",
}

__all__ = [
    "BackgroundResult",
    "ClientSecret",
    "CloudflareRealtimeTransport",
    "CloudflareRealtimeTransportLayer",
    "Guardrail",
    "GuardrailArgs",
    "GuardrailResult",
    "Handoff",
    "Item",
    "OpenAIRealtimeSIP",
    "OpenAIRealtimeWebRTC",
    "OpenAIRealtimeWebSocket",
    "RealtimeAgent",
    "RealtimeSession",
    "RealtimeTransportLayer",
    "Rejection",
    "SessionOptions",
    "ToolApproval",
    "ToolContext",
    "ToolGuardrailArgs",
    "TwilioRealtimeTransport",
    "TwilioRealtimeTransportLayer",
    "create_client_secret",
    "guardrail",
    "handoff",
    "hosted_mcp_tool",
    "mcp_server",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
