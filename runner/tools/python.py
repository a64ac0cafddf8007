"""Python functions named in a deployment file: load them, afresh after each edit."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from runner.errors import ToolError
from runner.model.deployment import ToolSpec
from runner.tools.base import FunctionTool
from runner.tools.schema import function_tool

#: Two threads may want the same file at once: the second waits until the first has read it. By
#: the module's name, so that one that hangs holds up no other.
_locks: dict[str, threading.RLock] = {}


def load(spec: ToolSpec) -> FunctionTool:
    """The tool behind ``path.py:function`` or ``package.module:function``.

    A file's module is named after its content, so that an edited one is loaded anew while calls
    in flight keep the old code. ToolError says what is wrong and at which line of the tool.
    """
    function = function_of(spec.python, spec.base)
    description = spec.description
    if isinstance(function, FunctionTool):  # made by @tool: the file names and times it anew
        description = function.description if description is None else description
        function = function.function
    return function_tool(
        function,
        name=spec.name,
        description=description,
        parameters=spec.parameters,
        timeout=spec.timeout,
    )


def function_of(reference: str, base: Path) -> Any:
    """What ``path.py:name`` (from ``base``) or ``package.module:name`` names: a function, or a
    FunctionTool. ToolError says what there is instead."""
    target, _, name = reference.rpartition(":")
    module = module_of(target, base)
    function = getattr(module, name, None)
    if not (isinstance(function, FunctionTool) or callable(function)):
        have = [found for found, value in vars(module).items() if _is_own(value, module)]
        raise ToolError(
            f"{target} has no function '{name}'", f"it has {', '.join(have)}" if have else ""
        )
    return function


def module_of(target: str, base: Path) -> Any:
    """The module ``path.py`` (from ``base``, as it stands there now) or ``package.module``.
    ToolError says why it cannot be had."""
    file = (base / target).resolve() if target.endswith(".py") else None
    return _from_file(file) if file is not None else _from_package(target)


def _is_own(value: Any, module: Any) -> bool:
    """Is it a function that this module offers, not one that it imported?"""
    return isinstance(value, FunctionTool) or (
        inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    )


def _from_file(file: Path) -> Any:
    try:
        code = file.read_bytes()
    except FileNotFoundError:
        raise ToolError(f"{file.name} does not exist", f"looked for {file}") from None
    except OSError as error:
        raise ToolError(f"{file.name} cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(str(file).encode() + b"\0" + code).hexdigest()[:16]
    name = f"rtrun_tool_{file.stem}_{digest}"
    with _locks.setdefault(name, threading.RLock()):
        return sys.modules[name] if name in sys.modules else _executed(name, file, code)


def _executed(name: str, file: Path, code: bytes) -> Any:
    """A new module ``name`` of the ``code`` in ``file``."""
    folder = str(file.parent)
    if folder not in sys.path:
        # At the end: a tool may import its neighbours, but calendar.py must not hide calendar.
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ToolError(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        # The code just hashed, not what the file or a stale .pyc may hold by now.
        exec(compile(code, str(file), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise ToolError(f"{file.name} does not import: {_told(error, file)}") from error
    return module


def _from_package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ToolError(
            f"module {name} does not import: {error}",
            "install its package, or name a file: tools/calendar.py:function",
        ) from error
    except (Exception, SystemExit) as error:
        raise ToolError(
            f"module {name} does not import: {type(error).__name__}: {error}"
        ) from error


def _told(error: BaseException, file: Path) -> str:
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError):
        # It may stand in a neighbour that the file imports.
        where = "" if error.filename in (None, str(file)) else f" of {Path(error.filename).name}"
        return f"{error.msg} at line {error.lineno}{where}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    return f"{words} at line {lines[-1]}" if lines else words
