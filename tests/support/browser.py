"""A real browser for tests: headless Chromium (a Debian package), driven over DevTools.

Its microphone is made of software and may speak a recording; permissions are given unasked, and
sound plays without a click. Source of the messages: the Chrome DevTools Protocol's reference.
"""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import websockets
from support.driven import (
    ANSWER_SECONDS,
    START_SECONDS,
    Driven,
    PageError,
    Tab,
    dialled,
    launched,
)
from support.speech import RATE, write_wav
from support.until import until

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # CI's containers give no user namespaces to root
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-breakpad",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=0",
)


class Page(Tab):
    """One tab. ``errors``: uncaught exceptions, ``console.error`` and what the browser itself
    reports (a resource that is not there, a refused policy), each as text."""

    def __init__(self, browser: Browser, session: str) -> None:
        super().__init__()
        self._browser = browser
        self._session = session
        #: All that the console was given, as (level, text).
        self.console: list[tuple[str, str]] = []
        self._loads = 0

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, for this tab."""
        return await self._browser.do(method, session=self._session, **params)

    async def goto(self, url: str) -> None:
        """Load ``url`` and wait until it has loaded."""
        before = self._loads
        if failed := (await self.do("Page.navigate", url=url)).get("errorText"):
            raise PageError(f"{url}: {failed}")
        await until(lambda: self._loads > before, ANSWER_SECONDS)

    async def reload(self) -> None:
        before = self._loads
        await self.do("Page.reload")
        await until(lambda: self._loads > before, ANSWER_SECONDS)

    async def evaluate(self, script: str) -> Any:
        told = await self.do(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in told:
            raise PageError(_thrown(told["exceptionDetails"]))
        return told["result"].get("value")

    async def screenshot(self, path: Path) -> Path:
        """A PNG of what is seen."""
        shot = await self.do("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))
        return path

    async def viewport(
        self, width: int, height: int, *, mobile: bool = False, scale: float = 1
    ) -> None:
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    async def scheme(self, scheme: Literal["light", "dark"]) -> None:
        """prefers-color-scheme."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.do("Emulation.setEmulatedMedia", features=[feature])

    async def press(self, key: str, **fields: Any) -> None:
        """A key pressed and let go: "a", "Enter", "Tab", with ``code=`` and such if needed."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "Tab": 9, "Escape": 27, " ": 32}.get(key)
        about = {"key": key, **({"windowsVirtualKeyCode": code} if code else {}), **fields}
        down = {"text": text} if text else {}
        await self.do("Input.dispatchKeyEvent", type="keyDown", **about, **down)
        await self.do("Input.dispatchKeyEvent", type="keyUp", **about)

    async def click(self, selector: str) -> None:
        """The mouse on the middle of the first element that fits."""
        box = await self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " if (!e) throw new Error('no such element'); e.scrollIntoView({block: 'center'});"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )
        at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        await self.do("Input.dispatchMouseEvent", type="mousePressed", **at)
        await self.do("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def told(self, method: str, params: dict[str, Any]) -> None:
        """An event of the protocol, of this tab."""
        match method:
            case "Page.loadEventFired":
                self._loads += 1
            case "Runtime.exceptionThrown":
                self.errors.append(_thrown(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                said = " ".join(
                    str(arg.get("value", arg.get("description", ""))) for arg in params["args"]
                )
                self.console.append((params["type"], said))
                if params["type"] in ("error", "assert"):
                    self.errors.append(said)
            case "Log.entryAdded":
                entry = params["entry"]
                if entry["level"] == "error":
                    self.errors.append(f"{entry['text']} {entry.get('url', '')}".strip())


class Browser(Driven):
    """Made by :func:`chromium`."""

    def __init__(self, process: subprocess.Popen[bytes], socket: websockets.ClientConnection):
        super().__init__(process, socket)
        self._pages: dict[str, Page] = {}

    async def page(self, url: str = "about:blank") -> Page:
        """A new tab at ``url``."""
        target = await self.do("Target.createTarget", url="about:blank")
        attached = await self.do("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            await page.do(f"{domain}.enable")
        if url != "about:blank":
            await page.goto(url)
        return page

    async def grant(self, *permissions: str, origin: str | None = None) -> None:
        """Names of the protocol: "audioCapture", "clipboardReadWrite" ..."""
        where = {} if origin is None else {"origin": origin}
        await self.do("Browser.grantPermissions", permissions=list(permissions), **where)

    async def do(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        return await self._ask(
            method, params, **({} if session is None else {"sessionId": session})
        )

    def _told(self, event: dict[str, Any]) -> None:
        if page := self._pages.get(event.get("sessionId", "")):
            page.told(event["method"], event["params"])

    async def close(self) -> None:
        with suppress(PageError, TimeoutError, websockets.ConnectionClosed):
            async with asyncio.timeout(5):
                await self.do("Browser.close")
                await asyncio.to_thread(self.process.wait, 5)
        await super().close()


@asynccontextmanager
async def chromium(microphone: bytes | None = None, *flags: str) -> AsyncIterator[Browser]:
    """A browser of its own, with a profile of its own, until the end of the block.

    ``microphone``: PCM16 mono at 24 kHz that its microphone speaks over and over, from the moment
    a page opens it; left out, Chromium's own beeps. Put as much silence into it as you need.
    """
    command = shutil.which("chromium") or shutil.which("chromium-browser")
    assert command, "needs Chromium (apt-get install chromium)"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        words = [command, *FLAGS, f"--user-data-dir={home / 'profile'}", *flags]
        if microphone is not None:
            wav = write_wav(home / "microphone.wav", microphone, RATE)
            words.append(f"--use-file-for-fake-audio-capture={wav}")
        async with launched([*words, "about:blank"], home, {}) as process:
            port, path = await _door(process, home)
            browser = Browser(process, await dialled(f"ws://127.0.0.1:{port}{path}"))
            try:
                yield browser
            finally:
                await browser.close()


async def _door(process: subprocess.Popen[bytes], home: Path) -> tuple[str, str]:
    file = home / "profile" / "DevToolsActivePort"

    def lines() -> list[str]:
        return file.read_text().split() if file.exists() else []

    try:
        await until(lambda: process.poll() is not None or len(lines()) == 2, START_SECONDS)
    except TimeoutError:
        raise AssertionError(f"Chromium did not start: {(home / 'log').read_text()}") from None
    assert process.poll() is None, f"Chromium ended: {(home / 'log').read_text()}"
    port, path = lines()
    return port, path


def _thrown(details: dict[str, Any]) -> str:
    exception = details.get("exception", {})
    said = exception.get("description") or exception.get("value") or details["text"]
    return f"{said} ({details.get('url', '')}:{details.get('lineNumber', 0) + 1})"


@contextmanager
def pages(files: Mapping[str, str | bytes], folder: Path | None = None) -> Iterator[str]:
    """A web server for the block; its address, without a slash at the end. ``files`` by path
    ("/index.html"), and whatever else is asked for from ``folder``. Nothing is kept in a cache."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            data = files.get(path)
            if data is None and folder is not None and (folder / path[1:]).is_file():
                data = (folder / path[1:]).read_bytes()
            self.send_response(404 if data is None else 200)
            kind = "text/javascript" if path.endswith((".mjs", ".js")) else "text/html"
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(data.encode() if isinstance(data, str) else data or b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
