"""The least that any prober in this language costs: sockets that are asked on time and read, and nothing is judged.

`python -m tests.bench.bare_probes INTERVAL_S`, in the clinic of `four_lines`; runs until it is killed. Prints "ready"
once every socket was answered.
"""

from __future__ import annotations

import asyncio
import sys
import time

from failover.probes.icmp import IcmpProbe
from failover.probes.pin import Pin
from tests.lab.four_lines import NAMES
from tests.lab.topology import TARGETS


async def probe(interval_s: float) -> None:
    loop = asyncio.get_running_loop()
    answers: dict[int, int] = {}
    said = False

    def heard(number: int) -> None:
        nonlocal said
        answers[number] = answers.get(number, 0) + 1
        if not said and len(answers) == len(NAMES) * len(TARGETS):
            said = True
            print("ready", flush=True)

    def tick(one: IcmpProbe, at: float) -> None:
        one.ask(time.clock_gettime(time.CLOCK_BOOTTIME))
        loop.call_at(at + interval_s, tick, one, at + interval_s)

    pins = [Pin(interface=line, address=f"10.{n}.1.2", mark=n) for n, line in enumerate(NAMES, start=1)]
    for number, (pin, target) in enumerate((pin, target) for pin in pins for target in TARGETS):
        one = IcmpProbe(
            pin, target, lambda _at, _rtt_s, number=number: heard(number),  # type: ignore[misc]
            clock=lambda: time.clock_gettime(time.CLOCK_BOOTTIME), wall=time.time,
        )  # fmt: skip
        loop.add_reader(one.fileno(), one.listen)
        tick(one, loop.time() + number * interval_s / 8)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(probe(float(sys.argv[1])))
