"""What a metric is: its name, type, labels and meaning, and how a NodeSnapshot fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from monitoring.snapshot import Distribution, NodeSnapshot, Value

Sample = Value | Distribution


class Kind(StrEnum):
    """The types of the exposition format that we use; `info` is a gauge of 1 whose labels are the message."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


def _no_source(_: NodeSnapshot) -> Iterable[Sample]:
    """The service that knows this does not exist yet; the family is announced without a sample."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric. `name` is the name as exported, with `_total` or `_info`; `text` becomes its HELP line."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    samples: Callable[[NodeSnapshot], Iterable[Sample]] = _no_source
