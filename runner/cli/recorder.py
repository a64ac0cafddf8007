"""`--record DIR`: each call kept as a log that `rtrun replay` plays again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runner.core.events import Connection, SessionEvent
from runner.desk import Call
from runner.errors import InputError
from runner.serve.deployed import Deployed
from runner.serve.redacted import Rows
from runner.testing.record import Log


class Records:
    """One file a call, ``DEPLOYMENT.CALL.jsonl``. A call whose file cannot be made goes on without;
    ``warn`` says so. InputError when the folder cannot be used."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--record {folder}: {error.strerror}") from None
        self._folder = folder
        self._warn = warn
        self._open: dict[str, Log] = {}

    def heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        """Every event of every call."""
        if not isinstance(event, Connection):
            return
        if event.status == "connecting" and call.id not in self._open:
            path = self._folder / f"{of.name}.{call.id}.jsonl".replace("/", "_")
            try:
                about, shown = {"deployment": of.name}, _shown(of)
                log = self._open[call.id] = Log(path, about, self._warn, shown)
            except InputError as error:
                self._warn(error.message)
                return
            log.attach(call.session)
        elif event.status == "disconnected" and call.id in self._open:
            self._open.pop(call.id).close()

    def close(self) -> None:
        for log in self._open.values():
            log.close()
        self._open.clear()


def _shown(of: Deployed) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """What may be kept of a row, by what the deployment says at that moment."""
    rows = Rows()
    return lambda row: rows(of.desk.deployment.records.redactor, row) if of.desk else row
