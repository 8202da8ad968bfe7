"""The certificates of a node as they lie, and what is to be done: what the HIS finds at its start, and `doctor`."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
from dataclasses import dataclass

from edge_node.base.addresses import own_addresses
from edge_node.base.errors import ConfigError
from edge_node.config.schema import Config, Tls
from edge_node.tls import kept
from edge_node.tls.found import Authority
from edge_node.tls.judged import Shown
from edge_node.tls.names import Names, itself, names_of, reached_by
from edge_node.tls.place import Place
from edge_node.tls.renewal import Foreign, Issue, Keep, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """What was found. `issue` is what the node must do before its own can be shown; None when nothing.

    `shown` are those that can be used: the pages', then the authority's where the node issues by one.
    """

    place: Place
    shown: tuple[Shown, ...]
    authority: Authority | None = None
    issue: Issue | None = None


def clinic_names(config: Config) -> Names:
    """What the clinic's computers can call this node now, by its configuration and its addresses."""
    return reached_by(
        node_id=config.node.id,
        hostname=socket.gethostname(),
        listen_host=config.his.listen.host,
        configured=config.his.names,
        addresses=own_addresses(),
        lines=[line.interface for line in config.line],
    )


def look(config: Config, tls: Tls, *, now: dt.datetime) -> Certificates:
    """The certificates as they lie, and what is to be done. Changes nothing.

    Raises ConfigError: certificate-unusable, credential-missing, credential-exposed, authority-missing,
    certificate-foreign, clock-doubtful.
    """
    place = kept.place_of(config, tls)
    if not tls.issue:
        shown = Shown(name=place.name, found=kept.read_given(place), names=_asked_of_a_bought_one(config))
        return Certificates(place=place, shown=(shown,))
    authority, own, names = kept.read_authority_of(config), kept.read_own(place), clinic_names(config)
    decision = decide(own.found, authority, names | itself(), key_fits=own.key_fits, node_id=config.node.id, now=now)
    if isinstance(decision, Foreign):
        raise ConfigError(
            "certificate-foreign",
            f"{place.name} was issued by somebody else, and is not overwritten",
            context=f"{place.certificate}: issued by {decision.issuer}",
            hint=f"name it: his.tls = {{ certificate = …, key = … }}; or move it and {place.key.name} elsewhere",
        )
    if isinstance(decision, Keep) and not own.key_fits:
        raise ConfigError(
            "clock-doubtful",
            "the node cannot issue its certificate: its clock is outside of its authority's life",
            context=f"it is {now:%Y-%m-%d}; {place.certificate.parent / kept.AUTHORITY_CERTIFICATE} is good from "
            f"{authority.found.begins:%Y-%m-%d} to {authority.found.ends:%Y-%m-%d}",
            hint=f"set the clock: chronyc makestep; if it is right, a new authority: {kept.MAKE_AUTHORITY}",
        )
    # An address that was merely found, and that the authority may not certify, is nobody's way in.
    names -= authority.permitted.lacks(names) - _asked_outright(config)
    pages = [Shown(name=place.name, found=own.found, names=names)] if own.found is not None and own.key_fits else []
    signs = Shown(name=kept.AUTHORITY_CERTIFICATE, found=authority.found, is_authority=True)
    return Certificates(
        place=place, shown=(*pages, signs), authority=authority, issue=decision if isinstance(decision, Issue) else None
    )


def _asked_of_a_bought_one(config: Config) -> Names:
    """Names that it must be for: what is configured, else the one address that is listened on."""
    return names_of(config.his.names) or _asked_outright(config)


def _asked_outright(config: Config) -> Names:
    """What the configuration names: names, and an address that is listened on alone."""
    host = ipaddress.ip_address(config.his.listen.host)
    return names_of([*config.his.names, *([] if host.is_unspecified or host.is_loopback else [str(host)])])
