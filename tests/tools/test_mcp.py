"""Real MCP servers as tools: both transports, both ages of the protocol, and all that breaks."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.mcp_server import HERE, http_server
from support.until import until

from runner.codec import loads
from runner.errors import ToolError, UserError
from runner.tools.base import ToolContext
from runner.tools.mcp import McpServer, McpTool, mcp_server

CONTEXT = ToolContext(agent="desk", name="tool", call_id="call_1")
ROOT = HERE.parents[2]
BASIC = ["add", "find_invoice", "fail", "slow"]

every_way = pytest.mark.parametrize("legacy", [False, True], ids=["2026", "2025"])
both = pytest.mark.parametrize("over", ["stdio", "http"])


def stdio(*options: str, **given: Any) -> McpServer:
    return mcp_server("invoices", command=[sys.executable, str(HERE), *options], **given)


@asynccontextmanager
async def serving(over: str, *options: str, **given: Any) -> AsyncIterator[McpServer]:
    with ExitStack() as stack:
        if over == "stdio":
            server = stdio(*options, **given)
        else:
            url = stack.enter_context(http_server(*options)).url
            server = mcp_server("invoices", url=url, **given)
        async with server:
            yield server


async def by_name(server: McpServer) -> dict[str, McpTool]:
    return {tool.name: tool for tool in await server.tools()}


async def call(server: McpServer, name: str, arguments: str = "{}") -> str:
    return await (await by_name(server))[name].run(arguments, CONTEXT)


def group(leader: int) -> list[str]:
    """Who still runs in a process group; the dead that nobody has buried do not count."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True)
    lines = (line.split(None, 2) for line in listed.stdout.splitlines())
    return [args[-1] for pgid, state, *args in lines if int(pgid) == leader and state[0] != "Z"]


# -- what works


@both
@every_way
def test_its_tools_are_listed_and_called(over: str, legacy: bool) -> None:
    """SE9: local tools are told to the model as function tools."""

    async def main() -> None:
        async with serving(over, *(["--legacy"] if legacy else [])) as server:
            tools = await by_name(server)
            assert list(tools) == BASIC
            wire = tools["add"].wire()
            assert (wire["type"], wire["name"]) == ("function", "add")
            assert wire["description"] == "Add two numbers."
            assert wire["parameters"]["type"] == "object"
            assert wire["parameters"]["required"] == ["a", "b"]
            assert "strict" not in wire
            assert await tools["add"].run('{"a": 2, "b": 3}', CONTEXT) == "5"
            assert await tools["find_invoice"].run('{"number": "1001"}', CONTEXT) == (
                '{"number":"1001","customer":"Ada Lovelace","amount":"120.00","paid":true}'
            )
            with pytest.raises(ToolError, match="the ledger is closed"):
                await tools["fail"].run("{}", CONTEXT)
            with pytest.raises(ToolError, match="valid integer"):
                await tools["add"].run('{"a": "two", "b": 3}', CONTEXT)

    asyncio.run(main())


@both
def test_all_pages_are_read_once_and_kept(over: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def lists() -> int:
        return journal.read_text().split().count("tools/list")

    async def main() -> None:
        options = ("--page", "3", "--journal", str(journal))
        async with serving(over, *options) as server:
            assert [tool.name for tool in await server.tools()] == BASIC
            assert [tool.name for tool in await server.tools()] == BASIC
            assert lists() == 2  # two pages
            server.invalidate()
            assert [tool.name for tool in await server.tools()] == BASIC
            assert lists() == 4

    asyncio.run(main())


def test_only_the_allowed_are_taken() -> None:
    async def main() -> None:
        async with serving("stdio", "--page", "1", allow=["slow", "add"]) as server:
            assert [tool.name for tool in await server.tools()] == ["add", "slow"]
        async with serving("stdio", allow=["add", "subtract"]) as server:
            with pytest.raises(ToolError, match="no tool subtract") as refused:
                await server.tools()
            assert refused.value.hint == "it has add, find_invoice, fail, slow"

    asyncio.run(main())


def test_pictures_links_files_and_nothing_are_told_in_words() -> None:
    async def main() -> None:
        async with serving("stdio", "--extra") as server:
            assert (await call(server, "picture")).splitlines() == [
                "Here it is.",
                "[an image, image/png, that cannot be shown here]",
                "[a link to terms, file:///terms.pdf]",
                "call back at nine",
                "[a file, audio/wav, memo://2]",
            ]
            assert await call(server, "silent") == "Done; the tool gave no output."

    asyncio.run(main())


@pytest.mark.parametrize("arguments", ["[1, 2]", "{", '"add"'])
def test_arguments_that_are_no_object_are_refused_before_anything_is_sent(arguments: str) -> None:
    tool = McpTool(server=stdio(), name="add", remote="add")
    with pytest.raises(ToolError, match="no JSON"):
        asyncio.run(tool.run(arguments, CONTEXT))


@both
def test_fifty_calls_at_once_from_several_tasks(over: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    async def main() -> None:
        async with serving(over, "--journal", str(journal)) as server:

            async def session(number: int) -> list[str]:
                add = (await by_name(server))["add"]
                given = [f'{{"a": {number * 1000}, "b": {n}}}' for n in range(10)]
                return list(await asyncio.gather(*(add.run(one, CONTEXT) for one in given)))

            answers = await asyncio.gather(*(session(number) for number in range(5)))
            assert answers == [[str(k * 1000 + n) for n in range(10)] for k in range(5)]
        methods = journal.read_text().split()
        assert methods.count("start") == 1
        if over == "stdio":  # over HTTP some servers ask themselves, for each call
            assert methods.count("tools/list") == 1

    asyncio.run(main())


@both
def test_a_slow_call_holds_up_no_other_and_leaving_it_leaves_the_rest(over: str) -> None:
    async def main() -> None:
        async with serving(over, timeout=60) as server:
            tools = await by_name(server)
            left = asyncio.ensure_future(tools["slow"].run('{"seconds": 600}', CONTEXT))
            kept = asyncio.ensure_future(tools["slow"].run('{"seconds": 0.5}', CONTEXT))
            assert await tools["add"].run('{"a": 1, "b": 1}', CONTEXT) == "2"
            assert not left.done()
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
            assert await kept == "waited 0.5 s"
            assert await tools["add"].run('{"a": 2, "b": 2}', CONTEXT) == "4"

    asyncio.run(main())


@both
def test_a_call_is_given_up_at_its_timeout(over: str) -> None:
    async def main() -> None:
        async with serving(over, "--extra") as server:
            tools = await by_name(server)
            with pytest.raises(ToolError, match=r"'hang' timed out after 300ms"):
                await replace(tools["hang"], timeout=0.3).run("{}", CONTEXT)
            assert await tools["add"].run('{"a": 2, "b": 2}', CONTEXT) == "4"

    asyncio.run(main())


@both
@every_way
def test_a_changed_list_is_told_and_read_anew(over: str, legacy: bool) -> None:
    async def main() -> None:
        told: list[McpServer] = []
        options = ["--extra", *(["--legacy"] if legacy else [])]
        async with serving(over, *options, on_changed=told.append) as server:
            assert "grown" not in await by_name(server)

            async def grow_until_told() -> None:
                # The subscription may open after the first call; a tool is only added once.
                await call(server, "grow")
                with suppress(TimeoutError):
                    await until(lambda: told, 1)

            while not told:
                await grow_until_told()
            assert told[0] is server
            assert await call(server, "grown") == "grown"

    asyncio.run(main())


def test_the_child_sees_its_own_folder_and_little_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-you")
    folder = str(tmp_path.resolve())

    async def main() -> None:
        given = {"env": {"LEDGER": "main"}, "base": tmp_path}
        async with serving("stdio", "--extra", **given) as server:
            told = loads(await call(server, "where"))
            assert told["cwd"] == folder
            assert told["env"]["LEDGER"] == "main"
            mine = {"PATH", "HOME", "LANG", "LEDGER"}
            # LC_CTYPE and the like are set by the child's interpreter and system for themselves.
            extra = {key for key in told["env"] if key not in mine and not key.startswith("LC_")}
            assert extra <= {"__CF_USER_TEXT_ENCODING"}

    asyncio.run(main())


# -- what breaks


@every_way
def test_a_server_killed_during_a_call_fails_it_and_serves_the_next(legacy: bool) -> None:
    async def main() -> None:
        options = ["--extra", *(["--legacy"] if legacy else [])]
        async with serving("stdio", *options, timeout=60) as server:
            tools = await by_name(server)
            first = int(await tools["pid"].run("{}", CONTEXT))
            assert first == server.pid
            hanging = [asyncio.ensure_future(tools["hang"].run("{}", CONTEXT)) for _ in range(3)]
            await tools["add"].run('{"a": 1, "b": 1}', CONTEXT)
            os.kill(first, signal.SIGKILL)
            for outcome in await asyncio.gather(*hanging, return_exceptions=True):
                assert isinstance(outcome, ToolError)
                assert "'invoices' was lost during the call: it ended with signal 9" in str(outcome)
            second = int(await tools["pid"].run("{}", CONTEXT))
            assert second != first
            # And once more with nobody calling.
            os.kill(second, signal.SIGKILL)
            await until(lambda: server.pid is None)
            many = await asyncio.gather(*(tools["pid"].run("{}", CONTEXT) for _ in range(5)))
            assert len(set(many)) == 1
            assert int(many[0]) not in (first, second)

    asyncio.run(main())


def test_a_dead_server_whose_child_holds_its_pipes_is_known_to_be_dead() -> None:
    async def main() -> None:
        async with serving("stdio", "--extra", "--stubborn", timeout=60) as server:
            tools = await by_name(server)
            hanging = asyncio.ensure_future(tools["hang"].run("{}", CONTEXT))
            await tools["add"].run('{"a": 1, "b": 1}', CONTEXT)
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ToolError, match="signal 9"):
                await hanging
            await until(lambda: not group(pid))
            assert await tools["add"].run('{"a": 1, "b": 1}', CONTEXT) == "2"

    asyncio.run(main())


@every_way
def test_a_server_over_http_that_was_started_anew_is_used_anew(legacy: bool) -> None:
    options = ["--extra", *(["--legacy"] if legacy else [])]

    async def main() -> None:
        with http_server(*options) as first:
            port = int(first.url.split(":")[2].partition("/")[0])
            server = mcp_server("invoices", url=first.url, timeout=60)
            tools = await by_name(server)
            hanging = asyncio.ensure_future(tools["hang"].run("{}", CONTEXT))
            assert await tools["pid"].run("{}", CONTEXT) == str(first.pid)
            os.kill(first.pid, signal.SIGKILL)
            with pytest.raises(ToolError):
                await hanging
        with pytest.raises(ToolError):
            await tools["pid"].run("{}", CONTEXT)
        with http_server(*options, port=port) as second:
            await until_answers(tools["pid"], str(second.pid))
        # Gone and back between two calls: the session of the older protocol is made anew.
        with http_server(*options, port=port) as third:
            assert await tools["pid"].run("{}", CONTEXT) == str(third.pid)
            await server.close()

    async def until_answers(tool: McpTool, answer: str) -> None:
        async with asyncio.timeout(20):
            while True:
                with suppress(ToolError):  # tries to reach it are spaced
                    assert await tool.run("{}", CONTEXT) == answer
                    return
                await asyncio.sleep(0.05)

    asyncio.run(main())


@both
def test_closing_from_another_task_ends_calls_and_process(over: str) -> None:
    async def main() -> None:
        async with serving(over, "--extra", timeout=60) as server:
            tools = await by_name(server)
            pid = server.pid
            hanging = asyncio.ensure_future(tools["hang"].run("{}", CONTEXT))
            await tools["add"].run('{"a": 1, "b": 1}', CONTEXT)
            other = asyncio.ensure_future(server.close())
            with pytest.raises(ToolError):
                await hanging
            await asyncio.gather(other, server.close())
            await server.close()
            assert pid is None or not group(pid)
            with pytest.raises(ToolError, match="was closed"):
                await tools["add"].run('{"a": 1, "b": 1}', CONTEXT)
            with pytest.raises(ToolError, match="was closed"):
                await server.tools()

    asyncio.run(main())


def test_a_stubborn_server_and_its_child_are_ended() -> None:
    async def main() -> None:
        async with serving("stdio", "--stubborn") as server:
            await server.tools()
            pid = server.pid
            assert pid is not None
            assert len(group(pid)) == 2
        assert not group(pid)

    asyncio.run(main())


def test_closing_while_it_starts_leaves_no_process() -> None:
    async def main() -> None:
        server = mcp_server("sleeper", command=["sleep", "600"])
        first = asyncio.ensure_future(server.tools())
        second = asyncio.ensure_future(server.tools())
        await until(lambda: server.pid)
        pid = server.pid
        assert pid is not None
        first.cancel()  # who leaves takes nobody along
        with pytest.raises(asyncio.CancelledError):
            await first
        assert group(pid)
        await server.close()
        with pytest.raises(ToolError, match="was closed"):
            await second
        assert not group(pid)

    asyncio.run(main())


def test_garbage_on_its_output_is_passed_over() -> None:
    async def main() -> None:
        async with serving("stdio", "--garbage") as server:
            assert await call(server, "add", '{"a": 1, "b": 2}') == "3"

    asyncio.run(main())


def refusal(server: McpServer) -> ToolError:
    async def main() -> ToolError:
        async with server:
            with pytest.raises(ToolError) as refused:
                await server.tools()
            return refused.value

    return asyncio.run(main())


def test_a_server_that_does_not_start_is_told_in_its_own_words() -> None:
    refused = refusal(stdio("--die", "no ledger\nset LEDGER first"))
    assert refused.message == (
        "the MCP server 'invoices' did not start: it ended with exit code 3: set LEDGER first"
    )
    assert "no program 'rtrun-no-such'" in str(refusal(mcp_server("x", command=["rtrun-no-such"])))
    assert "no program ./none" in str(refusal(mcp_server("x", command=["./none"])))
    assert "does not speak MCP" in str(refusal(mcp_server("x", command=["cat"])))


def test_a_server_that_never_answers_is_given_up() -> None:
    spec = mcp_server("mute", command=["sh", "-c", "echo still loading >&2; sleep 600"]).spec
    refused = refusal(McpServer(spec, start_timeout=0.5))
    assert refused.message == (
        "the MCP server 'mute' did not start: did not answer within 0.5 s: still loading"
    )


def test_a_server_that_keeps_failing_is_not_tried_each_time(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    server = mcp_server("x", command=["sh", "-c", f"echo try >> {tries}; exit 1"])

    async def main() -> None:
        for _ in range(12):
            with pytest.raises(ToolError, match="exit code 1"):
                await server.tools()
        await server.close()

    asyncio.run(main())
    assert 2 <= len(tries.read_text().split()) < 12


def test_a_wrong_address_is_told_without_what_may_be_a_key() -> None:
    with http_server() as served:
        refused = refusal(mcp_server("x", url=f"{served.url}/else?key=hush-hush"))
        assert f"at {served.url}/else cannot be reached: HTTP 404" in refused.message
    refused = refusal(mcp_server("x", url=f"{served.url}?key=hush-hush"))
    assert "cannot be reached: All connection attempts failed" in refused.message
    assert "hush" not in str(refused)


def test_headers_open_the_door_and_stay_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        with http_server("--token", "sesame-open") as served:
            for headers in ({}, {"Authorization": "Bearer sesame-shut"}):
                with pytest.raises(ToolError, match="HTTP 401") as refused:
                    await mcp_server("x", url=served.url, headers=headers).tools()
                assert "sesame" not in str(refused.value)
            headers = {"Authorization": "Bearer sesame-open"}
            async with mcp_server("x", url=served.url, headers=headers) as server:
                assert await call(server, "add", '{"a": 1, "b": 2}') == "3"
                assert "sesame" not in repr(server.spec)
                logging.getLogger("mcp.client.streamable_http").warning("got %s", headers)

    asyncio.run(main())
    assert "got {'Authorization': '***'}" in caplog.text
    assert "sesame" not in caplog.text


def test_a_key_in_its_last_words_is_hidden() -> None:
    refused = refusal(stdio("--die", "bad key hush-4711", env={"KEY": "hush-4711"}))
    assert "bad key ***" in refused.message


# -- the process around it


def alone(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_importing_it_does_not_import_the_package() -> None:
    script = (
        "import sys, runner.tools.mcp\n"
        "print(sorted({'mcp', 'anyio', 'httpx2', 'pydantic'} & set(sys.modules)))"
    )
    assert alone(script).stdout.strip() == "[]"


def test_without_the_package_one_sentence_says_what_to_install() -> None:
    script = (
        "import sys\n"
        "sys.modules['mcp'] = None\n"
        "from runner.errors import ToolError\n"
        "from runner.tools.mcp import mcp_server\n"
        "try:\n"
        "    mcp_server('invoices', command=['python', 'x.py'])\n"
        "except ToolError as error:\n"
        "    print(error)\n"
    )
    assert alone(script).stdout.splitlines() == [
        "the tool 'invoices' is an MCP server, and the package mcp is not installed",
        "  install it: pip install 'rtrun[mcp]'",
    ]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "left open"])
def test_nothing_is_printed_and_nothing_stays_behind(closed: bool) -> None:
    """Neither warnings of forgotten tasks, pipes and cancel scopes, nor the SDK's own log."""
    script = (
        "import asyncio, sys\n"
        "from runner.tools.mcp import mcp_server\n"
        f"server = mcp_server('x', command=[sys.executable, {str(HERE)!r}, '--garbage'])\n"
        "async def main():\n"
        "    await server.tools()\n"
        "    print(server.pid)\n"
        f"    if {closed}: await server.close()\n"
        "asyncio.run(main())\n"
    )
    done = alone(script)
    assert done.stderr == ""
    assert done.returncode == 0
    assert not group(int(done.stdout))


def test_it_is_either_a_command_or_a_url() -> None:
    for given in ({}, {"command": ["x"], "url": "http://127.0.0.1:1/mcp"}, {"command": "x y"}):
        with pytest.raises(UserError):
            mcp_server("x", **given)
