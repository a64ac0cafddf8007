"""Six kinds of saving a file, as editors and orchestrators do it, and a count of what was seen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from runner.reload.watch import Watcher

DEADLINE = 10.0


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def atomic(path: Path, text: str) -> None:
    other = path.with_name(path.name + ".tmp")
    other.write_text(text)
    os.replace(other, path)


def vim(path: Path, text: str) -> None:
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    path.write_text(text)
    os.unlink(backup)


def delete_create(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def configmap(path: Path, text: str) -> None:
    """A new folder, and the link `..data` renamed over the old one."""
    mount = path.parent
    old = os.readlink(mount / "..data") if (mount / "..data").is_symlink() else ""
    fresh = mount / f"..rev_{int(old.rpartition('_')[2]) + 1 if old else 1}"
    fresh.mkdir()
    (fresh / path.name).write_text(text)
    os.symlink(fresh.name, mount / "..data_tmp")
    os.replace(mount / "..data_tmp", mount / "..data")
    if not path.is_symlink():
        path.unlink(missing_ok=True)
        path.symlink_to(Path("..data") / path.name)
    if old:
        (mount / old / path.name).unlink()
        (mount / old).rmdir()


def target_elsewhere(path: Path, text: str) -> None:
    """The file is a link, and what it leads to is replaced."""
    atomic(path.resolve(), text)


KINDS: dict[str, Callable[[Path, str], None]] = {
    "write": in_place,
    "rename": atomic,
    "vim": vim,
    "delete and create": delete_create,
    "configmap": configmap,
    "target elsewhere": target_elsewhere,
}


async def seen(folder: Path, edits: int) -> tuple[dict[str, int], int]:
    """``edits`` saves turn by turn through the kinds, each followed by a touch and by the same
    text again: how many of each kind were seen once each, and reports of anything else: a double,
    or what was no change."""
    files: dict[str, Path] = {}
    for kind in KINDS:
        home = folder / kind
        home.mkdir(parents=True)
        files[kind] = home / "shop.yaml"
        if kind == "configmap":
            configmap(files[kind], "0")
        elif kind == "target elsewhere":
            (folder / "elsewhere").mkdir()
            (folder / "elsewhere" / "real.yaml").write_text("0")
            files[kind].symlink_to(folder / "elsewhere" / "real.yaml")
        else:
            files[kind].write_text("0")
    watcher = Watcher(files.values())
    await watcher.start()
    changes = watcher.changes()
    counts = dict.fromkeys(KINDS, 0)
    others = 0
    try:
        for number in range(edits):
            kind = list(KINDS)[number % len(KINDS)]
            path = files[kind]
            KINDS[kind](path, f"{number + 1}")
            async with asyncio.timeout(DEADLINE):
                saved = await anext(changes)
            if saved.paths == (path,) and not saved.missing:
                counts[kind] += 1
            else:
                others += 1
            # No change: what is reported next has to be the next edit.
            os.utime(path)
            path.write_text(path.read_text())
        # Whatever is still on its way shows before the marker.
        marker = files["write"]
        marker.write_text("the end")
        async with asyncio.timeout(DEADLINE):
            others += (await anext(changes)).paths != (marker,)
    finally:
        await changes.aclose()
        await watcher.close()
    return counts, others
