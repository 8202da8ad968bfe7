"""How old a transaction is, in time that this machine has run: what the local replica may forget is judged by that.

A wall clock jumps, and whatever is judged by it is then too old or too young; Litestream's own retention deletes seven
days of restore points for a clock that was set ahead by eight (measured). So every hour of running it is noted how far
each database has come, and "older than a day" means: before the note of 24 running hours ago. No time of any file is
asked. What a machine that was switched off has not run through makes nothing older: it keeps longer, never shorter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_node.base.clock import Clock
from edge_node.base.files import atomic_write
from edge_node.base.logs import Repeated, event

# As fine as anybody needs a limit of days; 170 notes for a week.
MARK_EVERY_S = 3600.0
# A power cut costs as much of the counted time; a restarted service goes on by the boot clock.
SAVE_EVERY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """When the machine had run for `ran_s`, each database had come to this TXID."""

    ran_s: float
    heads: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """The time run so far in this epoch, counted up to `at_s` of the boot `boot_id`, and the marks, oldest first."""

    boot_id: str
    at_s: float
    ran_s: float = 0.0
    marks: tuple[Mark, ...] = ()

    def reached(self, ago_s: float) -> Mapping[str, int]:
        """The TXIDs that were reached at least `ago_s` of running ago; empty where that is not known."""
        old = [mark.heads for mark in self.marks if mark.ran_s <= self.ran_s - ago_s]
        return old[-1] if old else {}


def counted(ages: Ages | None, heads: Mapping[str, int], *, boot_id: str, now_s: float, keep_s: float) -> Ages:
    """What is known now, at boot time `now_s` with the databases at `heads`; marks beyond `keep_s` are forgotten.

    Marks of more than the present head are those of a replica that was set back since, and count for nothing.
    """
    if ages is None:
        ages = Ages(boot_id=boot_id, at_s=now_s)
    passed_s = max(0.0, now_s - ages.at_s) if ages.boot_id == boot_id else 0.0
    ran_s = ages.ran_s + passed_s
    marks = [mark for mark in ages.marks if all(txid <= heads.get(name, 0) for name, txid in mark.heads.items())]
    if not marks or ran_s - marks[-1].ran_s >= MARK_EVERY_S:
        marks.append(Mark(ran_s=ran_s, heads=dict(heads)))
    # One mark at or beyond the limit is what the limit is read from.
    while len(marks) > 1 and marks[1].ran_s <= ran_s - keep_s:
        marks.pop(0)
    return Ages(boot_id=boot_id, at_s=now_s, ran_s=ran_s, marks=tuple(marks))


def to_json(ages: Ages) -> bytes:
    return json.dumps({"schema": 1, **asdict(ages)}).encode()


def parse(data: bytes) -> Ages:
    """What `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    document = json.loads(data)
    marks = tuple(
        Mark(ran_s=float(mark["ran_s"]), heads={str(name): int(txid) for name, txid in mark["heads"].items()})
        for mark in document["marks"]
    )
    return Ages(
        boot_id=str(document["boot_id"]),
        at_s=float(document["at_s"]),
        ran_s=float(document["ran_s"]),
        marks=marks,
    )


class AgeRecord:
    """The ages of one epoch, kept in a file across restarts. Lost, it begins anew: nothing goes for `keep_s` then."""

    def __init__(self, path: Path, clock: Clock, *, boot_id: str, keep_s: float) -> None:
        self._path, self._clock, self._boot_id, self._keep_s = path, clock, boot_id, keep_s
        self._failures = Repeated()
        self._saved_at_s: float | None = None
        self._ages: Ages | None = None
        try:
            self._ages = parse(path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            event("ages_unreadable", level="warning", path=path, why=repr(error))

    def turn(self, heads: Mapping[str, int]) -> Ages:
        """Count the time until now; written down now and then. Waits for the disk, and raises nothing."""
        now_s = self._clock.boottime()
        self._ages = counted(self._ages, heads, boot_id=self._boot_id, now_s=now_s, keep_s=self._keep_s)
        if self._saved_at_s is None or now_s - self._saved_at_s >= SAVE_EVERY_S:
            try:
                atomic_write(self._path, to_json(self._ages), mode=0o600)
                self._saved_at_s = now_s
                self._failures.recovered()
            except OSError as error:
                if self._failures.failed():
                    event("ages_unwritten", level="warning", path=self._path, why=error)
        return self._ages
