"""Routes and rules as the kernel has them, changes to them, and the removal of all that is ours.

Routes are only ever replaced (one message, so that a planned switch loses nothing) or deleted. Every change is harmless
the second time: what is there already, or gone already, is no error. What the kernel refuses is told in its own words.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from failover.core.plan import (
    DEFAULT,
    AddAddress,
    AddRule,
    Change,
    DeleteRoute,
    DeleteRule,
    ReplaceRoute,
    Route,
    RouteKind,
    Routing,
    Rule,
)

Remove = Callable[[], Awaitable[object]]

MAIN_TABLE = 254
LOOPBACK = "lo"
PROTOCOL = 222

_UNICAST, _UNREACHABLE = 1, 7  # route types of rtnetlink(7)
_KINDS = {_UNICAST: RouteKind.VIA, _UNREACHABLE: RouteKind.UNREACHABLE}
_ANY_SCOPE = 255  # in a deletion: whatever the route's is
_TO_TABLE = 1  # the action of a rule
_WHOLE_MARK = 0xFFFFFFFF
_CAP_NET_ADMIN = 12
_TRIES = 3
_MTU = 2  # the metric's number, for its lock
# The kernel's errors that say: it is so already.
_DONE = {
    AddAddress: (errno.EEXIST,),
    AddRule: (errno.EEXIST,),
    DeleteRule: (errno.ENOENT, errno.ESRCH),
    DeleteRoute: (errno.ENOENT, errno.ESRCH),
    ReplaceRoute: (),
}


class ChangeRefused(Exception):
    """The kernel said no. `said` are its words."""

    def __init__(self, change: Change, code: int, said: str) -> None:
        super().__init__(f"{described(change)}: {said}")
        self.change, self.code, self.said = change, code, said

    @property
    def is_about_privilege(self) -> bool:
        return self.code in (errno.EPERM, errno.EACCES)


def open_netlink() -> AsyncIPRoute:
    """A connection for requests; it subscribes to nothing, and lets the kernel filter what is asked for."""
    return AsyncIPRoute(strict_check=True, ext_ack=True, groups=0)


def is_permitted() -> bool:
    """Has this process the capability to change routes (CAP_NET_ADMIN)?"""
    with contextlib.suppress(OSError, ValueError):
        for row in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if row.startswith("CapEff:"):
                return bool(int(row.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False


async def read_routing(
    netlink: AsyncIPRoute, names: Mapping[int, str], *, protocol: int, tables: Collection[int] = ()
) -> Routing:
    """What carries our protocol number, the rules, and all that stands in `tables`; `names` are the interfaces'.

    Somebody else's route at a key of ours is not looked for: ours is missing then, and replacing it mends both.
    """
    for attempt in range(_TRIES):
        try:
            routes: set[Route] = set()
            async for message in _dump_routes(netlink, proto=protocol):
                routes.update(_routes_of(message, names))
            for table in sorted(tables):
                async for message in _dump_routes(netlink, table=table):
                    routes.update(_routes_of(message, names))
            rules = {
                rule
                async for message in await netlink.rule("dump", family=socket.AF_INET)
                if (rule := rule_of(message))
            }
        except NetlinkDumpInterrupted:
            if attempt == _TRIES - 1:
                raise
        else:
            return Routing(routes=frozenset(routes), rules=frozenset(rules))
    raise AssertionError("unreachable")


async def apply(netlink: AsyncIPRoute, change: Change, indices: Mapping[str, int], *, protocol: int) -> None:
    """Make one change. Raises ChangeRefused."""
    try:
        await _request(netlink, change, indices, protocol)
    except NetlinkError as error:
        if error.code not in _DONE[type(change)]:
            raise ChangeRefused(change, error.code, _words(error)) from error
    except KeyError as error:
        raise ChangeRefused(change, errno.ENODEV, f"there is no interface {error.args[0]}") from error


def cleanup(*, protocol: int = PROTOCOL, service_ip: str | None = None, dry_run: bool = False) -> tuple[str, ...]:
    """Remove every rule, route and address of ours, in all tables; returns what was removed, as a person reads it.

    For the command line; must not be called where an event loop runs. Raises PermissionError, or another OSError with
    what the kernel said. Our address is known by our protocol number (kernels since 5.18), and by `service_ip`.
    """
    return asyncio.run(_cleanup(protocol, service_ip, dry_run))


async def _cleanup(protocol: int, service_ip: str | None, dry_run: bool) -> tuple[str, ...]:
    removed = []
    async with open_netlink() as netlink:
        for what, remove in await _ours(netlink, protocol, service_ip):
            try:
                if not dry_run:
                    await remove()
            except NetlinkError as error:
                if error.code in (errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL):
                    continue
                raise OSError(error.code, f"{what}: {_words(error)}") from error
            removed.append(what)
    return tuple(removed)


async def _ours(netlink: AsyncIPRoute, protocol: int, service_ip: str | None) -> list[tuple[str, Remove]]:
    """Everything of ours with its removal. Rules come first: while a rule stands, its table must not be empty."""
    found: list[tuple[str, Remove]] = []
    names = {message["index"]: message.get("ifname") async for message in await netlink.link("dump")}
    async for message in await netlink.rule("dump", family=socket.AF_INET):
        if message.get("protocol") == protocol:
            table = message.get("table") or message["table"]
            spec = {"priority": message.get("priority") or 0, "table": table, "protocol": protocol}
            words = f"rule pref {spec['priority']} {_rule_words(message)} lookup {table}"
            found.append((words, partial(netlink.rule, "del", family=socket.AF_INET, **spec)))
    async for message in _dump_routes(netlink, proto=protocol):
        found.append((_route_words(message, names), partial(netlink.route, "del", **_spec_of(message))))
    async for message in await netlink.addr("dump", family=socket.AF_INET):
        address, length, name = message.get("local"), message["prefixlen"], names.get(message["index"])
        is_service_ip = (address, length, name) == (service_ip, 32, LOOPBACK)
        if message.get("proto") == protocol or is_service_ip:
            spec = {"index": message["index"], "address": address, "prefixlen": length}
            found.append((f"address {address}/{length} dev {name}", partial(netlink.addr, "del", **spec)))
    return found


# ---- the kernel's shapes


async def _dump_routes(netlink: AsyncIPRoute, **only: int) -> AsyncIterator[Any]:
    try:
        async for message in await netlink.route("dump", family=socket.AF_INET, **only):
            yield message
    except NetlinkError as error:
        if error.code != errno.ENOENT:  # a table that nobody has put a route into does not exist
            raise


def _routes_of(message: Any, names: Mapping[int, str]) -> list[Route]:
    """A route, or one for each of its next hops. Types that are none of ours (local, blackhole …) are left out."""
    kind = _KINDS.get(message["type"])
    if kind is None or (message["dst_len"] and message.get("dst") is None):
        return []
    ways = [(message.get("oif"), message.get("gateway"))]
    if several := message.get("multipath"):
        ways = [(hop["oif"], hop.get("gateway")) for hop in several]
    return [
        Route(
            table=message.get("table") or message["table"],
            prefix=f"{message.get('dst')}/{message['dst_len']}" if message["dst_len"] else DEFAULT,
            metric=message.get("priority") or 0,
            protocol=message["proto"],
            kind=kind,
            interface=None if interface is None else names.get(interface, f"#{interface}"),
            gateway=gateway,
            source=message.get("prefsrc"),
            mtu=_mtu(message),
        )
        for interface, gateway in ways
    ]


def _mtu(message: Any) -> int | None:
    metrics = message.get("metrics")
    return None if metrics is None else metrics.get("mtu")


def rule_of(message: Any) -> Rule | None:
    """A rule of one of our shapes; others are nobody's business here."""
    shapes = {"FRA_TABLE", "FRA_PRIORITY", "FRA_PROTOCOL", "FRA_FWMARK", "FRA_FWMASK", "FRA_SRC", "FRA_DST"}
    names = {name for name, _ in message["attrs"]} - {"FRA_SUPPRESS_PREFIXLEN"}
    mask = message.get("fwmask")
    if message["action"] != _TO_TABLE or message["flags"] or names - shapes or mask not in (None, _WHOLE_MARK):
        return None
    source, destination = message.get("src"), message.get("dst")
    if source is not None and message["src_len"] != 32:
        return None
    return Rule(
        preference=message.get("priority") or 0,
        table=message.get("table") or message["table"],
        protocol=message.get("protocol") or 0,
        mark=message.get("fwmark"),
        source=source,
        destination=None if destination is None else f"{destination}/{message['dst_len']}",
    )


async def _request(netlink: AsyncIPRoute, change: Change, indices: Mapping[str, int], protocol: int) -> None:
    match change:
        case AddAddress(address):
            await netlink.addr("add", index=indices[LOOPBACK], address=address, prefixlen=32, proto=protocol)
        case ReplaceRoute(route):
            await netlink.route("replace", **_route_spec(route, indices))
        case DeleteRoute(route):
            await netlink.route("del", **_route_spec(route, indices, is_whole=False))
        case AddRule(rule):
            await netlink.rule("add", **_rule_spec(rule))
        case DeleteRule(rule):
            await netlink.rule("del", **_rule_spec(rule))


def _route_spec(route: Route, indices: Mapping[str, int], *, is_whole: bool = True) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "family": socket.AF_INET,
        "table": route.table,
        "dst": route.prefix,
        "priority": route.metric,
        "proto": route.protocol,
    }
    if route.kind is RouteKind.UNREACHABLE:
        return {**spec, "type": _UNREACHABLE}
    if route.interface is not None and (is_whole or route.interface in indices):
        spec["oif"] = indices[route.interface]
    if route.gateway is not None:
        spec["gateway"] = route.gateway
    if not is_whole:
        return {**spec, "scope": _ANY_SCOPE}
    spec["scope"] = 0 if route.gateway is not None else 253  # the world, or the link
    if route.source is not None:
        spec["prefsrc"] = route.source
    if route.mtu is not None:
        # Locked: the kernel neither learns another one, nor sends what is larger with the word not to divide it.
        spec["metrics"] = {"mtu": route.mtu, "lock": 1 << _MTU}
    return spec


def _rule_spec(rule: Rule) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "family": socket.AF_INET,
        "priority": rule.preference,
        "table": rule.table,
        "protocol": rule.protocol,
    }
    for key, value in (("fwmark", rule.mark), ("src", rule.source), ("dst", rule.destination)):
        if value is not None:
            spec[key] = value
    return spec


def _spec_of(message: Any) -> dict[str, Any]:
    """What names exactly this route when it is deleted."""
    spec: dict[str, Any] = {
        "family": socket.AF_INET,
        "table": message.get("table") or message["table"],
        "dst": f"{message.get('dst')}/{message['dst_len']}" if message["dst_len"] else DEFAULT,
        "priority": message.get("priority") or 0,
        "proto": message["proto"],
        "type": message["type"],
        "scope": message["scope"],
    }
    for name in ("oif", "gateway"):
        if message.get(name) is not None:
            spec[name] = message.get(name)
    return spec


# ---- words for a person


def described(change: Change) -> str:
    """A change as `ip` would be told it."""
    match change:
        case AddAddress(address):
            return f"address add {address}/32 dev {LOOPBACK}"
        case ReplaceRoute(route):
            return f"route replace {_words_of(route)}"
        case DeleteRoute(route):
            return f"route del {_words_of(route)}"
        case AddRule(rule):
            return f"rule add {_words_of_rule(rule)}"
        case DeleteRule(rule):
            return f"rule del {_words_of_rule(rule)}"


def _words_of(route: Route) -> str:
    way = "unreachable " if route.kind is RouteKind.UNREACHABLE else ""
    via = f" via {route.gateway}" if route.gateway else ""
    dev = f" dev {route.interface}" if route.interface else ""
    prefix = "default" if route.prefix == DEFAULT else route.prefix
    mtu = f" mtu lock {route.mtu}" if route.mtu is not None else ""
    return f"{way}{prefix}{via}{dev} table {route.table} metric {route.metric}{mtu}"


def _words_of_rule(rule: Rule) -> str:
    parts = [f"pref {rule.preference}"]
    parts += [f"fwmark {rule.mark}"] if rule.mark is not None else []
    parts += [f"from {rule.source}"] if rule.source is not None else []
    parts += [f"to {rule.destination}"] if rule.destination is not None else []
    return " ".join((*parts, f"lookup {rule.table}"))


def _rule_words(message: Any) -> str:
    parts = []
    for key, word in (("fwmark", "fwmark"), ("src", "from"), ("dst", "to")):
        if message.get(key) is not None:
            length = "" if key == "fwmark" else f"/{message[f'{key}_len']}"
            parts.append(f"{word} {message.get(key)}{length}")
    return " ".join(parts) or "from all"


def _route_words(message: Any, names: Mapping[int, str]) -> str:
    routes = _routes_of(message, names)
    return f"route {_words_of(routes[0])}" if routes else f"route {message.get('dst') or 'default'}"


def _words(error: NetlinkError) -> str:
    """The kernel's own sentence where it gave one, else the name of the error."""
    said = str(error.args[1]) if len(error.args) > 1 and error.args[1] else ""
    plain = os.strerror(error.code)
    return plain if not said or plain in said else f"{plain} ({said})"
