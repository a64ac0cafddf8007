"""Counters, gauges and histograms in Prometheus's text format, version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Values of a label that come from outside are counted apart up to so many series a metric; what
#: comes beyond them is counted as ``other``.
MAX_SERIES = 200

Labels = tuple[str, ...]


class Metric:
    """One name with its labels. ``kind`` counter | gauge | histogram."""

    def __init__(self, name: str, kind: str, about: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.kind = kind
        self.about = about
        self.labels = tuple(labels)

    def render(self) -> Iterator[str]:
        yield f"# HELP {self.name} {_escaped(self.about, quotes=False)}"
        yield f"# TYPE {self.name} {self.kind}"
        yield from self.samples()

    def samples(self) -> Iterator[str]:
        raise NotImplementedError

    def line(self, suffix: str, labels: Mapping[str, str], value: float) -> str:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        return (
            f"{self.name}{suffix}{{{pairs}}} {_number(value)}"
            if pairs
            else (f"{self.name}{suffix} {_number(value)}")
        )

    def named(self, values: Labels) -> dict[str, str]:
        return dict(zip(self.labels, values, strict=True))


class Counter(Metric):
    """Only grows. Its last label may come from outside, see MAX_SERIES."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, "counter", about, labels)
        self._values: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        if labels not in self._values and len(self._values) >= MAX_SERIES:
            labels = (*labels[:-1], "other")
        self._values[labels] = self._values.get(labels, 0) + by

    def samples(self) -> Iterator[str]:
        for labels, value in self._values.items():
            yield self.line("", self.named(labels), value)


class Now(Metric):
    """What is read when it is asked for: a gauge, or a counter that somebody else keeps."""

    def __init__(
        self,
        name: str,
        about: str,
        labels: Sequence[str],
        values: Iterable[tuple[Labels, float]],
        kind: str = "gauge",
    ) -> None:
        super().__init__(name, kind, about, labels)
        self._values = values

    def samples(self) -> Iterator[str]:
        for labels, value in self._values:
            yield self.line("", self.named(labels), value)


class Histogram(Metric):
    """``bounds`` are the upper bounds of the buckets, ascending, without +Inf."""

    def __init__(
        self, name: str, about: str, bounds: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        super().__init__(name, "histogram", about, labels)
        self._bounds = tuple(bounds)
        self._seen: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        if labels not in self._seen and len(self._seen) >= MAX_SERIES:
            labels = (*labels[:-1], "other")
        counts = self._seen.setdefault(labels, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def samples(self) -> Iterator[str]:
        for labels, counts in self._seen.items():
            named, total = self.named(labels), 0
            for bound, count in zip((*self._bounds, math.inf), counts, strict=True):
                total += count
                yield self.line("_bucket", {**named, "le": _number(bound)}, total)
            yield self.line("_sum", named, self._sums[labels])
            yield self.line("_count", named, total)


def render(metrics: Iterable[Metric]) -> str:
    return "".join(f"{line}\n" for metric in metrics for line in metric.render())


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    # Half of a surrogate pair cannot be sent.
    text = text.encode("utf-8", "replace").decode()
    return text.replace('"', '\\"') if quotes else text
