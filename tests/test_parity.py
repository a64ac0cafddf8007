"""Every named behaviour of the anchor SDK has a test here, or a reason in docs/anchor-parity.md.

RTRUN_WRITE_PARITY=1 writes the page's counts.
"""

from __future__ import annotations

import os

import pytest
from support import parity

pytestmark = pytest.mark.quick

BEGIN, END = "<!-- counts: -->\n\n", "\n\n<!-- end -->"


def test_each_id_is_proven_or_explained() -> None:
    proven, told = parity.tested(), parity.reasons()
    assert len(parity.IDS) == 392
    assert [name for name in parity.IDS if name not in proven and name not in told] == []
    assert [name for name in (*proven, *told) if name not in parity.IDS] == []
    assert [name for name in told if name in proven] == []


def test_seven_in_ten_are_proven() -> None:
    assert len(parity.tested()) >= 0.7 * len(parity.IDS)


def test_the_page_counts_what_there_is() -> None:
    page = parity.PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    counted = head + BEGIN + parity.counted() + END + tail
    if os.environ.get("RTRUN_WRITE_PARITY"):
        parity.PAGE.write_text(counted, encoding="utf-8")
    assert parity.PAGE.read_text(encoding="utf-8") == counted
