"""Is a release well? From what systemd, the status files and the HIS say at one instant; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_node.base.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A service as systemd has it. `release`: what its process was started from; None where there is no process."""

    active: str
    release: str | None
    pid: int
    restarts: int

    def is_up(self, release: str) -> bool:
        return self.active == "active" and self.release == release

    def is_lost(self) -> bool:
        """Will no waiting help? systemd gave up, or it ended again and again while it was started."""
        return self.active == "failed" or self.restarts >= ENOUGH_RESTARTS


# A service may end once for a reason that passes, such as a lock that its predecessor has not let go yet.
ENOUGH_RESTARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look. `heard`: what each service's status file says, `ok`, `stale` or `stopped`; `not_ready`: why the HIS
    cannot write, None when it can."""

    units: Mapping[str, Unit]
    heard: Mapping[str, str]
    not_ready: str | None


def ailments(seen: Seen, release: str, *, since: Seen | None = None) -> list[Problem]:
    """What is not as it must be; nothing when the release is well.

    `since`: a look from which on no service may have ended, even if it came back.
    """
    found = []
    for name, unit in seen.units.items():
        ends = unit.restarts - since.units[name].restarts if since is not None else 0
        if unit.release is None or unit.active != "active":
            ended = f", ended {unit.restarts} times" if unit.restarts else ""
            found.append(Problem(path=name, text=f"is {unit.active}{ended}: journalctl -u edge-{name} -n 30"))
        elif ends > 0:
            found.append(Problem(path=name, text=f"ended by itself while it was watched: journalctl -u edge-{name}"))
        elif unit.release != release:
            found.append(Problem(path=name, text=f"still runs release {unit.release}"))
        elif (heard := seen.heard.get(name, "stopped")) != "ok":
            found.append(Problem(path=name, text=f"runs, but its status is {heard}"))
    if seen.not_ready is not None:
        found.append(Problem(path="/readyz", text=seen.not_ready))
    return found


def is_hopeless(seen: Seen) -> bool:
    """Is there a service that will not come by itself?"""
    return any(unit.is_lost() for unit in seen.units.values())
