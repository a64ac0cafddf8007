"""The house's rules that a linter cannot see: what imports where, how long, who makes tasks."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "runner"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: What runs where only the standard library is present (a Python Worker), with all below it.
BARE = [
    "errors",
    "codec",
    "tasks",
    "listeners",
    "model",
    "core",
    "audio",
    "tools/base.py",
    "tools/convert.py",
    "tools/schema.py",
    "transports/base.py",
    "transports/registry.py",
    "transports/wire.py",
    "agent",
    "line",
    "session",
]

#: Refuses every module that is neither the standard library's nor ours.
BLOCK = """
import sys, importlib

class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "runner":
            raise ModuleNotFoundError(f"{name} is a third party's", name=name)

sys.meta_path.insert(0, Block())
for name in sys.argv[1:]:
    importlib.import_module(name)
foreign = {
    name.partition(".")[0] for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and "site-packages" in module.__file__
}
print(sorted(foreign - {"runner"}))
"""


def _modules(room: str) -> Iterator[str]:
    path = PACKAGE / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        assert file.exists(), f"there is no {file.relative_to(ROOT)}"
        parts = file.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_conversation_needs_the_standard_library_alone() -> None:
    names = [name for room in BARE for name in _modules(room)]
    # -I and -S: no site-packages, no .pth of an editable install, no working directory.
    begin = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{BLOCK}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", begin, *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, runner; print([m for m in sys.modules if m.startswith('runner')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "['runner']"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_has_words_and_keeps_the_rules(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= 400, f"{lines} lines: split it by concern"
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "a module says in a docstring what it is"
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body):
        assert "from __future__ import annotations" in text
    room = module.relative_to(PACKAGE).parts[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name != "print" or room == "cli", f"line {node.lineno} prints"
            makes_tasks = name.rpartition(".")[2] in ("create_task", "ensure_future", "TaskGroup")
            assert not makes_tasks or room == "tasks.py", f"line {node.lineno} makes a task"


def test_public_names_are_where_the_package_says() -> None:
    import runner

    for name in runner.__all__:
        assert getattr(runner, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = runner.nothing
