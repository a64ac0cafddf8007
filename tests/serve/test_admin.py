"""The admin port over real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.engine import Puppet, serving
from support.houses import SHOP, Hall, hall
from support.until import until

from runner.errors import InputError, UsageError
from runner.serve import admin as a
from runner.serve import reach
from runner.serve.control import MAX_LINE
from runner.serve.sockets import own_folder
from runner.tasks import in_thread

KEY = "0123456789abcdef-token"
TOOLED = """\
transport: websocket
timezone: none
session: { output_modalities: [text] }
agents:
  desk:
    instructions: { file: desk.md }
    tools: [book]
tools:
  book:
    description: Books.
    http: { url: "https://api.example/v1", headers: { Authorization: "Bearer ${TOKEN}" } }
"""


class Page:
    """A client with the token."""

    def __init__(self, it: Hall, admin: a.Admin) -> None:
        self.hall = it
        self.admin = admin
        self.client = httpx.AsyncClient(base_url=admin.url, trust_env=False, timeout=20)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        auth = {"Authorization": f"Bearer {KEY}"}
        return await self.client.get(path, headers={**auth, **headers})

    async def control(self, content: Any, **headers: str) -> httpx.Response:
        known = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.client.post("/control", content=content, headers={**known, **headers})


Test = Callable[[Page], Awaitable[None]]


def on_a_port(folder: Path, test: Test, env: dict[str, str] | None = None, **files: str) -> None:
    async def main(url: str) -> None:
        async with hall(folder, url, env, **(files or {"shop": SHOP})) as it:
            said: list[str] = []
            admin = await a.open_admin(
                it.house,
                "0",
                it.verbs,
                env={a.TOKEN: KEY},
                say=said.append,
                on_failure=it._failed,
            )
            assert said == [f"admin: {admin.url}"], "a token that was given is not repeated"
            page = Page(it, admin)
            try:
                await test(page)
            finally:
                await page.client.aclose()
                await admin.close()
                await admin.close()
            assert it.failed == []

    with serving(Puppet(), no_speech="typed") as engine:
        asyncio.run(main(engine.url))


def test_health_and_metrics_are_open_and_the_rest_wants_the_token(tmp_path: Path) -> None:
    async def test(page: Page) -> None:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await page.client.get(path)).status_code == 200
        for path in ("/config", "/config/rejected", "/sessions", "/control", "/", "/nowhere"):
            bare = await page.client.get(path)
            assert bare.status_code == 401
            assert bare.headers["www-authenticate"] == "Bearer"
            wrong = await page.get(path, Authorization="Bearer 0123456789abcdef-other")
            assert wrong.status_code == 401
        assert (await page.get("/nowhere")).status_code == 404
        assert (await page.get("/control")).status_code == 405
        assert (await page.client.post("/healthz")).status_code == 405

    on_a_port(tmp_path, test)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_website_may_ask_nothing_with_or_without_the_token(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async def test(page: Page) -> None:
        for path in ("/healthz", "/metrics", "/config"):
            assert (await page.get(path, **headers)).status_code == 403
        assert (await page.control({"do": "ps"}, **headers)).status_code == 403
        assert (await page.client.options("/control", headers=headers)).status_code == 403
        assert "access-control-allow-origin" not in (await page.get("/healthz")).headers

    on_a_port(tmp_path, test)


def test_the_effective_configuration_has_no_secrets_and_a_tag(tmp_path: Path) -> None:
    async def test(page: Page) -> None:
        got = await page.get("/config")
        assert "tok-123456" not in got.text
        [shop] = got.json()["deployments"]
        assert shop["deployment"] == "shop"
        assert shop["error_state"] is None
        active = shop["active_state"]
        assert active["version_info"] == "0"
        config = active["config"]
        assert config["agents"]["desk"]["instructions"] == "You are the desk."
        assert config["tools"]["book"]["http"]["headers"]["Authorization"] == "***"
        assert config["session"]["audio"]["input"]["turn_detection"] == {"type": "semantic_vad"}
        tag = got.headers["etag"]
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            same = await page.get("/config", **{"If-None-Match": known})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == tag
        assert (await page.get("/config", **{"If-None-Match": '"other"'})).status_code == 200
        (tmp_path / "desk.md").write_text("You are the new desk.")
        await page.hall["shop"].reload()
        edited = await page.get("/config", **{"If-None-Match": tag})
        assert edited.status_code == 200
        assert edited.headers["etag"] != tag
        assert edited.json()["deployments"][0]["active_state"]["version_info"] == "1"

    (tmp_path / "desk.md").write_text("You are the desk.")
    on_a_port(tmp_path, test, {"TOKEN": "tok-123456"}, shop=TOOLED)


def test_a_refused_file_is_seen_beside_what_is_in_force(tmp_path: Path) -> None:
    async def test(page: Page) -> None:
        assert (await page.get("/config/rejected")).json() == {"deployments": []}
        (tmp_path / "shop.yaml").write_text(SHOP.replace("instructions", "instrctions"))
        before = time.time()
        await page.hall["shop"].reload()
        [refused] = (await page.get("/config/rejected")).json()["deployments"]
        [problem] = refused["problems"]
        assert (problem["line"], problem["column"]) == (6, 5)
        assert problem["file"].endswith("shop.yaml")
        assert "instrctions" in problem["message"]
        assert {"code", "hint", "path"} < set(problem)
        assert refused["at"] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))
        [dump] = (await page.get("/config")).json()["deployments"]
        assert dump["active_state"]["config"]["agents"]["desk"]["instructions"] == "Say one."
        assert dump["error_state"]["problems"] == refused["problems"]
        assert "instrctions" in dump["error_state"]["details"]
        (tmp_path / "shop.yaml").write_text(SHOP)
        await page.hall["shop"].reload()
        assert (await page.get("/config/rejected")).json() == {"deployments": []}

    on_a_port(tmp_path, test)


def test_ready_says_what_is_missing(tmp_path: Path) -> None:
    async def test(page: Page) -> None:
        got = await page.client.get("/readyz")
        assert (got.status_code, got.json()["ready"]) == (503, False)
        assert got.json()["reasons"] == ["bar: its file has never been valid"]
        (tmp_path / "bar.yaml").write_text(SHOP)
        await page.hall["bar"].reload()
        assert (await page.client.get("/readyz")).json() == {"ready": True, "reasons": []}
        await page.hall.stream("drain")
        got = await page.client.get("/readyz")
        assert got.status_code == 503
        assert "draining" in got.json()["reasons"][0]
        assert (await page.client.get("/healthz")).status_code == 200

    on_a_port(tmp_path, test, shop=SHOP, bar="agents: 7\n")


def test_one_deployment_is_asked_about_by_its_name(tmp_path: Path) -> None:
    async def test(page: Page) -> None:
        call = await page.hall.call("bar")
        for path in ("/config", "/sessions"):
            both = (await page.get(path)).json()["deployments"]
            assert [row["deployment"] for row in both] == ["shop", "bar"]
            one = (await page.get(f"{path}?deployment=bar")).json()["deployments"]
            assert [row["deployment"] for row in one] == ["bar"]
            assert (await page.get(f"{path}?deployment=pub")).status_code == 404
        [row] = (await page.get("/sessions?deployment=bar")).json()["deployments"]
        assert [session["session"] for session in row["sessions"]] == [call.id]

    on_a_port(tmp_path, test, shop=SHOP, bar=SHOP)


def test_control_takes_the_requests_of_the_socket(tmp_path: Path) -> None:
    async def test(page: Page) -> None:
        told = (await page.control({"do": "ps"})).json()
        assert (told["ok"], told["pid"]) == (True, os.getpid())
        assert (await page.control({"do": "fly"})).json()["ok"] is False
        assert (await page.control(b"no json")).status_code == 400
        assert (await page.control(b"[1]")).json()["ok"] is False
        large = b'{"do": "' + b"x" * 1_000_000 + b'"}'
        assert (await page.control(large)).status_code == 413
        form = await page.control({"do": "ps"}, **{"Content-Type": "text/plain"})
        assert form.status_code == 415, "what a form of a website can send"
        assert (await page.control({"do": "ps"})).status_code == 200
        assert MAX_LINE < 1_000_000

    on_a_port(tmp_path, test)


def test_a_plan_over_http_shows_no_other_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("notes.txt", "sub/x.yaml", "next.yaml"):
        (tmp_path / name).write_text("a secret line\n")

    async def test(page: Page) -> None:
        for name in ("notes.txt", "sub/x.yaml", "sub/../notes.txt", "sub/../../passwd.yaml", ""):
            got = await page.control({"do": "plan", "file": str(tmp_path / name)})
            assert got.status_code == 403, name
            assert "secret" not in got.text
        for name in ("next.yaml", "sub/../next.yaml"):
            got = await page.control({"do": "plan", "file": str(tmp_path / name)})
            assert got.json()["result"] == "invalid"
        assert (await page.control({"do": "plan"})).json()["result"] == "planned"

    on_a_port(tmp_path, test)


def test_a_stream_over_http_ends_with_either_side(tmp_path: Path) -> None:
    async def test(page: Page) -> None:
        tails = page.hall.tails
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        ask = ("POST", "/control")
        async with page.client.stream(*ask, headers=headers, content=b'{"do": "tail"}') as got:
            lines = got.aiter_lines()
            assert json.loads(await anext(lines))["ok"]
            tails.put("log", {"event": "x", "deployment": "shop"})
            assert json.loads(await anext(lines))["event"] == "x"
            assert len(tails) == 1
        await until(lambda: len(tails) == 0)
        async with page.client.stream(*ask, headers=headers, content=b'{"do": "tail"}') as got:
            lines = got.aiter_lines()
            await anext(lines)
            tails.close()
            assert [line async for line in lines] == []

    on_a_port(tmp_path, test)


def test_where_there_are_no_sockets_the_verbs_go_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(a, "supported", lambda: False)

    async def test(page: Page) -> None:
        [card] = await in_thread(lambda: list(own_folder().iterdir()))
        assert card.name == f"{os.getpid()}.json"
        assert stat.S_IMODE(card.stat().st_mode) == 0o600
        found, silent = await in_thread(reach.everyone, {"do": "ps"})
        assert silent == []
        [(process, told)] = found
        assert told["deployments"][0]["deployment"] == "shop"
        with pytest.raises(reach.Declined, match="no such request"):
            await in_thread(process.ask, {"do": "fly"})
        first, lines = await in_thread(process.stream, {"do": "tail"})
        assert first["ok"]
        page.hall.tails.put("log", {"event": "x", "deployment": "shop"})
        page.hall.tails.close()
        rows = [json.loads(line) for line in await in_thread(list, lines)]
        assert [row["event"] for row in rows] == ["x"]
        await page.admin.close()
        assert not card.exists()
        with pytest.raises(reach.Gone):
            await in_thread(process.ask, {"do": "ps"})

    on_a_port(tmp_path, test)


def test_a_card_of_a_killed_process_and_half_a_card_are_nobody() -> None:
    (own_folder() / f"{2**22 + 1}.json").write_text('{"url": "http://127.0.0.1:9", "token": "x"}')
    (own_folder() / f"{2**22 + 2}.json").write_text('{"url": ')
    assert reach.everyone({"do": "ps"}) == ([], [])
    assert list(own_folder().iterdir()) == []


def test_a_random_token_is_said_once_and_a_short_one_refused(tmp_path: Path) -> None:
    async def main() -> None:
        it = Hall("ws://127.0.0.1:9", {}, tmp_path)
        said: list[str] = []

        async def opened(spec: str, **env: str) -> a.Admin:
            return await a.open_admin(
                it.house, spec, it.verbs, env=env, say=said.append, on_failure=it._failed
            )

        first = await opened("0")
        second = await opened("0")
        tokens = [line.rpartition("token ")[2] for line in said]
        assert len(set(tokens)) == 2
        assert all(len(token) >= 32 for token in tokens)
        with pytest.raises(UsageError, match="fewer than"):
            await opened("0", RTRUN_ADMIN_TOKEN="short")
        with pytest.raises(InputError, match="cannot listen"):
            await opened(first.url.rpartition(":")[2])
        await first.close()
        await second.close()
        await it.verbs.close()

    asyncio.run(main())
