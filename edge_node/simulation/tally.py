"""What pages cost: by the kind of request how many, how long, how many were no answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_node.simulation.browser import Exchange

# Answers that nobody at a desk should ever see. 409 and 422 are: somebody else was quicker, something is to be mended.
_UNWANTED = frozenset({0, 400, 403, 404, 405, 413})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Requests of one kind; seconds as the browser waited."""

    kind: str
    count: int
    p50_s: float
    p95_s: float
    max_s: float
    errors: int


def tally(exchanges: Iterable[Exchange]) -> list[Figures]:
    """By the kind, those that were asked most first; last, under an empty kind, all of them."""
    kinds: dict[str, list[Exchange]] = {}
    everything = list(exchanges)
    for exchange in everything:
        kinds.setdefault(exchange.kind, []).append(exchange)
    rows = [_figures(kind, found) for kind, found in kinds.items()]
    rows.sort(key=lambda row: (-row.count, row.kind))
    return [*rows, _figures("", everything)] if everything else []


def quantile(values: Iterable[float], q: float) -> float:
    """The value that a share `q` of them does not exceed; of nothing it is nothing."""
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def _figures(kind: str, exchanges: Sequence[Exchange]) -> Figures:
    seconds = [exchange.seconds for exchange in exchanges]
    return Figures(
        kind=kind,
        count=len(exchanges),
        p50_s=quantile(seconds, 0.5),
        p95_s=quantile(seconds, 0.95),
        max_s=max(seconds),
        errors=sum(exchange.failed or exchange.status in _UNWANTED for exchange in exchanges),
    )
