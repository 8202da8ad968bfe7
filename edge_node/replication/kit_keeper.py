"""The recovery kit at one destination: shipped when anything in it has changed, and again when it has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_node.base.clock import Clock
from edge_node.base.logs import event
from edge_node.replication.destination import Destination
from edge_node.replication.kit import Kit, kit_numbers, ship_kit
from edge_node.replication.shipping_record import ShippingRecord

# Is there anything new for it? Asked again so often.
EVERY_S = 15.0
# Is the one that was shipped still there? At each connecting, and so often: who deletes it by mistake would else learn
# of it when the machine is lost.
SEEN_EVERY_S = 600.0


class KitKeeper:
    """`make` makes the kit as it is now; None where there is none to ship."""

    def __init__(
        self,
        destination: Destination,
        record: ShippingRecord,
        *,
        node_id: str,
        make: Callable[[], Kit | None],
        clock: Clock,
        seen_every_s: float = SEEN_EVERY_S,
    ) -> None:
        self._destination, self._record, self._node_id = destination, record, node_id
        self._make, self._clock = make, clock
        self._seen_every_s = seen_every_s
        self._look_at = float("-inf")
        self.every_s = min(EVERY_S, seen_every_s)

    def connected(self) -> None:
        """The destination was connected to anew: it may be another one."""
        self._look_at = float("-inf")

    async def turn(self) -> None:
        """Ship it if need be. Raises DestinationFailed."""
        kit = await asyncio.to_thread(self._make)
        if kit is None or not self._destination.sealer.suffix:
            return  # Where nothing is sealed, secrets have no place.
        await self._look()
        if (digest := kit.digest()) != self._record.kit_digest:
            number = await ship_kit(self._destination, kit)
            self._record.remember_kit(number, digest)
            event("kit_shipped", destination=self._destination.name, number=number)

    async def _look(self) -> None:
        """Forget one that has gone, or that is not the last, so that it is shipped again."""
        number, now = self._record.kit_number, self._clock.boottime()
        if number is None or now < self._look_at:
            return
        numbers = await kit_numbers(self._destination, self._node_id)
        if number not in numbers:
            event("kit_gone", level="error", destination=self._destination.name, number=number)
            self._record.forget_kit()
        elif numbers[-1] > number:
            # Ours, of before a kill, or somebody else's: a promotion takes the last, and that shall be ours.
            event("kit_not_the_last", level="warning", destination=self._destination.name, number=numbers[-1])
            self._record.forget_kit()
        self._look_at = now + self._seen_every_s
