"""What `rtrun build cloudflare` compiled, with the Worker's bindings filled in.

A compiled deployment is JSON: ``document`` is the file with bases merged, prompts in place and
``${vars.x}`` filled in; each ``${NAME}`` of the environment is still open, as a mark that no
deployment file can hold (control characters are refused there). ``secrets`` are the paths of keys,
``scalars`` those whose text may stand for a number, ``zone`` the data of its time zone.
"""

from __future__ import annotations

import io
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from runner.config import percall
from runner.config.build import build
from runner.config.scalars import resolve
from runner.errors import UserError
from runner.model.deployment import Deployment
from runner.model.secret import Secret

FORMAT = 1
#: Under which it stands in a KV namespace.
KEY = "deployment"
_OPEN = re.compile("\x01([A-Za-z_][A-Za-z0-9_]*)\x02([^\x01\x02\x03]*)\x03")
#: Of the mark: this variable has no default, and without it nothing goes.
NEEDED = "\x04"

#: A variable's value, None when there is none.
Bindings = Callable[[str], str | None]


def mark(name: str, default: str | None) -> str:
    """What stands for ``${NAME}``, or for ``${NAME:-default}``, until the Worker has it."""
    return f"\x01{name}\x02{NEEDED if default is None else default}\x03"


def deployment_of(compiled: Mapping[str, Any], bindings: Bindings, home: Path) -> Deployment:
    """The deployment; ``home`` is the folder in which its Python files stand. UserError names the
    bindings that are missing, or says that this was compiled by another version."""
    if compiled.get("format") != FORMAT:
        raise UserError("this deployment was compiled for another version of rtrun")
    missing: dict[str, None] = {}
    secrets = {tuple(path) for path in compiled["secrets"]}
    scalars = {tuple(path) for path in compiled["scalars"]}

    def value_of(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = bindings(name)
        if not value and default == NEEDED and value is None:
            missing[name] = None
        return value if value else default.replace(NEEDED, "")

    def filled(value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, Mapping):
            return {key: filled(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, (*path, i)) for i, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        text = value
        while "\x01" in text:  # a default may have one in it
            text = _OPEN.sub(lambda m: _data(value_of(m), path), text)
        if path in secrets:
            return Secret(text)
        if path in scalars and text != value:
            try:
                return resolve(text)
            except ValueError:
                return text
        return text

    document = filled(compiled["document"], ())
    if missing:
        raise UserError(
            f"the Worker has no {', '.join(missing)}", f"wrangler secret put {next(iter(missing))}"
        )
    if zone := compiled.get("zone"):
        tzif = b64decode(zone["tzif"])
        percall.know(zone["name"], ZoneInfo.from_file(io.BytesIO(tzif), key=zone["name"]))
    source = home / f"{document['name']}.yaml"
    env = {"OPENAI_API_KEY": bindings("OPENAI_API_KEY") or ""}
    env["RTRUN_ENGINE_KEY"] = bindings("RTRUN_ENGINE_KEY") or ""
    bases = {tuple(path): home / folder for path, folder in compiled["bases"]}
    return build(document, source, {}, env, lambda path: bases.get(tuple(path), home))


def _data(value: str, path: tuple[str | int, ...]) -> str:
    """A value from outside is data: where ``${now}`` means something, it means none in it."""
    return percall.join([(value, False)]) if path[:1] == ("agents",) else value
