"""Freezes incidents: each ends up as a bundle on the disk whose digest stands in node.db, chained to the one before.

The file comes first, durably, then its row. A recorder that is cut in between finds a file without a row: one that is
whole and fits the chain is taken as it is, one that is not is made again.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_node.base.clock import Clock, boot_id, utc_text
from edge_node.base.errors import StoreError
from edge_node.base.files import atomic_write
from edge_node.base.logs import event
from edge_node.journal import bundle
from edge_node.journal.clock_facts import clock_facts
from edge_node.journal.evidence import MOST_SAMPLES, About, document
from edge_node.journal.evidence_words import readme
from edge_node.journal.incidents import Edge, LineIncident, known_lines, whole_incidents
from edge_node.journal.raw import DAY_MS, Raw, around, read_around
from edge_node.journal.record import Write
from edge_node.journal.traces import TraceFolder
from edge_node.store.connection import Connection, Row
from monitoring.sla import Window

# After its end, until the minute behind it is written; longer than what may part two halves of one incident.
SETTLED_MS = 90_000
# Traces are kept for 14 days: what goes on for so long is frozen before its beginning is gone, and again at its end.
LONG_MS = 11 * DAY_MS
LOOK_BACK_MS = 14 * DAY_MS
# Of all bundles together; the oldest go first. Their digests stay.
KEPT_BYTES = 512 << 20
COLUMNS = ("time_utc", "time_local", "boot_s", "line", "target", "outcome", "rtt_ms", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A row of the evidence."""

    number: int
    incident: str
    goes_on: bool
    file: str
    sha256: str
    digest: str
    previous: str


def folder_of(state_dir: Path) -> Path:
    """Where bundles lie."""
    return state_dir / "reports" / "evidence"


def frozen(conn: Connection, ref: str | None = None) -> tuple[Frozen, ...]:
    """What was frozen of an incident, or of all, in order."""
    which, values = ("WHERE incident = ?", (ref,)) if ref is not None else ("", ())
    return tuple(_frozen(row) for row in conn.execute(f"SELECT * FROM evidence {which} ORDER BY number", values))


def _frozen(row: Row) -> Frozen:
    return Frozen(number=row["number"], incident=row["incident"], goes_on=bool(row["goes_on"]), file=row["file"],
                  sha256=row["sha256"], digest=row["digest"], previous=row["previous"])  # fmt: skip


def due(conn: Connection, *, now_ms: int) -> Iterator[LineIncident]:
    """Incidents that are to be frozen now, the one that ended first before the others."""
    have = {one.incident: one.goes_on for one in frozen(conn)}
    window = Window(start_ms=now_ms - LOOK_BACK_MS, end_ms=now_ms)
    found = [
        one
        for line in known_lines(conn, window.start_ms)
        for one in whole_incidents(conn, line, window, now_ms=now_ms)
        if (have.get(one.ref, True) if one.end is not None else one.ref not in have)
    ]
    for one in sorted(found, key=lambda one: (one.end or one.start).at_ms):
        if one.end is None:
            if now_ms - one.start.at_ms >= LONG_MS:
                yield one
        elif now_ms - max(one.end.at_ms, one.start.at_ms) >= SETTLED_MS:
            yield one


class Freezer:
    """Makes bundles of what is due, one at a time."""

    def __init__(
        self,
        write: Write[None],
        *,
        state_dir: Path,
        traces: TraceFolder,
        about: About,
        clock: Clock,
        facts: Callable[[], Mapping[str, Any]] = clock_facts,
        check: Callable[[], None] = lambda: None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """`check` is called now and then while much is read; what it raises ends the reading."""
        self._write, self._traces, self._about = write, traces, about
        self._clock, self._facts, self._check = clock, facts, check
        self._folder = folder_of(state_dir)
        self._kept_bytes = kept_bytes

    def freeze_one(self, conn: Connection) -> Frozen | None:
        """Freeze what is due first; None where nothing is. Raises OSError, StoreError, and what `check` raises."""
        one = next(due(conn, now_ms=self._clock.wall_ms()), None)
        return None if one is None else self._freeze(conn, one)

    def _freeze(self, conn: Connection, one: LineIncident) -> Frozen:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for torn in self._folder.glob(".*.zip.*"):
            torn.unlink(missing_ok=True)  # of one that was cut while it wrote
        last = conn.execute("SELECT number, digest FROM evidence ORDER BY number DESC LIMIT 1").fetchone()
        number, previous = (int(last["number"]) + 1, str(last["digest"])) if last else (1, bundle.NO_PREVIOUS)
        line = one.line if re.fullmatch(r"[\w-]{1,64}", one.line) else "line"
        path = self._folder / f"{number:05d}-{line}-{one.ref}.zip"
        packed = self._there(path, one, previous)
        if packed is None:
            earlier = self._earlier(conn, one)
            packed = make_bundle(
                conn, one, self._traces, self._about, clock=self._clock, facts=self._facts(), check=self._check,
                previous=previous, earlier=earlier,
            )  # fmt: skip
            atomic_write(path, packed.content, mode=0o600)
        now_ms, end = self._clock.wall_ms(), one.end
        row = Frozen(number=number, incident=one.ref, goes_on=end is None, file=path.name, sha256=packed.sha256,
                     digest=packed.digest, previous=previous)  # fmt: skip

        def record(conn: Connection) -> None:
            conn.execute(
                "INSERT INTO evidence (number, incident, line, start, until, goes_on, made, file, size_bytes, sha256, "
                "digest, previous) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, one.ref, one.line, one.start.at_ms, end.at_ms if end else now_ms, end is None, now_ms,
                 path.name, len(packed.content), packed.sha256, packed.digest, previous),
            )  # fmt: skip

        self._write(record)
        event("incident_frozen", incident=one.ref, line=one.line, file=path.name, size_bytes=len(packed.content))
        self._shed()
        return row

    def _there(self, path: Path, one: LineIncident, previous: str) -> bundle.Packed | None:
        """A bundle that was written and not recorded: whole, of this incident, and next in the chain."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            opened = bundle.unpack(content, name=path.name)
        except StoreError:
            return None
        if (opened.incident, opened.previous) != (one.ref, previous):
            path.replace(path.with_suffix(".zip.other"))
            return None
        if json.loads(opened.files["incident.json"])["goes_on"] != (one.end is None):
            return None
        return bundle.Packed(content=content, sha256=bundle.sha256(content), digest=opened.digest, previous=previous)

    def _earlier(self, conn: Connection, one: LineIncident) -> tuple[str, bytes] | None:
        """The bundle of the same incident while it went on: it has the samples around its start."""
        before = [row for row in frozen(conn, one.ref) if row.goes_on]
        if not before:
            return None
        try:
            return before[-1].digest, (self._folder / before[-1].file).read_bytes()
        except FileNotFoundError:
            return None

    def _shed(self) -> None:
        files = sorted(self._folder.glob("*.zip"))
        sizes = {path: path.stat().st_size for path in files}
        for path in files[:-1]:
            if sum(sizes.values()) <= self._kept_bytes:
                return
            path.unlink(missing_ok=True)
            del sizes[path]
            event("evidence_shed", level="warning", file=path.name)


def make_bundle(
    conn: Connection,
    one: LineIncident,
    traces: TraceFolder,
    about: About,
    *,
    clock: Clock,
    facts: Mapping[str, Any],
    previous: str,
    earlier: tuple[str, bytes] | None = None,
    check: Callable[[], None] = lambda: None,
) -> bundle.Packed:
    """The bundle of an incident from what is known of it now. Raises OSError, and what `check` raises."""
    now_ms = clock.wall_ms()
    end = one.end or Edge(at_ms=now_ms, boot_id=boot_id(), boottime=clock.boottime())
    spans = around(one.start, end)
    raw = read_around(traces, (one.start, end), spans, first_line=one.line, most=MOST_SAMPLES, check=check)
    told = document(
        conn, one, raw, spans, about, clock=facts, now_ms=now_ms, earlier=earlier[0] if earlier else None
    )  # fmt: skip
    files = {
        "incident.json": bundle.as_json(told),
        "samples.csv": _csv(raw.samples, about),
        "samples.jsonl": _jsonl(raw.samples),
        "README.txt": readme(told),
    }
    if earlier is not None:
        files["earlier.zip"] = earlier[1]
    return bundle.pack(files, incident=one.ref, node=about.node_id, previous=previous, at_ms=now_ms)


def _csv(samples: tuple[Raw, ...], about: About) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in samples:
        rtt_ms = "" if one.rtt_s is None else f"{one.rtt_s * 1000:.3f}"
        local = about.local(one.at_ms).isoformat(timespec="milliseconds")
        writer.writerow((utc_text(one.at_ms), local, f"{one.boottime:.4f}", one.line, one.target, one.outcome, rtt_ms,
                         one.lost or ""))  # fmt: skip
    return out.getvalue().encode("utf-8-sig")


def _jsonl(samples: tuple[Raw, ...]) -> bytes:
    rows = (
        {"at": utc_text(one.at_ms), "boottime": one.boottime, "boot_id": one.boot_id, "line": one.line,
         "target": one.target, "outcome": one.outcome, "rtt_s": one.rtt_s, "lost": one.lost}
        for one in samples
    )  # fmt: skip
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()
