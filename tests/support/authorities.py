"""A clinic's authority and what it issues, on dates of the test's choice."""

from __future__ import annotations

import datetime as dt

from edge_node.tls.authority import issue, make_authority
from edge_node.tls.found import Authority, Found, read_authority, read_pair
from edge_node.tls.names import Names, names_of

NODE = "clinic-0042"
BEGAN = dt.datetime(2026, 11, 26, 8, tzinfo=dt.UTC)
NAMES = names_of([NODE, "edge.local", "192.168.1.10"])


def days(count: float) -> dt.timedelta:
    return dt.timedelta(days=count)


def an_authority(*, node_id: str = NODE, names: Names = NAMES, at: dt.datetime = BEGAN) -> Authority:
    made = make_authority(node_id=node_id, clinic="西城门诊部", names=names, now=at)
    found = read_authority(made.certificate.encode(), made.key.encode())
    assert isinstance(found, Authority)
    return found


def a_leaf(authority: Authority, *, names: Names = NAMES, at: dt.datetime = BEGAN) -> Found:
    made = issue(authority.found.certificate, authority.key, node_id=NODE, names=names, now=at)
    found = read_pair(made.certificate.encode(), made.key.encode())
    assert isinstance(found, Found)
    return found
