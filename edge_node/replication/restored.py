"""What came of a restore: how far it reaches, and what is to be said of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_node.base.clock import utc_text
from edge_node.base.units import counted, spoken_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A database that was made and whose integrity was checked.

    `newest_at_ms` is the time of its newest commit. `hole` is the range of TXIDs that the source lacks, where it holds
    more beyond it that could not be used. `wanted_txid` is how far the source promised to reach, `wanted_at_ms` the
    time of that, if known; `unsound` names what was damaged. `unsealed` objects among sealed ones were not used.
    """

    path: Path
    source: str
    txid: int
    newest_at_ms: int
    files: int
    size_bytes: int
    hole: tuple[int, int] | None
    wanted_txid: int = 0
    wanted_at_ms: int | None = None
    unsound: tuple[str, ...] = ()
    unsealed: int = 0

    @property
    def is_whole(self) -> bool:
        """Is everything in it that was asked for?"""
        return self.hole is None and self.txid >= self.wanted_txid

    def sentence(self) -> str:
        """What was done, for a person."""
        done = (
            f"restored {self.path} from {self.source}: TXID {self.txid}, newest change {utc_text(self.newest_at_ms)}, "
            f"{counted(self.files, 'file')}, integrity checked"
        )
        return "\n".join([done, *self.remarks()])

    def remarks(self) -> list[str]:
        """What there is to say of it but that it was done."""
        lines = []
        if self.unsound:
            damaged = ", ".join(self.unsound[:3]) + (f" and {more} more" if (more := len(self.unsound) - 3) > 0 else "")
            lines.append(f"damaged at this source: {damaged}")
        if self.txid < self.wanted_txid:
            lines.append(f"walked back to the last sound point: {self._lost()}")
        elif self.unsound:
            lines.append("other files cover what is damaged: nothing is missing")
        if self.unsealed:
            lines.append(
                f"{self.unsealed} objects there are not sealed and were left out: anybody who may write there could "
                "have put them (--unsealed uses them alone)"
            )
        if self.hole is not None:
            first, last = self.hole
            missing = f"TXID {first}" if first == last else f"TXIDs {first} to {last}"
            lines.append(f"stopped there: {missing} missing at this source; what it holds beyond cannot be used")
        return lines

    def _lost(self) -> str:
        text = f"TXIDs {self.txid + 1} to {self.wanted_txid} are not in it"
        if self.wanted_at_ms is None:
            return text
        return f"{text}, the last {spoken_duration(max(0, self.wanted_at_ms - self.newest_at_ms) / 1000)} of changes"
