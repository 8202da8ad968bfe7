"""Delays packets without netem: a TUN device whose packets come back after a while.

`python -m tests.lab.relay --device relay0 --delay-ms 80 --jitter-ms 20`, in a carrier's namespace; the routes that lead
packets into the device are faults.py's.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import time

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_PACKET_BYTES = 65_536


def open_tun(device: str) -> int:
    """A new TUN device; it goes with the last descriptor."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", device.encode(), _IFF_TUN | _IFF_NO_PI))
    return tun


def relay(tun: int, delay_s: float, jitter_s: float) -> None:
    """Give every packet back after its delay, until killed. With jitter, packets may overtake each other."""
    dice = random.Random()
    waiting: list[tuple[float, int, bytes]] = []
    count = 0
    while True:
        patience_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        select.select([tun], [], [], patience_s)
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = os.read(tun, _PACKET_BYTES)
                count += 1
                due = time.monotonic() + delay_s + dice.uniform(-jitter_s, jitter_s)
                heapq.heappush(waiting, (due, count, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            # A full queue loses a packet, as a router's does.
            with contextlib.suppress(OSError):
                os.write(tun, heapq.heappop(waiting)[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", required=True)
    parser.add_argument("--delay-ms", type=float, required=True)
    parser.add_argument("--jitter-ms", type=float, default=0.0)
    asked = parser.parse_args()
    tun = open_tun(asked.device)
    subprocess.run(["ip", "link", "set", asked.device, "up"], check=True)
    relay(tun, asked.delay_ms / 1000, asked.jitter_ms / 1000)


if __name__ == "__main__":
    main()
