"""What is allowed and probably not meant; `config check` says it, and no service refuses to start for it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from edge_node.base.errors import Problem
from edge_node.config.line_schema import Act, ProbeKind, TargetRole
from edge_node.config.schema import EXAMPLE_RECIPIENTS, Config
from edge_node.config.values import Address


def advice(config: Config) -> list[Problem]:
    """Everything that an operator should look at again."""
    return [*_copies(config), *_lines(config), *_reflectors(config), *_outside(config), *_metrics(config)]


def _copies(config: Config) -> Iterator[Problem]:
    replica = config.replica
    if not replica.destination:
        yield Problem(path="replica", text="no destination: nothing leaves this machine, and its loss is the clinic's")
    for i, recipient in enumerate(replica.encrypt_to):
        if recipient in EXAMPLE_RECIPIENTS:
            yield Problem(path=f"replica.encrypt_to[{i}]", text="from the example: nobody could ever open these copies")
    if len(replica.encrypt_to) == 1:
        yield Problem(path="replica.encrypt_to", text="one recipient: when its identity is lost, so is every copy")
    for i, destination in enumerate(replica.destination):
        if replica.plain and destination.scheme != "file":
            yield Problem(path=f"replica.destination[{i}].url", text="leaves the clinic unencrypted (plain = true)")


def _lines(config: Config) -> Iterator[Problem]:
    if config.lines.act is not Act.ENFORCE:
        return
    if not config.line:
        yield Problem(path="lines.act", text='"enforce" without a [[line]]: there is nothing to choose from')
    if not config.lines.cloud_prefixes:
        yield Problem(path="lines.cloud_prefixes", text='empty: nothing is routed, whatever "enforce" decides')


def _reflectors(config: Config) -> Iterator[Problem]:
    """A reflector is a program that somebody restarts; an echo needs none."""
    for i, line in enumerate(config.line):
        kinds = {target.kind for target in line.target if target.role is TargetRole.CLOUD}
        if kinds == {ProbeKind.STAMP}:
            text = "all of kind stamp: while their reflector is restarted, the line is down; add one of kind icmp"
            yield Problem(path=f"line[{i}].target", text=text)


def _outside(config: Config) -> Iterator[Problem]:
    """Peers that no line leads to. A name cannot be judged: it is not looked up here."""
    prefixes = config.lines.cloud_prefixes
    if not prefixes:
        return
    peers: list[tuple[str, Address | None]] = []
    for i, destination in enumerate(config.replica.destination):
        path = f"replica.destination[{i}]"
        if destination.addresses:
            peers += [(f"{path}.addresses[{j}]", address) for j, address in enumerate(destination.addresses)]
        elif destination.endpoint:
            peers.append((f"{path}.endpoint", _literal(destination.endpoint)))
    peers += [(f"upstream[{i}].url", _literal(upstream.url)) for i, upstream in enumerate(config.upstream)]
    if (remote := config.monitor.remote_write) is not None:
        peers.append(("monitor.remote_write.url", _literal(remote.url)))
    for path, address in peers:
        if address is not None and not any(address in prefix for prefix in prefixes):
            yield Problem(path=path, text=f'"{address}" lies outside lines.cloud_prefixes: no line leads there')


def _metrics(config: Config) -> Iterator[Problem]:
    remote = config.monitor.remote_write
    if remote is None:
        return
    if remote.credential and remote.url.startswith("http:"):
        yield Problem(path="monitor.remote_write.url", text="http: whoever is on the way reads the credential")
    if urlsplit(remote.url).path in ("", "/"):
        text = "has no path: a Prometheus takes samples at /api/v1/write"
        yield Problem(path="monitor.remote_write.url", text=text)


def _literal(url: str) -> Address | None:
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return None
