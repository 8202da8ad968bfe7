"""What the clinic calls the node, as it stands in a certificate: names and addresses. Pure.

An authority that a clinic's computers trust must not be able to speak for anybody else: it carries name constraints
(RFC 5280, 4.2.1.10), and whatever lies outside them cannot be certified by it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A host name in lower case: labels of letters, digits and hyphens (RFC 1123), none of which browsers refuse.
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
# Endings that belong to no site of the world: mDNS (RFC 6762), home networks (RFC 8375), ICANN's "internal", and "lan",
# which is in use and was never delegated.
PRIVATE_ENDINGS = ("local", "lan", "internal", "home.arpa")
# Addresses that no site of the world has: RFC 1918, RFC 6598, loopback, link-local, and the same in IPv6.
PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """DNS names in lower case, and addresses."""

    dns: frozenset[str] = frozenset()
    addresses: frozenset[Address] = frozenset()

    def __or__(self, other: Names) -> Names:
        return Names(dns=self.dns | other.dns, addresses=self.addresses | other.addresses)

    def __sub__(self, other: Names) -> Names:
        return Names(dns=self.dns - other.dns, addresses=self.addresses - other.addresses)

    def __bool__(self) -> bool:
        return bool(self.dns or self.addresses)

    def texts(self) -> tuple[str, ...]:
        """Each as people write it: names first, then addresses, in order."""
        by_kind = sorted(self.addresses, key=lambda address: (address.version, int(address)))
        return (*sorted(self.dns), *map(str, by_kind))

    def __str__(self) -> str:
        return ", ".join(self.texts())


def names_of(texts: Iterable[str]) -> Names:
    """Names and addresses from text; what is neither is left out."""
    dns, addresses = set(), set()
    for text in texts:
        try:
            addresses.add(ipaddress.ip_address(text))
        except ValueError:
            if HOST_NAME.fullmatch(text.lower()):
                dns.add(text.lower())
    return Names(dns=frozenset(dns), addresses=frozenset(addresses))


def reached_by(
    *,
    node_id: str,
    hostname: str,
    listen_host: str,
    configured: Iterable[str],
    addresses: Mapping[str, Iterable[str]],
    lines: Iterable[str],
) -> Names:
    """What the clinic's computers can call the node.

    `addresses` are this machine's, by interface; those of the carriers' `lines` are not for the clinic, unless the
    machine has no others. A node that listens on one address is reached by that one. `configured` counts always.
    """
    every = ipaddress.ip_address(listen_host).is_unspecified
    if every:
        outside = set(lines)
        here = _others(found for name, found in addresses.items() if name not in outside) or _others(addresses.values())
    else:
        here = _others([[listen_host]])
    return names_of([*configured, node_id, f"{hostname.partition('.')[0].lower()}.local"]) | here


def _others(found: Iterable[Iterable[str]]) -> Names:
    """The addresses by which others reach a machine."""
    some = names_of(address for addresses in found for address in addresses)
    return Names(addresses=frozenset(address for address in some.addresses if not address.is_loopback))


def itself() -> Names:
    """What the node calls itself: for its own checks, and a browser on the machine."""
    return names_of(["localhost", *LOOPBACK])


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """What an authority may certify: these names and all below them, addresses of these networks.

    An authority without constraints (None) may certify all.
    """

    dns: tuple[str, ...] | None
    networks: tuple[Network, ...] | None

    def lacks(self, names: Names) -> Names:
        """Those that it may not certify."""
        dns = {name for name in names.dns if not self._has_name(name)}
        addresses = {address for address in names.addresses if not self._has_address(address)}
        return Names(dns=frozenset(dns), addresses=frozenset(addresses))

    def _has_name(self, name: str) -> bool:
        return self.dns is None or any(name == base or name.endswith(f".{base}") for base in self.dns)

    def _has_address(self, address: Address) -> bool:
        return self.networks is None or any(address in network for network in self.networks)


def permitted_for(names: Names) -> Permitted:
    """The constraints of a new authority: what is private anywhere, and what this clinic calls its node."""
    private = Permitted(dns=(*PRIVATE_ENDINGS, "localhost"), networks=PRIVATE_NETWORKS)
    more = private.lacks(names)
    alone = tuple(ipaddress.ip_network(address) for address in sorted(more.addresses, key=str))
    return Permitted(dns=(*PRIVATE_ENDINGS, "localhost", *sorted(more.dns)), networks=(*PRIVATE_NETWORKS, *alone))
