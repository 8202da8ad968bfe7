"""Who replaced this machine: `state_dir/superseded.json`.

The replicator writes it when it finds that another machine has claimed a later epoch of the clinic. It holds until a
person moves it away with the rest of the state, also after a boot without a line: the HIS refuses writes, the outbox
sends nothing, the replicator ships nothing.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_node.base.errors import StoreError
from edge_node.base.files import atomic_write
from edge_node.status import shapes
from edge_node.status.model import Reason

FILE = "superseded.json"
SCHEMA = 1
HINT = (
    "work on at the new machine; what only this one holds lies in superseded-tail/ of its state folder. To use this "
    "machine again: move the state folder away and run edge-node replica promote: it then owns a new epoch"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """The machine that owns the clinic's history now, and how this one learned of it.

    `taken_txid` of `taken_epoch` is the last change of ours that it took over; None where its claim does not tell.
    Times are UTC text; None where the file cannot be read, whose being there is enough.
    """

    by: str
    epoch: int
    own_epoch: int
    claimed_at: str | None
    found_at: str | None
    destination: str
    why: str
    taken_epoch: int | None
    taken_txid: int | None

    def reason(self) -> Reason:
        """What `status` and the console say."""
        args = {
            "machine": self.by,
            "epoch": self.epoch,
            "since": self.claimed_at or "-",
            "destination": self.destination,
        }
        return Reason(code="superseded", args={**args, "said": self.why} if self.why else args)

    def refusal(self) -> StoreError:
        """The answer to whoever wants to write here."""
        return StoreError(
            "superseded",
            f"this machine was replaced by {self.by}" + (f" at {self.claimed_at}" if self.claimed_at else ""),
            context=f"it owns epoch {self.epoch} of the clinic"
            + (f"; the reason given: {self.why}" if self.why else ""),
            hint=HINT,
        )


# What a file that is there and cannot be read says.
_UNREADABLE = Superseded(
    by="another machine", epoch=0, own_epoch=0, claimed_at=None, found_at=None, destination="", why="",
    taken_epoch=None, taken_txid=None,
)  # fmt: skip


def superseded_path(state_dir: Path) -> Path:
    return state_dir / FILE


def read_superseded(state_dir: Path) -> Superseded | None:
    """Who replaced this machine; None while nobody has. A file that cannot be understood still counts."""
    try:
        raw = json.loads(superseded_path(state_dir).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return _UNREADABLE if superseded_path(state_dir).exists() else None
    known = shapes.mapping(raw)
    return Superseded(
        by=shapes.words(known.get("by")) or _UNREADABLE.by,
        epoch=shapes.count(known.get("epoch")) or 0,
        own_epoch=shapes.count(known.get("own_epoch")) or 0,
        claimed_at=shapes.moment(known.get("claimed_at")),
        found_at=shapes.moment(known.get("found_at")),
        destination=shapes.words(known.get("destination")) or "",
        why=shapes.words(known.get("why")) or "",
        taken_epoch=shapes.count(known.get("taken_epoch")),
        taken_txid=shapes.count(known.get("taken_txid")),
    )


def write_superseded(state_dir: Path, found: Superseded) -> None:
    """Write it down, for ever. Raises OSError."""
    document = {"schema": SCHEMA, **asdict(found), "hint": HINT}
    atomic_write(superseded_path(state_dir), json.dumps(document, ensure_ascii=False, indent=1).encode(), mode=0o600)


class SupersededFile:
    """The file, read again when it has changed; asked before each write, from any thread."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._found: Superseded | None = None

    def __call__(self) -> Superseded | None:
        try:
            stat = os.stat(superseded_path(self._state_dir))  # noqa: PTH116 (asked before each write)
        except FileNotFoundError:
            return None
        seen = (stat.st_ino, stat.st_mtime_ns)
        with self._lock:
            if seen != self._seen:
                self._seen, self._found = seen, read_superseded(self._state_dir)
            return self._found
