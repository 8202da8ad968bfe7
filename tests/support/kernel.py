"""A kernel in memory, for the watcher: interfaces and routes that a test sets, and that obey as netlink does."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from failover.core.plan import (
    AddAddress,
    AddRule,
    Change,
    DeleteRoute,
    DeleteRule,
    Layout,
    ReplaceRoute,
    Route,
    RouteKind,
    Routing,
)
from failover.netlink.kernel import KernelUnreadable, Seen
from failover.netlink.links import Interface
from failover.netlink.routes import ChangeRefused
from failover.netlink.sockets import Ended


@dataclass
class FakeKernel:
    """`refuses` says which changes fail, with which error; `applied` is every change that was made."""

    interfaces: dict[str, Interface]
    main: frozenset[Route] = frozenset()
    routing: Routing = field(default_factory=Routing)
    permitted: bool = True
    refuses: Callable[[Change], int | None] = lambda change: None
    applied: list[Change] = field(default_factory=list)
    unreadable: bool = False
    freed: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    connections: int = 2  # that hang on any address

    def is_permitted(self) -> bool:
        return self.permitted

    async def read(self, layout: Layout, *, with_main: bool) -> Seen:
        if self.unreadable:
            raise KernelUnreadable("no buffer space")
        return Seen(
            interfaces=dict(self.interfaces),
            routing=self.routing,
            main=self.main if with_main else frozenset(),
        )

    async def apply(
        self, changes: Sequence[Change], interfaces: Mapping[str, Interface], *, protocol: int
    ) -> tuple[ChangeRefused, ...]:
        refused = []
        for change in changes:
            code = self.refuses(change) or self._impossible(change)
            if code is not None:
                refused.append(ChangeRefused(change, code, errno.errorcode[code]))
                if code == errno.EPERM:
                    break
                continue
            self.applied.append(change)
            self.routing = _after(self.routing, change)
        return tuple(refused)

    async def end_connections(self, address: str, destinations: Sequence[str]) -> tuple[Ended, Ended]:
        self.freed.append((address, tuple(destinations)))
        return Ended(found=self.connections, ended=self.connections), Ended()

    def cut(self, interface: str) -> None:
        """Its cable: the routes stay, without use."""
        self.interfaces[interface] = replace(self.interfaces[interface], has_carrier=False)

    def take_address(self, interface: str) -> None:
        """The kernel drops what depends on it, and tells nobody."""
        self.interfaces[interface] = replace(self.interfaces[interface], addresses=())
        left = frozenset(route for route in self.routing.routes if route.interface != interface)
        self.routing = replace(self.routing, routes=left)

    def _impossible(self, change: Change) -> int | None:
        if not isinstance(change, ReplaceRoute) or change.route.kind is RouteKind.UNREACHABLE:
            return None
        interface = self.interfaces.get(change.route.interface or "")
        if interface is None:
            return errno.ENODEV
        if not interface.is_up:
            return errno.ENETDOWN
        return None if interface.addresses else errno.ENETUNREACH


def _after(routing: Routing, change: Change) -> Routing:
    routes, rules = {route.key: route for route in routing.routes}, set(routing.rules)
    addresses = set(routing.addresses)
    match change:
        case AddAddress(address):
            addresses.add(address)
        case ReplaceRoute(route):
            routes[route.key] = route
        case DeleteRoute(route):
            del routes[route.key]
        case AddRule(rule):
            rules.add(rule)
        case DeleteRule(rule):
            rules.remove(rule)
    return Routing(routes=frozenset(routes.values()), rules=frozenset(rules), addresses=frozenset(addresses))
