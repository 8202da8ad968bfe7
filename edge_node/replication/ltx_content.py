"""Is the content of an LTX file what its writer wrote? Its checksum, over the pages as they are before compression.

A file is: a header of 100 bytes; pages, each with its number, flags and the length of an LZ4 block; an empty page
header; an index of the pages; a trailer, whose last 8 bytes are the checksum (CRC-64 of ISO 3309) of all the rest.
Litestream checks the same when it restores; this is for files that are looked at by themselves. It makes some megabytes
a second: for samples, not for snapshots.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

HEADER_BYTES, TRAILER_BYTES, CHECKSUM_BYTES = 100, 16, 8
_PAGE = struct.Struct(">IH")
_SIZE_FOLLOWS = 1
_ALWAYS_SET = 1 << 63
_ALL = (1 << 64) - 1
_SHORTEST_MATCH = 4


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xD800000000000000 if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_TABLE = _table()


def check_content(path: Path) -> int:
    """Read the whole file; how many pages it holds. Raises ValueError where it is not what was written, OSError."""
    content = path.read_bytes()
    if len(content) < HEADER_BYTES + TRAILER_BYTES:
        raise ValueError(f"it has {len(content)} bytes and no room for a header and a trailer")
    page_bytes = int.from_bytes(content[8:12], "big")
    crc, pages = _ALL, 0
    for piece, is_page in _hashed(content, page_bytes):
        pages += is_page
        for byte in piece:
            crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    if (crc ^ _ALL) | _ALWAYS_SET != int.from_bytes(content[-CHECKSUM_BYTES:], "big"):
        raise ValueError("its checksum does not fit its content")
    return pages


def _hashed(content: bytes, page_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """What the checksum is over, piece by piece, and whether the piece is a page."""
    yield content[:HEADER_BYTES], False
    at = HEADER_BYTES
    while True:
        head = content[at : at + _PAGE.size]
        if len(head) < _PAGE.size:
            raise ValueError("it breaks off among its pages")
        number, flags = _PAGE.unpack(head)
        at += _PAGE.size
        if number == 0 and flags == 0:
            yield head, False
            break
        if flags != _SIZE_FOLLOWS:
            raise ValueError(f"page {number} is written in a way that this program does not know (flags {flags:#x})")
        size = int.from_bytes(content[at : at + 4], "big")
        block = content[at + 4 : at + 4 + size]
        if len(block) < size:
            raise ValueError(f"it breaks off in page {number}")
        yield head + content[at : at + 4], False
        yield lz4_block(block, page_bytes), True
        at += 4 + size
    yield content[at:-CHECKSUM_BYTES], False


def lz4_block(block: bytes, size_bytes: int) -> bytes:
    """What an LZ4 block holds, which must be so many bytes. Raises ValueError."""
    out = bytearray()
    at, end = 0, len(block)
    try:
        while at < end:
            token = block[at]
            at += 1
            count, at = _length(block, at, token >> 4)
            out += block[at : at + count]
            at += count
            if at >= end:
                break
            distance = block[at] | block[at + 1] << 8
            count, at = _length(block, at + 2, token & 15)
            count += _SHORTEST_MATCH
            begin = len(out) - distance
            if distance == 0 or begin < 0 or len(out) + count > size_bytes:
                raise ValueError("a page is damaged")
            if distance >= count:
                out += out[begin : begin + count]
            else:
                repeated = bytes(out[begin:])
                out += (repeated * (count // distance + 1))[:count]
    except IndexError:
        raise ValueError("a page is cut off") from None
    if len(out) != size_bytes:
        raise ValueError(f"a page has {len(out)} bytes instead of {size_bytes}")
    return bytes(out)


def _length(block: bytes, at: int, nibble: int) -> tuple[int, int]:
    """A length that begins in half a byte and goes on in whole ones; and where the next thing begins."""
    if nibble == 15:
        while True:
            more = block[at]
            at += 1
            nibble += more
            if more != 255:
                break
    return nibble, at
