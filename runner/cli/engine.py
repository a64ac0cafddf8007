"""`rtrun engine`: the embedded engine alone, an OpenAI-Realtime-compatible server."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click

from runner.codec import dumps, loads
from runner.engine.server.options import MOST_SESSIONS, SESSIONS_A_CORE, sessions_here
from runner.engine.sip.options import FAULTS, SipOptions
from runner.errors import MissingModels, UsageError
from runner.serve.guard import address, is_loopback
from runner.tasks import in_thread, run

if TYPE_CHECKING:
    from runner.engine.server.options import EngineOptions
    from runner.engine.speaking.models import LocalModels

STARTED = time.monotonic()
LogFormat = Literal["text", "json"]


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; beyond loopback a key is required.",
)
@click.option(
    "--key",
    envvar="RTRUN_ENGINE_KEY",
    default="",
    help="The API key that clients must send (env RTRUN_ENGINE_KEY); none: any will do.",
)
@click.option(
    "--brain",
    envvar="RTRUN_ENGINE_BRAIN",
    default="rehearsal",
    show_default=True,
    help="rehearsal, or JSON such as "
    '\'{"type": "chat", "url": "http://localhost:11434/v1", "model": "llama3.2"}\' '
    "(env RTRUN_ENGINE_BRAIN).",
)
@click.option(
    "--max-sessions",
    type=click.IntRange(1),
    show_default=f"{SESSIONS_A_CORE} a core, {MOST_SESSIONS} at most",
    help="Sessions at once; a further one is refused.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the ready line is written.",
)
@click.option(
    "--sip",
    metavar="[HOST:]PORT",
    help="Answer the phone: SIP by UDP and TCP at this port; 0 takes a free one.",
)
@click.option("--sip-tls", metavar="[HOST:]PORT", help="And by TLS at this one.")
@click.option("--sip-cert", metavar="FILE", default="", help="Its certificate (PEM).")
@click.option("--sip-key", metavar="FILE", default="", help="The certificate's key (PEM).")
@click.option(
    "--sip-public",
    metavar="ADDRESS",
    default="",
    help="Our IP address as callers know it, where a router with this address passes everything "
    "on to us (1:1 NAT).",
)
@click.option(
    "--webhook",
    metavar="URL",
    help="Where calls are announced (realtime.call.incoming), signed with RTRUN_WEBHOOK_SECRET.",
)
@click.option(
    "--sip-fault",
    "sip_faults",
    multiple=True,
    type=click.Choice(FAULTS),
    help="Fail as the service has been seen to; may be repeated.",
)
@click.option("--parent", is_flag=True, help="End when standard input closes.")
def engine(
    port: int,
    host: str,
    key: str,
    brain: str,
    max_sessions: int | None,
    log_format: LogFormat,
    sip: str | None,
    sip_tls: str | None,
    sip_cert: str,
    sip_key: str,
    sip_public: str,
    webhook: str | None,
    sip_faults: tuple[str, ...],
    parent: bool,
) -> None:
    """Serve the OpenAI Realtime protocol with local speech, no key and no download.

    Prints one `ready` line when the models are warm and the port accepts.
    """
    # Before numpy is there: its BLAS would wake a thread on every core for each packet of a call.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from runner.engine.server.options import EngineOptions

    if not key and not is_loopback(host):
        raise UsageError(
            f"listening on {host} without a key would open the engine to everybody",
            "set RTRUN_ENGINE_KEY, or listen on 127.0.0.1",
        )
    limit = max_sessions or sessions_here()
    options = EngineOptions(host=host, port=port, key=key, max_sessions=limit)
    phone = _phone(sip, sip_tls, sip_cert, sip_key, sip_public, webhook, frozenset(sip_faults))
    if phone is not None and not key:
        for place in (phone.host, phone.tls_host):
            if place and not is_loopback(place):
                raise UsageError(
                    f"answering the phone on {place} without a key would open it to everybody",
                    "set RTRUN_ENGINE_KEY, or listen on 127.0.0.1",
                )
    # The engine's own log: warnings and errors, on standard error.
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(levelname)s: %(message)s"
    )
    run(_serve(options, _brain(brain), log_format, parent, phone))


def _phone(
    sip: str | None,
    tls: str | None,
    cert: str,
    key: str,
    public: str,
    webhook: str | None,
    faults: frozenset[str],
) -> SipOptions | None:
    """None without ``--sip``. UsageError."""
    if sip is None:
        if tls or webhook or cert or key or public or faults:
            raise UsageError("there is no phone without --sip", "--sip 5060 --webhook URL")
        return None
    if not webhook or urlsplit(webhook).scheme not in ("http", "https"):
        raise UsageError("--sip needs a --webhook to announce calls at", "--webhook http://...")
    secret = os.environ.get("RTRUN_WEBHOOK_SECRET", "")
    if not secret:
        raise UsageError(
            "RTRUN_WEBHOOK_SECRET is not set: nobody could tell our webhook from another's",
            "set it to what the receiver checks with",
        )
    if bool(tls) != bool(cert and key):
        raise UsageError("--sip-tls, --sip-cert and --sip-key go together", "give all three")
    try:
        named = ipaddress.ip_address(public) if public else None
    except ValueError:
        raise UsageError(f"--sip-public {public} is no IP address", "such as 203.0.113.7") from None
    if named is not None and (named.is_unspecified or named.is_multicast):
        raise UsageError(f"nobody can reach --sip-public {public}", "the router's own address")
    host, port = address(sip, "--sip")
    tls_host, tls_port = address(tls, "--sip-tls") if tls else ("", 0)
    return SipOptions(
        webhook=webhook,
        secret=secret,
        host=host,
        port=port,
        public=str(named or ""),
        tls_host=tls_host,
        tls_port=tls_port,
        certificate=cert,
        key=key,
        faults=faults,
    )


async def _serve(
    options: EngineOptions,
    brain: dict[str, Any],
    log_format: LogFormat,
    parent: bool,
    phone: SipOptions | None,
) -> None:
    from runner.engine.app import Engine
    from runner.engine.brain import make_brain
    from runner.engine.speaking.models import VOICE_NOTE
    from runner.listening import listen

    thinker = make_brain(brain)
    listener = listen(options.host, options.port)  # before the models: a port in use is told now
    stopped = asyncio.Event()
    _on_signals(stopped.set)
    if parent:
        _on_stdin_closed(stopped.set)

    models, reason = await _load_models()
    print(f"rtrun: {reason or VOICE_NOTE}", file=sys.stderr, flush=True)
    server = Engine(options, thinker, models, reason, phone)

    def ready(port: int) -> None:
        told: dict[str, Any] = {"brain": thinker.name, "voice": models is not None}
        told |= {"reason": reason} if reason else {"note": VOICE_NOTE}
        exchange = server.exchange
        sip = {} if exchange is None else {"sip": f"sip:{exchange.dial}"}
        if exchange is not None and exchange.dial_tls:
            sip["sips"] = f"sip:{exchange.dial_tls};transport=tls"
        _say_ready(options.host, port, told, log_format, sip)

    try:
        await server.serve(listener, ready, stopped)
    finally:
        await thinker.close()
        if models is not None:
            await in_thread(models.close)


async def _load_models() -> tuple[LocalModels | None, str]:
    """The warm models, or why there are none: then sessions are typed."""
    from runner.engine.speaking.models import LocalModels, missing

    reason = missing()
    if reason is not None:
        return None, f"no local speech, sessions are text: {reason}"
    models = LocalModels()
    try:
        await in_thread(models.load)
    except MissingModels as error:
        return None, f"no local speech, sessions are text: {error.message} ({error.hint})"
    return models, ""


def _say_ready(
    host: str, port: int, told: dict[str, Any], log_format: LogFormat, sip: dict[str, str]
) -> None:
    where = f"[{host}]" if ":" in host else host
    ws = f"ws://{where}:{port}/v1/realtime"
    if log_format == "text":
        print(" ".join(["ready", ws, *sip.values()]), flush=True)
        return
    line = {
        "t": round(time.monotonic() - STARTED, 3),
        "event": "ready",
        "urls": {"ws": ws, "http": f"http://{where}:{port}/v1", **sip},
        "engine": told,
    }
    print(dumps(line), flush=True)


def _brain(text: str) -> dict[str, Any]:
    """A brain's settings from its name, or from JSON."""
    text = text.strip()
    if not text.startswith("{"):
        return {"type": text or "rehearsal"}
    try:
        settings: dict[str, Any] = loads(text)
    except ValueError as error:
        raise UsageError(
            f"--brain is not valid JSON: {error}",
            'a name, or a map such as {"type": "chat", "url": ..., "model": ...}',
        ) from None
    return settings


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def _on_stdin_closed(stop: Callable[[], None]) -> None:
    """However the parent ends, the system closes its end of our standard input."""
    loop = asyncio.get_running_loop()

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(stop)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    from runner.cli.main import main

    main(["engine", *sys.argv[1:]])
