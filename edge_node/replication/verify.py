"""Is what a source holds sound? All that a restore would take is fetched, opened, checked, and restored to scratch."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.errors import Problem, ReplicaError
from edge_node.replication import litestream
from edge_node.replication.ltx import LtxFile, local_path, read_header
from edge_node.replication.restore import plan
from edge_node.replication.shipping_record import Confirmed
from edge_node.replication.source import Source

# A file's time may be kept this coarsely by a destination.
TIME_GRAIN_MS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found; `problems` is empty when a restore of the newest state works and every check held."""

    source: str
    files: int
    chain: int
    size_bytes: int
    txid: int
    newest_at_ms: int | None
    problems: tuple[Problem, ...]


async def verify(source: Source, scratch: Path, *, confirmed: Confirmed | None = None) -> Verified:
    """Fetch, open and check the chain of the newest restore in a folder below `scratch`, and restore from it.

    `confirmed` is what the shipper remembers of the newest file; its digest must be found. Raises ReplicaError when the
    source cannot be asked at all; what is wrong with its content is in the answer.
    """
    files = await source.list()
    chain, hole = plan(files)
    times = await source.times(chain)
    problems = []
    if not chain:
        problems.append(Problem(path=source.name, text="holds nothing to restore from"))
    if hole is not None:
        problems.append(Problem(path=f"TXID {hole[0]} to {hole[1]}", text="missing, though later ones are there"))
    txid, newest_at_ms = 0, None
    with tempfile.TemporaryDirectory(prefix="verify-", dir=scratch) as folder:
        sound = []
        for file in chain:
            try:
                await source.fetch([file], Path(folder))
            except ReplicaError as error:
                if error.code != "object-unsound":
                    raise
                problems.append(Problem(path=_place(file), text=f"{error.message}: {error.context}"))
                continue
            sound.append(file)
            problems += _check(local_path(Path(folder), file), file, times.get(file), confirmed)
        if chain and len(sound) == len(chain):
            try:
                done = await asyncio.to_thread(
                    litestream.restore_from_files, Path(folder), Path(folder) / "restored.db"
                )
            except ReplicaError as error:
                problems.append(Problem(path=source.name, text=f"{error.message}: {error.context}"))
            else:
                txid, newest_at_ms = done.txid, read_header(local_path(Path(folder), chain[-1])).timestamp_ms
    return Verified(
        source=source.name,
        files=len(files),
        chain=len(chain),
        size_bytes=sum(file.size_bytes for file in chain),
        txid=txid,
        newest_at_ms=newest_at_ms,
        problems=tuple(problems),
    )


def _place(file: LtxFile) -> str:
    return f"{file.level:04x}/{file.name}"


def _check(path: Path, file: LtxFile, time_ms: int | None, confirmed: Confirmed | None) -> list[Problem]:
    problems = []
    header_ms = read_header(path).timestamp_ms
    if time_ms is not None and abs(header_ms - time_ms) > TIME_GRAIN_MS:
        problems.append(
            Problem(path=_place(file), text="its file time is not the time of its content: --at would miss it")
        )
    if confirmed and (confirmed.level, confirmed.min_txid, confirmed.max_txid) == (
        file.level,
        file.min_txid,
        file.max_txid,
    ):
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != confirmed.sha256:
                problems.append(Problem(path=_place(file), text="its content is not what was shipped"))
    return problems
