"""Old link state against new: what changed, and does it matter?

A netlink message is only a hint to look. The looking gives a `LinkState` per line; this compares it with the last one
and answers the two questions a watcher has: must the lines be judged again now, and may the kernel have dropped routes
without a word? It does so when an address goes or an interface goes down: the dependent routes vanish with no
RTM_DELROUTE (`facts/lines.md`, 0, 5b).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from failover.core.model import LinkState

_JUDGED = frozenset(("present", "carrier", "has_address", "has_route"))
_UNSEEN = LinkState()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDelta:
    """What is different about one line's link."""

    line: str
    old: LinkState
    new: LinkState
    changed: frozenset[str]

    @property
    def matters_to_verdict(self) -> bool:
        return bool(self.changed & _JUDGED)

    @property
    def may_have_lost_routes(self) -> bool:
        """Read the tables again: an address or the interface went, came, or is another one under the old name."""
        lost = (self.old.addresses or frozenset()) - (self.new.addresses or frozenset())
        return bool(lost) or bool(self.changed & {"present", "index", "carrier", "has_address", "has_route"})

    @property
    def needs_new_sockets(self) -> bool:
        """Probes are bound to an interface and an address; a new one needs new sockets."""
        return bool(self.changed & {"index", "has_address"}) or (self.changed >= {"present"} and bool(self.new.present))

    @property
    def matters(self) -> bool:
        return self.matters_to_verdict or self.may_have_lost_routes or self.needs_new_sockets or "mtu" in self.changed

    def __str__(self) -> str:
        parts = (f"{name} {_shown(self.old, name)} -> {_shown(self.new, name)}" for name in sorted(self.changed))
        return f"{self.line}: {', '.join(parts)}"


def deltas(old: Mapping[str, LinkState], new: Mapping[str, LinkState]) -> tuple[LinkDelta, ...]:
    """The lines whose link differs, by name. A line that is missing on one side counts as never read."""
    found = []
    for line in sorted({*old, *new}):
        before, after = old.get(line, _UNSEEN), new.get(line, _UNSEEN)
        if before != after:
            changed = frozenset(f.name for f in fields(LinkState) if getattr(before, f.name) != getattr(after, f.name))
            found.append(LinkDelta(line=line, old=before, new=after, changed=changed))
    return tuple(found)


def _shown(state: LinkState, name: str) -> str:
    value = getattr(state, name)
    if value is None:
        return "unknown"
    return "+".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value).lower()
