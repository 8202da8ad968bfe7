"""One black hole after another on the line in use: when it was seen, by us and by bfdd, and what the traffic missed.

Every figure counts from the first packet of a 1 kHz stream that stayed without answer, as an application would.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_node.base.clock import SystemClock
from edge_node.orders import LineOrderKind, new_order, place
from failover.core.window import quantile
from tests.lab.bfd import Bfd
from tests.lab.topology import Laboratory
from tests.lab.watched import RouteNews, Stream, WatchedLines
from tests.support.waiting import until

# The profiles of the acceptance. Nothing keeps the line from being used again at once: the next black hole waits.
AT_ONCE = {"hold": "0s", "suppress": 0}
FAST = {"interval": "100ms", "dead_after": "300ms", **AT_ONCE}
DEFAULT = {"interval": "200ms", "dead_after": "1000ms", **AT_ONCE}
_PHASES_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackHole:
    """Seconds. `bfd_s` is `None` where bfdd did not run."""

    verdict_s: float  # from the first lost packet to the verdict
    route_s: float  # from the verdict to the route in the kernel
    outage_s: float  # from the first lost packet to the last
    bfd_s: float | None = None


def black_holes(
    lab: Laboratory, watcher: WatchedLines, times: int, *, bfd: Bfd | None = None, wait_until_up: bool = True
) -> Iterator[BlackHole]:
    """Black-hole telecom, heal it, return to it, so many times. The watcher must have begun, on telecom.

    `wait_until_up = False` saves the ten seconds in which a line that returns has yet to prove itself; silence ends it
    in either state.
    """
    for number in range(times):
        watcher.until_up("unicom")
        if number == 0 or wait_until_up:
            watcher.until_up("telecom", within_s=30)
        return_to(watcher, "telecom")
        if bfd is not None:
            bfd.until_up()
        # Whatever came before keeps step with the probes: the black hole must not.
        time.sleep(random.uniform(0, _PHASES_S))
        yield _black_hole(lab, watcher, bfd)
        lab.fault("telecom", "heal")


def _black_hole(lab: Laboratory, watcher: WatchedLines, bfd: Bfd | None) -> BlackHole:
    known = len(watcher.transitions())
    with RouteNews(lab) as news, Stream(lab) as stream:
        until(lambda: len(stream.sent_at) > 300)
        since = time.monotonic()
        lab.fault("telecom", "blackhole")
        routed_at = moved_at(news, "unicom", since + 5)
        seen = until(lambda: [t for t in watcher.transitions()[known:] if is_fall(t)])
        downs = until(lambda: [at for at in bfd.downs() if at > since]) if bfd is not None else []
        sent = len(stream.sent_at)
        until(lambda: len(stream.sent_at) > sent + 300)
    lost = stream.lost()
    assert lost, "a black hole that nothing fell into"
    first_at = stream.sent_at[lost[0]]
    assert first_at >= since, "a packet was lost before the line was broken"
    verdict_at = seen[0]["boottime"] - SystemClock().boottime() + time.monotonic()
    return BlackHole(
        verdict_s=verdict_at - first_at,
        route_s=routed_at - verdict_at,
        outage_s=stream.gap_s(),
        bfd_s=downs[0] - first_at if downs else None,
    )


def is_fall(transition: dict[str, object]) -> bool:
    return (transition["kind"], transition["subject"], transition["to"]) == ("verdict", "telecom", "down")


def moved_at(news: RouteNews, device: str, deadline: float) -> float:
    """When the kernel had the active route by `device`, on the monotonic clock."""
    while (left_s := deadline - time.monotonic()) > 0:
        for at, _, active in news.take(within_s=left_s):
            if active == device:
                return at
    raise AssertionError(f"the route was not by {device} in time")


def return_to(watcher: WatchedLines, line: str) -> None:
    """Wait until a line lives, and move to it at once, by a pin that runs out soon."""
    until(lambda: watcher.line(line)["verdict"] in ("up", "degraded"), within_s=30)
    if watcher.active() != line:
        pin(watcher, line)
        until(lambda: watcher.active() == line, within_s=20)


def pin(watcher: WatchedLines, line: str, *, for_s: float = 4.0) -> None:
    """Ask the watcher to use a line; it reads its orders every second."""
    now_ms = SystemClock().wall_ms()
    order = new_order(LineOrderKind.PIN, line, now_ms=now_ms, for_s=for_s, by="test", why="the next run")
    place(watcher.home, order, lines=["telecom", "unicom"], now_ms=now_ms)


def share_of(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed."""
    return quantile(sorted(values), share)


def told(name: str, values: Sequence[float]) -> str:
    return (
        f"{name}: n={len(values)} p50 {statistics.median(values) * 1000:.0f} p95 {share_of(values, 0.95) * 1000:.0f} "
        f"max {max(values) * 1000:.0f} ms"
    )
