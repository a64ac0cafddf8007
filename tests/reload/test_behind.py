"""Files behind a deployment: its bases, and the files of its secrets, from the save to the call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.refusing import RefusingServer, refusing_server

from runner.config.load import Loaded, files_of, load
from runner.desk import Address, Desk
from runner.reload.apply import Applied, Applier, Outcome, Rejected
from runner.reload.watch import Watcher
from runner.toolbox import load_tools

DEADLINE = 10.0
TOOL = """\
extends: _base.yaml
timezone: none
transport: websocket
agents: { desk: { tools: [price] } }
tools:
  price:
    description: The price.
    http: { url: "https://shop.example/price", headers: { Authorization: "Bearer ${TOKEN}" } }
"""
BASE = "agents:\n  desk: { instructions: Say one. }\n"


class Followed:
    """A deployment with one call, watched and applied as the runner does it."""

    def __init__(self, file: Path, env: Mapping[str, str], server: RefusingServer) -> None:
        self.file, self.env = file, env
        loaded = self.load()
        self.desk = Desk(
            loaded.deployment, load_tools(loaded), Address(server.url, "key"), lambda *_: None
        )
        self.applier = Applier(self.desk, loaded, self.load)
        deployment = loaded.deployment
        self.watcher = Watcher(self.files(), digests=deployment.digests)
        self.saves = self.watcher.changes()

    def load(self) -> Loaded:
        return load(self.file, env=self.env)

    def files(self) -> tuple[Path, ...]:
        return (*self.applier.loaded.deployment.files, *files_of(self.file, env=self.env))

    async def outcome(self, change: Callable[[], object]) -> Outcome:
        """What the runner makes of ``change``, which saves something."""
        change()
        async with asyncio.timeout(DEADLINE):
            saved = await anext(self.saves)
        out = await self.applier.saved(saved.first_event)
        self.watcher.set_files(self.files(), digests=self.applier.loaded.deployment.digests)
        return out

    def token(self) -> str:
        spec = self.desk.deployment.tools["price"].http
        assert spec is not None
        return spec.headers["Authorization"].reveal()


@asynccontextmanager
async def followed(
    folder: Path, env: Mapping[str, str]
) -> AsyncIterator[tuple[Followed, RefusingServer]]:
    (folder / "_base.yaml").write_text(BASE)
    (folder / "shop.yaml").write_text(TOOL)
    async with refusing_server() as server:
        it = Followed(folder / "shop.yaml", env, server)
        await it.desk.open()
        await it.watcher.start()
        try:
            yield it, server
        finally:
            await it.saves.aclose()
            await it.watcher.close()
            await it.desk.close()


def in_place(file: Path) -> None:
    file.write_text("second\n")


def renamed(file: Path) -> None:
    other = file.with_name("new")
    other.write_text("second\n")
    os.replace(other, file)


@pytest.mark.parametrize("rotate", [in_place, renamed])
def test_a_rotated_secret_is_used_by_the_running_call(
    rotate: Callable[[Path], None], tmp_path: Path
) -> None:
    secret = tmp_path / "secrets" / "token"
    secret.parent.mkdir()
    secret.write_text("first\n")

    async def main() -> None:
        async with followed(tmp_path, {"TOKEN_FILE": str(secret)}) as (it, _):
            assert it.token() == "Bearer first"
            out = await it.outcome(lambda: rotate(secret))
            assert isinstance(out, Applied)
            (change,) = out.changes
            assert (change.path, change.reload) == ("tools.price.http.headers", "live")
            assert "second" not in repr(out)
            assert it.token() == "Bearer second"

    asyncio.run(main())


def test_a_secret_volume_of_kubernetes(tmp_path: Path) -> None:
    """token -> ..data/token, ..data -> ..v1; an update re-points ..data by a rename."""
    volume = tmp_path / "secrets"

    def version(n: int) -> None:
        (volume / f"..v{n}").mkdir(parents=True)
        (volume / f"..v{n}" / "token").write_text(f"token-{n}")
        os.symlink(f"..v{n}", volume / "..data_tmp")
        os.replace(volume / "..data_tmp", volume / "..data")

    async def main() -> None:
        version(1)
        os.symlink("..data/token", volume / "token")
        async with followed(tmp_path, {"TOKEN_FILE": str(volume / "token")}) as (it, _):
            for n in (2, 3):
                assert isinstance(await it.outcome(lambda n=n: version(n)), Applied)  # type: ignore[misc]
                assert it.token() == f"Bearer token-{n}"

    asyncio.run(main())


def test_a_secret_that_went_away_and_came_back(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("first")

    async def main() -> None:
        async with followed(tmp_path, {"TOKEN_FILE": str(secret)}) as (it, _):
            out = await it.outcome(secret.unlink)
            assert isinstance(out, Rejected)
            assert "cannot be read" in out.problems[0].message
            assert it.token() == "Bearer first"
            await it.outcome(lambda: secret.write_text("second"))
            assert it.token() == "Bearer second"

    asyncio.run(main())


def test_an_edited_base_reaches_the_running_call(tmp_path: Path) -> None:
    base = tmp_path / "_base.yaml"

    async def main() -> None:
        async with followed(tmp_path, {"TOKEN": "t"}) as (it, server):
            out = await it.outcome(lambda: base.write_text(BASE.replace("one", "two")))
            assert isinstance(out, Applied)
            assert [c.path for c in out.changes] == ["agents.desk.instructions"]
            assert server.sessions[0]["instructions"] == "Say two."

            out = await it.outcome(lambda: base.write_text(BASE + "modle: x\n"))
            assert isinstance(out, Rejected)
            (problem,) = out.problems
            assert (problem.file, problem.line, problem.column) == (str(base), 3, 1)
            out = await it.outcome(lambda: base.write_text("agents: {"))
            assert isinstance(out, Rejected)
            assert server.sessions[0]["instructions"] == "Say two."

            out = await it.outcome(lambda: base.write_text(BASE.replace("one", "three")))
            assert isinstance(out, Applied)
            assert server.sessions[0]["instructions"] == "Say three."

    asyncio.run(main())


def test_a_new_base_is_watched_from_then_on(tmp_path: Path) -> None:
    other = tmp_path / "_other.yaml"

    async def main() -> None:
        async with followed(tmp_path, {"TOKEN": "t"}) as (it, server):
            other.write_text("extends: _base.yaml\n")
            text = TOOL.replace("_base", "_other")
            await it.outcome(lambda: it.file.write_text(text))
            words = "extends: _base.yaml\nagents: { desk: { instructions: From another. } }\n"
            assert isinstance(await it.outcome(lambda: other.write_text(words)), Applied)
            assert server.sessions[0]["instructions"] == "From another."

    asyncio.run(main())
