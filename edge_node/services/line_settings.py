"""The configuration of the lines as the line library takes it. Pure; `failover` knows no configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_node.base.errors import ConfigError, Problem
from edge_node.config import line_schema
from edge_node.config.schema import Config
from failover.core.model import Detect, Failback, FailbackKind, LinePolicy, Policy, Role
from failover.core.plan import Layout, LineRoute
from failover.setup import Act, Existing, ProbeKind, Setup, Target

APP_EVERY_S = 5.0  # of an application that is asked for diagnosis

_IPV6 = '"{value}": IPv6 is not watched or routed by this version; give the IPv4 address'


def setup_of(config: Config, keys: Mapping[str, bytes] | None = None) -> Setup:
    """What the watcher is told. Raises ConfigError where the lines name an IPv6 address.

    `keys` are those of signed targets, by credential; without them the setup is for looking at, and not for asking.
    """
    if problems := tuple(ipv6_problems(config)):
        raise ConfigError(
            "config-invalid",
            "the lines cannot be watched as they are configured",
            context=None,
            hint="edge-node config check",
            problems=problems,
        )
    lines = config.lines
    return Setup(
        policy=Policy(
            lines=tuple(_policy(line) for line in config.line),
            offline_after_s=lines.offline_after_s,
            online_after_s=lines.online_after_s,
        ),
        layout=Layout(
            lines=tuple(_route(line) for line in config.line),
            cloud_prefixes=tuple(str(prefix) for prefix in lines.cloud_prefixes),
            table=lines.table,
            protocol=lines.protocol,
            rule_preference=lines.rule_preference,
            service_ip=None if lines.service_ip is None else str(lines.service_ip),
        ),
        targets={line.name: tuple(_target(target, keys) for target in line.target) for line in config.line},
        dscp={line.name: line.dscp for line in config.line},
        act=Act(lines.act),
        existing={line.name: Existing(line.existing) for line in config.line},
    )


def _policy(line: line_schema.Line) -> LinePolicy:
    detect = line.detect
    return LinePolicy(
        name=line.name,
        preferred=line.preferred,
        metered=line.metered,
        failback=Failback(
            kind=FailbackKind(line.failback.kind), from_min=line.failback.from_min, to_min=line.failback.to_min
        ),
        detect=Detect(
            interval_s=detect.interval_s,
            dead_after_s=detect.dead_after_s,
            window_s=detect.window_s,
            confirm_s=detect.confirm_s,
            loss_bad=detect.loss_bad,
            loss_ok=detect.loss_ok,
            rtt_bad_s=detect.rtt_bad_s,
            rtt_ok_s=detect.rtt_ok_s,
            rtt_baseline_factor=detect.rtt_baseline_factor,
            hold_s=detect.hold_s,
            hold_max_s=detect.hold_max_s,
            penalty=detect.penalty,
            half_life_s=detect.half_life_s,
            suppress=detect.suppress,
            reuse=detect.reuse,
            mtu_every_s=detect.mtu_every_s,
        ),
    )


def _route(line: line_schema.Line) -> LineRoute:
    return LineRoute(
        name=line.name,
        preferred=line.preferred,
        interface=line.interface,
        address=None if line.address is None else str(line.address.ip),
        gateway=None if line.gateway is None else str(line.gateway),
        table=line.table,
        mark=line.mark,
    )


def _target(target: line_schema.Target, keys: Mapping[str, bytes] | None) -> Target:
    return Target(
        address=str(target.address),
        kind=ProbeKind(target.kind),
        role=Role(target.role),
        port=target.port,
        every_s=APP_EVERY_S if target.every_s is None and Role(target.role) is Role.APP else target.every_s,
        path=target.path,
        key=None if target.credential is None or keys is None else keys[target.credential],
    )


def ipv6_problems(config: Config) -> Iterator[Problem]:
    """Every address of the lines that is not IPv4, with its place in the file."""
    found = [(f"lines.cloud_prefixes[{i}]", prefix) for i, prefix in enumerate(config.lines.cloud_prefixes)]
    places: list[tuple[str, object, int]] = [(path, prefix, prefix.version) for path, prefix in found]
    if (service_ip := config.lines.service_ip) is not None:
        places.append(("lines.service_ip", service_ip, service_ip.version))
    for i, line in enumerate(config.line):
        if line.address is not None:
            places.append((f"line[{i}].address", line.address, line.address.version))
        if line.gateway is not None:
            places.append((f"line[{i}].gateway", line.gateway, line.gateway.version))
        places += [(f"line[{i}].target[{j}].address", t.address, t.address.version) for j, t in enumerate(line.target)]
    for path, value, version in places:
        if version != 4:
            yield Problem(path=path, text=_IPV6.format(value=value))
