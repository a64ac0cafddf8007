"""A second real browser for tests: headless Firefox (Debian's firefox-esr), by WebDriver BiDi.

Microphone and speaker are those of a sound card made of software, given unasked. Source of the
messages: W3C's WebDriver BiDi, which Firefox speaks without a driver.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import websockets
from support.driven import START_SECONDS, Driven, PageError, Tab, dialled, launched
from support.soundcard import SoundCard
from support.until import until

#: Off: what would ask or tell on the network, and questions to the user.
PREFERENCES: dict[str, bool | int | str] = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "captivedetect.canonicalURL": "",
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "media.autoplay.blocking_policy": 0,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "media.navigator.permission.disabled": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.active-protocols": 1,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}


class FirefoxPage(Tab):
    """One tab. ``errors``: uncaught exceptions and ``console.error``, each as text."""

    def __init__(self, browser: Firefox, context: str) -> None:
        super().__init__()
        self._browser = browser
        self._context = context

    async def goto(self, url: str) -> None:
        await self._do("browsingContext.navigate", url=url, wait="complete")

    async def reload(self) -> None:
        await self._do("browsingContext.reload", wait="complete")

    async def evaluate(self, script: str) -> Any:
        told = await self._browser.do(
            "script.evaluate",
            # As JSON: BiDi's own way to tell a value is a tree of types.
            expression=f"(async () => JSON.stringify(await ({script}\n)))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if told["type"] == "exception":
            raise PageError(told["exceptionDetails"]["text"])
        value = told["result"].get("value")
        return None if value is None else json.loads(value)

    async def viewport(self, width: int, height: int) -> None:
        size = {"width": width, "height": height}
        await self._do("browsingContext.setViewport", viewport=size)

    async def screenshot(self, path: Path) -> Path:
        """A PNG of what is seen."""
        shot = await self._do("browsingContext.captureScreenshot")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))
        return path

    async def press(self, *keys: str) -> None:
        """Keys pressed and let go one after another: "a", "Enter", "Tab", "Escape"."""
        code = {"Enter": "\ue007", "Tab": "\ue004", "Escape": "\ue00c"}
        actions = [
            {"type": kind, "value": code.get(key, key)}
            for key in keys
            for kind in ("keyDown", "keyUp")
        ]
        await self._do(
            "input.performActions", actions=[{"type": "key", "id": "k", "actions": actions}]
        )

    async def _do(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._browser.do(method, context=self._context, **params)


class Firefox(Driven):
    """Made by :func:`firefox`."""

    def __init__(self, process: subprocess.Popen[bytes], socket: websockets.ClientConnection):
        super().__init__(process, socket)
        self._pages: dict[str, FirefoxPage] = {}

    async def page(self, url: str = "about:blank") -> FirefoxPage:
        """A new tab at ``url``."""
        context = (await self.do("browsingContext.create", type="tab"))["context"]
        page = self._pages[context] = FirefoxPage(self, context)
        if url != "about:blank":
            await page.goto(url)
        return page

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._ask(method, params)

    def _told(self, event: dict[str, Any]) -> None:
        entry = event["params"]
        page = self._pages.get(entry["source"].get("context", ""))
        if page is not None and entry["level"] == "error":
            page.errors.append(entry["text"] or "")


@asynccontextmanager
async def firefox(card: SoundCard | None = None) -> AsyncIterator[Firefox]:
    """A browser of its own, with a profile of its own, until the end of the block. Without a
    ``card`` it has neither sound nor Web Audio."""
    command = shutil.which("firefox-esr") or shutil.which("firefox")
    assert command, "needs Firefox (apt-get install firefox-esr)"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        profile = home / "profile"
        profile.mkdir()
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PREFERENCES.items())
        (profile / "user.js").write_text("".join(lines))
        words = (command, "--headless", "--no-remote", "--remote-debugging-port=0")
        env = card.env if card is not None else {}
        async with launched([*words, "--profile", str(profile)], home, env) as process:
            door = await _door(process, home / "log")
            browser = Firefox(process, await dialled(f"{door}/session"))
            try:
                await browser.do("session.new", capabilities={})
                await browser.do("session.subscribe", events=["log.entryAdded"])
                yield browser
            finally:
                await browser.close()


async def _door(process: subprocess.Popen[bytes], log: Path) -> str:
    def said() -> str:
        return log.read_text(errors="replace")

    def found() -> re.Match[str] | None:
        return re.search(r"BiDi listening on (ws://\S+)", said())

    with suppress(TimeoutError):
        await until(lambda: process.poll() is not None or found(), START_SECONDS)
    door = found()
    assert door, f"Firefox did not start: {said()}"
    return door[1]
