"""What a destination has confirmed, remembered in `state_dir/shipping/<destination>.json` across restarts.

Losing the file costs one listing of the destination and nothing else; it may be seconds old after a kill, for the same
reason. It proves that what is here and what is there are the same history.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_node.base.files import atomic_write
from edge_node.base.logs import event
from edge_node.replication.anchors import Anchor
from edge_node.replication.left_behind import LeftBehind
from edge_node.replication.ltx import LtxFile
from edge_node.replication.shipping_plan import Held

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The newest file that a destination has confirmed; the digest is that of its content before encryption."""

    level: int
    min_txid: int
    max_txid: int
    time_ms: int
    sha256: str

    @property
    def file(self) -> LtxFile:
        """The file, whose size is not remembered."""
        return LtxFile(level=self.level, min_txid=self.min_txid, max_txid=self.max_txid, size_bytes=0)


@dataclass(slots=True, kw_only=True)
class CopyRecord:
    """One database in one epoch at one destination."""

    held: Held = field(default_factory=Held)
    newest: Confirmed | None = None
    # Why the local replica cannot be the history that the destination holds; nothing is shipped while this is set.
    set_back: str | None = None


class ShippingRecord:
    """The record of one destination; written whole, by the shipper alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copies: dict[str, CopyRecord] = {}
        # At which address it was found out whether the store heeds conditions, and the answer.
        self._conditional: tuple[str, bool] | None = None
        # The recovery kit that lies there: its number, and the digest of its content.
        self._kit: tuple[int, str] | None = None
        # Of the anchors of the audit log: the newest that lies there, and the first that the log does not bear out.
        self.noted: Anchor | None = None
        self.contradicted: Anchor | None = None
        # Changes of the machine before that lie there, and that this one has not taken over.
        self.left_behind: LeftBehind | None = None
        # Was the destination used before? Then its folder must be there.
        self.is_known = False
        self.is_dirty = False
        try:
            document = json.loads(path.read_bytes())
            self.is_known = bool(document["known"])
            self._copies = {name: _parse(raw) for name, raw in document["copies"].items()}
            if asked := document.get("conditional_puts"):
                self._conditional = (str(asked["address"]), bool(asked["answer"]))
            if kit := document.get("kit"):
                self._kit = (int(kit["number"]), str(kit["digest"]))
            if anchors := document.get("anchors"):
                self.noted, self.contradicted = (
                    Anchor(**raw) if (raw := anchors[key]) else None for key in ("noted", "contradicted")
                )
            if left := document.get("left_behind"):
                self.left_behind = LeftBehind(**left)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.is_known = True  # There is one: an empty folder is a disk that is not mounted.
            event("shipping_record_unreadable", level="warning", path=path, why=repr(error))

    def copy(self, name: str) -> CopyRecord:
        """The record of `e0001/his`; an empty one where there is none yet."""
        return self._copies.setdefault(name, CopyRecord())

    def conditional_puts(self, address: str) -> bool | None:
        """Does the store at this address refuse to put an object where there is one? None while that is not known."""
        return self._conditional[1] if self._conditional and self._conditional[0] == address else None

    def remember_conditional_puts(self, address: str, answer: bool) -> None:
        self._conditional = (address, answer)
        self.is_dirty = True

    @property
    def kit_number(self) -> int | None:
        return self._kit[0] if self._kit else None

    @property
    def kit_digest(self) -> str | None:
        return self._kit[1] if self._kit else None

    def remember_kit(self, number: int, digest: str) -> None:
        self._kit = (number, digest)
        self.is_dirty = True

    def forget_kit(self) -> None:
        """It is not there any more."""
        self._kit = None
        self.is_dirty = True

    def remember_anchors(self, *, noted: Anchor | None, contradicted: Anchor | None) -> None:
        """What lies there of the audit log; contradicted stays, whatever becomes of the object."""
        self.is_dirty = self.is_dirty or (noted, contradicted) != (self.noted, self.contradicted)
        self.noted, self.contradicted = noted, contradicted

    def remember_left_behind(self, found: LeftBehind | None) -> None:
        self.is_dirty = self.is_dirty or found != self.left_behind
        self.left_behind = found

    def forget_what_lies_beside(self) -> None:
        """The destination was emptied: its kit has gone too, and another store may be there."""
        self._kit = self._conditional = self.noted = None
        self.is_dirty = True

    def mark_known(self) -> None:
        """The destination has taken our claim."""
        self.is_dirty = self.is_dirty or not self.is_known
        self.is_known = True

    def save(self) -> None:
        """Write it if anything changed. Raises OSError."""
        if self.is_dirty:
            document = {
                "schema": SCHEMA,
                "known": self.is_known,
                "copies": {name: _document(copy) for name, copy in self._copies.items()},
                "conditional_puts": self._conditional
                and {"address": self._conditional[0], "answer": self._conditional[1]},
                "kit": self._kit and {"number": self._kit[0], "digest": self._kit[1]},
                "anchors": {
                    "noted": self.noted and asdict(self.noted),
                    "contradicted": self.contradicted and asdict(self.contradicted),
                },
                "left_behind": self.left_behind and asdict(self.left_behind),
            }
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            atomic_write(self._path, json.dumps(document).encode(), mode=0o600)
            self.is_dirty = False


def _document(copy: CopyRecord) -> dict[str, Any]:
    return {
        "held": copy.held.runs(),
        "newest": asdict(copy.newest) if copy.newest else None,
        "set_back": copy.set_back,
    }


def _parse(raw: dict[str, Any]) -> CopyRecord:
    return CopyRecord(
        held=Held({int(level): runs for level, runs in raw["held"].items()}),
        newest=Confirmed(**raw["newest"]) if raw["newest"] else None,
        set_back=raw["set_back"],
    )
