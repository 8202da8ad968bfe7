"""What the local replica holds, for the status file: its restore points and its size, worked out now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_node.base.clock import Clock, utc_text
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.restore_points import ends_of, points, points_as_json

# A day of captures is 30,000 files: sorted every minute they would be a tenth of what an idle node may cost.
EVERY_S = 300.0


class Here:
    """The restore points are those of the clinical database, `first`; the size is that of all of them."""

    def __init__(self, replicas: Mapping[str, LocalReplica], first: str, clock: Clock) -> None:
        self._replicas, self._first, self._clock = replicas, first, clock
        self._look_at = float("-inf")
        self._shown: Mapping[str, Any] = {}

    def shown(self) -> Mapping[str, Any]:
        """As `drill_record.points_seen` has those of a destination, with the size beside."""
        if (now := self._clock.boottime()) >= self._look_at:
            replica = self._replicas[self._first]
            times = {file: replica.time_ms(file) for file in ends_of(replica.files)}
            stretches = points({file: times.get(file) for file in replica.files})
            if stretches:
                self._look_at = now + EVERY_S
            size_bytes = sum(file.size_bytes for one in self._replicas.values() for file in one.files)
            self._shown = {
                "at": utc_text(self._clock.wall_ms()), "stretches": points_as_json(stretches), "size_bytes": size_bytes
            }  # fmt: skip
        return self._shown
