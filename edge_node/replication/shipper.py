"""Ships the local replicas to one destination: one connection and one claim, a mirror per database, health, state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock, utc_text
from edge_node.base.instruments import Counter
from edge_node.base.logs import Repeated, event
from edge_node.proof_orders import ProofOrder
from edge_node.replication import anchor_keeper, left_behind
from edge_node.replication.anchor_keeper import AnchorKeeper, AuditLog, NoLog
from edge_node.replication.claims import claim_epoch, heeds_conditions, later_claims, read_claim
from edge_node.replication.destination import CopyState, Destination, DestinationFailed, database_prefix
from edge_node.replication.destination_report import FIRST_DATABASE, DestinationReport
from edge_node.replication.epoch import Claim, Epoch, folder_name, make_claim
from edge_node.replication.fence import Fence
from edge_node.replication.kit import Kit
from edge_node.replication.kit_keeper import SEEN_EVERY_S, KitKeeper
from edge_node.replication.left_behind import LeftBehindKeeper
from edge_node.replication.local_replica import LocalReplica
from edge_node.replication.mirror import Mirror
from edge_node.replication.sharing import WHOLE, Share
from edge_node.replication.shipping_record import ShippingRecord

# A dead destination is known within one question and its deadline of 5 s; in the status file within 10 s of its death.
HEALTH_EVERY_S = 2.5
# Confirmed ranges are kept so often; what a kill loses is listed again.
SAVE_EVERY_S = 5.0
# A disk that was exchanged is found out at each connecting; a store that was set back behind our back, within this.
NEWEST_EVERY_S = 60.0


class Shipper:
    """One destination. `run` until cancelled; raises nothing of the destination's making.

    `fence` says, for all destinations, whether this machine still owns the history. `kit` makes the recovery kit as it
    is now, None where there is none to ship; heads of `audit_log` are noted.
    """

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
        fence: Fence | None = None,
        kit: Callable[[], Kit | None] = lambda: None,
        kit_seen_every_s: float = SEEN_EVERY_S,
        audit_log: AuditLog | None = None,
    ) -> None:
        self._fence = fence
        self._destination = destination
        self._node_id = node_id
        self._epoch = epoch
        self._replicas = replicas
        self._record = ShippingRecord(record_path)
        self._clock = clock
        self._kit = KitKeeper(
            destination, self._record, node_id=node_id, make=kit, clock=clock, seen_every_s=kit_seen_every_s
        )
        self._anchors = AnchorKeeper(
            destination, self._record, node_id=node_id, epoch=epoch.number, log=audit_log or NoLog(),
            frontier=lambda: self._mirrors[FIRST_DATABASE].frontier, clock=clock,
        )  # fmt: skip
        self._left_behind = LeftBehindKeeper(
            destination, node_id=node_id, database=FIRST_DATABASE, epoch=epoch, known=self._record.left_behind,
            clock=clock,
        )  # fmt: skip
        self._failure: DestinationFailed | None = None
        self._failures = Repeated()
        self._foreign: Claim | None = None
        self._is_connected = False
        self._claimed_at: str | None = None
        self._pause: ProofOrder | None = None
        self._share = WHOLE
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

    @property
    def name(self) -> str:
        """The destination's."""
        return self._destination.name

    def wake(self, replica: LocalReplica, *, history: bool = True) -> None:
        """Files of this local replica have changed."""
        for name, known in self._replicas.items():
            if known is replica:
                self._mirrors[name].wake(history=history)

    def restrain(self, share: Share) -> None:
        """Take no more than this of a line that others need too; a copy in the building takes what it wants."""
        if not self._destination.is_beyond_the_lines:
            return
        if share.restraints != self._share.restraints:
            why = "+".join(share.restraints) or "-"
            event("shipping_restrained", destination=self._destination.name, why=why, part=share.part)
        self._share = share
        self._destination.restrain(share.part)
        for mirror in self._mirrors.values():
            mirror.take_history(share.history)

    def pause(self, order: ProofOrder | None) -> None:
        """Send nothing while this order stands; None to go on. Who owns the history is looked at all the same."""
        was, self._pause = self._pause, order
        if (was and was.id) != (order and order.id):
            name, by = self._destination.name, order.by if order else None
            event("shipping_paused" if order else "shipping_goes_on", destination=name, by=by)
            for mirror in self._mirrors.values():
                mirror.wake()

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
                tasks.create_task(self._keep_beside(self._kit.turn, self._kit.every_s))
                tasks.create_task(self._keep_beside(self._anchors.turn, anchor_keeper.EVERY_S))
                tasks.create_task(self._keep_beside(self._look_at_newest, NEWEST_EVERY_S))
                tasks.create_task(self._keep_beside(self._left_behind.turn, left_behind.EVERY_S))
        finally:
            self._save()
            await self._destination.close()

    async def ready(self) -> bool:
        """Connect and claim if need be; false when the destination, or the whole history, belongs to another machine.

        Raises DestinationFailed.
        """
        async with self._connecting:
            if not self._is_connected and not self._is_fenced:
                await self._destination.open(known=self._record.is_known)
                self._meet(await self._claim())
                if self._foreign is None:
                    self._record.mark_known()
                    await self._probe()
                    self._list_anew(await self._lacking_newest())
                self._is_connected = True
                self._kit.connected()
                self._anchors.connected()
                self.answered()
        return self.may_ship()

    def may_ship(self) -> bool:
        """Does nobody else own what lies there, and does no order pause it?"""
        return self._is_ours and self._pause is None

    @property
    def _is_ours(self) -> bool:
        return self._foreign is None and not self._is_fenced

    @property
    def _is_fenced(self) -> bool:
        return self._fence is not None and self._fence.superseded is not None

    async def _claim(self) -> Sequence[Claim]:
        """Claim our epoch; the claims of other machines that own this or a later one."""
        number = self._epoch.number
        if later := await later_claims(self._destination, self._node_id, number):
            return later
        mine = make_claim(
            self._epoch,
            node_id=self._node_id,
            from_txid=self._replicas[FIRST_DATABASE].head,
            now_ms=self._clock.wall_ms(),
            key=self._fence.key if self._fence else None,
        )
        there = await claim_epoch(self._destination, mine)
        if there.nonce != self._epoch.nonce:
            return (there,)
        self._claimed_at = there.claimed_at
        return ()

    def _meet(self, claims: Sequence[Claim]) -> None:
        """What the claims of other machines mean: nothing is shipped here, and perhaps nowhere."""
        found = max(claims, key=lambda claim: claim.epoch, default=None)
        if found is not None and found != self._foreign:
            event("epoch_taken", level="error", destination=self._destination.name, epoch=found.epoch, by=found.machine)
        self._foreign = found
        if found is not None and self._fence is not None:
            reach = self._mirrors[FIRST_DATABASE].frontier
            self._fence.meet(claims, destination=self._destination.name, reach=reach)

    async def _probe(self) -> None:
        """Remember whether the store can refuse a second claim; asked once, and again at another address."""
        if self._record.conditional_puts(self._destination.address) is None:
            answer = await heeds_conditions(self._destination, self._node_id)
            self._record.remember_conditional_puts(self._destination.address, answer)

    async def _ask_for_health(self) -> None:
        """Also while there is nothing to ship: is the destination there, is our claim, and has nobody a later one?

        In turns, so that it costs one question each time.
        """
        while True:
            for look in (self._look_at_our_claim, self._look_for_later_claims):
                await asyncio.sleep(HEALTH_EVERY_S)
                if not self._is_ours:
                    continue  # Nothing is shipped.
                try:
                    # The mirrors' own tries to connect tell sooner, but for one whose upload goes on for an hour.
                    if self._is_connected or await self.ready():
                        await look()
                except DestinationFailed as error:
                    self.failed(error)
                else:
                    self.answered()

    async def _look_at_our_claim(self) -> None:
        claim = await read_claim(self._destination, self._node_id, self._epoch.number)
        if claim is None:
            # What was shipped has gone: connect again as if for the first time, and send what is here.
            event("destination_emptied", level="error", destination=self._destination.name)
            self._record.forget_what_lies_beside()
        if claim is None or claim.nonce != self._epoch.nonce:
            # Another machine's claim where ours was: a store that replaces objects let it. Connecting finds whose.
            self._is_connected = False
            self._list_anew(self._mirrors.values())

    async def _look_for_later_claims(self) -> None:
        self._meet(await later_claims(self._destination, self._node_id, self._epoch.number))

    async def _look_at_newest(self) -> None:
        if lacking := await self._lacking_newest():
            await self._look_at_our_claim()  # It may have been emptied: then the claim comes first.
            self._list_anew(lacking)

    async def _lacking_newest(self) -> Sequence[Mirror]:
        return [mirror for mirror in self._mirrors.values() if await mirror.lacks_newest()]

    def _list_anew(self, mirrors: Iterable[Mirror]) -> None:
        for mirror in mirrors:
            mirror.forget_listing()
            mirror.wake()

    async def _keep_beside(self, turn: Callable[[], Awaitable[None]], every_s: float) -> None:
        """The recovery kit when anything in it has changed, and the day's anchor of the audit log."""
        while True:
            if self._is_connected and self.may_ship() and self._failure is None:
                try:
                    await turn()
                except DestinationFailed as error:
                    self.failed(error)
                await asyncio.sleep(every_s)
            else:
                await asyncio.sleep(0.5)

    def failed(self, error: DestinationFailed) -> None:
        """The destination did not do what was asked; it is connected to anew before anything else is sent."""
        if self._is_connected:
            self._is_connected = False
            for mirror in self._mirrors.values():
                # To connect anew at once: what failed may have begun before the line healed.
                mirror.wake(history=False)
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
        self._record.remember_left_behind(self._left_behind.found)
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
        blocked = problems[-1] if problems else None
        conditional = self._record.conditional_puts(self._destination.address)
        if conditional is False:
            problems.append(
                self._reason(
                    "conditional-puts-missing",
                    "two machines could both believe that they own the history; a promotion will ask a person",
                )
            )
        if (bad := self._anchors.contradicted) is not None:
            args = {"destination": self._destination.name, "seq": bad.seq, "noted_on": bad.at[:10]}
            problems.append({"code": "audit-contradicted", "args": args})
        problems += self._left_behind.problems()
        reason = blocked
        if self._is_fenced and self._fence is not None and self._fence.superseded is not None:
            owner = self._fence.superseded
            why = f"{owner.by} owns epoch {owner.epoch} of the clinic"
            reason = reason or self._reason("epoch-taken", why, epoch=owner.epoch, machine=owner.by)
        if reason is None and (order := self._pause) is not None:
            reason = self._reason("paused-by-order", order.why, by=order.by, until=utc_text(order.until_ms))
        if reason is not None:
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
            name=self._destination.name, state=state, reason=reason, copies=copies, problems=tuple(problems),
            conditional_puts=conditional, kit=self._record.kit_number, anchor=self._anchors.noted,
            claimed_at=self._claimed_at,
        )  # fmt: skip

    def _reason(self, code: str, why: str, *, hint: str | None = None, **args: Any) -> dict[str, Any]:
        told = {} if hint is None else {"hint": hint}
        return {"code": code, "args": {"destination": self._destination.name, "why": why, **told, **args}}
