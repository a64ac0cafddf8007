"""Python files of a deployment as modules, each version of them beside the others.

A module is named after its content and that of the neighbours it imports (config/neighbours.py),
so that an edit of any of them gives new ones while calls in flight keep the old. An ``import`` in
such a module finds the neighbours as they were read with it, also one that is carried out later;
everything else goes the usual way. Neither ``sys.path`` nor the neighbours' own names in
``sys.modules`` are touched, so two deployments with a helper of the same name do not meet.
"""

from __future__ import annotations

import builtins
import hashlib
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from runner.config.neighbours import INIT, Neighbours, beside

#: Two threads may want the same file at once: the second waits until the first has read it. By
#: content, so that one that hangs holds up no other; files that import each other share one.
_locks: dict[str, threading.RLock] = {}

_NAME = re.compile(r"rtrun_tool_(\w+)_[0-9a-f]{16}")


def plain(text: str) -> str:
    """A message with the names that modules have in their files."""
    return _NAME.sub(r"\1", text)


class Generation:
    """The modules of one file, as it was read with its neighbours."""

    def __init__(self, read: Neighbours) -> None:
        self._read = read
        self._folders: dict[Path, ModuleType] = {}
        self._dirs = {
            folder for path in read.code for folder in path.parents if folder not in read.folders
        }
        #: What was executed here and nowhere before.
        self._new: list[str] = []

    def load(self, file: Path) -> ModuleType:
        """The module of ``file``, executed if it was not yet. Raises what the code raises, and
        then nothing of it stays behind."""
        try:
            if self._named(file)[1] not in sys.modules:
                # Also what is imported later: a call should not be the first to find it broken.
                for path, code in self._read.code.items():
                    compile(code, str(path.resolve()), "exec", dont_inherit=True)
            return self._module(file)
        except BaseException:
            for name in self._new:
                sys.modules.pop(name, None)
            raise

    def _named(self, file: Path) -> tuple[str, str]:
        """What the content of ``file`` and of all that it leads to is known by, and its module."""
        content = hashlib.sha256()
        for path in self._read.with_all(file):
            content.update(str(path.resolve()).encode() + b"\0")
            content.update(hashlib.sha256(self._read.code[path]).digest())
        together = content.hexdigest()
        content.update(str(file.resolve()).encode())
        stem = file.parent.name if file.name == INIT else file.stem
        return together, f"rtrun_tool_{stem}_{content.hexdigest()[:16]}"

    def _module(self, file: Path) -> ModuleType:
        together, name = self._named(file)
        with _locks.setdefault(together, threading.RLock()):
            return sys.modules[name] if name in sys.modules else self._executed(name, file)

    def _executed(self, name: str, file: Path) -> ModuleType:
        real = file.resolve()
        spec = spec_from_file_location(name, real)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file.name} is no Python file")
        module = module_from_spec(spec)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _Import(self, file)}
        sys.modules[name] = module  # dataclasses and pickling look their module up
        self._new.append(name)
        try:
            # The code just read, not what the file or a stale .pyc may hold by now.
            code = compile(self._read.code[file], str(real), "exec", dont_inherit=True)
            exec(code, module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    # -- imports -----------------------------------------------------------------------------
    def imported(self, file: Path, name: str, names: Sequence[str], level: int) -> ModuleType:
        """What ``import name`` gives in ``file``, or with ``names`` and ``level`` a ``from``."""
        homes = self._read.home(file, level) if level else self._read.folders
        if not homes:
            raise ImportError(f"'{'.' * level}{name}' leads out of {self._read.folders[0].name}/")
        first = last = None if name else self._folder(homes[0])
        for step in name.split(".") if name else ():
            module, homes = self._step(homes, step, name)
            if last is not None:
                setattr(last, step, module)
            first, last = first or module, module
        assert first is not None
        assert last is not None
        if not (names or level):
            return first
        asked = [*names, *getattr(last, "__all__", ())] if "*" in names else names
        for one in asked:
            if homes and not hasattr(last, one) and self._find(homes, one) is not None:
                setattr(last, one, self._step(homes, one, one)[0])
        return last

    def knows(self, top: str) -> bool:
        return top in self._read.tops and self._find(self._read.folders, top) is not None

    def _step(
        self, homes: tuple[Path, ...], step: str, name: str
    ) -> tuple[ModuleType, tuple[Path, ...]]:
        target = self._find(homes, step)
        if target is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if target.suffix != ".py":
            return self._folder(target), (target,)
        return self._module(target), (target.parent,) if target.name == INIT else ()

    def _find(self, homes: tuple[Path, ...], name: str) -> Path | None:
        return beside(homes, name, self._read.code.__contains__, self._dirs.__contains__)

    def _folder(self, folder: Path) -> ModuleType:
        """A folder without an ``__init__.py`` as what it is in Python: a module without code."""
        return self._folders.setdefault(folder, ModuleType(folder.name))


class _Import:
    """``__import__`` of one file: the way of each ``import`` in it."""

    def __init__(self, generation: Generation, file: Path) -> None:
        self._generation = generation
        self._file = file

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level or self._generation.knows(name.partition(".")[0]):
            return self._generation.imported(self._file, name, fromlist or (), level)
        return builtins.__import__(name, globals, locals, fromlist or (), level)
