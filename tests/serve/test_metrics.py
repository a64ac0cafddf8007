"""What is counted: fed with the events of real calls, and with those that a test makes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.engine import Puppet, serving
from support.houses import SHOP, Hall, hall
from support.until import until

from runner.core import events as ev
from runner.desk import Call
from runner.serve.metrics import Metrics

Test = Callable[[Hall, Metrics], Awaitable[None]]


def in_hall(folder: Path, test: Test, **files: str) -> None:
    async def main(url: str) -> None:
        async with hall(folder, url, **(files or {"shop": SHOP})) as it:
            metrics = Metrics(it.house)
            try:
                await test(it, metrics)
            finally:
                metrics.close()
            assert it.failed == []

    with serving(Puppet(), no_speech="typed") as engine:
        asyncio.run(main(engine.url))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The sample with these labels and no others, None when it is not there."""
    for family in text_string_to_metric_families(metrics.text()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def named(metrics: Metrics) -> dict[str, str]:
    families = text_string_to_metric_families(metrics.text())
    return {family.name: family.type for family in families}


def test_the_names_that_dashboards_know(tmp_path: Path) -> None:
    async def test(it: Hall, metrics: Metrics) -> None:
        names = named(metrics)
        # The parser takes _total off a counter's name, as OpenMetrics does.
        assert names["rtrun_config_last_reload_successful"] == "gauge"
        assert names["rtrun_config_last_reload_success_timestamp_seconds"] == "gauge"
        assert names["rtrun_config_reloads"] == "counter"
        assert names["rtrun_sessions"] == "gauge"
        assert names["rtrun_reload_seconds"] == "histogram"
        assert names["rtrun_session_update_rejected"] == "counter"
        for line in metrics.text().splitlines():
            if line.startswith("# TYPE"):  # what `promtool check metrics` looks at
                _, _, name, kind = line.split()
                assert name.endswith("_total") is (kind == "counter")
                assert kind != "histogram" or name.endswith("_seconds")
            if line.startswith("# HELP"):
                name, _, about = line.removeprefix("# HELP ").partition(" ")
                assert name.startswith("rtrun_")
                assert about.endswith("."), f"{name} has no sentence about it"

    in_hall(tmp_path, test)


def test_a_call_is_counted_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async def test(it: Hall, metrics: Metrics) -> None:
        shop = {"deployment": "shop"}
        assert value(metrics, "rtrun_sessions_started_total", **shop) == 0
        assert value(metrics, "rtrun_sessions", **shop, revision="0") == 0
        call = await it.call("shop")
        assert value(metrics, "rtrun_sessions", **shop, revision="0") == 1
        call.session.send_message("hello")
        await until(lambda: call.session.usage.get("output_tokens"))
        spent = call.session.usage
        for direction in ("input", "output"):
            sample = {**shop, "direction": direction, "modality": "text"}
            assert value(metrics, "rtrun_tokens_total", **sample) == spent[f"{direction}_text"]
        call.session.send_message("again")
        await until(lambda: call.session.usage["requests"] == 2)
        sample = {**shop, "direction": "input", "modality": "text"}
        assert value(metrics, "rtrun_tokens_total", **sample) == call.session.usage["input_text"]
        desk = it["shop"].desk
        assert desk is not None
        await desk.hang_up(call, "duration limit")
        assert value(metrics, "rtrun_sessions_started_total", **shop) == 1
        assert value(metrics, "rtrun_sessions_ended_total", **shop, reason="limit") == 1
        assert value(metrics, "rtrun_session_duration_seconds_count", **shop) == 1
        assert value(metrics, "rtrun_sessions", **shop, revision="0") == 0

    in_hall(tmp_path, test)


def test_saves_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    async def test(it: Hall, metrics: Metrics) -> None:
        shop, file = {"deployment": "shop"}, tmp_path / "shop.yaml"

        def reloads() -> list[float | None]:
            return [
                value(metrics, "rtrun_config_reloads_total", **shop, result=result)
                for result in ("applied", "rejected", "unchanged")
            ]

        await it.call("shop")
        assert reloads() == [0, 0, 0]
        first = value(metrics, "rtrun_config_last_reload_success_timestamp_seconds", **shop)
        file.write_text(SHOP.replace("Say one.", "Say two."))
        await it["shop"].reload()
        assert reloads() == [1, 0, 0]
        assert value(metrics, "rtrun_reload_seconds_count", **shop) == 1
        assert value(metrics, "rtrun_sessions", **shop, revision="1") == 1
        accepted = value(metrics, "rtrun_config_last_reload_success_timestamp_seconds", **shop)
        assert accepted is not None
        assert first is not None
        assert accepted > first
        file.write_text("agents: 7\n")
        await it["shop"].reload()
        assert reloads() == [1, 1, 0]
        assert value(metrics, "rtrun_config_last_reload_successful", **shop) == 0
        kept = value(metrics, "rtrun_config_last_reload_success_timestamp_seconds", **shop)
        assert kept == accepted
        file.write_text(SHOP.replace("Say one.", "Say two."))
        await it["shop"].reload()
        assert reloads() == [1, 1, 1]
        assert value(metrics, "rtrun_config_last_reload_successful", **shop) == 1

    in_hall(tmp_path, test)


def test_a_deployment_that_was_never_valid_is_told_of(tmp_path: Path) -> None:
    async def test(it: Hall, metrics: Metrics) -> None:
        good = value(metrics, "rtrun_config_last_reload_successful", deployment="shop")
        bad = value(metrics, "rtrun_config_last_reload_successful", deployment="bar")
        assert (good, bad) == (1, 0)
        when = "rtrun_config_last_reload_success_timestamp_seconds"
        assert value(metrics, when, deployment="bar") == 0

    in_hall(tmp_path, test, shop=SHOP, bar="agents: 7\n")


EVENTS: list[tuple[list[Any], str, dict[str, str], float]] = [
    ([ev.TurnEnd("r", 420.0, 900.0)], "rtrun_first_audio_seconds_sum", {}, 0.42),
    ([ev.Interrupted("desk", "i", 300)], "rtrun_interruptions_total", {}, 1),
    ([ev.Reconnected(250.0)], "rtrun_reconnect_seconds_sum", {}, 0.25),
    ([ev.Handoff("desk", "billing")], "rtrun_handoffs_total", {"to": "billing"}, 1),
    (
        [ev.GuardrailTripped("desk", "no-advice", "output", "i", "r")],
        "rtrun_guardrails_tripped_total",
        {"guardrail": "no-advice"},
        1,
    ),
    (
        [ev.SettingsRefused(3, "invalid_value", "no")],
        "rtrun_session_update_rejected_total",
        {"code": "invalid_value"},
        1,
    ),
    ([ev.SessionError("bad_event", "no")], "rtrun_errors_total", {"code": "bad_event"}, 1),
    (
        [ev.ToolStart("desk", "book", "c", "{}"), ev.ToolEnd("desk", "book", "c", "done")],
        "rtrun_tool_calls_total",
        {"tool": "book"},
        1,
    ),
    (
        [
            ev.ToolStart("desk", "book", "c", "{}"),
            ev.SessionError("tool_failed", "book: it broke"),
            ev.ToolEnd("desk", "book", "c", "An error occurred"),
        ],
        "rtrun_tool_errors_total",
        {"tool": "book"},
        1,
    ),
]


def test_what_happens_in_a_call_is_counted(tmp_path: Path) -> None:
    async def test(it: Hall, metrics: Metrics) -> None:
        call: Call = await it.call("shop")
        for events, name, labels, wanted in EVENTS:
            before = value(metrics, name, deployment="shop", **labels) or 0
            for event in events:
                it.house.heard(it["shop"], call, event)
            got = value(metrics, name, deployment="shop", **labels)
            assert got == pytest.approx(before + wanted), name
        ended = ev.SettingsRefused(4, "disconnected", "the call ended")
        it.house.heard(it["shop"], call, ended)
        codes = {"deployment": "shop", "code": "disconnected"}
        assert value(metrics, "rtrun_session_update_rejected_total", **codes) is None
        assert value(metrics, "rtrun_tool_duration_seconds_count", deployment="shop", tool="book")

    in_hall(tmp_path, test)
