"""A watcher on a kernel in memory and on lines that answer while a test lets them, with a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from failover.core.model import LineHealth, LinePolicy, LinkState, Order, Policy
from failover.core.path_mtu import PathMtu
from failover.core.plan import ACTIVE_METRIC, Layout, LineRoute, Route
from failover.netlink.links import Interface
from failover.netlink.sockets import Ended
from failover.probes.engine import Engine, Heard, Probe
from failover.probes.mtu import Sized, SizeProbe, Sizes, TooLarge
from failover.probes.outcome import Outcome
from failover.probes.pin import Pin
from failover.setup import Act, Setup, Target
from failover.watcher import Judged, Move, ProblemCode, Watcher
from tests.support.kernel import FakeKernel

LAYOUT = Layout(
    lines=tuple(
        LineRoute(
            name=name,
            preferred=n,
            interface=f"en{n}",
            address=f"10.{n}.1.2",
            gateway=f"10.{n}.1.1",
            table=100 + n,
            mark=n,
        )
        for n, name in enumerate(("telecom", "unicom"), start=1)
    ),
    cloud_prefixes=("10.100.0.0/24",),
    service_ip="10.9.0.1",
)
POLICY = Policy(lines=(LinePolicy(name="telecom", preferred=1), LinePolicy(name="unicom", preferred=2)))
TARGETS = (Target(address="10.100.0.1"), Target(address="10.100.0.2"))
PROBED = Setup(policy=POLICY, layout=LAYOUT, targets={"telecom": TARGETS, "unicom": TARGETS}, act=Act.ENFORCE)
LINK_ONLY = replace(PROBED, targets={})
OBSERVED = replace(PROBED, act=Act.OBSERVE)
DEFAULT_BY_TELECOM = Route(
    table=254, prefix="0.0.0.0/0", metric=0, protocol=3, interface="en1", gateway="10.1.1.1"
)  # fmt: skip


def interfaces() -> dict[str, Interface]:
    return {
        name: Interface(name=name, index=n, is_up=True, has_carrier=True, mtu=1500, addresses=(f"10.{n}.1.2",))
        for n, name in enumerate(("en1", "en2"), start=1)
    }


@dataclass
class Echo:
    """A probe that answers at once while its line does."""

    pin: Pin
    heard: Heard
    silent: set[str]
    is_pinned: bool = True
    asked: list[float] = field(default_factory=list)

    def ask(self, asked_at: float) -> Outcome | None:
        self.asked.append(asked_at)
        return None

    def listen(self) -> None:
        asked, self.asked = self.asked, []
        if self.pin.interface not in self.silent:
            for at in asked:
                self.heard(at, 0.005)

    def close(self) -> None:
        pass


@dataclass
class Large:
    """Packets of any size: they pass while their line does, up to its `narrow` size; a router may say which that is."""

    pin: Pin
    passed: Sized
    too_large: TooLarge
    desk: Desk
    asked: list[int] = field(default_factory=list)

    def ask(self, size: int) -> Outcome | None:
        self.asked.append(size)
        self.desk.sizes_asked.append(size)
        return None

    def listen(self) -> None:
        asked, self.asked = self.asked, []
        narrow = self.desk.narrow.get(self.pin.interface, 1500)
        for size in asked:
            if self.pin.interface in self.desk.silent:
                continue
            if size <= narrow:
                self.passed(size)
            elif self.pin.interface in self.desk.told:
                self.too_large(size, narrow)

    def close(self) -> None:
        pass


class Desk:
    """A watcher, its kernel and its lines, on a clock of its own."""

    def __init__(
        self,
        setup: Setup,
        kernel: FakeKernel | None = None,
        *,
        known: Mapping[str, LineHealth] | None = None,
        used: str | None = None,
        left: str | None = None,
    ) -> None:
        self.now, self.kernel, self.silent = 1000.0, kernel or FakeKernel(interfaces()), set[str]()
        self.orders: list[Order] = []
        self.moves, self.verdicts, self.links = list[Move](), list[Judged](), list[str]()
        self.switches: list[float] = []
        self.pins: list[Pin] = []
        self.narrow, self.told = dict[str, int](), set[str]()
        self.sizes_asked = list[int]()
        self.ended_on, self.mtus = list[str](), list[tuple[str, int]]()
        self.sizes = Sizes(lambda: self.now, self._open_sizes, phase=lambda: 0.5)
        self.engine = Engine(lambda: self.now, self._open, lambda sample: None, phase=lambda: 0.5)
        self.watcher = Watcher(
            setup,
            clock=lambda: self.now,
            minute=lambda: None,
            orders=lambda: self.orders,
            kernel=self.kernel,
            engine=self.engine,
            record=self,
            sizes=self.sizes,
            known=known,
            used=used,
            left=left,
        )

    def _open(self, pin: Pin, target: Target, heard: Heard) -> Probe:
        self.pins.append(pin)
        return Echo(pin, heard, self.silent)

    def _open_sizes(self, pin: Pin, address: str, passed: Sized, too_large: TooLarge) -> SizeProbe:
        return Large(pin, passed, too_large, self)

    # the recorder's part
    def moved(self, move: Move) -> None:
        self.moves.append(move)

    def judged(self, judged: Judged) -> None:
        self.verdicts.append(judged)

    def link_changed(self, at: float, line: str, link: LinkState) -> None:
        self.links.append(line)

    def switched(self, seconds: float) -> None:
        self.switches.append(seconds)

    def ended(self, at: float, line: str, connections: Ended, translations: Ended) -> None:
        self.ended_on.append(line)

    def mtu_changed(self, at: float, line: str, path: PathMtu) -> None:
        self.mtus.append((line, path.passes))

    def run(self, seconds: float) -> Desk:
        async def turns() -> None:
            until = self.now + seconds
            while self.now < until:
                await self.watcher.turn()
                self.now += 0.05
                self.engine.tick(self.now)

        asyncio.run(turns())
        return self

    def hint(self) -> None:
        """As after a message of the kernel's; looked at with the next turns."""
        self.now += 0.1
        self.watcher.hint()

    @property
    def active(self) -> str | None:
        found = [r.interface for r in self.kernel.routing.routes if r.metric == ACTIVE_METRIC]
        return found[0] if found else None

    def cloud_routes(self) -> list[tuple[int, str | None]]:
        return sorted((r.metric, r.interface) for r in self.kernel.routing.routes if r.table == 100)

    def problems(self) -> list[ProblemCode]:
        return [problem.code for problem in self.watcher.view().problems]
