"""The text format, read back by Prometheus's own parser."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from runner.serve import exposition as e

pytestmark = pytest.mark.quick

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(*metrics: e.Metric) -> Samples:
    """``{(name, labels): value}``."""
    out: Samples = {}
    for family in text_string_to_metric_families(e.render(metrics)):
        for sample in family.samples:
            out[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return out


# The format is UTF-8: what cannot be encoded has no text in it.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(_TEXT, st.floats(0, 1e12))
def test_any_label_and_any_number_come_back_as_they_were(label: str, value: float) -> None:
    counter = e.Counter("calls_total", 'About "calls",\nand \\ more.', ("deployment",))
    counter.add(label, by=value)
    assert parsed(counter) == {("calls_total", (("deployment", label),)): value}


def test_half_of_a_surrogate_pair_does_not_lose_the_page() -> None:
    counter = e.Counter("calls_total", "Calls.", ("deployment",))
    counter.add("\ud800")
    assert e.render([counter]).encode().endswith(b'calls_total{deployment="?"} 1\n')


@given(st.lists(st.floats(0, 20), max_size=30))
def test_a_histogram_counts_what_is_below_each_bound(values: list[float]) -> None:
    bounds = (0.5, 1.0, 10.0)
    histogram = e.Histogram("took_seconds", "Time.", bounds, ("tool",))
    for value in values:
        histogram.observe(value, "book")
    got = parsed(histogram)
    if not values:
        assert got == {}
        return
    tool = ("tool", "book")
    for bound in (*bounds, math.inf):
        le = ("le", "+Inf" if bound == math.inf else repr(bound).removesuffix(".0"))
        below = sum(value <= bound for value in values)
        assert got["took_seconds_bucket", (le, tool)] == below
    assert got["took_seconds_count", (tool,)] == len(values)
    assert got["took_seconds_sum", (tool,)] == pytest.approx(sum(values))


def test_labels_from_outside_have_a_bound() -> None:
    counter = e.Counter("errors_total", "Errors.", ("deployment", "code"))
    histogram = e.Histogram("took_seconds", "Time.", (1,), ("deployment", "tool"))
    for number in range(e.MAX_SERIES + 50):
        counter.add("shop", f"code_{number}")
        histogram.observe(0.5, "shop", f"tool_{number}")
    counter.add("shop", "code_3")
    got = parsed(counter)
    assert len(got) == e.MAX_SERIES + 1
    assert got["errors_total", (("code", "other"), ("deployment", "shop"))] == 50
    assert got["errors_total", (("code", "code_3"), ("deployment", "shop"))] == 2
    assert sum(name == "took_seconds_count" for name, _ in parsed(histogram)) == e.MAX_SERIES + 1


def test_what_somebody_else_keeps_is_read_when_asked() -> None:
    values = [(("shop", "3"), 2.0)]
    gauge = e.Now("calls", "Calls.", ("deployment", "revision"), values)
    values.append((("shop", "4"), 1.0))
    assert sorted(parsed(gauge).values()) == [1.0, 2.0]
