"""What the documentation shows, cut out of it: fenced blocks and the marks that stand over them.

A block of commands (```console or ```bash) has a mark, an HTML comment on the line above:

    <!-- run -->             a test runs it in an empty folder with agents.d and examples copied in
    <!-- run: needs voice --> the same; words for the reader of the source
    <!-- run: exit 1 -->     the same, and the last command ends with 1
    <!-- run: install -->    .ci/run runs it in a fresh copy of the repository; exactly one
    <!-- run: test -->       the same, after it; exactly one
    <!-- shown: why -->      nobody runs it, and why that is so

In ```console, lines behind `$ ` are commands and the others what they print: each has to come, in
this order; `...` stands for anything, and a space for as many as a column needs. Without any `$ `
all lines are commands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

COMMANDS = frozenset({"console", "bash", "sh", "shell"})
_FENCE = re.compile(r"^(?P<indent>\s*)(?P<ticks>`{3,})(?P<language>[\w+-]*)\s*$")
_MARK = re.compile(r"^<!--\s*(?P<kind>run|shown)(?::\s*(?P<words>.*?))?\s*-->$")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``line`` is its first fence's, from 1; ``kind`` of mark, "" without."""

    file: Path
    line: int
    language: str
    text: str
    kind: str = ""
    words: str = ""

    @property
    def place(self) -> str:
        return f"{self.file.name}:{self.line}"

    @property
    def exit_code(self) -> int:
        found = re.search(r"\bexit (\d+)", self.words)
        return int(found[1]) if found else 0

    @property
    def by_ci(self) -> bool:
        """Is it for .ci/run, and too much for a test?"""
        return self.kind == "run" and self.words in ("install", "test")

    @property
    def _prompts(self) -> bool:
        return (
            self.language == "console" and re.search(r"^\$ ", self.text, re.MULTILINE) is not None
        )

    @property
    def script(self) -> str:
        """The commands, as bash reads them."""
        if not self._prompts:
            return self.text
        out: list[str] = []
        more = False
        for line in self.text.splitlines():
            if line.startswith("$ ") or more:
                out.append(line.removeprefix("$ "))
                more = line.endswith("\\")
        return "\n".join(out) + "\n"

    @property
    def printed(self) -> list[str]:
        """The lines that a console block says are printed."""
        if not self._prompts:
            return []
        lines: list[str] = []
        more = False
        for line in self.text.splitlines():
            if line.startswith("$ ") or more:
                more = line.endswith("\\")
            elif line.strip():
                lines.append(line.strip())
        return lines


def blocks(file: Path) -> list[Block]:
    """All fenced blocks of a page."""
    found: list[Block] = []
    mark, opened, inside = ("", ""), None, []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if opened is not None:
            fence, start = opened
            if line.strip() == fence["ticks"]:
                indent = len(fence["indent"])
                text = "\n".join(entry[indent:] for entry in inside) + "\n"
                found.append(Block(file, start, fence["language"], text, *mark))
                mark, opened = ("", ""), None
            else:
                inside.append(line)
        elif fence := _FENCE.match(line):
            opened, inside = (fence, number), []
        elif comment := _MARK.match(line.strip()):
            mark = (comment["kind"], comment["words"] or "")
        elif line.strip():
            mark = ("", "")
    assert opened is None, f"{file.name}:{opened[1]}: a fence is never closed"
    return found


def missing(printed: list[str], output: str) -> str | None:
    """The first of ``printed`` that does not come, in this order, in ``output``."""
    lines = iter(output.splitlines())
    for wanted in printed:
        if wanted in ("...", "…"):
            continue
        # Columns are as wide as what stands in them: any run of spaces is as good as another.
        parts = [
            r"\s+".join(re.escape(word) for word in re.split(r"\s+", part))
            for part in re.split(r"\.\.\.|…", wanted)
        ]
        pattern = re.compile(".*".join(parts))
        if not any(pattern.search(line) for line in lines):
            return wanted
    return None
