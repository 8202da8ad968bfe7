"""Who waits for whom at a destination."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from edge_node.replication.lanes import Precedence


@pytest.mark.parametrize(
    ("ahead", "waits"),
    [
        pytest.param([], False, id="nothing-to-extend"),
        pytest.param([3_000], False, id="a-capture-a-second-holds-nobody-up"),
        pytest.param([2_000_000], True, id="after-an-outage"),
        pytest.param([3_000, 2_000_000], True, id="of-another-database"),
    ],
)
def test_history_stands_back_while_much_is_to_be_extended(ahead: list[int], waits: bool) -> None:
    async def story() -> None:
        precedence = Precedence(much_bytes=256_000)
        with ExitStack() as sending:
            for size_bytes in ahead:
                sending.enter_context(precedence.ahead(size_bytes))
            history = asyncio.create_task(precedence.wait())
            await asyncio.sleep(0)
            assert history.done() is not waits
        await history  # They are done, or have failed: it goes on.

    asyncio.run(story())


def test_it_waits_for_the_last_of_several() -> None:
    async def story() -> None:
        precedence = Precedence(much_bytes=10)
        with precedence.ahead(20):
            with precedence.ahead(30):
                history = asyncio.create_task(precedence.wait())
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not history.done()
        await history

    asyncio.run(story())
