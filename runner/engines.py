"""Which engine answers, and the local one as a child process."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from runner.codec import dumps, loads
from runner.desk import Address
from runner.errors import EngineError, UsageError
from runner.model.deployment import EngineSpec
from runner.model.secret import Secret
from runner.tasks import Supervisor

#: Models load in one to two seconds on a quiet machine; a cold disk may take its time.
START_SECONDS = 60.0
#: Seconds before each try to start an engine again that ended by itself; then it is given up.
AGAIN = (0.0, 1.0, 3.0, 10.0)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers; ``kind`` is openai, local or the host of another one. ``voice``
    False: it has no ears and no voice, turns are typed;
    ``note`` is one line that the user should read."""

    kind: str
    address: Address
    voice: bool = True
    note: str = ""
    child: Child | None = None
    #: HOST:PORT on which it answers the phone, empty when it does not.
    dial: str = ""

    async def close(self) -> None:
        if self.child is not None:
            await self.child.close()


@dataclass(frozen=True, slots=True)
class Phone:
    """The local engine as a telephone exchange: it answers SIP on ``listen`` (HOST:PORT) and
    announces each call at ``webhook``, signed with ``secret``."""

    listen: str
    webhook: str
    secret: str = field(repr=False)


def choose(spec: EngineSpec, flag: str | None, env: Mapping[str, str]) -> EngineSpec:
    """``--engine`` above the file; ``auto`` settled by whether there is a key."""
    if flag is not None:
        if flag in ("auto", "openai", "local"):
            brain = spec.brain if flag == "local" else {}
            spec = EngineSpec(type=flag, brain=brain)  # type: ignore[arg-type]
        elif "://" in flag:
            key = env.get("RTRUN_ENGINE_KEY")
            spec = EngineSpec(type="url", url=flag, api_key=Secret(key) if key else None)
        else:
            raise UsageError(
                f"--engine {flag}: no such engine", "auto, openai, local, or a URL (ws://...)"
            )
    if spec.type == "auto":
        kind = "openai" if env.get("OPENAI_API_KEY") else "local"
        return EngineSpec(type=kind, brain=spec.brain)  # type: ignore[arg-type]
    return spec


async def start(
    spec: EngineSpec,
    env: Mapping[str, str],
    warn: Callable[[str], None],
    phone: Phone | None = None,
    *,
    lasting: bool = False,
) -> Engine:
    """The engine that ``spec`` (settled by :func:`choose`) names, ready to be connected to; the
    local one also as a ``phone``, and started again when it ends by itself if ``lasting``."""
    if spec.type == "openai":
        key = env.get("OPENAI_API_KEY")
        if not key:
            raise UsageError(
                "engine openai needs OPENAI_API_KEY",
                "set it in the environment, or use --engine local, which needs no key",
            )
        return Engine("openai", Address(api_key=key))
    if spec.type == "url":
        address = _address(spec, env)
        return Engine(urlsplit(address.url or "").netloc, address)
    child = Child(warn, lasting=lasting)
    ready = await child.start(spec.brain, env, phone)
    told = ready.get("engine", {})
    note = told.get("reason") or told.get("note") or ""
    address = Address(url=ready["urls"]["ws"], api_key=child.key)
    dial = ready["urls"].get("sip", phone.listen) if phone is not None else ""
    voice = bool(told.get("voice", True))
    return Engine("local", address, voice, note, child, dial.removeprefix("sip:"))


class Engines:
    """The engines of one process: deployments that say the same share one."""

    def __init__(
        self, env: Mapping[str, str], warn: Callable[[str], None], *, lasting: bool = False
    ) -> None:
        self._env = env
        self._warn = warn
        self._lasting = lasting
        self._running: list[tuple[EngineSpec, Phone | None, Engine]] = []
        self._one_at_a_time = asyncio.Lock()

    async def get(self, spec: EngineSpec, phone: Phone | None = None) -> Engine:
        """The engine that ``spec`` (settled by :func:`choose`) names, started when it is new. The
        local one answers ``phone`` besides."""
        async with self._one_at_a_time:
            for known, line, engine in self._running:
                if known == spec and phone in (None, line):
                    return engine
            engine = await start(spec, self._env, self._warn, phone, lasting=self._lasting)
            self._running.append((spec, phone, engine))
            if engine.note:
                self._warn(engine.note)
            return engine

    async def close(self) -> None:
        for _, _, engine in self._running:
            await engine.close()


def _address(spec: EngineSpec, env: Mapping[str, str]) -> Address:
    url = spec.url or ""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise UsageError(
            f"{url} is no engine's address", "it looks like ws://host:port/v1/realtime"
        )
    path = parts.path if parts.path not in ("", "/", "/v1", "/v1/") else "/v1/realtime"
    host = parts.hostname
    key = spec.api_key.reveal() if spec.api_key else None
    if key is None and (host in ("localhost", "::1") or host.startswith("127.")):
        key = env.get("OPENAI_API_KEY") or "local"
    if key is None and (host == "openai.com" or host.endswith(".openai.com")):
        key = env.get("OPENAI_API_KEY")
    headers = {name: secret.reveal() for name, secret in spec.headers.items()}
    return Address(parts._replace(scheme=scheme, path=path).geturl(), key, headers)


class Child:
    """``rtrun engine`` as a child process: its own GIL and its own crash, on loopback with a
    random key. It ends when our end of its standard input closes, however we end. A ``lasting``
    one that ends by itself comes back under its address, so that calls find it there."""

    def __init__(self, warn: Callable[[str], None], *, lasting: bool = False) -> None:
        self.key = secrets.token_urlsafe(24)
        self._warn = warn
        self._lasting = lasting
        self._process: asyncio.subprocess.Process | None = None
        self._tasks = Supervisor(lambda name, error: warn(f"{name}: {error}"))
        self._said: deque[str] = deque(maxlen=20)
        self._started = self._closing = False
        self._draining: asyncio.Task[None] | None = None

    async def start(
        self, brain: Mapping[str, Any], env: Mapping[str, str], phone: Phone | None = None
    ) -> dict[str, Any]:
        """Its ``ready`` line. EngineError tells what it said when it did not get that far."""
        settings = {key: _plain(value) for key, value in brain.items()}
        more = [] if phone is None else ["--webhook", phone.webhook]
        if phone is not None and (public := env.get("RTRUN_SIP_PUBLIC")):
            more += ["--sip-public", public]
        secret = {} if phone is None else {"RTRUN_WEBHOOK_SECRET": phone.secret}
        environ = {
            **env,
            **secret,
            "RTRUN_ENGINE_KEY": self.key,
            "RTRUN_ENGINE_BRAIN": dumps(settings or {"type": "rehearsal"}),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        listen = [] if phone is None else ["--sip", phone.listen]
        try:
            ready = await self._launch(["--port", "0", *listen, *more], environ)
        except BaseException:
            await self.close()
            raise
        port = str(urlsplit(ready["urls"]["ws"]).port)
        dial = ready["urls"].get("sip", "").removeprefix("sip:")
        listen = ["--sip", dial] if dial else listen
        again = partial(self._launch, ["--port", port, *listen, *more], environ)
        self._draining = self._tasks.spawn(self._drain(again), "engine's output")
        return ready

    async def _launch(self, flags: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
        self._started = False
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runner.cli.main", "engine",
            "--parent", "--log-format", "json", *flags,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
            start_new_session=True,  # Ctrl-C is ours: the engine has to outlive the farewell
        )  # fmt: skip
        errors = self._tasks.spawn(self._read_errors(), "engine's standard error")
        try:
            async with asyncio.timeout(START_SECONDS):
                ready = await self._first_line(errors)
        except TimeoutError:
            await self._stop()
            raise EngineError(
                f"the local engine was not ready within {START_SECONDS:.0f} s", self._last_words()
            ) from None
        except BaseException:
            await self._stop()
            raise
        self._started = True
        return ready

    async def _first_line(self, errors: asyncio.Task[None]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            try:
                told = loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and told.get("event") == "ready":
                return told
        code = await self._process.wait()
        await errors  # what it said on its way out
        raise EngineError(f"the local engine did not start (exit {code})", self._last_words())

    async def _read_errors(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            text = line.decode(errors="replace").rstrip()
            if text:
                self._said.append(text)
                if self._started:
                    self._warn(f"engine: {text}")

    async def _drain(self, again: Callable[[], Awaitable[Any]]) -> None:
        while True:
            assert self._process is not None
            assert self._process.stdout is not None
            while await self._process.stdout.readline():
                pass
            code = await self._process.wait()
            if self._closing or not self._lasting:
                if code:
                    self._warn(f"engine: it ended with exit code {code}")
                return
            self._warn(f"engine: it ended with exit code {code}, and is started again")
            if not await self._came_back(again):
                return

    async def _came_back(self, again: Callable[[], Awaitable[Any]]) -> bool:
        for pause in AGAIN:
            await asyncio.sleep(pause)
            try:
                await again()
            except EngineError as error:
                self._warn(f"engine: {error.message}: {error.hint}")
            else:
                self._warn("engine: it is back")
                return True
        self._warn("engine: it is given up; end rtrun and start it again")
        return False

    def _last_words(self) -> str:
        return "\n  ".join(self._said)

    async def close(self) -> None:
        self._closing = True
        if not await self._stop() and self._draining is not None:
            # It ended by itself just now: that is still to be told.
            await asyncio.wait({self._draining}, timeout=1.0)
        await self._tasks.close()

    async def _stop(self) -> bool:
        """False when it had ended already."""
        process = self._process
        if process is None or process.returncode is not None:
            return False
        if not self._started:
            process.kill()  # it is loading its models, and has nothing to say farewell to
        self._started = False
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(3.0):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        return True


def _plain(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value
