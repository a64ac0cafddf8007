"""Commands as tools: real processes, those that fail and those that will not end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from support.until import until

from runner.errors import ToolError, UserError
from runner.model.deployment import CommandSpec, ToolSpec
from runner.model.secret import Secret
from runner.tasks import run as run_on_best_loop
from runner.tools.base import ToolContext
from runner.tools.command import CommandTool, command_tool

CONTEXT = ToolContext(agent="desk", name="tool", call_id="call_1")
ANYTHING = {"type": "object", "additionalProperties": True}


def tool(
    folder: Path,
    *argv: str,
    timeout: float = 20.0,
    parameters: dict[str, Any] | None = None,
    **given: Any,
) -> CommandTool:
    given["env"] = {name: Secret(text) for name, text in given.get("env", {}).items()}
    return command_tool(
        ToolSpec(
            "rate",
            base=folder,
            description="A rate.",
            parameters=ANYTHING if parameters is None else parameters,
            timeout=timeout,
            command=CommandSpec(argv, **given),
        )
    )


def python(folder: Path, code: str, **given: Any) -> CommandTool:
    return tool(folder, sys.executable, "-c", code, **given)


def ran(made: CommandTool, **arguments: Any) -> str:
    return asyncio.run(made.run(json.dumps(arguments), CONTEXT))


def failed(made: CommandTool, **arguments: Any) -> ToolError:
    with pytest.raises(ToolError) as told:
        ran(made, **arguments)
    return told.value


def lives(pid: int) -> bool:
    """Does it run? The dead that nobody has buried do not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        try:  # no /proc, such as macOS
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    except ProcessLookupError:
        return False
    return state not in ("Z", "X")


# -- what works


@pytest.mark.parametrize("loop", [asyncio.run, run_on_best_loop], ids=["asyncio", "best"])
def test_arguments_go_in_and_output_comes_out(
    tmp_path: Path, loop: Callable[[Coroutine[Any, Any, str]], str]
) -> None:
    code = "import json, sys; print(json.load(sys.stdin)['word'] * 2)"
    made = python(tmp_path, code)
    assert loop(made.run('{"word": "grüß"}', CONTEXT)) == "grüßgrüß"
    big = "x" * 100_000
    assert loop(made.run(json.dumps({"word": big}), CONTEXT)) == big * 2


def test_there_is_no_shell(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    evil = f"; rm {victim}; $(rm {victim}) `rm {victim}` | rm {victim}"
    assert json.loads(ran(tool(tmp_path, "cat"), word=evil)) == {"word": evil}
    code = "import sys; print(sys.argv[1:])"
    made = tool(tmp_path, sys.executable, "-c", code, evil, "$HOME", "*", "{word}", "")
    assert ran(made, word="x") == str([evil, "$HOME", "*", "{word}", ""])
    assert victim.exists()


def test_programs_are_found_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "where"
    script.write_text("#!/bin/sh\npwd\n")
    script.chmod(0o755)
    assert ran(tool(tmp_path, "bin/where")) == str(tmp_path.resolve())
    assert ran(tool(tmp_path, str(script), cwd=tmp_path / "bin")) == str(script.parent.resolve())


def test_it_sees_little_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123456")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    made = python(
        tmp_path, "import json, os; print(json.dumps(dict(os.environ)))", env={"TOKEN": "t"}
    )
    seen = json.loads(ran(made))
    own = {"LC_CTYPE", "__CF_USER_TEXT_ENCODING", "PWD", "SHLVL", "_"}  # what programs add
    assert set(seen) - own <= {"PATH", "HOME", "LANG", "TOKEN"}
    assert (seen["TOKEN"], seen["LANG"]) == ("t", "C.UTF-8")


def test_nothing_of_ours_is_open_in_it(tmp_path: Path) -> None:
    with open(tmp_path / "ours", "w") as ours:
        os.set_inheritable(ours.fileno(), True)
        code = f"import os\ntry: os.fstat({ours.fileno()})\nexcept OSError: print('closed')"
        assert ran(python(tmp_path, code)) == "closed"


def test_output_that_is_no_utf8_and_none_at_all(tmp_path: Path) -> None:
    assert ran(python(tmp_path, "import os; os.write(1, b'a\\xffb\\n')")) == "a\ufffdb"
    assert ran(tool(tmp_path, "true")) == "Done; the tool gave no output."


def test_its_signals_are_as_programs_expect_them(tmp_path: Path) -> None:
    """A pipe that nobody reads ends a program, as it does in a shell."""
    assert ran(tool(tmp_path, "sh", "-c", "yes | head -n 1")) == "y"
    # A signal that is ignored when a shell begins stays so.
    trap = "kill -PIPE $$; echo still here"
    assert failed(tool(tmp_path, "sh", "-c", trap)).message == "the program was ended by SIGPIPE"
    # Nor is one that a library of ours has blocked.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        told = failed(tool(tmp_path, "sh", "-c", trap))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert told.message == "the program was ended by SIGPIPE"


# -- what goes wrong


def test_an_exit_code_comes_with_the_last_words(tmp_path: Path) -> None:
    code = (
        "import sys\nprint('half')\nfor n in range(30): print('line', n, file=sys.stderr)\n"
        "print('no rate for sk-123456\\n', file=sys.stderr); sys.exit(3)"
    )
    error = failed(python(tmp_path, code, env={"KEY": "sk-123456"}))
    assert error.message == "the program ended with exit code 3: no rate for ***"
    lines = error.hint.splitlines()
    assert len(lines) == 10
    assert lines[-2:] == ["line 29", "no rate for ***"]
    assert failed(tool(tmp_path, "false")).message == "the program ended with exit code 1"
    only = failed(tool(tmp_path, "sh", "-c", "echo sorry; exit 2"))
    assert only.message == "the program ended with exit code 2: sorry"
    killed = failed(tool(tmp_path, "sh", "-c", "kill -TERM $$"))
    assert killed.message == "the program was ended by SIGTERM"


def test_what_cannot_be_run(tmp_path: Path) -> None:
    error = failed(tool(tmp_path, "perl6000"))
    assert error.message == "there is no program 'perl6000' on PATH"
    assert error.hint == "install it, or name its path"
    assert failed(tool(tmp_path, "./x")).message == "there is no program ./x"
    (tmp_path / "plain").write_text("hello")
    assert "Permission denied" in failed(tool(tmp_path, "./plain")).message
    (tmp_path / "plain").chmod(0o755)
    assert "Exec format error" in failed(tool(tmp_path, "./plain")).message
    gone = failed(tool(tmp_path, "cat", cwd=tmp_path / "gone"))
    assert gone.message.startswith("there is no folder")
    assert "cannot be run" in failed(tool(tmp_path, "cat", "a\0b")).message
    with pytest.raises(UserError, match="has no command"):
        command_tool(ToolSpec("rate", python="x.py:y"))


def test_arguments_that_do_not_fit_start_nothing(tmp_path: Path) -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    made = tool(tmp_path, "touch", "started", parameters=parameters)
    assert failed(made, n="five").message == "argument n: a whole number is wanted"
    assert failed(made).message == "missing argument: n"
    assert failed(made, n=1, m=1).message == "unknown argument: m"
    assert not (tmp_path / "started").exists()


def test_keys_are_in_no_text_about_it(tmp_path: Path) -> None:
    made = tool(tmp_path, "cat", "--key=hunter2", env={"KEY": "hunter2"})
    assert "hunter2" not in repr(made)
    assert "hunter2" not in str(made.wire())


def test_a_shell_reads_its_arguments_as_a_line(tmp_path: Path) -> None:
    script = 'read -r line && echo "got $line"'
    assert ran(tool(tmp_path, "sh", "-c", script), n=1) == 'got {"n":1}'


def test_a_program_that_reads_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    big = "x" * 3_000_000
    assert ran(python(tmp_path, "print('deaf')"), word=big) == "deaf"
    code = "import os, time; os.close(0); time.sleep(0.1); print('deaf')"
    assert ran(python(tmp_path, code), word=big) == "deaf"
    assert not caplog.records


def test_a_program_that_writes_while_it_is_written_to(tmp_path: Path) -> None:
    """Both pipes full at once, and nobody waits for ever."""
    code = "import os; os.write(1, b'y' * 200_000); n = len(open(0).read()); print(n)"
    assert ran(python(tmp_path, code), word="x" * 1_000_000).endswith("y1000012")


def test_a_program_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    code = "exec >&-; sleep 0.2; touch done; exit 4"
    error = failed(tool(tmp_path, "sh", "-c", code))
    assert error.message == "the program ended with exit code 4"
    assert (tmp_path / "done").exists()


# -- limits


def test_a_million_lines_are_too_many(tmp_path: Path) -> None:
    code = "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile 1: print('line')"
    error = failed(python(tmp_path, code))
    assert error.message == "the program printed more than 256 kB"
    assert not lives(int((tmp_path / "pid").read_text()))
    code = f"print('x' * {256 * 1024}, end='')"
    assert len(ran(python(tmp_path, code))) == 256 * 1024


def test_a_flood_of_errors_is_not_kept(tmp_path: Path) -> None:
    code = "import sys\nfor n in range(300_000): print('line', n, file=sys.stderr)\nprint('ok')"
    assert ran(python(tmp_path, code)) == "ok"


def test_a_memory_hog_is_stopped(tmp_path: Path) -> None:
    assert ran(tool(tmp_path, "cat", memory_mb=16), a=1) == '{"a":1}'
    if sys.platform != "linux":  # the others do not count what is mapped
        return
    hog = python(tmp_path, "x = bytearray(1 << 29); print(len(x))", memory_mb=128)
    assert failed(hog).message == "the program ended with exit code 1: MemoryError"
    # Addresses alone are no memory: what node and Java reserve is not counted.
    code = (
        "from mmap import *; "
        "print(len(mmap(-1, 1 << 33, flags=MAP_PRIVATE | MAP_ANONYMOUS, prot=0)))"
    )
    assert ran(python(tmp_path, code, memory_mb=128)) == str(1 << 33)


def test_its_other_limits(tmp_path: Path) -> None:
    code = (
        "import json, resource as r\n"
        "print(json.dumps([r.getrlimit(k) for k in (r.RLIMIT_CORE, r.RLIMIT_CPU, r.RLIMIT_NOFILE,"
        " r.RLIMIT_FSIZE)]))"
    )
    core, cpu, files, size = json.loads(ran(python(tmp_path, code, timeout=7.5)))
    assert core == [0, 0]
    assert cpu == [9, 10]
    assert files == [256, 256]
    assert size == [1 << 26, 1 << 26]


def test_used_up_processor_time_is_told_as_such(tmp_path: Path) -> None:
    """The limit itself lies behind the timeout: the program lowers it, so that it comes first."""
    code = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile 1: pass"
    error = failed(python(tmp_path, code, timeout=15))
    assert error.message == "the program used more than 16 s of processor time"


def test_an_endless_loop_ends_at_the_timeout(tmp_path: Path) -> None:
    code = "echo $$ > pid; while :; do :; done"
    error = failed(tool(tmp_path, "sh", "-c", code, timeout=1.5))
    assert error.message == "Tool 'rate' timed out after 1500ms."
    assert not lives(int((tmp_path / "pid").read_text()))


# -- its end


FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    while True:
        time.sleep(1)
open("child.new", "w").write(f"{pid} {os.getpid()}")
os.rename("child.new", "child")
"""


def family(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "child").read_text().split()]


def test_whom_it_leaves_behind_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grandchild holds standard output open and would for ever; nobody waits for it."""
    monkeypatch.setattr("runner.tools.command._Run.drain", 1000.0)
    assert ran(python(tmp_path, FAMILY + "print('ok')")) == "ok"
    child, _ = family(tmp_path)
    asyncio.run(until(lambda: not lives(child)))


def test_one_that_leaves_the_group_does_not_hold_the_call_up(tmp_path: Path) -> None:
    code = FAMILY.replace("while True:", "os.setsid(); open('free', 'w').close()\n    while True:")
    code += "\nwhile not os.path.exists('free'): time.sleep(0.01)\nprint('ok')"
    try:
        assert ran(python(tmp_path, code, timeout=30)) == "ok"
    finally:
        os.kill(family(tmp_path)[0], 9)


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_the_whole_group_ends(tmp_path: Path, how: str) -> None:
    async def main() -> None:
        timeout = 2.5 if how == "timeout" else 30
        made = python(tmp_path, FAMILY + "while True: time.sleep(1)", timeout=timeout)
        call = asyncio.get_running_loop().create_task(made.run("{}", CONTEXT))
        await until(lambda: (tmp_path / "child").exists())
        if how == "cancel":
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        else:
            with pytest.raises(ToolError, match="timed out"):
                await call
        await until(lambda: not any(map(lives, family(tmp_path))))

    asyncio.run(main())


def test_a_bomb_of_forks_ends_with_its_group(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "for n in range(5): os.fork()\n"  # 32 of them
        "with open('pids', 'a') as f: f.write(f'{os.getpid()}\\n')\n"
        "while True: time.sleep(1)"
    )
    pids = tmp_path / "pids"

    async def main() -> None:
        made = python(tmp_path, code, timeout=60)
        call = asyncio.get_running_loop().create_task(made.run("{}", CONTEXT))
        await until(lambda: pids.exists() and len(pids.read_text().splitlines()) == 32, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: not any(lives(int(pid)) for pid in pids.read_text().split()))

    asyncio.run(main())


def test_calls_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    async def main() -> None:
        made = tool(tmp_path, "cat")
        calls = [made.run(json.dumps({"n": n}), CONTEXT) for n in range(10)]
        assert await asyncio.gather(*calls) == [
            json.dumps({"n": n}, separators=(",", ":")) for n in range(10)
        ]

    asyncio.run(main())
