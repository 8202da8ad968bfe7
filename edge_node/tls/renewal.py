"""Whether the node's own certificate is issued anew: certificate, authority, names, time in, a decision out. Pure.

It is renewed when a third of its life is left: four months in which a node that was switched off, or whose clock was
wrong, still has time. A name that is no longer used is no reason: an interface that goes down and up again would change
the certificate twice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from edge_node.tls.found import Authority, Found
from edge_node.tls.names import Names

# The part of its life at whose beginning it is renewed.
LEFT = 1 / 3


class Cause(StrEnum):
    """Why it is issued anew."""

    MISSING = "missing"
    KEY_UNUSABLE = "key-unusable"
    AUTHORITY_CHANGED = "authority-changed"
    NOT_YET_VALID = "not-yet-valid"
    NAMES_MISSING = "names-missing"
    DUE = "due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A certificate is to be issued for `names`."""

    cause: Cause
    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is there stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """Somebody else issued what lies there: it is not ours to overwrite."""

    issuer: str


Decision = Issue | Keep | Foreign


def decide(
    found: Found | None, authority: Authority, wanted: Names, *, key_fits: bool, node_id: str, now: dt.datetime
) -> Decision:
    """`found` is the certificate in the place of the node's own, None where none is; `key_fits` says that its key may
    be used.

    A time outside the authority's life is taken for a clock that is wrong, or an authority that is over: either way
    nothing useful can be issued.
    """
    issuer = authority.found
    if found is not None and not (found.is_issued_by(issuer.certificate) or found.names_issuer_of(node_id)):
        return Foreign(issuer=found.certificate.issuer.rfc4514_string())
    names = wanted - authority.permitted.lacks(wanted)
    cause = _cause(found, authority, names, key_fits=key_fits, now=now)
    if cause is None or not issuer.begins <= now < issuer.ends:
        return Keep()
    return Issue(cause=cause, names=names)


def _cause(
    found: Found | None, authority: Authority, names: Names, *, key_fits: bool, now: dt.datetime
) -> Cause | None:
    if found is None:
        return Cause.MISSING
    if not key_fits:
        return Cause.KEY_UNUSABLE
    if not found.is_issued_by(authority.found.certificate):
        return Cause.AUTHORITY_CHANGED
    if now < found.begins:
        # Issued while the clock was ahead: no other computer takes it.
        return Cause.NOT_YET_VALID
    if names - found.names:
        return Cause.NAMES_MISSING
    # One that ends with its authority cannot be made to last longer.
    if now >= renews_at(found) and found.ends < authority.found.ends:
        return Cause.DUE
    return None


def renews_at(found: Found) -> dt.datetime:
    """When a certificate of ours is renewed."""
    return found.ends - (found.ends - found.begins) * LEFT
