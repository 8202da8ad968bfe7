"""Fifty desks that ask without a pause, one request in five a write: nobody is refused, and the HIS does not grow.

How long they wait is `bench/bench_clients.py`'s to say: it depends on the machine, this does not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.bench_clients import GROWTH_MB, LOOKS, MOST_MB
from tests.support.cost import rss_mb
from tests.support.his_alone import his_alone
from tests.support.keepalive import WRITES_EVERY, ask, seated

pytestmark = pytest.mark.alone

CLIENTS = 50


def test_fifty_clients_and_none_refused(tmp_path: Path) -> None:
    with his_alone(tmp_path / "clinic") as node, seated(node, CLIENTS) as clients:
        asked = ask(clients, requests=600)
        assert asked.failed == []
        assert len(asked.writes_s) == len(asked.exchanges) // WRITES_EVERY == 120
        assert rss_mb(node.pid) <= MOST_MB


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_requests_and_it_does_not_grow(tmp_path: Path) -> None:
    memory: list[float] = []
    with his_alone(tmp_path / "clinic") as node, seated(node, CLIENTS) as clients:
        for _ in range(LOOKS):
            assert ask(clients, requests=100_000 // LOOKS).failed == []
            memory.append(rss_mb(node.pid))
        assert max(memory) <= MOST_MB
        assert sum(memory[-3:]) / 3 - sum(memory[1:4]) / 3 <= GROWTH_MB, memory
