"""Encryption of what leaves the clinic: age, to every recipient, so that any one identity opens it.

Small content is sealed in memory; above SMALL_BYTES it streams, since sealing a file whole takes three times its size
in memory (measured: 2.9 GB for 1 GB). Two sealings of the same content differ, in length too.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyrage

from edge_node.base.errors import ReplicaError
from edge_node.base.users import told

SUFFIX = ".age"
SMALL_BYTES = 1_000_000
CHUNK_BYTES = 1 << 20

Identity = pyrage.x25519.Identity
# What opens: one identity, or several, of which any one may fit.
Keys = Identity | tuple[Identity, ...]


class Sealer:
    """Seals to recipients, or leaves content as it is where there are none (`plain = true`)."""

    def __init__(self, recipients: Sequence[str]) -> None:
        """Raises ValueError for what is not an age recipient."""
        try:
            self._recipients = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
        except pyrage.RecipientError as error:
            raise ValueError(f"not an age recipient: {error}") from error

    @property
    def suffix(self) -> str:
        """What an object's key ends in beyond the file's name."""
        return SUFFIX if self._recipients else ""

    def seal(self, content: bytes) -> bytes:
        return pyrage.encrypt(content, self._recipients) if self._recipients else content

    def stream(self, file: io.FileIO, write: Callable[[bytes], object]) -> str:
        """Seal a file through `write` in bounded memory; returns the SHA-256 of its content. Blocks.

        Raises Unreadable where the disk does not give the file, and as `write` does.
        """
        source = _Counted(file)
        if self._recipients:
            sink = _Sink(write)
            buffered = io.BufferedWriter(sink, CHUNK_BYTES)  # type: ignore[type-var]
            try:
                pyrage.encrypt_io(io.BufferedReader(source, CHUNK_BYTES), buffered, self._recipients)
                buffered.flush()
            except (pyrage.EncryptError, OSError) as error:
                # pyrage tells only in words what its reader or its writer has raised.
                raise source.failure or sink.failure or error from error
        else:
            while chunk := source.take():
                write(chunk)
        return source.digest.hexdigest()


class Unreadable(ValueError):
    """A file here cannot be read: its disk is at fault, and neither the destination nor the line."""


def read_identity(path: Path) -> Identity:
    """The first age identity in a file, comments skipped. Raises ReplicaError identity-unreadable."""
    return read_identities(path)[0]


def read_identities(path: Path) -> tuple[Identity, ...]:
    """The age identities in a file, one in a line: the newest first, then those whose objects still lie somewhere.

    Raises ReplicaError identity-unreadable.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        found = tuple(Identity.from_str(line) for line in lines if line and not line.startswith("#"))
        if found:
            return found
        why = "it holds no line AGE-SECRET-KEY-1…"
    except OSError as error:
        why = told(error)
    except (UnicodeDecodeError, pyrage.IdentityError):
        why = "it holds no line AGE-SECRET-KEY-1…"
    raise ReplicaError(
        "identity-unreadable",
        f"no age identity can be read from {path}",
        context=why,
        hint="give the recovery identity from the safe: --identity FILE",
    )


def _all(keys: Keys) -> list[Identity]:
    return list(keys) if isinstance(keys, tuple) else [keys]


class CannotOpen(Exception):
    """Sealed content was altered, cut off, or not sealed to this identity."""


def open_sealed(chunks: Iterator[bytes], to: Path, keys: Keys | None) -> None:
    """Write to a new file what `chunks` holds, decrypted when keys are given, in bounded memory. Blocks.

    Raises CannotOpen, and as `chunks` and writing do; the file is then incomplete.
    """
    with to.open("xb", buffering=CHUNK_BYTES) as file:
        if keys is None:
            for chunk in chunks:
                file.write(chunk)
            return
        source, sink = _Source(chunks), _Sink(file.write)
        try:
            pyrage.decrypt_io(io.BufferedReader(source, CHUNK_BYTES), sink, _all(keys))
        except (pyrage.DecryptError, OSError) as error:
            # pyrage tells only in words what its reader or its writer has raised.
            raise source.failure or sink.failure or CannotOpen(str(error)) from error


def open_beginning(chunks: Iterator[bytes], keys: Keys | None, size_bytes: int) -> bytes:
    """The first bytes of what `chunks` holds, decrypted when keys are given; no more is read than they take.

    Blocks. Raises CannotOpen, and as `chunks` does.
    """
    begun = bytearray()

    def take(chunk: bytes) -> None:
        begun.extend(chunk)
        if len(begun) >= size_bytes:
            raise _Enough

    try:
        if keys is None:
            for chunk in chunks:
                take(chunk)
        else:
            source, sink = _Source(chunks), _Sink(take)
            try:
                pyrage.decrypt_io(io.BufferedReader(source, CHUNK_BYTES), sink, _all(keys))
            except (pyrage.DecryptError, OSError) as error:
                raise source.failure or sink.failure or CannotOpen(str(error)) from error
    except _Enough:
        pass
    return bytes(begun[:size_bytes])


class _Enough(Exception):
    """All that was wanted has been read."""


class _Counted(io.RawIOBase):
    """A file that remembers the digest of what was read from it."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.failure: Unreadable | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            count = self._file.readinto(buffer)
        except OSError as error:
            self.failure = Unreadable(told(error))
            raise self.failure from error
        self.digest.update(memoryview(buffer)[:count])
        return count

    def take(self) -> bytes:
        """The next piece; empty at the end."""
        return self.read(CHUNK_BYTES) or b""


class _Sink(io.RawIOBase):
    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.failure: Exception | None = None

    def writable(self) -> bool:
        return True

    def write(self, chunk: bytes | memoryview) -> int:  # type: ignore[override]
        try:
            self._write(bytes(chunk))
        except Exception as error:
            self.failure = error
            raise
        return len(chunk)


class _Source(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return 0
            except Exception as error:
                self.failure = error
                raise
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
