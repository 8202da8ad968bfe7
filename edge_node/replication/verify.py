"""Is what a source holds sound? Cheaply every day, by its listing and by samples; `deep`: object by object, restored.

* the chain reaches the newest TXID without a hole, and nothing is missing that was confirmed and is still here;
* sizes fit those of the local replica's files (a sealed object is larger by what sealing adds);
* samples open, hold what their names say, carry the time of their content, and have the content that is here, or, where
  it is here no more, the content that their checksum tells of. Which ones is drawn by the date: in time, all of them.
"""

from __future__ import annotations

import filecmp
import hashlib
import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from edge_node.base.errors import ReplicaError
from edge_node.replication import ltx
from edge_node.replication.ltx import LtxFile, Span, local_path, read_header
from edge_node.replication.ltx_content import check_content
from edge_node.replication.restore import LOOKED_INTO_BYTES, restore
from edge_node.replication.restore_points import Stretch, plan, stretches_of
from edge_node.replication.sealing import SUFFIX
from edge_node.replication.shipping_plan import Held, cheapest_chain
from edge_node.replication.shipping_record import CopyRecord
from edge_node.replication.source import DestinationSource, ObjectGone, ObjectUnsound, Source, place
from edge_node.replication.store import TIME_GRAIN_MS

DRAWN = 6
# Of larger ones a sample looks at the header only; `deep` takes them whole.
SAMPLED_BYTES = 16_000_000
# What age adds: 16 bytes for each 64 KiB and 16 more, a header, and a stanza for each recipient with random padding.
SEALED_CHUNK, SEALED_TAG, SEALED_LEAST, SEALED_MOST = 64 * 1024, 16, 150, 4_000


class Fault(StrEnum):
    """What can be wrong with an object, or with the whole."""

    MISSING = "missing"
    SIZE = "size"
    UNSOUND = "unsound"
    TIME = "time"
    HOLE = "hole"
    UNRESTORABLE = "unrestorable"
    UNOPENED = "unopened"
    UNSEALED = "unsealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. `file` is the object, where it is one; `is_here` whether the local replica has it still.

    `mended` says what was done about it.
    """

    fault: Fault
    where: str
    text: str
    file: LtxFile | None = None
    is_here: bool = False
    mended: str | None = None
    # It stays where it is, and nothing that comes needs it.
    is_passed_by: bool = False

    def sentence(self) -> str:
        """For a person."""
        if self.mended is not None:
            return f"{self.text}; {self.mended}"
        if self.file is None:
            return self.text
        return f"{self.text}; {'the local replica still has it' if self.is_here else 'it is not here any more'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found. `looked_into` objects were opened, `txid` is how far a restore reaches."""

    source: str
    files: int
    chain: int
    size_bytes: int
    txid: int
    newest_at_ms: int | None
    looked_into: int
    findings: tuple[Finding, ...]
    points: tuple[Stretch, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Is nothing wrong, or all of it mended?"""
        return all(finding.mended is not None for finding in self.findings)


async def verify(
    source: Source,
    scratch: Path,
    *,
    day: str,
    here: Path | None = None,
    record: CopyRecord | None = None,
    deep: bool = False,
) -> Verified:
    """Look at a source; samples are fetched into a folder below `scratch`, and `day` (a date) draws them.

    `here` is the local replica of the same epoch, `record` what the shipper remembers of this copy. Raises ReplicaError
    when the source cannot be asked at all; what is wrong with its content is in the answer.
    """
    listed = await source.list()
    chain, hole = plan(listed)
    local = {file.span: file for file in ltx.scan(here)} if here is not None else {}
    findings = [*_reach(source, listed, chain, hole, local.values()), *_missing(listed, record, local)]
    if isinstance(source, DestinationSource):
        findings += [*_unsealed(source), *await _sizes(source, listed, local)]
    bad = {finding.file for finding in findings}
    asked = sorted(listed) if deep else samples(listed, chain, day=day)
    look = _Look(source, local, here, record, deep=deep)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=scratch) as folder:
        for file in asked:
            if file not in bad:
                findings += await look.at(file, Path(folder))
        newest_at_ms = (await source.times(chain[-1:])).get(chain[-1]) if chain else None
        txid = chain[-1].max_txid if chain else 0
        if deep and chain:
            try:
                done = await restore(source, Path(folder) / "whole.db")
                txid, newest_at_ms = done.txid, done.newest_at_ms
                if done.txid < done.wanted_txid:
                    findings.append(_whole(source, f"a restore reaches TXID {done.txid} of {done.wanted_txid}"))
            except ReplicaError as error:
                if error.code not in ("object-unsound", "restore-failed"):
                    raise
                txid, newest_at_ms = 0, None
                findings.append(_whole(source, f"{error.message}: {error.context}"))
    return Verified(
        source=source.name,
        files=len(listed),
        chain=len(chain),
        size_bytes=sum(file.size_bytes for file in chain),
        txid=txid,
        newest_at_ms=newest_at_ms,
        looked_into=look.opened,
        findings=tuple(findings),
        points=tuple(await stretches_of(source, listed)),
    )


def still_wrong(before: Iterable[Finding], after: Iterable[Finding]) -> tuple[Finding, ...]:
    """What two looks show, with a repair between them. Pure.

    What is not seen any more is mended; what still is, is not, unless it was passed by on purpose.
    """
    first = {(finding.fault, finding.where): finding for finding in before}
    seen = {(finding.fault, finding.where): finding for finding in after}
    mended = [
        finding if finding.mended is not None else replace(finding, mended="well again since then")
        for key, finding in first.items()
        if key not in seen
    ]
    return (*mended, *(first[key] if key in first and first[key].is_passed_by else seen[key] for key in seen))


def _whole(source: Source, text: str) -> Finding:
    return Finding(fault=Fault.UNRESTORABLE, where=source.name, text=text)


def samples(listed: Iterable[LtxFile], chain: Sequence[LtxFile], *, day: str) -> list[LtxFile]:
    """What a cheap look opens: both ends of the newest chain, the oldest file, and some drawn by the day. Pure."""
    files = sorted(listed, key=lambda file: (file.max_txid, file.level))
    drawn = random.Random(day).sample(files, min(DRAWN, len(files)))
    return list(dict.fromkeys([*chain[:1], *chain[-1:], *files[:1], *drawn]))


def _reach(
    source: Source,
    listed: Mapping[LtxFile, int | None],
    chain: Sequence[LtxFile],
    hole: tuple[int, int] | None,
    local: Iterable[LtxFile],
) -> list[Finding]:
    if not chain:
        is_here = bool(cheapest_chain(local, 0))
        text = "it holds nothing that a restore can begin with"
        return [Finding(fault=Fault.UNRESTORABLE, where=source.name, text=text, is_here=is_here)]
    if hole is None:
        return []
    first, last = hole
    is_here = any(file.min_txid <= first and file.max_txid >= last for file in cheapest_chain(local, first - 1))
    return [
        Finding(
            fault=Fault.HOLE,
            where=f"TXID {first}" if first == last else f"TXIDs {first} to {last}",
            text=f"missing, though later ones are there up to {ltx.head(listed)}: a restore stops before",
            is_here=is_here,
        )
    ]


def _missing(
    listed: Mapping[LtxFile, int | None], record: CopyRecord | None, local: Mapping[Span, LtxFile]
) -> list[Finding]:
    """What was confirmed, is not there any more, and is still here; what is here no more may have been expired."""
    if record is None:
        return []
    there = Held.of(listed)
    return [
        Finding(fault=Fault.MISSING, where=place(file), text="confirmed once, and gone", file=file, is_here=True)
        for file in local.values()
        if not file.is_snapshot and record.held.covers(file) and not there.covers(file)
    ]


def _unsealed(source: DestinationSource) -> list[Finding]:
    if not source.unsealed:
        return []
    text = (
        f"{source.unsealed} objects lie unsealed among sealed ones: they show patients to whoever may read there, or "
        "somebody else has put them; no restore uses them: delete *.ltx there"
    )
    return [Finding(fault=Fault.UNSEALED, where=source.prefix, text=text)]


async def _sizes(
    source: DestinationSource, listed: Mapping[LtxFile, int | None], local: Mapping[Span, LtxFile]
) -> list[Finding]:
    findings = []
    for file, key in (await source.keys(listed)).items():
        known = local.get(file.span)
        if known is None:
            if file.size_bytes < ltx.HEADER_BYTES:
                findings.append(_size(file, "it is shorter than a header", is_here=False))
            continue
        least, most = sealed_size(known.size_bytes) if key.endswith(SUFFIX) else (known.size_bytes, known.size_bytes)
        if not least <= file.size_bytes <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            findings.append(_size(file, f"it has {file.size_bytes} bytes instead of {expected}", is_here=True))
    return findings


def _size(file: LtxFile, text: str, *, is_here: bool) -> Finding:
    return Finding(fault=Fault.SIZE, where=place(file), text=text, file=file, is_here=is_here)


def sealed_size(size_bytes: int) -> tuple[int, int]:
    """Between what sizes the object of a file of this size is. Pure."""
    body = size_bytes + SEALED_TAG * (size_bytes // SEALED_CHUNK + 1)
    return body + SEALED_LEAST, body + SEALED_MOST


class _Look:
    """Opens one object after another."""

    def __init__(
        self,
        source: Source,
        local: Mapping[Span, LtxFile],
        here: Path | None,
        record: CopyRecord | None,
        *,
        deep: bool,
    ) -> None:
        self._source, self._local, self._here, self._record, self._deep = source, local, here, record, deep
        self.opened = 0
        self._has_said_sealed = False

    async def at(self, file: LtxFile, folder: Path) -> list[Finding]:
        """What is wrong with this one."""
        known = self._local.get(file.span)
        unsound = Finding(fault=Fault.UNSOUND, where=place(file), text="", file=file, is_here=known is not None)
        path = local_path(folder, file)
        try:
            if file.size_bytes > SAMPLED_BYTES and not self._deep and isinstance(self._source, DestinationSource):
                await self._source.look(file)
                self.opened += 1
                return []
            await self._source.fetch([file], folder)
            self.opened += 1
            return await self._content(path, file, unsound)
        except ObjectUnsound as error:
            return [replace(unsound, text=f"{error.message}: {error.context}")]
        except ObjectGone:
            return []  # Compacted or expired since it was listed; what covers it is looked at another day.
        except ReplicaError as error:
            if error.code != "identity-missing":
                raise
            if self._has_said_sealed:
                return []
            self._has_said_sealed = True
            text = "nothing was opened: it is encrypted, and there is no identity here"
            return [Finding(fault=Fault.UNOPENED, where=self._source.name, text=text)]
        finally:
            path.unlink(missing_ok=True)

    async def _content(self, path: Path, file: LtxFile, unsound: Finding) -> list[Finding]:
        findings = []
        time_ms = (await self._source.times([file])).get(file)
        if time_ms is not None and abs(read_header(path).timestamp_ms - time_ms) > TIME_GRAIN_MS:
            text = "its time is not that of its content: --at would miss it"
            findings.append(replace(unsound, fault=Fault.TIME, text=text))
        if (why := self._differs(path, file)) is not None:
            findings.append(replace(unsound, text=why))
        return findings

    def _differs(self, path: Path, file: LtxFile) -> str | None:
        known = self._local.get(file.span)
        # Of a source on site `here` is the file itself, linked.
        if known is not None and self._here is not None and path.stat().st_nlink == 1:
            try:
                same = filecmp.cmp(path, local_path(self._here, known), shallow=False)
                return None if same else "its content is not that of the local replica"
            except FileNotFoundError:
                pass  # Compacted away meanwhile.
        newest = self._record.newest if self._record else None
        if newest and newest.file.span == file.span:
            with path.open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != newest.sha256:
                    return "its content is not what was shipped"
        if path.stat().st_size <= LOOKED_INTO_BYTES:
            try:
                check_content(path)
            except ValueError as error:
                return str(error)
        return None
