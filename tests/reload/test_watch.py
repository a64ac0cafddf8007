"""Every way in which a file is saved, and every way in which nothing really changed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import watchfiles
from support import saving
from support.saving import atomic, delete_create, in_place, vim
from support.until import until

from runner.reload import watch
from runner.reload.watch import Saved, Watcher

DEADLINE = 10.0


class Line:
    """A running watcher and what it has reported."""

    def __init__(self, *files: Path, **options: Any) -> None:
        self.warnings: list[str] = []
        self.watcher = Watcher(files, on_warning=self.warnings.append, **options)

    async def __aenter__(self) -> Line:
        await self.watcher.start()
        self.changes = self.watcher.changes()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.changes.aclose()
        await self.watcher.close()

    async def saved(self) -> Saved:
        async with asyncio.timeout(DEADLINE):
            return await anext(self.changes)

    async def quiet(self, marker: Path) -> None:
        """Nothing but the marker, which is saved now, is reported."""
        in_place(marker, f"marker {time.monotonic_ns()}")
        assert (await self.saved()).paths == (marker,)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def file(at: Path, text: str = "one") -> Path:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(text)
    return at


def whole_directory(path: Path, text: str) -> None:
    parent = path.parent
    old = parent.with_name(parent.name + ".old")
    fresh = parent.with_name(parent.name + ".new")
    fresh.mkdir()
    (fresh / path.name).write_text(text)
    os.rename(parent, old)
    os.rename(fresh, parent)
    (old / path.name).unlink()
    old.rmdir()


@pytest.mark.parametrize("save", [in_place, atomic, vim, delete_create, whole_directory])
def test_each_of_many_saves_is_seen_once(save: Callable[[Path, str], None], tmp_path: Path) -> None:
    async def main() -> None:
        path = file(tmp_path / "agents.d" / "a.yaml")
        async with Line(path) as line:
            for n in range(4):
                before = time.monotonic()
                save(path, f"text {n}")
                saved = await line.saved()
                assert saved.paths == (path,)
                assert saved.missing == ()
                assert saved.generation == n + 1
                assert before <= saved.first_event <= time.monotonic()
        assert line.warnings == []

    run(main())


def test_hints_and_not_only_the_net_see_a_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL", 3600.0)

    async def main() -> None:
        path = file(tmp_path / "agents.d" / "a.yaml")
        async with Line(path) as line:
            for n, save in enumerate((in_place, atomic, vim, delete_create, whole_directory, vim)):
                save(path, f"text {n}")
                assert (await line.saved()).paths == (path,)

    run(main())


def test_the_net_alone_sees_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deaf(*paths: str, stop_event: Any, **options: Any) -> Any:
        await until(stop_event.is_set, 3600.0)
        return
        yield

    monkeypatch.setattr(watchfiles, "awatch", deaf)

    async def main() -> None:
        path = file(tmp_path / "a.yaml")
        async with Line(path) as line:
            for n, save in enumerate((in_place, atomic, vim, delete_create)):
                save(path, f"text {n}")
                assert (await line.saved()).paths == (path,)

    run(main())


#: The second is longer than a file has to rest that nobody is known to write.
@pytest.mark.parametrize("pause", [0.01, 0.06])
def test_a_slow_write_in_two_chunks_is_read_whole(tmp_path: Path, pause: float) -> None:
    async def main() -> None:
        path = file(tmp_path / "a.yaml", "")
        async with Line(path) as line:
            with path.open("w") as out:
                out.write("first half, ")
                out.flush()
                await asyncio.sleep(pause)  # of the writer under test
                out.write("second half")
            saved = await line.saved()
            assert saved.generation == 1
            assert path.read_text() == "first half, second half"
            await line.quiet(path)
            assert line.watcher.generation == 2

    run(main())


def test_a_configmap_swap_is_seen(tmp_path: Path) -> None:
    """Kubernetes: file -> ..data/file, ..data -> ..v1; an update re-points ..data by a rename."""

    async def main() -> None:
        volume = tmp_path / "config"
        file(volume / "..v1" / "a.yaml", "v1")
        os.symlink("..v1", volume / "..data")
        os.symlink("..data/a.yaml", volume / "a.yaml")
        async with Line(volume / "a.yaml") as line:
            for n in (2, 3, 4):
                file(volume / f"..v{n}" / "a.yaml", f"v{n}")
                os.symlink(f"..v{n}", volume / "..data_tmp")
                os.replace(volume / "..data_tmp", volume / "..data")
                (volume / f"..v{n - 1}" / "a.yaml").unlink()
                (volume / f"..v{n - 1}").rmdir()
                saved = await line.saved()
                assert saved.paths == (volume / "a.yaml",)
                assert saved.missing == ()

    run(main())


def test_the_target_of_a_link_elsewhere_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL", 3600.0)

    async def main() -> None:
        target = file(tmp_path / "elsewhere" / "real.yaml")
        link = tmp_path / "agents.d" / "a.yaml"
        link.parent.mkdir()
        os.symlink(target, link)
        async with Line(link) as line:
            for n, save in enumerate((in_place, atomic, in_place)):
                save(target, f"text {n}")
                assert (await line.saved()).paths == (link,)

    run(main())


def test_a_link_pointed_elsewhere_is_seen_and_its_new_target_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL", 3600.0)

    async def main() -> None:
        one, two = file(tmp_path / "1" / "a", "one"), file(tmp_path / "2" / "b", "two")
        link = tmp_path / "links" / "a.yaml"
        link.parent.mkdir()
        os.symlink(one, link)
        async with Line(link) as line:
            os.symlink(two, link.with_name("next"))
            os.replace(link.with_name("next"), link)
            assert (await line.saved()).paths == (link,)
            two.write_text("two, edited")
            assert (await line.saved()).paths == (link,)

    run(main())


def test_a_linked_directory_pointed_elsewhere_is_seen(tmp_path: Path) -> None:
    async def main() -> None:
        for n in (1, 2):
            file(tmp_path / "releases" / str(n) / "agents.d" / "a.yaml", f"release {n}")
        os.symlink("releases/1", tmp_path / "current")
        path = tmp_path / "current" / "agents.d" / "a.yaml"
        async with Line(path) as line:
            os.symlink("releases/2", tmp_path / "next")
            os.replace(tmp_path / "next", tmp_path / "current")
            assert (await line.saved()).paths == (path,)
            path.write_text("edited")
            assert (await line.saved()).paths == (path,)

    run(main())


def test_a_deleted_file_is_missing_and_its_return_is_seen(tmp_path: Path) -> None:
    async def main() -> None:
        path = file(tmp_path / "agents.d" / "a.yaml")
        async with Line(path) as line:
            path.unlink()
            saved = await line.saved()
            assert (saved.paths, saved.missing) == ((path,), (path,))
            path.parent.rmdir()
            file(path, "one")
            saved = await line.saved()
            assert (saved.paths, saved.missing) == ((path,), ())

    run(main())


def test_a_file_that_appears_later_is_seen(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a" / "b" / "c.yaml"
        async with Line(path) as line:
            file(path)
            assert (await line.saved()).paths == (path,)

    run(main())


def test_a_touch_and_the_same_text_again_are_quiet(tmp_path: Path) -> None:
    async def main() -> None:
        path, marker = file(tmp_path / "a.yaml"), file(tmp_path / "marker")
        async with Line(path, marker) as line:
            for n in range(3):
                os.utime(path, (n, n))
                await line.quiet(marker)
                for save in (in_place, atomic, vim, delete_create):
                    save(path, "one")
                    await line.quiet(marker)
            path.read_text()
            os.chmod(path, 0o600)
            await line.quiet(marker)

    run(main())


def test_neighbours_are_quiet_and_do_not_hold_a_save_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL", 3600.0)

    async def main() -> None:
        path = file(tmp_path / "a.yaml")
        async with Line(path) as line:
            busy = True

            async def neighbour() -> None:
                n = 0
                while busy:
                    n += 1
                    (tmp_path / "call.wav").write_text(str(n))
                    await asyncio.sleep(0.002)

            noise = line.watcher._supervisor.spawn(neighbour(), "neighbour")
            path.write_text("two")
            saved = await line.saved()
            assert saved.paths == (path,)
            busy = False
            await noise

    run(main())


def test_saves_while_the_last_is_worked_on_come_as_one(tmp_path: Path) -> None:
    async def main() -> None:
        a, b = file(tmp_path / "a.yaml"), file(tmp_path / "prompts" / "b.md")
        async with Line(a, b) as line:
            a.write_text("two")
            first = await line.saved()
            b.write_text("two")
            await until(lambda: line.watcher.generation == 2)
            a.write_text("three")
            await until(lambda: line.watcher.generation == 3)
            both = await line.saved()
            assert first.generation == 1
            assert (both.paths, both.generation) == ((a, b), 3)

    run(main())


def test_another_set_of_files(tmp_path: Path) -> None:
    async def main() -> None:
        a, b = file(tmp_path / "1" / "a.yaml"), file(tmp_path / "2" / "b.md")
        async with Line(a) as line:
            line.watcher.set_files([b], digests={str(b): hashlib.sha256(b"one").hexdigest()})
            b.write_text("two")
            assert (await line.saved()).paths == (b,)
            a.write_text("nobody watches this")
            await line.quiet(b)
            line.watcher.set_files([a, b])
            await until(lambda: a in line.watcher._known)
            a.write_text("two")
            assert (await line.saved()).paths == (a,)

    run(main())


def test_what_was_saved_between_reading_and_watching_is_reported(tmp_path: Path) -> None:
    async def main() -> None:
        path = file(tmp_path / "a.yaml", "newer")
        read = hashlib.sha256(b"older").hexdigest()
        async with Line(path, digests={str(path): read}) as line:
            assert (await line.saved()).paths == (path,)

    run(main())


def test_a_save_that_was_refused_is_not_reported_again(tmp_path: Path) -> None:
    async def main() -> None:
        path, marker = file(tmp_path / "a.yaml", "good"), file(tmp_path / "marker")
        good = {str(path): hashlib.sha256(b"good").hexdigest()}
        async with Line(path, marker, digests=good) as line:
            path.write_text("bad")
            assert (await line.saved()).paths == (path,)
            line.watcher.set_files([path, marker], digests=good)  # the old version stays in force
            await line.quiet(marker)
            path.write_text("good")
            assert (await line.saved()).paths == (path,)

    run(main())


def test_a_failing_backend_warns_once_and_looking_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def broken(*paths: str, **options: Any) -> Any:
        calls.append(paths)
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "awatch", broken)
    monkeypatch.setattr(watch, "RETRY", 0.0)

    async def main() -> None:
        path = file(tmp_path / "a.yaml")
        async with Line(path) as line:
            for n in range(3):
                path.write_text(f"text {n}")
                assert (await line.saved()).paths == (path,)
        assert len(calls) > 1, "the backend is tried again"
        assert len(line.warnings) == 1
        assert "OS file watch limit reached" in line.warnings[0]

    run(main())


def test_an_error_while_looking_does_not_end_the_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = watch._look, 2

    def look(*given: Any) -> Any:
        nonlocal broken
        if broken and armed:
            broken -= 1
            raise RuntimeError("out of luck")
        return real(*given)

    armed = False
    monkeypatch.setattr(watch, "_look", look)

    async def main() -> None:
        nonlocal armed
        path = file(tmp_path / "a.yaml")
        async with Line(path) as line:
            armed = True
            path.write_text("two")
            assert (await line.saved()).paths == (path,)
            assert broken == 0
            assert len(line.warnings) == 1

    run(main())


def test_what_cannot_be_read_is_a_change_and_blocks_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        path = file(tmp_path / "a.yaml")
        async with Line(path) as line:
            path.unlink()
            os.mkfifo(path)
            assert (await line.saved()).missing == ()
            path.unlink()
            path.mkdir()
            await until(lambda: line.watcher._known[path] == "not a regular file")
            path.rmdir()
            path.write_text("a file again")
            assert (await line.saved()).missing == ()
            loop = tmp_path / "loop"
            os.symlink(loop, loop)
            os.replace(loop, path)
            assert (await line.saved()).paths == (path,)

    run(main())


def test_close_ends_the_iteration(tmp_path: Path) -> None:
    async def main() -> None:
        path = file(tmp_path / "a.yaml")
        line = Watcher([path])
        await line.start()
        ended = asyncio.Event()

        async def consume() -> None:
            async for _ in line.changes():
                raise AssertionError("nothing was saved")
            ended.set()

        consumer = asyncio.gather(consume())
        await line.close()
        await line.close()
        async with asyncio.timeout(DEADLINE):
            await ended.wait()
            await consumer

    run(main())


@pytest.mark.parametrize("told", [True, False])
def test_six_kinds_of_saving_are_seen_once_each_and_no_touch(
    tmp_path: Path, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:  # as on a system that does not say who writes
        monkeypatch.setattr(watch, "written", lambda files: None)
    counts, others = asyncio.run(saving.seen(tmp_path, 12))
    assert (counts, others) == (dict.fromkeys(saving.KINDS, 2), 0)
