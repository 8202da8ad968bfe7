"""A bundle of evidence: a zip whose manifest names each file's SHA-256, the digest of the bundle before, and its own.

    manifest.json   {"schema", "incident", "node", "previous", "files": {name: SHA-256}, "digest"}

`digest` is the SHA-256 of the manifest without it, as JSON with sorted keys and no spaces. It covers every file and,
through `previous`, every bundle that was frozen before. Pure.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge_node.base.errors import StoreError

SCHEMA = 1
MANIFEST = "manifest.json"
# Before the first bundle of a node.
NO_PREVIOUS = "0" * 64
# A bundle of ours is some hundred kilobytes; what unpacks to more than this is none.
LARGEST_BYTES = 128 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A bundle as it lies on the disk."""

    content: bytes
    sha256: str
    digest: str
    previous: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A bundle whose files are as its manifest says."""

    incident: str
    node: str
    previous: str
    digest: str
    files: Mapping[str, bytes]


def pack(files: Mapping[str, bytes], *, incident: str, node: str, previous: str, at_ms: int) -> Packed:
    """The same files at the same time are the same bundle, to the byte."""
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "incident": incident,
        "node": node,
        "previous": previous,
        "files": {name: sha256(content) for name, content in sorted(files.items())},
    }
    manifest["digest"] = _digest(manifest)
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    stamp = (max(at.year, 1980), at.month, at.day, at.hour, at.minute, at.second)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as zipped:
        for name, content in [*sorted(files.items()), (MANIFEST, as_json(manifest))]:
            entry = zipfile.ZipInfo(name, date_time=stamp)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            zipped.writestr(entry, content)
    content = out.getvalue()
    return Packed(content=content, sha256=sha256(content), digest=manifest["digest"], previous=previous)


def unpack(content: bytes, *, name: str) -> Opened:
    """Check a bundle against its own manifest. `name` is what the error calls it.

    Raises StoreError evidence-unreadable (no bundle at all) and evidence-altered, which names the first file that
    differs.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            entries = zipped.infolist()
            if sum(entry.file_size for entry in entries) > LARGEST_BYTES:
                raise ValueError(f"it unpacks to more than {LARGEST_BYTES} bytes")
            if len({entry.filename for entry in entries}) != len(entries):
                raise _altered(name, "a name stands in it twice")
            # Not `read`: a content that does not fit its checksum is to be named as what differs.
            found = {entry.filename: _content(zipped, entry) for entry in entries}
        manifest = json.loads(found.pop(MANIFEST) or b"")
        files = {str(key): str(value) for key, value in manifest["files"].items()}
        said = {key: str(manifest[key]) for key in ("incident", "node", "previous", "digest")}
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, OSError, NotImplementedError) as error:
        raise StoreError(
            "evidence-unreadable",
            f"{name} is no bundle of evidence",
            context=f"{type(error).__name__}: {error}",
            hint="give a file that `edge-node line evidence ID --to FILE` has written",
        ) from error
    if _digest({key: value for key, value in manifest.items() if key != "digest"}) != said["digest"]:
        raise _altered(name, f"{MANIFEST} differs: its own digest does not fit")
    whole: dict[str, bytes] = {}
    for file in sorted({*files, *found}):
        if file not in found:
            raise _altered(name, f"{file} is missing")
        if file not in files:
            raise _altered(name, f"{file} does not belong to it")
        read = found[file]
        if read is None or sha256(read) != files[file]:
            raise _altered(name, f"{file} differs")
        whole[file] = read
    return Opened(incident=said["incident"], node=said["node"], previous=said["previous"], digest=said["digest"],
                  files=whole)  # fmt: skip


def as_json(document: Any) -> bytes:
    """As it stands in a bundle."""
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _content(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    try:
        return zipped.read(entry)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        if entry.filename == MANIFEST:
            raise ValueError(f"{MANIFEST} cannot be read") from error
        return None


def _altered(name: str, what: str) -> StoreError:
    return StoreError(
        "evidence-altered",
        f"{name} is not as it was made: {what}",
        context=None,
        hint="ask for the original; on its node `edge-node line evidence ID` writes it once more",
    )


def _digest(manifest: Mapping[str, Any]) -> str:
    return sha256(json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def sha256(content: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
