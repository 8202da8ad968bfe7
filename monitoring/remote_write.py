"""What is pushed to a central Prometheus, and how it is written: remote write 1.0. Pure.

A scrape finds only what is; a push brings what was. A node samples its own metrics, keeps them while no line is up, and
sends them afterwards with their own times. https://prometheus.io/docs/specs/prw/remote_write_spec/

The protocol is three messages of protobuf in one block of snappy; both are short enough to be written here. The block
is searched for what was there before: the names of 165 series weigh 28 kB, and 3.6 kB like this (measured; the library
in Rust makes 3.2 of it).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from monitoring.collector import to_metric
from monitoring.families import FAMILIES
from monitoring.snapshot import NodeSnapshot

# Its labels with their values, sorted, `__name__` among them: as the protocol wants them.
Series = tuple[tuple[str, str], ...]

# What stays at home. Everything else is pushed, so that a new metric is on the central dashboards without a word here.
AT_HOME: Mapping[str, str] = {
    "edge_his_request_seconds": "a dozen series for every page that was ever opened; /metrics has them",
    "edge_his_commit_seconds": "of interest to whoever stands before the machine",
    "edge_his_commit_batch_size": "of interest to whoever stands before the machine",
}
# What travels over a line that is paid by volume: that the node is alive, and on which line.
HEARTBEAT = ("edge_service_status_timestamp_seconds", "edge_mode", "edge_line_active")

# A few samples a year, at the times where a receiver stopped taking any; on no dashboard.
PROBE = "edge_remote_write_probe"

# The one NaN that says "this series ends here" (Prometheus, model/value): a gap for the reader at once, instead of the
# last value for five minutes more.
STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0_0000_0000_0002))[0]

HEADERS: Mapping[str, str] = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """All samples of one moment; `at_ms` is milliseconds since 1970."""

    at_ms: int
    values: Mapping[Series, float]


def is_stale(value: float) -> bool:
    """Is it the marker, and not a number or another NaN?"""
    return struct.pack("<d", value) == struct.pack("<d", STALE)


def sampled(node: NodeSnapshot) -> dict[Series, float]:
    """The series of this moment that are pushed, exactly as a scrape would find them."""
    return {
        (("__name__", sample.name), *sorted(sample.labels.items())): float(sample.value)
        for family in FAMILIES
        if family.name not in AT_HOME
        for sample in to_metric(family, family.samples(node)).samples
    }


def heartbeat(step: Step) -> Step:
    """Of a step only what tells that the node lives."""
    kept = {series: value for series, value in step.values.items() if dict(series)["__name__"] in HEARTBEAT}
    return Step(at_ms=step.at_ms, values=kept)


def probe(step: Step) -> Step:
    """One sample of this time that means nothing, to learn whether a receiver takes samples of this time.

    Of a series of its own, since a receiver may take nothing older in a series than what it has.
    """
    return Step(at_ms=step.at_ms, values={(("__name__", PROBE), ("at", str(step.at_ms))): 1.0})


def write_request(steps: Sequence[Step], *, labels: Mapping[str, str]) -> bytes:
    """The body of one request: the samples of `steps`, oldest first, each series once; not compressed.

    `labels` (such as job and instance) are added to every series: nobody scrapes this node, who would add them.
    """
    samples: dict[Series, list[bytes]] = {}
    for step in sorted(steps, key=lambda each: each.at_ms):
        at = _field(2, 0) + _varint(step.at_ms)
        for series, value in step.values.items():
            samples.setdefault(series, []).append(_bytes(2, _field(1, 1) + struct.pack("<d", value) + at))
    return b"".join(
        _bytes(1, b"".join([*_labels(sorted([*series, *labels.items()])), *written]))
        for series, written in samples.items()
    )


# --- protobuf: TimeSeries 1 { Label 1 { name 1, value 2 }, Sample 2 { value 1, timestamp 2 } }


def _labels(pairs: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    for name, value in pairs:
        yield _bytes(1, _bytes(1, name.encode()) + _bytes(2, value.encode()))


def _field(number: int, wire_type: int) -> bytes:
    return bytes((number << 3 | wire_type,))


def _bytes(number: int, content: bytes) -> bytes:
    return _field(number, 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


# --- snappy, the block format: https://github.com/google/snappy/blob/main/format_description.txt

# What is not worth a copy of three bytes; and what one copy, and its offset in two bytes, can hold.
_SHORTEST, _LONGEST, _FARTHEST = 4, 64, 0xFFFF
# A literal's length stands in its first byte up to here; beyond, in one or two bytes after it.
_LITERAL_IN_TAG, _LITERAL_MOST = 60, 0x1_0000


def compressed(content: bytes) -> bytes:
    """One block of snappy: at each place what the same four bytes were followed by when they were seen last."""
    block = bytearray(_varint(len(content)))
    seen: dict[bytes, int] = {}
    at = literal = 0
    while at + _SHORTEST <= len(content):
        key = content[at : at + _SHORTEST]
        before = seen.get(key)
        seen[key] = at
        if before is None or at - before > _FARTHEST:
            at += 1
            continue
        length = _SHORTEST
        limit = min(_LONGEST, len(content) - at)
        while length < limit and content[before + length] == content[at + length]:
            length += 1
        _append_literal(block, content[literal:at])
        block.append((length - 1) << 2 | 2)
        block += (at - before).to_bytes(2, "little")
        at += length
        literal = at
    _append_literal(block, content[literal:])
    return bytes(block)


def _append_literal(block: bytearray, content: bytes) -> None:
    for start in range(0, len(content), _LITERAL_MOST):
        part = content[start : start + _LITERAL_MOST]
        length = len(part) - 1
        if length < _LITERAL_IN_TAG:
            block.append(length << 2)
        elif length <= 0xFF:
            block += bytes((_LITERAL_IN_TAG << 2, length))
        else:
            block += bytes((_LITERAL_IN_TAG + 1 << 2, *length.to_bytes(2, "little")))
        block += part
