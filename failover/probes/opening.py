"""From a target to the probe that asks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from failover.probes import stamp_packet
from failover.probes.engine import Heard, OpenProbe, Probe
from failover.probes.http import HTTP_PORT, HTTPS_PORT, HttpProbe
from failover.probes.icmp import IcmpProbe
from failover.probes.pin import Pin
from failover.probes.stamp import StampProbe
from failover.probes.tcp import TcpProbe
from failover.setup import ProbeKind, Target


def boot_time() -> float:
    """Seconds since boot, counting suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def opener(clock: Callable[[], float] = boot_time, wall_ns: Callable[[], int] = time.time_ns) -> OpenProbe:
    """Opens probes in the running event loop."""

    def open_probe(pin: Pin, target: Target, heard: Heard) -> Probe:
        match target.kind:
            case ProbeKind.TCP:
                port = target.port or HTTPS_PORT
                return TcpProbe(pin, target.address, port, heard, clock=clock, loop=asyncio.get_running_loop())
            case ProbeKind.STAMP:
                port = target.port or stamp_packet.PORT
                return StampProbe(
                    pin, target.address, heard, clock=clock, port=port, key=target.key, wall_ns=wall_ns
                )  # fmt: skip
            case ProbeKind.HTTP | ProbeKind.HTTPS:
                with_tls = target.kind is ProbeKind.HTTPS
                port = target.port or (HTTPS_PORT if with_tls else HTTP_PORT)
                loop = asyncio.get_running_loop()
                return HttpProbe(
                    pin, target.address, port, target.path, heard, with_tls=with_tls, clock=clock, loop=loop
                )
            case ProbeKind.ICMP:
                return IcmpProbe(pin, target.address, heard, clock=clock, wall=lambda: wall_ns() / 1e9)

    return open_probe
