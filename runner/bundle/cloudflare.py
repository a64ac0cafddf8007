"""`rtrun build cloudflare`: the folder that wrangler deploys and workerd runs."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from string import Template

import runner
from runner.bundle.compiled import Compiled
from runner.errors import InputError
from runner.worker.deployment import KEY

ENTRY = "runner.worker.app"
HOUSE = Path(runner.__file__).parent
#: From here on a Python Worker has Python 3.14 by Pyodide 314, in which our tests run the bundle.
DATE = "2026-11-01"
SDK = "workers-runtime-sdk==1.9.5"
#: Names that a user's own files cannot have in the bundle.
_TAKEN = ("runner", "python_modules", "entry.py", "compiled.py", KEY)


def rooms() -> dict[str, Path]:
    """Our files that a Worker needs, by their path in the bundle: what the entry imports, at the
    start or later, and what that imports."""
    found: dict[str, Path] = {}
    ahead = [ENTRY]
    while ahead:
        name = ahead.pop()
        file = _file(name)
        if file is None or (inside := f"runner/{file.relative_to(HOUSE).as_posix()}") in found:
            continue
        found[inside] = file
        ahead += _imported(file)
        if "." in name:
            ahead.append(name.rpartition(".")[0])
    # What the package offers to users who import it is not all here.
    return dict(sorted(found.items()))


def _file(name: str) -> Path | None:
    steps = name.split(".")[1:]
    for path in (HOUSE.joinpath(*steps).with_suffix(".py"), HOUSE.joinpath(*steps, "__init__.py")):
        if steps and path.is_file():
            return path
    return HOUSE / "__init__.py" if not steps else None


def _imported(file: Path) -> Iterator[str]:
    if file == HOUSE / "__init__.py":
        return  # it offers names, and imports each when it is asked for
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("runner"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runner"):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def claim(folder: Path, force: bool) -> None:
    """Make ``folder`` when it is not there. InputError when it is not ours and not empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = any(folder.iterdir()) and not built(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be a folder ({error.strerror})") from None
    if foreign and not force:
        raise InputError(f"{folder}: not empty, and not built by rtrun", "--force writes into it")


def built(folder: Path) -> bool:
    return (folder / "compiled.py").is_file()


def push(compiled: Compiled, folder: Path) -> None:
    """Put the deployment where a local workerd has its KV. InputError."""
    if not built(folder):
        raise InputError(f"{folder}: not built by rtrun", "rtrun build cloudflare makes it")
    path, beside = folder / KEY, folder / f".{KEY}"
    try:
        beside.write_text(compiled.json, encoding="utf-8")
        beside.replace(path)  # never half of it
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def write(compiled: Compiled, folder: Path, kv: str | None) -> int:
    """Fill ``folder``; the bytes written. InputError when it cannot be."""
    taken = [name for name in compiled.files if name.split("/")[0] in _TAKEN or ".." in name]
    if taken:
        raise InputError(f"{taken[0]}: a file of this name cannot go into the bundle", "rename it")
    shutil.rmtree(folder / "runner", ignore_errors=True)
    texts: dict[str, bytes] = {name: file.read_bytes() for name, file in rooms().items()}
    texts |= {name: file.read_bytes() for name, file in compiled.files.items()}
    texts |= {name: text.encode() for name, text in _written(compiled, kv).items()}
    texts["config.capnp"] = _capnp(compiled, texts, folder).encode()
    try:
        # An edit of an older build would stand before this one.
        (folder / KEY).unlink(missing_ok=True)
        for name, data in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror})") from None
    return sum(map(len, texts.values()))


def _written(compiled: Compiled, kv: str | None) -> dict[str, str]:
    needed = [name for name, without in compiled.bindings.items() if without]
    optional = [name for name, without in compiled.bindings.items() if not without]
    space = f'[{{ "binding": "RTRUN_CONFIG", "id": "{kv}" }}]' if kv else "[]"
    words = {
        "NAME": re.sub(r"[^a-z0-9-]", "-", compiled.name.lower()).strip("-") or "agent",
        "DATE": DATE,
        "KV": space,
        "SDK": SDK,
        "SECRETS": "\n".join(f"npx wrangler secret put {name}" for name in needed),
        "OPTIONAL": "\n".join(f"- `{name}`" for name in optional),
        "FIRST": needed[0] if needed else "NAME",
    }
    out = {
        "compiled.py": f'"""Built by rtrun; an edit here is lost."""\n\nJSON = {compiled.json!a}\n'
    }
    for name in ("entry.py", "wrangler.jsonc", "README.md"):
        template = files("runner.bundle") / "templates" / f"{name}.txt"
        out[name] = Template(template.read_text(encoding="utf-8")).substitute(words)
    return out


def _capnp(compiled: Compiled, texts: dict[str, bytes], folder: Path) -> str:
    """For a local workerd: the same modules, bindings from the environment."""
    vendored = folder / "python_modules"
    names = [name for name in texts if name.endswith(".py")]
    if vendored.is_dir():
        names += [p.relative_to(folder).as_posix() for p in sorted(vendored.rglob("*.py"))]
    names.sort(key=lambda name: name != "entry.py")
    modules = ",\n".join(f'    (name = "{n}", pythonModule = embed "{n}")' for n in names)
    bindings = ",\n".join(f'    (name = "{n}", fromEnvironment = "{n}")' for n in compiled.bindings)
    template = files("runner.bundle") / "templates" / "config.capnp.txt"
    words = {"MODULES": modules, "BINDINGS": bindings, "DATE": DATE}
    return Template(template.read_text(encoding="utf-8")).substitute(words)


def vendor_command(folder: Path) -> list[str]:
    """What puts the Workers SDK (MIT) beside the bundle, as argv."""
    target = str(folder / "python_modules")
    quiet = ("--quiet", "--no-deps", "--no-compile", "--upgrade", "--disable-pip-version-check")
    return [sys.executable, "-m", "pip", "install", *quiet, "--target", target, SDK]
