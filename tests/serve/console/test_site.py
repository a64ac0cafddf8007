"""The console over real HTTP: who gets in, what it says, and what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from support.consoles import Desk, console_on
from support.engine import Puppet, serving
from support.houses import SHOP
from support.until import until

from runner.engine.ports import Call, Prompt
from runner.errors import InputError
from runner.serve.console import pages
from runner.serve.console.answers import FILES

Test = Callable[[Desk], Awaitable[None]]

TOOLED = """\
transport: websocket
timezone: none
session: { output_modalities: [text] }
agents:
  desk:
    instructions: Say one.
    tools: [book]
tools:
  book:
    python: book.py:book
    approval: operator
  away:
    description: Away.
    http: { url: "https://api.example/v1", headers: { Authorization: "Bearer ${TOKEN}" } }
"""


def on_a_console(folder: Path, test: Test, puppet: Puppet | None = None, **given: Any) -> None:
    async def main(url: str) -> None:
        async with console_on(folder, url, **given) as desk:
            await test(desk)

    with serving(puppet or Puppet(), no_speech="typed") as engine:
        asyncio.run(main(engine.url))


def test_the_link_lets_one_browser_in_once(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        link = desk.console.link()
        async with httpx.AsyncClient(trust_env=False) as first:
            answer = await first.get(link)
            (cookie,) = answer.headers.get_list("set-cookie")
            for part in ("HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=86400"):
                assert part in cookie
            assert (await first.get(f"{desk.console.url}/console")).status_code == 200
        async with httpx.AsyncClient(trust_env=False) as second:
            assert (await second.get(link)).status_code == 401
            bare = await second.get(f"{desk.console.url}/console")
            assert bare.status_code == 401
            assert "rtrun console" in bare.text
            for path in ("/console/do", "/console/calls", "/console/calls/x/begin"):
                url = desk.console.url + path
                asked = await second.post(url, headers={"Origin": desk.console.url})
                assert asked.status_code == 401
            url = desk.console.url.replace("http", "ws", 1) + "/console/live"
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(url, origin=desk.console.url, proxy=None)  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403

    on_a_console(tmp_path, test)


FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "rtrun.evil.example:7787"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


def test_a_website_may_ask_nothing_even_with_the_cookie(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        url = desk.console.url.replace("http", "ws", 1) + "/console/live"
        for headers in FOREIGN:
            sent = {**desk.headers, **headers}
            link = desk.console.link()
            for path in ("/console", link):
                assert (await desk.client.get(path, headers=sent)).status_code == 403, headers
            said = {"do": "revisions"}
            asked = await desk.client.post("/console/do", json=said, headers=sent)
            assert asked.status_code == 403, headers
            if "Host" not in headers:  # a client of WebSockets sends its own
                with pytest.raises(websockets.InvalidStatus) as refused:
                    await websockets.connect(url, additional_headers=sent, proxy=None)
                assert refused.value.response.status_code == 403

    on_a_console(tmp_path, test)


def test_what_changes_something_comes_from_the_page(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        bare = await desk.client.post("/console/do", json={"do": "revisions"})
        assert bare.status_code == 403, "a program without an Origin is no page"
        own = {"Origin": desk.console.url}
        form = await desk.client.post("/console/do", data={"do": "revisions"}, headers=own)
        assert form.status_code == 415
        wrong = await desk.client.post(
            "/console/do", content=b"{", headers={**own, "Content-Type": "application/json"}
        )
        assert wrong.status_code == 400
        assert (await desk.client.post("/console/calls", headers=own)).status_code == 415
        # A link on somebody's page may show the console; it changes nothing.
        follows = {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        }
        assert (await desk.client.get("/console", headers=follows)).status_code == 200
        assert (await desk.ask("revisions"))["ok"]
        assert (await desk.ask("drain"))["error"] == "there is no such request"
        assert (await desk.ask("type", session="no", text="x"))["ok"] is False

    on_a_console(tmp_path, test)


def test_every_file_of_the_page_is_served_with_its_policy(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        page = await desk.client.get("/console")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        for file in FILES.iterdir():
            answer = await desk.client.get(f"/console/page/{file.name}")
            assert answer.status_code == (404 if file.suffix == ".html" else 200)
        for name in ("..%2Fsite.py", "nothing.js", "..%2f..%2fsite.py"):
            assert (await desk.client.get(f"/console/page/{name}")).status_code == 404
        outside = [
            (file.name, word)
            for file in FILES.iterdir()
            for word in ("https://", "http://")
            if word in file.read_text().replace("http://www.w3.org/2000/svg", "")
        ]
        assert outside == [], "the page asks nobody but us"

    on_a_console(tmp_path, test)


def test_the_console_is_for_this_machine(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        with pytest.raises(InputError, match="this machine alone"):
            await desk.console.open("0.0.0.0", 0)

    on_a_console(tmp_path, test)


def test_a_typed_turn_shows_on_the_page_as_it_is_said(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        async with desk.page() as page:
            (shop,) = page.said[0]["deployments"]
            assert (shop["deployment"], shop["no_talk"]) == ("shop", "it has no voice")
            fields = {row["path"]: row for row in shop["fields"]}
            assert fields["agents.desk.instructions"]["words"] == "from the next answer"
            assert fields["agents.desk.instructions"]["from"].endswith("shop.yaml:6")
            assert fields["apiVersion"]["from"] == "default"
            call = await desk.hall.call("shop")
            told = await page.until(lambda s: s["is"] == "call" and s["call"]["state"] == "idle")
            assert told["call"]["session"] == call.id
            assert (await desk.ask("interrupt", session=call.id))["error"] == "nobody is speaking"
            assert (await desk.ask("type", session=call.id, text=" "))["ok"] is False
            assert (await desk.ask("type", session=call.id, text="One two."))["ok"]
            asked = await page.row(role="user")
            assert asked["text"] == "One two."
            answered = await page.row(role="assistant", done=True)
            assert answered["text"] == "You said: One two."
            turn = (await page.until(lambda s: s["is"] == "turn"))["row"]
            assert turn["asked"]
            assert 0 <= turn["begun"] <= turn["first_text"] <= turn["end"]
            await desk.ask("hang_up", session=call.id)
            over = await page.until(lambda s: s["is"] == "call" and s["call"]["ended"])
            assert over["call"]["reason"] == "hung up in the console"
        async with desk.page("later") as later:
            (known,) = later.said[0]["calls"]
            assert [row["text"] for row in known["rows"]] == ["One two.", "You said: One two."]
            assert len(known["turns"]) == 1

    on_a_console(tmp_path, test)


def test_a_tool_waits_for_a_yes_that_is_given_here(tmp_path: Path) -> None:
    (tmp_path / "book.py").write_text("def book() -> str:\n    return 'sk-secret-1 booked'\n")

    def answer(prompt: Prompt) -> list[str | Call | Exception]:
        said = prompt.items[-1]
        return ["Done."] if said["type"] == "function_call_output" else [Call("book", "{}")]

    puppet = Puppet()
    puppet.answer = answer

    async def test(desk: Desk) -> None:
        async with desk.page() as page:
            call = await desk.hall.call("shop")
            await desk.ask("type", session=call.id, text="Book.")
            waits = await page.row(kind="tool", state="asks")
            assert (waits["name"], waits["asks"]) == ("book", "operator")
            said = await desk.ask("decide", session=call.id, call_id=waits["call_id"], yes=True)
            assert said["done"]
            done = await page.row(kind="tool", state="done")
            assert done["output"] == "*** booked", "secrets of the deployment are not shown"
            assert done["ms"] >= 0
            await page.row(role="assistant", text="Done.")

    env = {"TOKEN": "sk-secret-1"}
    on_a_console(tmp_path, test, puppet, env=env, shop=TOOLED)


def test_a_save_shows_what_it_changes_and_a_broken_one_where_it_is_wrong(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        file = tmp_path / "shop.yaml"
        async with desk.page() as page:
            await desk.hall.call("shop")
            file.write_text(SHOP.replace("Say one.", "Say two."))
            assert (await desk.ask("reload"))["result"] == "applied"
            told = await page.until(lambda s: s["is"] == "deployment")
            (save,) = told["deployment"]["saves"]
            (change,) = save["changes"]
            assert (change["path"], change["old"]) == ("agents.desk.instructions", "Say one.")
            assert change["words"] == "from the next answer"
            assert change["lines"] == [["-", "Say one."], ["+", "Say two."]]
            assert save["sessions"] == {"applied": 1, "pending": 0, "total": 1}
            file.write_text(SHOP.replace("instructions", "instruction"))
            assert (await desk.ask("reload"))["result"] == "rejected"
            told = await page.until(lambda s: s["is"] == "deployment")
            assert told["deployment"]["rejected"]
            _, broken = told["deployment"]["saves"]
            problem = next(p for p in broken["problems"] if p["column"] > 1)
            assert problem["source"] == "    instruction: Say one."
            assert (problem["line"], problem["column"]) == (6, 5)
            file.write_text(SHOP.replace("Say one.", "Say two."))
            await desk.ask("reload")

    on_a_console(tmp_path, test)


def test_the_wire_and_an_event_of_ones_own(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        call = await desk.hall.call("shop")
        async with desk.page() as page:
            await page.watch(call.id)
            await until(lambda: len(desk.hall.tails) == 1)
            event = {"type": "input_audio_buffer.clear"}
            said = await desk.ask("send", session=call.id, event=event)
            assert said["answer"]["type"] == "input_audio_buffer.cleared"
            sent = await page.until(lambda s: s["is"] == "raw")
            assert (sent["session"], sent["row"]["from"]) == (call.id, "client")
            assert sent["row"]["wire"]["type"] == "input_audio_buffer.clear"
            wrong = await desk.ask("send", session=call.id, event={"type": "no.such"})
            assert wrong["error"] is not None
            call.session.send_audio(b"\x00\x40" * 4800)
            level = await page.until(lambda s: s["is"] == "level" and s["in"] > -60)
            assert (level["session"], level["in"], level["out"]) == (call.id, -6, -60)
            await page.watch(None)
            await until(lambda: len(desk.hall.tails) == 0)

    on_a_console(tmp_path, test)


def test_mute_is_for_who_can_be_muted(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        call = await desk.hall.call("shop")
        async with desk.page() as page:
            assert (await desk.ask("mute", session=call.id, muted=True))["ok"]
            await page.until(lambda s: s["is"] == "call" and s["call"]["muted"])
            assert call.session.muted
            assert (await desk.ask("mute", session=call.id, muted=1))["ok"] is False

    on_a_console(tmp_path, test)


def test_a_page_that_does_not_read_gets_all_anew_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_MESSAGES", 5)

    async def test(desk: Desk) -> None:
        async with desk.page() as page:
            call = await desk.hall.call("shop")
            for number in range(20):
                desk.console._tell("shop", {"is": "noise", "number": number})
            again = await page.until(lambda s: s["is"] == "all")
            assert [c["session"] for c in again["calls"]] == [call.id]

    on_a_console(tmp_path, test)


def test_only_so_many_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.serve.console.site.MOST_PAGES", 1)

    async def test(desk: Desk) -> None:
        url = f"{desk.console.url.replace('http', 'ws', 1)}/console/live"
        async with desk.page():
            with pytest.raises(websockets.InvalidStatus):
                await websockets.connect(url, additional_headers=desk.headers, proxy=None)
        await until(lambda: not desk.console._pages)
        async with desk.page("two"):
            pass

    on_a_console(tmp_path, test)
