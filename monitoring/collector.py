"""A NodeSnapshot as Prometheus sees it: read anew at every scrape, so that nothing shown is older than the question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from monitoring.families import FAMILIES
from monitoring.family import Family, Kind, Sample
from monitoring.snapshot import Distribution, NodeSnapshot, Value

S = TypeVar("S", Value, Distribution)


class NodeCollector(Collector):
    """All families of one node. `read` is called once for every scrape, from any thread."""

    def __init__(self, read: Callable[[], NodeSnapshot]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        node = self._read()
        for family in FAMILIES:
            yield to_metric(family, family.samples(node))

    def describe(self) -> Iterator[Metric]:
        """The families without samples: how the registry learns the names without reading the node."""
        for family in FAMILIES:
            yield to_metric(family, ())


def make_registry(read: Callable[[], NodeSnapshot]) -> CollectorRegistry:
    """A registry that holds the node's families and nothing else."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(read))
    return registry


def to_metric(family: Family, samples: Iterable[Sample]) -> Metric:
    """A family with its samples in the client's terms. Raises TypeError for a sample that is not of the family's kind.

    The client adds `_total` and `_info` to the names by itself.
    """
    match family.kind:
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(family.name, family.text, labels=family.labels)
            for value in _all(Value, family, samples):
                gauge.add_metric(value.labels, value.value)
            return gauge
        case Kind.COUNTER:
            counter = CounterMetricFamily(family.name, family.text, labels=family.labels)
            for value in _all(Value, family, samples):
                counter.add_metric(value.labels, value.value)
            return counter
        case Kind.INFO:
            info = InfoMetricFamily(family.name.removesuffix("_info"), family.text)
            for value in _all(Value, family, samples):
                info.add_metric((), dict(zip(family.labels, value.labels, strict=True)))
            return info
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
            for distribution in _all(Distribution, family, samples):
                histogram.add_metric(distribution.labels, _buckets(distribution), distribution.total)
            return histogram


def _all(kind: type[S], family: Family, samples: Iterable[Sample]) -> Iterator[S]:
    for sample in samples:
        if not isinstance(sample, kind):
            raise TypeError(f"{family.name} is a {family.kind} and cannot hold a {type(sample).__name__}")
        if len(sample.labels) != len(family.labels):
            raise TypeError(f"{family.name} has the labels {family.labels}, the sample has {sample.labels}")
        yield sample


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    """Cumulative counts under their upper bounds, the last one infinite."""
    bounds = (*(repr(bound) for bound in distribution.bounds), "+Inf")
    return list(zip(bounds, accumulate(distribution.counts), strict=True))
