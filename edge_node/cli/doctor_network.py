"""`doctor` on lines and ports: the node's own addresses, interfaces, keys of signed targets, who may probe, orders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_node.base.clock import SystemClock
from edge_node.base.errors import EdgeError, ExitCode, ServiceError
from edge_node.cli.doctor_finding import Finding, Look, fail, of_error, ok, warn
from edge_node.cli.doctor_machine import is_installed
from edge_node.config.line_schema import ProbeKind
from edge_node.config.schema import Config
from edge_node.config.values import Endpoint
from edge_node.orders import read_line_orders
from edge_node.services.line_interfaces import absent_interfaces
from edge_node.services.line_keys import setup_to_ask
from edge_node.status import ServiceState, status_reader

PING_GROUPS = Path("/proc/sys/net/ipv4/ping_group_range")


def _ports(config: Config) -> Iterator[Finding]:
    """Can each be listened on? Not asked where the service lives, or where systemd listens for it."""
    from edge_node.services.web_server import listening

    services = status_reader(config, SystemClock())().services
    for name, endpoint in (("his", config.his.listen), ("monitor", config.monitor.listen)):
        if services.get(name) is ServiceState.OK or (is_installed() and name == "his"):
            yield ok(
                f"{name} listens on {endpoint}" if services.get(name) is ServiceState.OK else _by_systemd(endpoint)
            )
            continue
        try:
            with listening(endpoint, setting=f"{name}.listen"):
                pass
        except ServiceError as error:
            yield of_error(error)
        else:
            yield ok(f"{name} can listen on {endpoint}")


def _by_systemd(endpoint: Endpoint) -> str:
    return f"systemd listens on {endpoint} for the pages"


def _interfaces(config: Config) -> Iterator[Finding]:
    absent = {problem.path: problem for problem in absent_interfaces(config)}
    for i, line in enumerate(config.line):
        problem = absent.get(f"line[{i}].interface")
        if problem is None:
            yield ok(f"line {line.name}: interface {line.interface} is there")
        else:
            yield fail(problem.text, f"mend {problem.path}, or plug it in", ExitCode.NETWORK, code="interface-missing")


def _targets(config: Config) -> Iterator[Finding]:
    try:
        setup_to_ask(config)
    except EdgeError as error:
        yield of_error(error)
    asks_by_icmp = any(target.kind is ProbeKind.ICMP for line in config.line for target in line.target)
    if asks_by_icmp and closed_to_ping(PING_GROUPS.read_text(encoding="ascii")):
        yield warn(
            "no group may send ICMP echo (net.ipv4.ping_group_range): only root can probe",
            "sysctl -w net.ipv4.ping_group_range='0 2147483647'",
        )


def closed_to_ping(group_range: str) -> bool:
    """Is the range of groups empty, as the kernel ships it ("1 0")?"""
    low, high = (int(part) for part in group_range.split())
    return low > high


def _orders(config: Config) -> Iterator[Finding]:
    known = tuple(line.name for line in config.line)
    for problem in read_line_orders(config.node.state_dir, lines=known, now_ms=SystemClock().wall_ms()).problems:
        yield fail(problem, "edge-node order list; mend the file or move it away", ExitCode.DATA)


LOOKS: tuple[Look, ...] = (_ports, _interfaces, _targets, _orders)
