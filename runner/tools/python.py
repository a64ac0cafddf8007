"""Python functions named in a deployment file: load them, afresh after each edit."""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
from pathlib import Path
from typing import Any

from runner.config.neighbours import Neighbours, neighbours
from runner.errors import ToolError
from runner.model.deployment import ToolSpec
from runner.tools.base import FunctionTool
from runner.tools.modules import Generation, plain
from runner.tools.schema import function_tool


def load(spec: ToolSpec) -> FunctionTool:
    """The tool behind ``path.py:function`` or ``package.module:function``.

    An edited file, or one that imports an edited neighbour, is loaded anew while calls in flight
    keep the old code. ToolError says what is wrong and at which line of the tool.
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
    if not target.endswith(".py"):
        return _from_package(target)
    return _from_file(Path(os.path.abspath(base / target)))


def _is_own(value: Any, module: Any) -> bool:
    """Is it a function that this module offers, not one that it imported?"""
    return isinstance(value, FunctionTool) or (
        inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    )


def _from_file(file: Path) -> Any:
    try:
        file.read_bytes()
    except FileNotFoundError:
        raise ToolError(f"{file.name} does not exist", f"looked for {file.resolve()}") from None
    except OSError as error:
        raise ToolError(f"{file.name} cannot be read: {error.strerror}") from None
    read = neighbours(file)
    try:
        return Generation(read).load(file)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        words = f"{file.name} does not import: {plain(_told(error, file, read))}"
        raise ToolError(words, at=_place(error)) from error


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


def _told(error: BaseException, file: Path, read: Neighbours) -> str:
    """What went wrong, with the last line of the user's own on the way there."""
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    real = str(file.resolve())
    if isinstance(error, SyntaxError):
        where = "" if error.filename in (None, real) else f" of {Path(error.filename).name}"
        return f"{error.msg} at line {error.lineno}{where}"
    own = {str(path.resolve()) for path in read.code}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    if not frames:
        return words
    where = "" if frames[-1].filename == real else f" of {Path(frames[-1].filename).name}"
    return f"{words} at line {frames[-1].lineno}{where}"


def _place(error: BaseException) -> tuple[str, int, int, str] | None:
    if not isinstance(error, SyntaxError) or not error.filename or not error.lineno:
        return None
    return error.filename, error.lineno, max(1, error.offset or 1), (error.text or "").rstrip("\n")
