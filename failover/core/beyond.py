"""What speaks against a line although its targets answer in time: large packets vanish, or an application is silent.

An application is asked for diagnosis only: it neither kills a line nor proves one alive. Silent on one line and heard
by another, it accuses the line (a firewall or a translation on the way, most likely). Silent on every line that lives,
it accuses itself, and no line is charged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from failover.core import path_mtu
from failover.core.evidence import Evidence
from failover.core.model import Code, Detect, Reason, Role

PATIENCE_PROBES = 3  # in a row without an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """Against each line that something speaks against; and what is to be shown beside."""

    blames: Mapping[str, Reason] = field(default_factory=dict)
    troubles: tuple[Reason, ...] = ()


def quiet_apps(known: Evidence, now: float, detect: Detect) -> dict[str, bool | None]:
    """Of each application that is asked through one line: silent, heard, or too early to tell (`None`)."""
    found: dict[str, bool | None] = {}
    for watched in known.targets:
        silence_s = watched.window.silence_s(now)
        if watched.role is not Role.APP:
            continue
        patience_s = PATIENCE_PROBES * (watched.every_s or detect.interval_s) + detect.lost_after_s
        if silence_s is not None and silence_s >= patience_s:
            found[watched.target] = True
        else:
            found[watched.target] = None if watched.window.heard_at is None else False
    return found


def beyond(evidence: Mapping[str, Evidence], apps: Mapping[str, Mapping[str, bool | None]]) -> Beyond:
    """`apps`, of the lines that live."""
    blames: dict[str, Reason] = {}
    troubles: list[Reason] = []
    for target in sorted({target for line in apps.values() for target in line}):
        asked = {name: line[target] for name, line in apps.items() if target in line}
        quiet = [name for name, is_quiet in asked.items() if is_quiet]
        if quiet and False in asked.values():
            blames.update((name, Reason(Code.APP_SILENT, target=target)) for name in quiet)
        elif quiet and len(quiet) == len(asked):
            troubles.append(Reason(Code.APP_TROUBLE, target=target, lines=len(quiet)))
    for name, reason in _mtu_blames(evidence):
        blames[name] = reason
    for name, known in evidence.items():
        if (trouble := path_mtu.trouble(name, known.path, is_set=known.is_mtu_set)) is not None:
            troubles.append(trouble)
    return Beyond(blames=blames, troubles=tuple(troubles))


def _mtu_blames(evidence: Mapping[str, Evidence]) -> Iterator[tuple[str, Reason]]:
    for name, known in evidence.items():
        if (reason := path_mtu.blame(known.path, is_set=known.is_mtu_set)) is not None:
            yield name, reason
