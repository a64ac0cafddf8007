"""What `rtrun doctor` looks at, one finding each."""

from __future__ import annotations

import asyncio
import math
import platform
import sys
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Literal
from urllib.parse import urlsplit

from runner import __version__
from runner.desk import Address
from runner.engines import Engines, choose
from runner.errors import DeviceError, RtrunError
from runner.model.deployment import EngineSpec

State = Literal["well", "lacks", "broken"]

#: What rtrun[mic] and the others bring.
_EXTRAS = {"mic": ("livekit",), "fast": ("orjson", "pybase64", "uvloop"), "mcp": ("mcp",)}
LISTEN_SECONDS = 2.0
CONNECT_SECONDS = 15.0
#: Below it a microphone hands over silence: no room is that quiet.
SILENT_DBFS = -75.0
_TONE_HZ, _TONE_SECONDS = 440.0, 0.6


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: well; lacks, something optional; broken, something that is needed or was asked
    for. ``hint`` says what to do."""

    name: str
    state: State
    text: str
    hint: str = ""


def installation() -> Iterator[Finding]:
    """This rtrun, its Python, what it needs, and what makes it faster."""
    text = f"{__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}"
    yield Finding("rtrun", "well", text)
    absent = sorted(_absent(_needed()))
    if absent:
        hint = f"pip install {' '.join(absent)}, or install rtrun again"
        yield Finding("packages", "broken", f"{', '.join(absent)} cannot be found", hint)
    else:
        yield Finding("packages", "well", "all that rtrun needs")
    for extra, names in _EXTRAS.items():
        wanted = [n for n in names if n != "uvloop" or sys.platform != "win32"]
        lacking = sorted(_absent(wanted))
        if lacking:
            hint = f"pip install 'rtrun[{extra}]'"
            yield Finding(extra, "lacks", f"without {', '.join(lacking)}", hint)
        else:
            yield Finding(extra, "well", ", ".join(wanted))
    yield _schema()
    yield _zones()


def _needed() -> list[str]:
    """The names of what this distribution requires without extras."""
    try:
        wanted = metadata.requires("rtrun") or []
    except metadata.PackageNotFoundError:  # a checkout on the path
        return []
    plain = [line for line in wanted if "extra ==" not in line]
    return [line.partition(";")[0].strip() for line in plain]


def _absent(names: list[str]) -> Iterator[str]:
    for name in names:
        bare = name
        for sign in "<>=!~ [":
            bare = bare.partition(sign)[0]
        try:
            metadata.version(bare)
        except metadata.PackageNotFoundError:
            yield bare


def _schema() -> Finding:
    from runner.config import schema

    try:
        schema.load()
    except RtrunError as error:
        return Finding("schema", "broken", error.message, error.hint)
    return Finding("schema", "well", "deployments can be checked")


def _zones() -> Finding:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo("America/New_York")
    except (KeyError, ValueError, OSError):
        hint = "pip install tzdata"
        return Finding("time zones", "broken", "this machine has no database of them", hint)
    return Finding("time zones", "well", "known")


def engines(env: Mapping[str, str]) -> Iterator[Finding]:
    """Who can answer: OpenAI with a key, and the engine on this machine."""
    if env.get("OPENAI_API_KEY"):
        yield Finding("OpenAI", "well", "OPENAI_API_KEY is set; --engine openai tries it")
    else:
        hint = "the local engine needs none"
        yield Finding("OpenAI", "lacks", "no key in OPENAI_API_KEY", hint)
    from runner.engine.speaking.models import missing

    why = missing()
    if why is None:
        yield Finding("local speech", "well", "the engine here hears and speaks")
    else:
        yield Finding("local speech", "lacks", f"turns are typed: {why}", "")


def control() -> Finding:
    """The door by which `rtrun ps` and its like reach a run."""
    from runner.serve.sockets import own_folder, supported

    if not supported():
        hint = "--admin PORT opens another way"
        return Finding("control", "lacks", "this system has no UNIX sockets", hint)
    try:
        folder = own_folder()
    except RtrunError as error:
        return Finding("control", "lacks", error.message, error.hint)
    return Finding("control", "well", str(folder))


def devices() -> Iterator[Finding]:
    """Microphones and speakers, and whether the ones that would be taken can be opened."""
    from runner.media.portaudio import available, listed

    for kind, name in (("input", "microphone"), ("output", "speaker")):
        why = available("input" if kind == "input" else "output")
        found = []
        with suppress(DeviceError):
            found = listed("input" if kind == "input" else "output")
        choice = "; ".join(f"{index} {label}" for index, label, _ in found)
        default = next((label for _, label, is_default in found if is_default), "")
        if why is None:
            more = f" (--{kind} chooses: {choice})" if len(found) > 1 else ""
            yield Finding(name, "well", f"{default or choice}{more}")
        else:
            yield Finding(name, "lacks", why, f"there are: {choice}" if choice else "")


async def sound(microphone: str | None, speaker: str | None) -> list[Finding]:
    """Play a tone and listen for two seconds. What does not work is broken: it was asked for."""
    from runner.media.devices import Microphone, Speaker

    out: list[Finding] = []
    try:
        player = Speaker(device=speaker)
        drained = asyncio.Event()
        player.on_drained = drained.set
        player.play("tone", 0, _tone())
        try:
            async with asyncio.timeout(_TONE_SECONDS + 5):
                await drained.wait()
            out.append(Finding("tone", "well", "played on the speaker; did you hear it?"))
        except TimeoutError:
            out.append(Finding("tone", "broken", "the speaker takes sound and never plays it"))
        finally:
            player.close()
    except DeviceError as error:
        out.append(Finding("tone", "broken", error.message, error.hint))
    try:
        heard: list[bytes] = []
        ear = Microphone(heard.append, device=microphone)
        try:
            await asyncio.sleep(LISTEN_SECONDS)
        finally:
            ear.close()
        out.append(_level(b"".join(heard)))
    except DeviceError as error:
        out.append(Finding("level", "broken", error.message, error.hint))
    return out


def _tone() -> bytes:
    samples = range(int(24_000 * _TONE_SECONDS))
    wave = array("h", (int(6000 * math.sin(2 * math.pi * _TONE_HZ * n / 24_000)) for n in samples))
    if sys.byteorder == "big":
        wave.byteswap()
    return wave.tobytes()


def _level(pcm: bytes) -> Finding:
    wave = array("h", pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        wave.byteswap()
    if not wave:
        return Finding("level", "broken", "the microphone hands over nothing", "is it in use?")
    mean = math.sqrt(sum(sample * sample for sample in wave) / len(wave))
    level = 20 * math.log10(mean / 32768) if mean else float("-inf")
    if level < SILENT_DBFS:
        hint = "is it muted, or not allowed for this program?"
        return Finding("level", "broken", "the microphone hands over silence", hint)
    return Finding("level", "well", f"{level:.0f} dBFS in the room")


async def lines(flag: str, env: Mapping[str, str]) -> list[Finding]:
    """Open lines to the engine that ``flag`` names, as calls would: one by WebSocket, and when that
    opens, one by WebRTC, which a network or an engine may not have."""
    running = Engines(env, lambda text: None)
    try:
        engine = await running.get(choose(EngineSpec(), flag, env))
        where = urlsplit(engine.address.url).netloc if engine.address.url else "api.openai.com"
        took = await _open("websocket", engine.address)
        words = f"{engine.kind} at {where} answers after {took:.0f} ms"
        found = [Finding("engine", "well", words)]
        try:
            words = f"a line is open after {await _open('webrtc', engine.address):.0f} ms"
            found.append(Finding("webrtc", "well", words))
        except RtrunError as error:
            found.append(Finding("webrtc", "lacks", error.message, error.hint))
        except TimeoutError:
            words = f"a line opened, and no session began within {CONNECT_SECONDS:.0f} s"
            found.append(Finding("webrtc", "lacks", words, "transport: websocket does without"))
        return found
    except RtrunError as error:
        return [Finding("engine", "broken", error.message, error.hint)]
    except TimeoutError:
        words = f"{flag} took the line and said nothing for {CONNECT_SECONDS:.0f} s"
        return [Finding("engine", "broken", words)]
    finally:
        await running.close()


async def _open(kind: str, address: Address) -> float:
    """Milliseconds until the engine has begun a session on a line. RtrunError, TimeoutError."""
    from runner.transports.base import ConnectOptions
    from runner.transports.registry import create

    transport = create(kind)
    created = asyncio.Event()
    transport.on("session.created", lambda event: created.set())
    options = ConnectOptions(
        api_key=address.api_key, url=address.url, headers=dict(address.headers)
    )
    began = time.monotonic()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await transport.connect(options)
            await created.wait()
    finally:
        await transport.close()
    return (time.monotonic() - began) * 1000
