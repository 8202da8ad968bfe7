"""`edge-node reflector`: the far end of STAMP, on a machine in the cloud; it needs no configuration of a node."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import click

from edge_node.base import systemd
from edge_node.base.errors import ExitCode, ServiceError, UsageError
from edge_node.base.logs import Repeated, event
from edge_node.base.shared_key import read_key
from edge_node.config.values import Endpoint, parse_endpoint
from failover.probes import reflector as far

_WHY = {
    errno.EADDRINUSE: ("already-running", "ss -ulpn shows who holds the port"),
    errno.EADDRNOTAVAIL: ("address-missing", "ip -4 address shows the addresses of this machine"),
    errno.EACCES: (
        "privilege-missing",
        "a port below 1024 needs CAP_NET_BIND_SERVICE, as the reflector's unit gives it",
    ),
}


@click.command()
@click.option(
    "--listen", "listening", multiple=True, required=True, help="Address and port; may be given several times."
)
@click.option(
    "--allow", "allowed", multiple=True, required=True, help="A network that is answered, such as 10.1.1.0/30."
)
@click.option("--key-file", type=click.Path(path_type=Path), help="Only what this key has signed is answered.")
@click.option(
    "--rate", type=click.FloatRange(1, 100_000), default=far.RATE_PER_SOURCE, show_default=True,
    help="Answers a second to one address.",
)  # fmt: skip
def reflector(listening: tuple[str, ...], allowed: tuple[str, ...], key_file: Path | None, rate: float) -> None:
    """Answer the probes of a clinic's lines (STAMP, RFC 8762), so that it knows which direction loses."""
    endpoints = [_endpoint(text) for text in listening]
    networks = [_network(text) for text in allowed]
    key = None if key_file is None else read_key(key_file)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_listen(endpoint)) for endpoint in endpoints]
        stop = stack.enter_context(_stopped_by(signal.SIGTERM, signal.SIGINT))
        answering = far.Reflector(networks, key=key, rate_per_source=rate)
        where = ",".join(f"{host}:{port}" for host, port in (opened.getsockname() for opened in sockets))
        event("reflecting", listen=where, allow=",".join(map(str, networks)), signed=key is not None)
        systemd.notify("READY=1")
        refusals = {reason: Repeated() for reason in far.Unanswered}

        def unanswered(reason: far.Unanswered, source: str) -> None:
            if refusals[reason].failed():
                event("not_answered", level="warning", reason=reason, source=source, times=refusals[reason].count)

        far.serve(sockets, answering, stop=stop, unanswered=unanswered)
        counts: dict[str, object] = {
            str(reason).replace("-", "_"): count for reason, count in answering.unanswered.items()
        }
        event("reflector_stopped", level="info", answered=answering.answered, **counts)


def _endpoint(text: str) -> Endpoint:
    try:
        endpoint = parse_endpoint(text)
    except ValueError as error:
        raise UsageError("usage", f"--listen {error}", context=None, hint="--listen 10.100.0.1:862") from None
    if ":" in endpoint.host:
        raise UsageError(
            "usage", f"--listen {text}: probes ask IPv4 addresses", context=None, hint="--listen 10.100.0.1:862"
        )
    return endpoint


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise UsageError(
            "usage", f"--allow {text!r} is no IPv4 network", context=str(error), hint="--allow 10.1.1.0/30"
        ) from None


def _listen(endpoint: Endpoint) -> socket.socket:
    try:
        return far.listen(endpoint.host, endpoint.port)
    except OSError as error:
        code, hint = _WHY.get(error.errno or 0, _WHY[errno.EADDRNOTAVAIL])
        raise ServiceError(
            code,
            f"the reflector cannot listen on {endpoint.host}:{endpoint.port}",
            context=error.strerror,
            hint=hint,
            exit_code=ExitCode.NETWORK,
        ) from error


@contextlib.contextmanager
def _stopped_by(*signals: signal.Signals) -> Iterator[socket.socket]:
    """A socket that can be read from once one of the signals has come."""
    told, tells = socket.socketpair()
    tells.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in signals}
    woken = signal.set_wakeup_fd(tells.fileno())
    try:
        yield told
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        told.close()
        tells.close()
