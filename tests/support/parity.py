"""The 392 named behaviours of OpenAI's Agents SDK for JavaScript, and what proves each here.

A test that proves one names its id in its docstring (``SE26: a call goes end to end``).
docs/anchor-parity.md gives the reason for each that has no test, and is written from both.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "anchor-parity.md"

#: Group -> (how many, what they are about), in the order of the SDK's test files.
GROUPS = {
    "CM": (5, "audio formats of client messages"),
    "GR": (3, "guardrail definitions"),
    "HR": (3, "replaying an edited history"),
    "IX": (3, "what the package exports"),
    "BA": (43, "the base of its transports"),
    "EV": (9, "reading server events"),
    "SI": (7, "SIP, attached by call id"),
    "RE": (1, "WebRTC, its surroundings"),
    "RT": (41, "WebRTC"),
    "WS": (50, "WebSocket"),
    "HO": (5, "types of handoffs"),
    "SE": (106, "the session"),
    "VC": (4, "which voice counts"),
    "SQ": (5, "the queue of responses"),
    "TO": (9, "tool definitions"),
    "UT": (16, "helpers"),
    "SC": (43, "the scripted transport"),
    "CF": (3, "Cloudflare"),
    "TI": (15, "Twilio, interruptions"),
    "TW": (21, "Twilio"),
}
IDS = tuple(f"{group}{n}" for group, (most, _) in GROUPS.items() for n in range(1, most + 1))

_ID = re.compile(rf"\b(?:{'|'.join(GROUPS)})\d+\b")
_RANGE = re.compile(rf"\b({'|'.join(GROUPS)})(\d+)(?: to |-)(?:{'|'.join(GROUPS)})?(\d+)\b")
_ROW = re.compile(r"^\| ([A-Z]{2}\d[^|]*?) \| (.+?) \|$", re.MULTILINE)


def named(text: str) -> Iterator[str]:
    """The ids in a text; ``RT1 to RT41`` and ``RT1-41`` are all of them."""
    for group, first, last in _RANGE.findall(text):
        yield from (f"{group}{n}" for n in range(int(first), int(last) + 1))
    yield from _ID.findall(text)


def tested() -> dict[str, list[str]]:
    """Id -> the tests whose docstring names it."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if not _ID.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            where = f"{file.relative_to(ROOT / 'tests').as_posix()}::{node.name}"
            for name in dict.fromkeys(named(ast.get_docstring(node) or "")):
                found.setdefault(name, []).append(where)
    return found


def reasons() -> dict[str, str]:
    """Id -> why it has no test, from the page's table."""
    page = PAGE.read_text(encoding="utf-8")
    part = page.partition("## Without a test")[2]
    return {name: why for ids, why in _ROW.findall(part) for name in named(ids)}


def counted() -> str:
    """The page's table of groups."""
    proven, told = tested(), reasons()
    rows = ["| ids | about | with a test | without |", "| --- | --- | --- | --- |"]
    for group, (most, about) in GROUPS.items():
        ids = [f"{group}{n}" for n in range(1, most + 1)]
        with_test = sum(name in proven for name in ids)
        without = sum(name in told and name not in proven for name in ids)
        rows.append(f"| {group}1 to {group}{most} | {about} | {with_test} | {without} |")
    all_of = sum(name in proven for name in IDS)
    rows.append(f"| all {len(IDS)} | | {all_of} | {len(IDS) - all_of} |")
    return "\n".join(rows)
