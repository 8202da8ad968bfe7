"""The kernel as the watcher sees it: one reading of everything, and one change after another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from failover.core.plan import Change, Layout, Route, Routing
from failover.netlink import routes, sockets
from failover.netlink.links import Interface, read_interfaces
from failover.netlink.routes import LOOPBACK, MAIN_TABLE, ChangeRefused
from failover.netlink.sockets import Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The kernel at one moment: interfaces by name, routes and rules in our tables and of ours, the main table."""

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    routing: Routing = field(default_factory=Routing)
    main: frozenset[Route] = frozenset()


class KernelUnreadable(Exception):
    """The kernel did not say how it is; what was read last still stands."""


class Kernel:
    """One netlink connection, made when it is first needed and again after it failed."""

    def __init__(self) -> None:
        self._netlink: AsyncIPRoute | None = None

    def is_permitted(self) -> bool:
        """May this process change routes?"""
        return routes.is_permitted()

    async def read(self, layout: Layout, *, with_main: bool) -> Seen:
        """Everything that the watcher wants to know, the main table where it counts. Raises KernelUnreadable."""
        if self._netlink is None:
            self._netlink = routes.open_netlink()
        tables = (MAIN_TABLE,) if with_main else ()
        try:
            interfaces = await read_interfaces(self._netlink)
            names = {interface.index: name for name, interface in interfaces.items()}
            found = await routes.read_routing(self._netlink, names, protocol=layout.protocol, tables=tables)
        except (OSError, NetlinkError, NetlinkDumpInterrupted) as error:
            self.close()
            raise KernelUnreadable(str(error)) from error
        loopback = interfaces.get(LOOPBACK)
        main = frozenset(route for route in found.routes if route.table == MAIN_TABLE)
        routing = replace(
            found,
            routes=frozenset(route for route in found.routes if route.protocol == layout.protocol),
            addresses=frozenset(loopback.addresses if loopback else ()),
        )
        return Seen(interfaces=interfaces, routing=routing, main=main)

    async def apply(
        self, changes: Sequence[Change], interfaces: Mapping[str, Interface], *, protocol: int
    ) -> tuple[ChangeRefused, ...]:
        """Make the changes in their order, and go on after one that is refused; returns the refusals."""
        if self._netlink is None:
            self._netlink = routes.open_netlink()
        indices = {name: interface.index for name, interface in interfaces.items()}
        refused = []
        for change in changes:
            try:
                await routes.apply(self._netlink, change, indices, protocol=protocol)
            except ChangeRefused as error:
                refused.append(error)
                if error.is_about_privilege:
                    break  # the others would be refused as well
        return tuple(refused)

    async def end_connections(self, address: str, destinations: Sequence[str]) -> tuple[Ended, Ended]:
        """End what hangs on a dead line's address: connections, and translations to it. It says itself what failed."""

        def end() -> tuple[Ended, Ended]:
            ended = sockets.end_connections(address, destinations)
            return ended, sockets.forget_translations(address, destinations)

        return await asyncio.to_thread(end)  # a large table of translations takes a while to read

    def close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None
