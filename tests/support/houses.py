"""A house of deployments in the test's own process, on an engine that is really there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from runner.cli.local import typed
from runner.config.load import files_of, load
from runner.desk import Address, Call
from runner.model.deployment import Deployment
from runner.serve.deployed import Deployed, Told
from runner.serve.house import House
from runner.serve.tail import Tails
from runner.serve.verbs import Stream, Verbs

SHOP = """\
transport: websocket
timezone: none
session: { output_modalities: [text] }
agents:
  desk:
    instructions: Say one.
"""


class Hall:
    """``house`` and the verbs that it is asked by. ``told``, ``warned``, ``failed`` and
    ``drains`` are what its process heard."""

    def __init__(self, url: str, env: dict[str, str], state: Path) -> None:
        self.told: list[tuple[str, Told]] = []
        self.failed: list[tuple[str, BaseException]] = []
        self.warned: list[str] = []
        self.drains = 0
        self.tails = Tails()
        self._url = url
        self.env = env
        self.house = House(
            self._address,
            told=lambda of, what: self.told.append((of.name, what)),
            warn=lambda name, text: self.warned.append(text),
            drain=self._drained,
            on_failure=self._failed,
            state=state,
        )
        self.verbs = Verbs(self.house, self.tails, 0.0, self._failed, load=self.load)

    async def _address(self, deployment: Deployment) -> Address:
        return Address(self._url, "key")

    def _failed(self, name: str, error: BaseException) -> None:
        self.failed.append((name, error))

    def _drained(self) -> None:
        self.drains += 1

    def load(self, file: Path) -> Any:
        return load(file, env=self.env)

    def add(self, file: Path) -> Deployed:
        return self.house.add(
            file, read=partial(self.load, file), files=partial(files_of, file, env=self.env)
        )

    def __getitem__(self, name: str) -> Deployed:
        return self.house.deployments[name]

    async def call(self, name: str) -> Call:
        """One typed call more."""
        desk = self[name].desk
        assert desk is not None
        return await desk.open(settings=typed(desk.deployment.session))

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        reply = await self.verbs.answer({"do": do, **fields})
        assert not isinstance(reply, Stream)
        return dict(reply)

    async def stream(self, do: str, **fields: Any) -> Stream:
        reply = await self.verbs.answer({"do": do, **fields})
        assert isinstance(reply, Stream), reply
        return reply


@asynccontextmanager
async def hall(
    folder: Path, url: str, env: dict[str, str] | None = None, **files: str
) -> AsyncIterator[Hall]:
    """Deployments by name; what is none is kept as one that has never been valid."""
    it = Hall(url, env or {}, folder / "state")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
        it.add(folder / f"{name}.yaml")
    try:
        await it.house.begin(several=len(files) > 1)
        yield it
    finally:
        await it.verbs.close()
        await it.house.close()
