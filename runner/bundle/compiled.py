"""A deployment file -> the JSON that a Worker reads. Nothing of the environment is in it.

Each ``${NAME}`` stays open until the Worker fills it in from its bindings (see
:mod:`runner.worker.deployment`, which says what the JSON holds).
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH

from runner.codec import dumps
from runner.config import percall
from runner.config import schema as schemas
from runner.config.behind import reference
from runner.config.expand import _CONDITION, _ENV_NAME, Expander, Piece
from runner.config.ground import Ground
from runner.config.load import Loaded
from runner.config.neighbours import neighbours, standard
from runner.config.prompts import read_prompts
from runner.config.tree import Path as Steps
from runner.config.worker import worker_problems
from runner.errors import ConfigError, InputError
from runner.model.secret import Secret
from runner.worker.deployment import FORMAT, mark

#: Of no meaning to a Worker, or done with.
_LEFT_OUT = ("extends", "tests", "vars", "reload", "transport")


class _Open(Expander):
    """Leaves every variable of the environment open."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.bindings: dict[str, bool] = {}
        self.secrets: list[Steps] = []
        self.scalars: list[Steps] = []

    def _fill(self, inner: str, offset: int, depth: int) -> list[Piece]:
        name, sign, rest = _CONDITION.match(inner).groups()  # type: ignore[union-attr]
        if not _ENV_NAME.match(name) or (name in percall.NAMES and not sign):
            return super()._fill(inner, offset, depth)
        default = None
        if sign == ":-":
            pieces = self._pieces(rest, offset + len(name) + 4, depth + 1)
            default = "".join(text for text, _ in pieces)
        self.bindings[name] = self.bindings.get(name, False) or default is None
        return [(mark(name, default), False)]

    def _walk(self, value: Any, path: Steps) -> Any:
        out = super()._walk(value, path)
        if isinstance(out, Secret):
            if self.schema.secret(path) is True:
                self.secrets.append(path)
            return out.reveal()
        if isinstance(out, str) and "\x01" in out and self.schema.takes(path, "x") is not True:
            self.scalars.append(path)
        return out


class Compiled:
    """``json`` is the text; ``bindings`` has each variable, True when nothing goes without it;
    ``files`` the Python files of the deployment, by their path in the bundle."""

    def __init__(self, loaded: Loaded) -> None:
        """ConfigError for what a Worker cannot serve, and for a key that stands in the file."""
        deployment = loaded.deployment
        home = deployment.source.parent
        _require_fit(loaded)
        expander = _Open(loaded.tree, {}, schemas.load(), True)
        document = expander.document()
        read_prompts(loaded.tree, document, expander)
        for key in [k for k in document if k in _LEFT_OUT or k.startswith("x-")]:
            del document[key]
        document["name"] = deployment.name
        document["timezone"] = deployment.timezone or "none"
        self.name = deployment.name
        self.bindings = dict(
            sorted({**expander.bindings, **_usual(deployment.engine.type)}.items())
        )
        self.files: dict[str, Path] = {}
        bases: list[tuple[list[str | int], str]] = []
        for path, spec in _specs(document):
            base = loaded.tree.folder(reference(path, spec))
            bases.append((list(reference(path, spec)), os.path.relpath(base, home)))
            module = str(spec.get("python", "")).rpartition(":")[0]
            if module.endswith(".py"):
                for file in neighbours(Path(os.path.abspath(base / module)), standard).code:
                    self.files[Path(os.path.relpath(file, home)).as_posix()] = file
        code = {name: _digest(file.read_bytes()) for name, file in sorted(self.files.items())}
        given: dict[str, Any] = {
            "format": FORMAT,
            "document": document,
            "secrets": expander.secrets,
            "scalars": expander.scalars,
            "bases": bases,
            "code": code,
        }
        if deployment.timezone and deployment.timezone != "UTC":
            tzif = b64encode(_zone(deployment.timezone)).decode()
            given["zone"] = {"name": deployment.timezone, "tzif": tzif}
        self.revision = _digest(dumps(given).encode())[:12]
        self.json = dumps({**given, "revision": self.revision})


def _require_fit(loaded: Loaded) -> None:
    ground = Ground(loaded.tree, loaded.deployment.document, loaded.deployment.source.parent)
    problems = [loaded.hider.problem(p) for p in worker_problems(ground)]
    hint = "write ${NAME}: it would be in the bundle for all to read"
    problems += [replace(p, hint=hint) for p in loaded.warnings if p.code == "RT904"]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _usual(engine: str) -> Mapping[str, bool]:
    """What the routes ask for beside what the file names; the key is needed for OpenAI alone."""
    optional = ("OPENAI_WEBHOOK_SECRET", "RTRUN_WS_TOKEN", "TWILIO_AUTH_TOKEN")
    return {"OPENAI_API_KEY": engine != "url", **dict.fromkeys(optional, False)}


def _specs(document: Mapping[str, Any]) -> list[tuple[Steps, Mapping[str, Any]]]:
    tools = [(("tools", name), spec) for name, spec in (document.get("tools") or {}).items()]
    rails = [(("guardrails", i), spec) for i, spec in enumerate(document.get("guardrails") or ())]
    return [*tools, *rails]


def _zone(name: str) -> bytes:
    """The zone's data of this machine: a Worker has no database of its own."""
    for folder in TZPATH:
        file = Path(folder) / name
        if file.is_file():
            return file.read_bytes()
    *parts, last = name.split("/")
    try:
        return (resources.files(".".join(("tzdata", "zoneinfo", *parts))) / last).read_bytes()
    except (ModuleNotFoundError, OSError):
        raise InputError(
            f"there is no data of the time zone {name}", "pip install tzdata"
        ) from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
