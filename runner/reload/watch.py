"""Notice that a deployment was saved, whatever the editor, the orchestrator or the file system
does, and never die of it.

inotify (through watchfiles) tells quickly but loses things: a watched file that was replaced, a
directory renamed away, a link whose target lies elsewhere, NFS, a full watch table. So it is
only a hint. The truth is a stat of every file, each 250 ms and after each hint, then 25 ms of
unchanged stat, then a SHA-256 of the content: a touch, or the same text written again, is quiet.
The time that the hint took to get here counts as unchanged by the disk's own clock (ctime), and
where the system tells that nobody has the file open for writing, less is enough.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from runner.reload.chain import Chain, chain_of
from runner.reload.writers import written
from runner.tasks import Supervisor, in_thread

#: Seconds between two looks when nothing hints at a change.
POLL = 0.25
#: A file counts as written when its stat has not changed for so long.
SETTLE = 0.025
#: When nobody has it open for writing: what is saved together comes within this.
SETTLE_CLOSED = 0.015
#: When somebody has: a writer may pause.
SETTLE_WRITTEN = 0.2
#: A file that is gone counts as deleted after so long: editors and git delete, then create.
SETTLE_MISSING = 0.2
#: A file that is written without end is read after so long anyway.
SETTLE_MAX = 2.0
#: After a failure of the notification backend, try it again so much later.
RETRY = 5.0

#: (mtime_ns, size, inode, device), or None for a file that is not there.
Stamp = tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class Saved:
    """``paths`` have another content than before, in the order in which they are watched;
    ``missing`` are those of them that are gone. ``first_event`` is the time.monotonic() of the
    first hint. ``generation`` counts from 1: compare it with ``Watcher.generation`` to see
    whether something newer was saved since."""

    paths: tuple[Path, ...]
    first_event: float
    missing: tuple[Path, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class _Look:
    stamps: dict[Path, Stamp]
    chain: Chain
    #: Seconds since the newest of the files was touched in any way, by the disk's clock.
    age: float
    #: Is a file that changed open for writing? None when that is not known.
    written: bool | None


class Watcher:
    """Watches ``files``, each of which may be missing, a link, or appear later.

    ``digests`` (path -> SHA-256 hex) are the contents that the caller has already read: a file
    that differs from its digest is reported at once, so nothing saved between reading and
    watching is lost. Without one, the content found first is the base.
    ``on_warning(text)`` is called in the loop when notifications fail; looking goes on.
    """

    def __init__(
        self,
        files: Iterable[Path],
        *,
        digests: Mapping[str, str] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self.generation = 0
        self._warn = on_warning or (lambda text: None)
        self._warned: set[str] = set()
        self._files: tuple[Path, ...] = ()
        self._known: dict[Path, str | None] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._pending: Saved | None = None
        self._saved = asyncio.Event()
        self._poked = asyncio.Event()
        self._poked_at: float | None = None
        self._compared_at = 0.0
        self._supervisor = Supervisor(self._child_failed)
        self._armed: Chain | None = None
        self._stop_backend = threading.Event()
        self._retry_at = 0.0
        self._started = False
        self._closed = False
        self.set_files(files, digests=digests)

    @property
    def files(self) -> tuple[Path, ...]:
        return self._files

    def set_files(self, files: Iterable[Path], *, digests: Mapping[str, str] | None = None) -> None:
        """Watch these from now on. Files that stay keep what is known of them, so that a save
        that was refused is not reported again; ``digests`` are what was read of the new ones."""
        self._files = tuple(dict.fromkeys(Path(f) for f in files))
        read = {os.path.abspath(name): digest for name, digest in (digests or {}).items()}
        known: dict[Path, str | None] = {
            f: read[key] for f in self._files if (key := os.path.abspath(f)) in read
        }
        known.update({f: self._known[f] for f in self._files if f in self._known})
        self._known = known
        self._stamps = {}  # look at every content once more
        self._poked.set()

    async def start(self) -> None:
        """Take the base and arm the notifications; changes() does it when it was not done."""
        if self._started:
            return
        self._started = True
        look = await in_thread(_look, self._files, {})
        self._arm(look.chain)
        await self._compare(look, time.monotonic(), everything=True)
        self._supervisor.spawn(self._run(), "watch")

    async def changes(self) -> AsyncIterator[Saved]:
        """Each save, newest wins: what was saved while the last one was worked on comes as one.
        Ends with close(); a consumer that leaves the loop early calls close() itself."""
        await self.start()
        try:
            while True:
                await self._saved.wait()
                if self._closed:
                    return
                self._saved.clear()
                saved, self._pending = self._pending, None
                if saved is not None:
                    yield saved
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop watching. Idempotent."""
        self._closed = True
        self._stop_backend.set()
        self._saved.set()
        await self._supervisor.close()

    # -- looking -----------------------------------------------------------------------------
    async def _run(self) -> None:
        while True:
            try:
                look, since, hinted = await self._notice()
                look, since = await self._settled(look, since, hinted)
                await self._compare(look, since, everything=hinted)
            except Exception as error:
                self._warn_once(f"watching files: {error!r}; trying again")
                await asyncio.sleep(POLL)

    async def _notice(self) -> tuple[_Look, float, bool]:
        """Wait for a hint, or for a look that differs from the last one. Gives the look, the
        time of the first sign, and whether it was a hint: on a disk that counts time in whole
        seconds a save may leave the stat as it was."""
        while True:
            try:
                async with asyncio.timeout(POLL):
                    await self._poked.wait()
            except TimeoutError:
                pass
            hint, self._poked_at = self._poked_at, None
            self._poked.clear()
            look = await self._look()
            # A hint older than the last comparison is the late echo of what that one has seen.
            since = hint if hint and hint > self._compared_at else time.monotonic()
            if hint is not None or look.stamps != self._stamps:
                return look, since, hint is not None

    async def _settled(self, look: _Look, since: float, hinted: bool) -> tuple[_Look, float]:
        """The look after which nothing changed for the settle time, and the first sign of what
        it shows: the late hint of a save already done is not the first sign of the next one."""
        begun = unchanged_since = time.monotonic()
        if hinted:  # what nobody hints at was written elsewhere, by another clock
            unchanged_since -= min(max(look.age, 0.0), SETTLE)
        while True:
            left = self._rest(look, hinted) - (time.monotonic() - unchanged_since)
            await asyncio.sleep(min(max(left, 0.0), SETTLE / 5))
            newer = await self._look()
            now = time.monotonic()
            if newer.stamps != look.stamps:
                if look.stamps == self._stamps:
                    since = now
                unchanged_since = now
            look = newer
            if now - unchanged_since >= self._rest(look, hinted):
                return look, since
            if now - begun >= SETTLE_MAX:
                return look, since

    def _rest(self, look: _Look, hinted: bool) -> float:
        """How long what was seen must not change."""
        if any(s is None and self._known.get(f) for f, s in look.stamps.items()):
            return SETTLE_MISSING
        if look.written:
            return SETTLE_WRITTEN
        return SETTLE_CLOSED if hinted and look.written is False else SETTLE

    async def _look(self) -> _Look:
        # In a thread: a stat on a network disk may take seconds, and audio runs in this loop.
        look = await in_thread(_look, self._files, self._stamps)
        self._arm(look.chain)
        return look

    async def _compare(self, look: _Look, since: float, *, everything: bool) -> None:
        """Publish the files whose content is not the known one. Stamps are from before the
        reading: a write during it shows in the next look."""
        files = self._files
        suspects = [f for f, s in look.stamps.items() if everything or self._stamps.get(f, ()) != s]
        digests = await in_thread(_digests, suspects)
        if self._files is not files or tuple(look.stamps) != files:
            self._poke(since)  # other files meanwhile: look at those
            return
        changed = [f for f, d in digests.items() if f in self._known and self._known[f] != d]
        self._known.update(digests)
        self._stamps = look.stamps
        self._compared_at = time.monotonic()
        if changed:
            self._publish(changed, since)

    def _publish(self, changed: list[Path], since: float) -> None:
        self.generation += 1
        paths = set(changed)
        if self._pending is not None:
            paths.update(self._pending.paths)
            since = min(since, self._pending.first_event)
        ordered = tuple(f for f in self._files if f in paths)
        self._pending = Saved(
            paths=ordered,
            first_event=since,
            missing=tuple(f for f in ordered if self._known[f] is None),
            generation=self.generation,
        )
        self._saved.set()

    # -- hints -------------------------------------------------------------------------------
    def _poke(self, at: float | None = None) -> None:
        if self._poked_at is None:
            self._poked_at = at or time.monotonic()
        self._poked.set()

    def _arm(self, chain: Chain) -> None:
        """Point the notifications at ``chain`` when it is not the armed one."""
        if chain == self._armed or self._closed or time.monotonic() < self._retry_at:
            return
        self._stop_backend.set()
        self._stop_backend = threading.Event()
        self._armed = chain
        self._supervisor.spawn(self._listen(chain, self._stop_backend), "watch-notify")
        # Between this look and the new watches something may have happened: look once more.
        asyncio.get_running_loop().call_soon(self._poked.set)

    async def _listen(self, chain: Chain, stop: threading.Event) -> None:
        def matters(change: watchfiles.Change, path: str) -> bool:
            return os.path.normcase(path) in chain.names

        try:
            # A low debounce: a busy neighbour in the same folder must not hold our news back.
            async for _ in watchfiles.awatch(
                *chain.directories,
                watch_filter=matters,
                step=10,
                debounce=40,
                recursive=False,
                stop_event=stop,
                ignore_permission_denied=True,
            ):
                self._poke()
        except FileNotFoundError:
            self._lost(stop, 0.0)  # a directory went away between look and watch
        except Exception as error:
            self._warn_once(
                f"file notifications failed ({error}); looking every {POLL * 1000:.0f} ms instead"
            )
            self._lost(stop, RETRY)
        else:
            self._lost(stop, 0.0)

    def _lost(self, stop: threading.Event, retry_in: float) -> None:
        if stop is self._stop_backend and not stop.is_set():
            self._armed = None
            self._retry_at = time.monotonic() + retry_in

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)

    def _child_failed(self, name: str, error: BaseException) -> None:
        self._warn_once(f"{name}: {error!r}")


def _look(files: tuple[Path, ...], known: Mapping[Path, Stamp]) -> _Look:
    stats = {f: _stat(f) for f in files}
    newest = max((s.st_ctime for s in stats.values() if s is not None), default=0.0)
    stamps: dict[Path, Stamp] = {
        f: s and (s.st_mtime_ns, s.st_size, s.st_ino, s.st_dev) for f, s in stats.items()
    }
    changed = [f for f, s in stamps.items() if known and s is not None and known.get(f) != s]
    return _Look(
        stamps, chain_of(files), time.time() - newest, written(changed) if changed else None
    )


def _stat(file: Path) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None


def digests(files: Iterable[Path]) -> dict[str, str]:
    """What ``files`` hold now, for ``Watcher(digests=...)``: of those that are there."""
    return {str(f): d for f in files if (d := _digest(f)) is not None}


def _digests(files: Iterable[Path]) -> dict[Path, str | None]:
    return {f: _digest(f) for f in files}


def _digest(file: Path) -> str | None:
    """SHA-256 of the content; None when there is no file; a name for what cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return "not a regular file"  # opening a FIFO would wait for its writer
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"unreadable: {error.errno}"
