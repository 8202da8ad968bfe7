"""What is wrong with a certificate that is shown: reasons with their codes, for the status and for `doctor`. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_node.status import Reason
from edge_node.tls.found import Found
from edge_node.tls.names import Names

# A bought certificate takes days: an order, an invoice, a person who is on holiday.
EXPIRES_SOON = dt.timedelta(days=30)
# A new authority must be carried to every computer of the clinic.
AUTHORITY_EXPIRES_SOON = dt.timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A certificate by the name of its credential. `names` are those by which the clinic calls the node.

    `is_authority` for the clinic's authority, which is shown to nobody and signs.
    """

    name: str
    found: Found
    names: Names = field(default_factory=Names)
    is_authority: bool = False


def problems(shown: Shown, *, now: dt.datetime) -> Iterator[Reason]:
    """Everything that a person should see to."""
    left = shown.found.ends - now
    day = f"{shown.found.ends.astimezone():%Y-%m-%d}"
    soon = AUTHORITY_EXPIRES_SOON if shown.is_authority else EXPIRES_SOON
    if left <= dt.timedelta(0):
        yield Reason(code="certificate-expired", args={"certificate": shown.name, "day": day})
    elif left <= soon:
        args = {"certificate": shown.name, "day": day, "left_s": left.total_seconds()}
        yield Reason(code="certificate-expiring", args=args)
    if missing := shown.names - _covered(shown.found.names, shown.names):
        yield Reason(code="certificate-mismatch", args={"certificate": shown.name, "names": str(missing)})


def _covered(has: Names, wanted: Names) -> Names:
    """Those of `wanted` that a certificate is for; its wildcards count for one label (RFC 6125)."""
    dns = {name for name in wanted.dns if name in has.dns or f"*.{name.partition('.')[2]}" in has.dns}
    return Names(dns=frozenset(dns), addresses=wanted.addresses & has.addresses)
