"""From a target to the probe that asks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from failover.probes.engine import Heard, OpenProbe, Probe
from failover.probes.icmp import IcmpProbe
from failover.probes.pin import Pin
from failover.probes.tcp import TcpProbe
from failover.setup import ProbeKind, Target

HTTPS_PORT = 443


def boot_time() -> float:
    """Seconds since boot, counting suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def opener(clock: Callable[[], float] = boot_time, wall: Callable[[], float] = time.time) -> OpenProbe:
    """Opens probes in the running event loop."""

    def open_probe(pin: Pin, target: Target, heard: Heard) -> Probe:
        if target.kind is ProbeKind.TCP:
            port = target.port or HTTPS_PORT
            return TcpProbe(pin, target.address, port, heard, clock=clock, loop=asyncio.get_running_loop())
        return IcmpProbe(pin, target.address, heard, clock=clock, wall=wall)

    return open_probe
