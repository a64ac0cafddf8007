"""`records: { keep: 30d }`: files of records that are older are deleted, and nothing else.

Only files whose names a template can have given are looked at, in the folder that it names and
those below; no link is followed there. A folder of the template may be a link itself: that is how
records go to another disk.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from runner.model.records import CALL

#: Ids that calls have: of our own, of OpenAI's phone, of Twilio. A file beside that is called
#: otherwise was not made by us.
_ID = r"(?:call_|rtc_|CA)[A-Za-z0-9_-]+"


def sweep(folder: Path, template: str, before: float) -> int:
    """Delete the files of ``template`` in a deployment's ``folder`` that were last written before
    ``before`` (time.time()); how many there were."""
    gone = 0
    for path in list(_files(folder, template.split("/"))):
        try:
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode) and found.st_mtime < before:
                os.unlink(path)
                gone += 1
        except OSError:
            continue  # gone by itself, or not ours to delete
    return gone


def _files(folder: Path, steps: list[str]) -> Iterator[Path]:
    """Every path below ``folder`` that the steps of a template can lead to."""
    step, *rest = [step for step in steps if step not in ("", ".")]
    if CALL not in step and rest:
        yield from _files(folder / step, rest)
        return
    name = _named(step, last=not rest)
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # no call was kept yet
    for entry in entries:
        if name.fullmatch(entry.name):
            if not rest:
                yield Path(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), rest)


def _named(step: str, *, last: bool) -> re.Pattern[str]:
    """``{call.id}.json`` -> its names: of the second part of a call too, and of a file that was
    being written when its process died."""
    *before, end = step.split(CALL)
    stem, suffix = end, ""
    if last and "." in end:
        stem, _, suffix = end.rpartition(".")
        suffix = f".{suffix}"
    whole = _ID.join(map(re.escape, (*before, stem)))
    if not last:
        return re.compile(whole)
    return re.compile(rf"{whole}(?:-\d+)?{re.escape(suffix)}|\.{whole}-\w+\.part")
