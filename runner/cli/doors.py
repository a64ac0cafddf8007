"""The doors of a run: by which its own user asks it while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.flags import Options
from runner.cli.local import Leaving
from runner.cli.screens import Screen
from runner.config.load import load
from runner.engines import Engine
from runner.errors import InputError
from runner.serve.control import Control
from runner.serve.house import House
from runner.serve.sockets import supported
from runner.serve.tail import Tails
from runner.serve.verbs import Verbs
from runner.tasks import OnFailure, Supervisor, in_thread

if TYPE_CHECKING:
    from runner.cli.browsers import Browsers
    from runner.serve.admin import Admin


class Doors:
    """Control socket, admin port and console, as far as there can be and are to be.

    ``began`` is the time.monotonic() from which times count; ``answering`` is the engine by the
    source of a deployment; ``warn`` hears what a person should know."""

    def __init__(
        self,
        options: Options,
        house: House,
        tails: Tails,
        screen: Screen,
        answering: Mapping[Path, Engine],
        *,
        began: float,
        warn: Callable[[str], None],
        on_failure: OnFailure,
    ) -> None:
        self._options = options
        self._env = options.env or {}
        self._house = house
        self._screen = screen
        self._answering = answering
        self._warn = warn
        self._on_failure = on_failure
        reads = partial(load, env=self._env, overrides=options.overrides)
        self._verbs = Verbs(house, tails, began, on_failure, load=reads)
        self._control: Control | None = None
        self._admin: Admin | None = None
        self._browsers: Browsers | None = None
        self._tasks = Supervisor(on_failure)

    async def open(self) -> None:
        """UsageError, InputError for what was asked for and cannot be had."""
        options = self._options
        if options.admin is not None:
            from runner.serve.admin import open_admin  # starlette and uvicorn come with it

            self._admin = await open_admin(
                self._house,
                options.admin,
                self._verbs,
                env=self._env,
                say=self._warn,
                on_failure=self._on_failure,
            )
        if supported():
            self._control = Control(self._verbs, self._on_failure)
            try:
                await self._control.open()
            except InputError as error:
                self._warn(f"rtrun ps and approve cannot reach this run: {error.message}")
        if options.console:
            await self._open_console(options.console)
        elif options.console is not None:  # nobody asked, so no call waits for it
            self._tasks.spawn(self._open_console(None), "the console")

    async def _open_console(self, spec: str | None) -> None:
        made = await in_thread(import_module, "runner.cli.browsers")
        house, verbs, content = self._house, self._verbs, self._options.log_content
        self._browsers = browsers = made.Browsers(
            house, verbs, self._screen, self._env, self._answering, self._on_failure, content
        )
        await browsers.open(spec, self._warn)

    async def until_left(self, leaving: Leaving) -> None:
        """Asked patiently, until the turns of browsers are over."""
        if self._browsers is not None:
            await self._browsers.until_left(leaving)

    async def close(self) -> None:
        await self._verbs.close()
        if self._control is not None:
            await self._control.close()
        if self._browsers is not None:
            await self._browsers.close()
        if self._admin is not None:
            await self._admin.close()
        await self._tasks.close()
