"""What shipping may take of a line that others need too. Pure: the words of other services in, a share out.

A metered line is paid by volume: only what brings a copy up to date travels, the cheapest chain. While urgent messages
(duties with a deadline, money, trace codes) wait to leave, they get three quarters of what shipping may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.status.line_share import Restraint, restraints

URGENT_PART = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`part` of the bandwidth; `history` is false where nothing beyond the newest chain travels."""

    part: float = 1.0
    history: bool = True
    restraints: tuple[Restraint, ...] = ()


WHOLE = Share()


def share(links: Mapping[str, Any] | None, outbox: Mapping[str, Any] | None) -> Share:
    """What a destination beyond the lines may take now.

    `links` and `outbox` are the states of those services' status files, `None` where a file is missing or stale.
    """
    held = restraints(links, outbox)
    return Share(part=URGENT_PART if Restraint.URGENT in held else 1.0, history=not held, restraints=held)
