"""Real telephones as processes of their own: PJSIP and baresip, driven by the same few words."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.engine import spoken
from support.speech import silence, write_wav

from runner.media.resample import resample
from runner.media.wav import read_wav

#: Longer than any call here.
LONG = bytes(2 * 8000 * 120)
PJSIP = Path(__file__).with_name("pjsip_phone.py")


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate of 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(files[0]), str(files[1])


class Phone:
    """``told`` is what it said of itself, in order; ``heard()`` what it heard, when it is over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[Any] = []
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]
        folder.mkdir(exist_ok=True)

    async def _start(self, *argv: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
        )
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(line.decode(errors="replace").rstrip())
            self._news.set()
        await self._process.wait()
        self._tell("over")

    def _tell(self, *what: Any) -> None:
        self.told.append(list(what))
        self._news.set()

    def _take(self, line: str) -> None:
        self._tell(line)

    async def until(self, *what: Any, times: int = 1, within: float = 20) -> None:
        """Until it has told this, so many times."""
        try:
            async with asyncio.timeout(within):
                while sum(told[: len(what)] == list(what) for told in self.told) < times:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what}; it told {self.told[-12:]}") from None

    def wav(self, text: str) -> str:
        """A file of these words, at the telephone's rate, quiet before and behind them."""
        pcm = silence(0.1) + spoken(text)
        file = self.folder / f"{abs(hash(text))}.wav"
        return str(write_wav(file, resample(pcm, 24_000, 8_000) + LONG, 8_000))

    @abstractmethod
    async def say(self, text: str) -> None: ...

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._reading


class Pjsip(Phone):
    async def dial(self, uri: str, *more: str) -> None:
        out = str(self.folder / "heard.wav")
        # -P: a module of this folder has the name of one of the library's.
        await self._start(sys.executable, "-P", str(PJSIP), uri, out, *more)
        await self.until("media")

    def _take(self, line: str) -> None:
        try:
            self._tell(*json.loads(line))
        except ValueError:
            self._tell("log", line)

    async def command(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        await self._process.stdin.drain()

    async def say(self, text: str) -> None:
        await self.command("say", self.wav(text))

    def heard(self) -> bytes:
        """PCM16 at 16 kHz."""
        return read_wav(self.folder / "heard.wav", 16_000).pcm16


_BARESIP = """poll_method epoll
sip_listen 127.0.0.1:0
sip_certificate {folder}/both.pem
audio_player aufile,{folder}/unused.wav
audio_source aufile,{silence}
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_level no
snd_path {folder}
ctrl_tcp_listen 127.0.0.1:{port}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module auconv.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
module sndfile.so
"""


class Baresip(Phone):
    """Driven by its module ctrl_tcp: netstrings of JSON."""

    _writer: asyncio.StreamWriter | None = None
    _listening: asyncio.Task[None] | None = None

    async def dial(self, uri: str, *more: str) -> None:
        port = self._configure(uri, *more)
        await self._start("baresip", "-f", str(self.folder))
        await self._connect(port)
        await self.command("dial", uri)
        await self.until("CALL_ESTABLISHED")

    def _configure(self, uri: str, *more: str) -> int:
        """Its files; the port at which it takes commands."""
        # Where a file ends, baresip hangs up.
        quiet = write_wav(self.folder / "quiet.wav", LONG, 8_000)
        files = certificate(self.folder)
        both = "".join(Path(file).read_text() for file in files)
        (self.folder / "both.pem").write_text(both)
        port = free_port()
        config = _BARESIP.format(folder=self.folder, silence=quiet, port=port)
        (self.folder / "config").write_text(config)
        srtp = ";mediaenc=srtp-mand" if "srtp" in more else ""
        transport = ";transport=tls" if "transport=tls" in uri else ""
        account = f"<sip:ann@127.0.0.1{transport}>;regint=0;audio_codecs=PCMU/8000/1{srtp}\n"
        (self.folder / "accounts").write_text(account)
        (self.folder / "contacts").write_text("")
        return port

    async def _connect(self, port: int) -> None:
        async with asyncio.timeout(20):
            while self._writer is None:
                try:
                    reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
        self._listening = asyncio.get_running_loop().create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                told = json.loads((await reader.readexactly(size + 1))[:-1])
                self._tell(told.get("type") or told.get("response"), told)
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def _take(self, line: str) -> None:
        self._tell("log", line)

    async def command(self, name: str, params: str = "") -> None:
        assert self._writer is not None
        data = json.dumps({"command": name, "params": params}).encode()
        self._writer.write(b"%d:%s," % (len(data), data))
        await self._writer.drain()

    async def say(self, text: str) -> None:
        await self.command("ausrc", f"aufile,{self.wav(text)}")

    def heard(self) -> bytes:
        [file] = self.folder.glob("dump-*dec*.wav")
        return read_wav(file, 16_000).pcm16

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        if self._writer is not None:
            self._writer.close()
        await super().close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def ringing(kind: type[Phone], folder: Path) -> AsyncIterator[Any]:
    phone = kind(folder)
    try:
        yield phone
    finally:
        await phone.close()
