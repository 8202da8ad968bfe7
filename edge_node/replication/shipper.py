"""Ships the local replicas to one destination: one connection and one claim, a mirror per database, health, state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock, utc_text
from edge_node.base.instruments import Counter
from edge_node.base.logs import Repeated, event
from edge_node.replication.destination import CopyState, Destination, DestinationFailed, database_prefix
from edge_node.replication.epoch import (
    Claim,
    Epoch,
    claim_key,
    claimed_epochs,
    claims_prefix,
    folder_name,
    make_claim,
    parse_claim,
)
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.mirror import CopyReport, Mirror
from edge_node.replication.shipping_record import ShippingRecord

# A dead destination is known within one question and its deadline of 5 s; in the status file within 10 s of its death.
HEALTH_EVERY_S = 2.5
# Confirmed ranges are kept so often; what a kill loses is listed again.
SAVE_EVERY_S = 5.0
FIRST_DATABASE = "his"


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReport:
    """One destination for the status file.

    `reason` (code and args, among them `why` in words and, after a refusal, `hint`) says why nothing is shipped, while
    nothing is.
    """

    name: str
    state: CopyState
    reason: dict[str, Any] | None
    copies: Mapping[str, CopyReport]
    problems: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """The contract's entry; TXIDs and lag are those of `his`."""
        first = self.copies[FIRST_DATABASE]
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "confirmed_txid": first.confirmed_txid,
            "confirmed_at": utc_text(first.confirmed_at_ms) if first.confirmed_at_ms is not None else None,
            "rpo_s": _rounded(first.lag.rpo_s),
            "behind_txids": first.lag.txids,
            "behind_bytes": first.lag.size_bytes,
            "catch_up_s": _rounded(first.catch_up_s),
            "last_drill": None,
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


class Shipper:
    """One destination. `run` until cancelled; raises nothing of the destination's making."""

    def __init__(
        self,
        destination: Destination,
        *,
        node_id: str,
        epoch: Epoch,
        replicas: Mapping[str, LocalReplica],
        record_path: Path,
        uploads: Counter,
        clock: Clock,
    ) -> None:
        self._destination = destination
        self._node_id = node_id
        self._epoch = epoch
        self._replicas = replicas
        self._record = ShippingRecord(record_path)
        self._clock = clock
        self._failure: DestinationFailed | None = None
        self._failures = Repeated()
        self._foreign: Claim | None = None
        self._is_connected = False
        self._connecting = asyncio.Lock()
        self._mirrors = {
            name: Mirror(
                database=name,
                local=replica,
                destination=destination,
                prefix=database_prefix(node_id, folder_name(epoch.number), name),
                record=self._record.copy(f"{folder_name(epoch.number)}/{name}"),
                changed=self._mark_dirty,
                link=self,
                uploads=uploads,
                clock=clock,
            )
            for name, replica in replicas.items()
        }

    def wake(self, replica: LocalReplica, *, history: bool = True) -> None:
        """Files of this local replica have changed."""
        for name, known in self._replicas.items():
            if known is replica:
                self._mirrors[name].wake(history=history)

    def is_current(self) -> bool:
        """Has it confirmed all that is here?"""
        return all(mirror.frontier >= self._replicas[name].head for name, mirror in self._mirrors.items())

    @property
    def is_failing(self) -> bool:
        return self._failure is not None

    async def run(self) -> None:
        """Ship until cancelled; what was confirmed is written down on the way out."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for mirror in self._mirrors.values():
                    tasks.create_task(mirror.run())
                tasks.create_task(self._ask_for_health())
                tasks.create_task(self._keep_record())
        finally:
            self._save()
            await self._destination.close()

    async def ready(self) -> bool:
        """Connect and claim if need be; false when the destination belongs to another machine.

        Raises DestinationFailed.
        """
        async with self._connecting:
            if not self._is_connected:
                await self._destination.open(known=self._record.is_known)
                self._foreign = await self._claim()
                self._is_connected = True
                self.answered()
                if self._foreign is None:
                    self._record.mark_known()
                else:
                    event(
                        "epoch_taken",
                        level="error",
                        destination=self._destination.name,
                        epoch=self._foreign.epoch,
                        by=self._foreign.machine,
                    )
        return self._foreign is None

    async def _claim(self) -> Claim | None:
        """Claim our epoch; the claim of another machine that owns this or a later one, else None."""
        listed = await self._destination.list(claims_prefix(self._node_id))
        highest = max(claimed_epochs([item.key for item in listed]), default=0)
        number = max(highest, self._epoch.number)
        there = await self._read_claim(number)
        if there is None and number == self._epoch.number:
            mine = make_claim(
                self._epoch,
                node_id=self._node_id,
                from_txid=self._replicas[FIRST_DATABASE].head,
                now_ms=self._clock.wall_ms(),
            )
            # Looked before, since some stores put whatever the condition; read back, since an answer may be lost.
            await self._destination.put_new(claim_key(self._node_id, number), mine.to_json())
            there = await self._read_claim(number)
        if there is None:
            raise DestinationFailed(
                CopyState.UNREACHABLE,
                f"{self._destination.name} does not show the claim of epoch {number}",
                context="it was listed, or put, and cannot be read",
            )
        return None if there.nonce == self._epoch.nonce else there

    async def _read_claim(self, number: int) -> Claim | None:
        key = claim_key(self._node_id, number)
        body = await self._destination.read(key)
        try:
            return None if body is None else parse_claim(body)
        except ValueError as error:
            raise DestinationFailed(
                CopyState.REFUSED,
                f"{self._destination.name}: {key} is not a claim that this program can read",
                context=str(error),
                hint="who wrote it? nothing is shipped while it is unclear who owns this epoch",
            ) from error

    async def _ask_for_health(self) -> None:
        """Also while there is nothing to ship: is the destination there, and is our claim?"""
        while True:
            await asyncio.sleep(HEALTH_EVERY_S)
            if not self._is_connected or self._foreign is not None:
                continue  # The mirrors' own tries to connect tell, or nothing is shipped.
            try:
                claim = await self._read_claim(self._epoch.number)
            except DestinationFailed as error:
                self.failed(error)
                continue
            if claim is None:
                # What was shipped has gone: connect again as if for the first time, and send what is here.
                event("destination_emptied", level="error", destination=self._destination.name)
            if claim is None or claim.nonce != self._epoch.nonce:
                # Another machine's claim where ours was: a store that replaces objects let it. Connecting finds whose.
                self._is_connected = False
                for mirror in self._mirrors.values():
                    mirror.forget_listing()
                    mirror.wake()
            self.answered()

    def failed(self, error: DestinationFailed) -> None:
        """The destination did not do what was asked; it is connected to anew before anything else is sent."""
        if self._is_connected:
            self._is_connected = False
            for mirror in self._mirrors.values():
                mirror.wake(
                    history=False
                )  # To connect anew at once: what failed may have begun before the line healed.
        first = self._failure is None or self._failure.state is not error.state
        self._failure = error
        if self._failures.failed() or first:
            event(
                f"destination_{error.state}",
                level="warning",
                destination=self._destination.name,
                why=error.message,
                detail=error.context,
                failures=self._failures.count,
            )

    def answered(self) -> None:
        """The destination did what was asked."""
        if self._failure is None:
            return
        self._failure = None
        event("destination_answers", destination=self._destination.name, after_failures=self._failures.recovered())
        for mirror in self._mirrors.values():
            mirror.wake()

    async def _keep_record(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            self._save()

    def _mark_dirty(self) -> None:
        self._record.is_dirty = True

    def _save(self) -> None:
        try:
            self._record.save()
        except OSError as error:
            # A full disk: the record is a convenience, the shipping goes on.
            event("shipping_record_unwritten", level="warning", destination=self._destination.name, why=error)

    def report(self) -> DestinationReport:
        """How this destination stands now."""
        now_ms = self._clock.wall_ms()
        copies = {name: mirror.report(now_ms) for name, mirror in self._mirrors.items()}
        problems = [
            self._reason("replica-set-back", copy.set_back, database=name)
            for name, copy in copies.items()
            if copy.set_back
        ]
        if self._foreign is not None:
            claim = self._foreign
            why = f"epoch {claim.epoch} belongs to {claim.machine} since {claim.claimed_at}"
            problems.append(self._reason("epoch-taken", why, epoch=claim.epoch, machine=claim.machine))
        reason = problems[-1] if problems else None
        if problems:
            state = CopyState.PAUSED
        elif self._failure is not None:
            state = self._failure.state
            reason = self._reason(
                f"destination-{state}", self._failure.context or self._failure.message, hint=self._failure.hint
            )
        elif self._is_connected and all(copy.lag.is_current for copy in copies.values()):
            state = CopyState.CURRENT
        else:
            state = CopyState.BEHIND
        return DestinationReport(
            name=self._destination.name, state=state, reason=reason, copies=copies, problems=tuple(problems)
        )

    def _reason(self, code: str, why: str, *, hint: str | None = None, **args: Any) -> dict[str, Any]:
        told = {} if hint is None else {"hint": hint}
        return {"code": code, "args": {"destination": self._destination.name, "why": why, **told, **args}}

    @property
    def superseded_by(self) -> str | None:
        """The machine that holds a later epoch of this clinic, if one does."""
        later = self._foreign is not None and self._foreign.epoch > self._epoch.number
        return self._foreign.machine if self._foreign and later else None
