"""What the local replica holds, for the status file: whether it restores, its restore points, and its size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_node.base.clock import Clock, utc_text
from edge_node.replication.capture import Capture
from edge_node.replication.destination import CopyState
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.restore_points import ends_of, points, points_as_json
from edge_node.replication.source import place

# A notice may be lost: what two looks (15 s apart) have not found has gone.
BROKEN_AFTER_S = 40.0
# Litestream looks for a beginning when it starts; where that does not help, a disk is at fault.
BEGUN_EVERY_S = 600.0
# A day of captures is 30,000 files: sorted every minute they would be a tenth of what an idle node may cost.
EVERY_S = 300.0


class Here:
    """The restore points are those of the clinical database, `first`; the size is that of all of them."""

    def __init__(self, replicas: Mapping[str, LocalReplica], first: str, clock: Clock) -> None:
        self._replicas, self._first, self._clock = replicas, first, clock
        self._look_at = float("-inf")
        self._shown: Mapping[str, Any] = {}
        # Since when, on the boot clock, a replica restores less than it holds; when one was to be begun again.
        self._lacking: dict[str, float] = {}
        self._begun_at = float("-inf")

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

    def entry(self, capture: Capture, *, captured_ms: int | None, is_capturing: bool) -> Mapping[str, Any]:
        """The local replica as a destination.

        One that lost its beginning or something in between (its folder was removed, its disk was away) does not restore
        what it has captured: how much it lacks is not known.
        """
        replica = self._replicas[self._first]
        is_whole = replica.trouble is None and 0 < replica.reach == replica.head
        rpo_s = capture.uncaptured_s if is_whole or not replica.head else None
        return {
            "name": "local",
            "state": CopyState.CURRENT if is_whole and is_capturing and not capture.is_late else CopyState.BEHIND,
            "confirmed_txid": replica.reach,
            "confirmed_at": utc_text(captured_ms) if captured_ms is not None and is_whole else None,
            "rpo_s": None if rpo_s is None else round(rpo_s, 1),
        }

    def wants_a_beginning(self) -> bool:
        """Is there one from which nothing restores, however long it goes on? True now and then while it stays so."""
        now = self._clock.boottime()
        without = [name for name, replica in self._replicas.items() if replica.head and not replica.reach]
        if now - self._begun_at < BEGUN_EVERY_S or all(
            now - self._lacking.get(name, now) < BROKEN_AFTER_S for name in without
        ):
            return False
        self._begun_at = now
        return True

    def problems(self) -> list[dict[str, Any]]:
        """Reasons with code and args: a replica that cannot be read, that restores less than it holds, a bad file."""
        found: list[dict[str, Any]] = []
        now = self._clock.boottime()
        for name, replica in self._replicas.items():
            if replica.trouble is not None:
                found.append({"code": "replica-unreadable", "args": {"database": name, "why": replica.trouble}})
            if replica.reach == replica.head:
                self._lacking.pop(name, None)
            elif now - self._lacking.setdefault(name, now) >= BROKEN_AFTER_S:
                args = {"database": name, "head": replica.head, **({"reach": replica.reach} if replica.reach else {})}
                found.append({"code": "replica-broken", "args": args})
            for file, why in sorted(replica.unsound.items())[:1]:
                args = {"database": name, "file": place(file), "files": len(replica.unsound), "why": why}
                found.append({"code": "replica-file-unsound", "args": args})
        return found
