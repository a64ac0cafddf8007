"""What a process does when it is asked: chosen rightly, said in words when it cannot be."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.engine import Puppet, serving
from support.houses import SHOP, Hall, hall
from support.refusing import refusing_server
from support.until import until

from runner.serve import sending, verbs
from runner.serve.deployed import Deployed
from runner.serve.metrics import Metrics
from runner.transports.websocket import OpenAIRealtimeWebSocket

Test = Callable[[Hall], Awaitable[None]]


def in_hall(folder: Path, test: Test, env: dict[str, str] | None = None, **files: str) -> Hall:
    async def main(url: str) -> Hall:
        async with hall(folder, url, env, **(files or {"shop": SHOP})) as it:
            await test(it)
            return it

    with serving(Puppet(), no_speech="typed") as engine:
        return asyncio.run(main(engine.url))


TWO = {"shop": SHOP, "bar": SHOP.replace("Say one.", "Say bar.")}


def test_ps_tells_of_deployments_and_calls(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        call = await it.call("shop")
        told = await it.ask("ps")
        assert (told["ok"], told["pid"], told["draining"]) == (True, os.getpid(), False)
        shop, bar, broken = told["deployments"]
        assert shop["file"] == str(tmp_path / "shop.yaml")
        assert (shop["valid"], shop["revision"], shop["rejected"]) == (True, 0, None)
        assert (bar["deployment"], bar["sessions"]) == ("bar", [])
        assert (broken["valid"], broken["revision"]) == (False, None)
        assert broken["rejected"]["problems"][0]["file"].endswith("broken.yaml")
        assert "source" not in broken["rejected"]["problems"][0]
        [session] = shop["sessions"]
        assert session.pop("seconds") >= 0
        assert session.pop("since").endswith("+00:00")
        assert session == {
            "session": call.id,
            "agent": "desk",
            "revision": 0,
            "pending": False,
            "state": "idle",
            "degraded": None,
        }
        json.dumps(told)

    in_hall(tmp_path, test, **TWO, broken="agents: 7\n")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ([1], "not an object"),
        (None, "not an object"),
        ({}, "no such request"),
        ({"do": "leave"}, "no such request"),
        ({"do": ["ps"]}, "no such request"),
        ({"do": "decide"}, "session and call_id"),
        ({"do": "decide", "session": "s", "call_id": 7}, "call_id is a text"),
        ({"do": "decide", "session": "s", "call_id": "c", "yes": 1}, "yes and always"),
        ({"do": "decide", "session": "s", "call_id": "c", "yes": True, "always": 0}, "yes and alw"),
        ({"do": "decide", "session": "s", "call_id": "c", "yes": True, "message": 1}, "message is"),
        ({"do": "tail", "raw": "yes"}, "raw is true or false"),
        ({"do": "tail", "deployment": "shp"}, "no deployment 'shp'"),
        ({"do": "tail", "deployment": 7}, "deployment is a text"),
        ({"do": "tail", "session": "call_0"}, "no call call_0"),
        ({"do": "send"}, "session is the id"),
        ({"do": "send", "session": "call_0", "event": {"type": "x"}}, "no call call_0"),
        ({"do": "reload"}, "2 deployments run here: shop, bar"),
        ({"do": "reload", "deployment": "pub"}, "no deployment 'pub'"),
        ({"do": "drain", "deadline": -1}, "deadline is a number"),
        ({"do": "drain", "deadline": True}, "deadline is a number"),
        ({"do": "drain", "deadline": 1e9}, "deadline is a number"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_words(
    tmp_path: Path, request_: Any, words: str
) -> None:
    async def test(it: Hall) -> None:
        reply = await it.verbs.answer(request_)
        assert isinstance(reply, dict)
        assert reply["ok"] is False
        assert words in reply["error"]
        assert it.drains == 0

    assert in_hall(tmp_path, test, **TWO).failed == []


def test_what_fails_inside_is_told_to_the_process(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        async def broken(self: Deployed) -> None:
            raise RuntimeError("a deployment that fails")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Deployed, "reload", broken)
            told = await it.ask("reload")
        assert told["ok"] is False
        assert "failed inside" in told["error"]

    assert [name for name, _ in in_hall(tmp_path, test).failed] == ["reload"]


def test_a_reload_that_takes_long_goes_on_when_the_asker_is_told(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        go, done = asyncio.Event(), []

        async def slow(self: Deployed) -> None:
            await go.wait()
            done.append(self.name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Deployed, "reload", slow)
            patch.setattr(verbs, "SECONDS", 0.05)
            told = await it.ask("reload")
            assert "goes on" in told["error"]
            go.set()
            await until(lambda: done)

    in_hall(tmp_path, test)


def test_an_event_of_ones_own_and_what_the_service_says(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        call = await it.call("shop")
        await it.call("bar")
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
        told = await it.ask(
            "send", session=call.id, event={"type": "conversation.item.create", "item": item}
        )
        assert (told["ok"], told["deployment"], told["error"]) == (True, "shop", None)
        assert told["answer"]["type"] == "conversation.item.added"
        await until(lambda: [entry.text for entry in call.session.history] == ["x"])
        told = await it.ask("send", session=call.id, event={"type": "nonsense", "event_id": "me"})
        assert (told["ok"], told["event_id"], told["answer"]) == (True, "me", None)
        assert told["error"]["event_id"] == "me"
        # An append has no answer: it is not waited for without end.
        told = await it.ask(
            "send",
            session=call.id,
            event={"type": "input_audio_buffer.append", "audio": ""},
            seconds=0.05,
        )
        assert told["ok"]
        assert told["answer"] is None
        assert not call.session.transport.listens("error"), "nobody listens any more"
        for event in ("text", {}, {"type": 7}, {"type": ""}, {"type": "x", "event_id": 1}):
            told = await it.ask("send", session=call.id, event=event)
            assert told["ok"] is False, event
        wrong = await it.ask("send", session=call.id, deployment="bar", event={"type": "x"})
        assert "no call" in wrong["error"]

    in_hall(tmp_path, test, **TWO)


def test_an_event_for_a_line_that_is_gone_is_refused(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        call = await it.call("shop")
        await call.session.transport.close()
        told = await it.ask("send", session=call.id, event={"type": "response.create"})
        assert told["ok"] is False
        assert "disconnected" in told["error"]

    in_hall(tmp_path, test)


def test_the_events_that_answer_are_the_services_own() -> None:
    from runner.engine.wire.client import __file__ as client

    known = Path(client).read_text()
    for name in sending.ANSWERS:
        assert f'"{name}"' in known, f"{name} is no client event"


def test_the_wire_is_told_both_ways_while_somebody_looks(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        call, other = await it.call("shop"), await it.call("bar")
        transport = call.session.transport
        assert isinstance(transport, OpenAIRealtimeWebSocket)
        stream = await it.stream("tail", session=call.id, raw=True)
        assert stream.first["deployments"] == ["shop"]
        assert transport.listens("*")
        assert not other.session.transport.listens("*"), "nobody looks at that one"
        other.session.send_message("not for us")
        call.session.send_message("hello")
        await until(lambda: call.session.usage.get("requests") and not call.session.busy)
        stream.close()
        rows = [json.loads(line) async for line in stream.lines]
        assert {row["session"] for row in rows} == {call.id}
        assert all(row["deployment"] == "shop" and row["t"] > 0 for row in rows)
        sent = [row["wire"]["type"] for row in rows if row["from"] == "client"]
        assert sent == ["conversation.item.create", "response.create"]
        got = [row["wire"]["type"] for row in rows if row["from"] == "server"]
        assert "conversation.item.added" in got
        assert got[-1] == "response.done"
        assert not transport.listens("*"), "the fast lane is open again"
        assert "send_event" not in vars(transport)

    in_hall(tmp_path, test, **TWO)


def test_a_call_that_begins_later_is_tapped_from_its_first_event(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        stream = await it.stream("tail", raw=True, audio=True)
        call = await it.call("shop")
        desk = it["shop"].desk
        assert desk is not None
        await desk.hang_up(call)
        stream.close()
        types = [json.loads(line)["wire"]["type"] async for line in stream.lines]
        # The first two cross on the way.
        assert sorted(types[:2]) == ["session.created", "session.update"]
        assert types[2] == "session.updated"
        assert it.verbs.wires._taps == {}

    in_hall(tmp_path, test)


def test_two_may_look_at_one_call_and_either_goes_first(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        call = await it.call("shop")
        first = await it.stream("tail", session=call.id, raw=True)
        second = await it.stream("tail", raw=True, audio=True)
        call.session.transport.send_event({"type": "input_audio_buffer.clear"})
        first.close()
        call.session.transport.send_event({"type": "input_audio_buffer.clear"})
        second.close()
        for stream, seen in ((first, 1), (second, 2)):
            rows = [json.loads(line) async for line in stream.lines]
            assert sum(row["from"] == "client" for row in rows) == seen
        assert "send_event" not in vars(call.session.transport)

    in_hall(tmp_path, test)


def test_the_wire_is_told_without_the_secrets_of_its_deployment(tmp_path: Path) -> None:
    hosted = """\
transport: websocket
timezone: none
session: { output_modalities: [text] }
agents:
  desk:
    instructions: Say one.
    tools: [files]
tools:
  files:
    hosted_mcp: { server_label: files, server_url: "http://127.0.0.1:9", authorization: "${KEY}" }
"""

    async def test(it: Hall) -> None:
        stream = await it.stream("tail", raw=True)
        await it.call("shop")
        stream.close()
        lines = [line async for line in stream.lines]
        [update] = [line for line in lines if '"session.update"' in line]
        assert '"authorization":"***"' in update
        assert not any("key-of-files" in line for line in lines)

    in_hall(tmp_path, test, {"KEY": "key-of-files"}, shop=hosted)


def test_a_drain_is_asked_for_once_and_its_deadline_ends_the_rest(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        await it.call("bar")
        stream = await it.stream("drain")
        assert stream.first["deployments"] == ["shop", "bar"]
        assert stream.first["calls"] == 1
        assert it.drains == 1
        assert (await it.ask("ps"))["draining"] is True
        await it.stream("drain")
        assert it.drains == 1, "asked twice, the process would end at once"
        await it.stream("drain", deadline=600)
        await it.stream("drain", deadline=0.05)
        await until(lambda: it.drains == 2)
        await it.verbs.close()
        assert [line async for line in stream.lines] == [], "open until the process ends"

    in_hall(tmp_path, test, **TWO)


def test_a_reload_says_what_became_of_it(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        await it.call("shop")
        file = tmp_path / "shop.yaml"
        assert (await it.ask("reload"))["result"] == "unchanged"
        file.write_text(SHOP.replace("Say one.", "Say two."))
        told = await it.ask("reload", deployment="shop")
        assert (told["deployment"], told["result"], told["revision"]) == ("shop", "applied", 1)
        assert told["sessions"] == {"applied": 1, "pending": 0, "total": 1}
        [change] = told["changes"]
        assert (change["path"], change["class"]) == ("agents.desk.instructions", "next")
        assert (change["old"], change["new"]) == ("Say one.", "Say two.")
        file.write_text("agents: 7\n")
        told = await it.ask("reload")
        assert (told["ok"], told["result"]) == (True, "rejected")
        assert told["problems"][0]["line"] == 1

    in_hall(tmp_path, test)


def test_a_plan_counts_the_calls_that_it_touches_and_applies_nothing(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        call = await it.call("shop")
        await it.call("shop")
        assert (await it.ask("plan"))["changes"] == []
        file = tmp_path / "shop.yaml"
        file.write_text(SHOP.replace("Say one.", "Say two.") + "model: gpt-realtime-mini\n")
        told = await it.ask("plan")
        assert (told["result"], told["calls"], told["revision"]) == ("planned", 2, 0)
        rows = {row["path"]: (row["class"], row["calls"]) for row in told["changes"]}
        assert rows == {"agents.desk.instructions": ("next", 2), "model": ("new", 0)}
        assert told["model"] == "gpt-realtime-mini"
        assert call.revision == 0
        assert call.session.settings.get("instructions") in (None, "Say one.")
        # A candidate beside the file: its name and its folder are no change.
        file.write_text(SHOP)
        other = tmp_path / "elsewhere"
        other.mkdir()
        (other / "candidate.yaml").write_text(SHOP.replace("Say one.", "Say three."))
        told = await it.ask("plan", file=str(other / "candidate.yaml"))
        assert [row["path"] for row in told["changes"]] == ["agents.desk.instructions"]
        (other / "candidate.yaml").write_text("agents: 7\n")
        told = await it.ask("plan", file=str(other / "candidate.yaml"))
        assert (told["result"], told["problems"][0]["line"]) == ("invalid", 1)
        told = await it.ask("plan", file=str(other / "nothing.yaml"))
        assert told["ok"] is False
        assert "no such file" in told["error"]

    in_hall(tmp_path, test)


def test_a_plan_is_read_with_the_environment_of_the_process(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        (tmp_path / "shop.yaml").write_text(SHOP.replace("Say one.", "${WORDS}"))
        [row] = (await it.ask("plan"))["changes"]
        assert row["new"] == "Say it from the environment."

    in_hall(tmp_path, test, {"WORDS": "Say it from the environment."})


def test_revisions_can_be_gone_back_to(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        call = await it.call("shop")
        file = tmp_path / "shop.yaml"
        file.write_text(SHOP.replace("Say one.", "Say two."))
        await it.ask("reload")
        told = await it.ask("revisions")
        assert told["in_force"] == 1
        assert [(row["revision"], row["how"]) for row in told["revisions"]] == [
            (0, "start"),
            (1, "file"),
        ]
        assert told["revisions"][1]["changes"][0]["new"] == "Say two."
        told = await it.ask("reload", to=0)
        assert (told["result"], told["revision"]) == ("applied", 2)
        assert call.revision == 2
        assert it["shop"].counts["applied"] == 2
        told = await it.ask("reload", to=7)
        assert (told["ok"], told["error"]) == (False, "there is no revision 7 to go back to")
        assert "0, 1, 2" in told["hint"]
        for wrong in ("1", 1.5, True):
            assert (await it.ask("reload", to=wrong))["ok"] is False

    in_hall(tmp_path, test)


def test_a_deployment_that_was_never_valid_has_nothing_to_change(tmp_path: Path) -> None:
    async def test(it: Hall) -> None:
        for do, fields in (("revisions", {}), ("reload", {"to": 0})):
            told = await it.ask(do, deployment="bar", **fields)
            assert (told["ok"], told["error"]) == (False, "bar has never been valid")
        assert (await it.ask("plan", deployment="bar"))["result"] == "invalid"
        (tmp_path / "bar.yaml").write_text(SHOP)
        assert (await it.ask("reload", deployment="bar"))["result"] == "started"

    in_hall(tmp_path, test, shop=SHOP, bar="agents: 7\n")


def test_the_call_that_refused_a_save_is_named_and_one_that_cannot_go_back_says_so(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with (
            refusing_server(frozenset({1})) as server,
            hall(tmp_path, server.url, shop=SHOP) as it,
        ):
            metrics = Metrics(it.house)
            first, second = await it.call("shop"), await it.call("shop")
            server.stubborn = {0}
            (tmp_path / "shop.yaml").write_text(SHOP.replace("Say one.", "Say poison."))
            told = await it.ask("reload")
            assert (told["result"], told["session"]) == ("rejected", second.id)
            assert "no poison here" in told["problems"][0]["message"]
            assert told["degraded"] == [first.id]
            [row] = (await it.ask("ps"))["deployments"]
            assert row["rejected"]["session"] == second.id
            reasons = {call["session"]: call["degraded"] for call in row["sessions"]}
            assert reasons[second.id] is None
            assert "not back" in reasons[first.id]
            assert 'rtrun_session_update_rejected_total{deployment="shop",code=' in metrics.text()
            metrics.close()

    asyncio.run(main())
