"""Lag and RPO of a destination."""

from __future__ import annotations

import pytest

from edge_node.replication.lag import NO_LAG, Lag, measure, oldest_lacked
from edge_node.replication.ltx import LtxFile


def ltx(level: int, first: int, last: int, size_bytes: int = 100) -> LtxFile:
    return LtxFile(level=level, min_txid=first, max_txid=last, size_bytes=size_bytes)


LOCAL = [ltx(9, 1, 2, 500), ltx(0, 3, 3), ltx(0, 4, 4), ltx(0, 5, 5), ltx(1, 3, 5, 250)]


@pytest.mark.parametrize(
    ("frontier", "found"),
    [
        pytest.param(5, None, id="it-lacks-nothing"),
        pytest.param(3, ltx(0, 4, 4), id="the-finest-file-that-holds-the-first-lacked-change"),
        pytest.param(0, ltx(9, 1, 2, 500), id="an-empty-destination-lacks-the-first"),
        pytest.param(9, None, id="ahead-of-us"),
    ],
)
def test_oldest_lacked(frontier: int, found: LtxFile | None) -> None:
    assert oldest_lacked(LOCAL, frontier) == found


@pytest.mark.parametrize(
    ("frontier", "lacked_at_ms", "lag"),
    [
        pytest.param(5, None, NO_LAG, id="current-is-zero"),
        pytest.param(4, 8_200, Lag(txids=1, size_bytes=100, rpo_s=1.8), id="one-behind"),
        pytest.param(2, 4_000, Lag(txids=3, size_bytes=250, rpo_s=6.0), id="bytes-of-the-cheapest-chain"),
        pytest.param(4, 99_000, Lag(txids=1, size_bytes=100, rpo_s=0.0), id="a-clock-set-back-is-not-negative"),
        pytest.param(0, None, Lag(txids=5, size_bytes=750, rpo_s=None), id="an-unknown-time-stays-unknown"),
    ],
)
def test_measure(frontier: int, lacked_at_ms: int | None, lag: Lag) -> None:
    assert measure(LOCAL, frontier, lacked_at_ms=lacked_at_ms, now_ms=10_000) == lag


@pytest.mark.parametrize(
    ("lag", "current"),
    [
        pytest.param(NO_LAG, True, id="nothing-lacking"),
        pytest.param(Lag(txids=1, size_bytes=1, rpo_s=0.7), True, id="in-transit"),
        pytest.param(Lag(txids=1, size_bytes=1, rpo_s=5.1), False, id="late"),
        pytest.param(Lag(txids=1, size_bytes=1, rpo_s=None), False, id="unknown-is-not-current"),
    ],
)
def test_is_current(lag: Lag, current: bool) -> None:
    assert lag.is_current is current
