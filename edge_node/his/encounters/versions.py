"""Drafts and signed versions of notes in his.db. A saved draft and a signed version are never changed or taken away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_node.his.encounters import queries
from edge_node.his.encounters.note import (
    NO_HASH,
    Link,
    Note,
    Signature,
    first_broken,
    from_json,
    to_json,
    version_hash,
)
from edge_node.store.connection import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One saved state of a note. Revisions count over the life of the encounter, also past a signature.

    `reason` is the reason of an amendment as far as it is written.
    """

    revision: int
    note: Note
    reason: str
    saved_at: int
    saved_by: str
    saved_by_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One signed version of a note."""

    n: int
    revision: int
    note: Note
    author_id: str
    author_name: str
    signed_at: int
    clock_state: str
    reason: str
    mode: str
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The note is kept under this revision; `is_new` unless it was kept before."""

    revision: int
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The note is signed as this version."""

    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaken:
    """Nothing was written: somebody saved `draft` after the form was opened."""

    draft: Draft


_DRAFT = """
    SELECT note_draft.revision, note_draft.body, note_draft.reason, note_draft.saved_at, note_draft.saved_by, staff.name
    FROM note_draft JOIN staff ON staff.id = note_draft.saved_by
    WHERE note_draft.encounter_id = :id
"""


def _draft(row: Row) -> Draft:
    revision, body, reason, saved_at, saved_by, name = tuple(row)
    return Draft(
        revision=revision, note=from_json(body), reason=reason, saved_at=saved_at, saved_by=saved_by, saved_by_name=name
    )  # fmt: skip


def newest_draft(conn: Connection, encounter_id: str) -> Draft | None:
    """What was saved last, signed or not; None before the first."""
    row = conn.execute(f"{_DRAFT} ORDER BY note_draft.revision DESC LIMIT 1", {"id": encounter_id}).fetchone()
    return _draft(row) if row else None


def draft(conn: Connection, encounter_id: str, revision: int) -> Draft | None:
    """One saved state."""
    row = conn.execute(
        f"{_DRAFT} AND note_draft.revision = :revision", {"id": encounter_id, "revision": revision}
    ).fetchone()
    return _draft(row) if row else None


def drafts(conn: Connection, encounter_id: str) -> list[Draft]:
    """All saved states, the newest first: who changed what and when."""
    return [_draft(row) for row in conn.execute(f"{_DRAFT} ORDER BY note_draft.revision DESC", {"id": encounter_id})]


def save(
    conn: Connection, encounter_id: str, note: Note, *, based_on: int, by: str, at: int, reason: str = ""
) -> Saved | Overtaken:
    """Keep a draft. `based_on` is the revision that the form was filled from, 0 for an empty one.

    What is saved already makes no new revision, so that a second click or a repeated post changes nothing.
    """
    current = newest_draft(conn, encounter_id)
    if current and (current.note, current.reason) == (note, reason):
        return Saved(revision=current.revision, is_new=False)
    if current and current.revision != based_on:
        return Overtaken(draft=current)
    newest = current.revision if current else 0
    return _append(conn, encounter_id, newest + 1, note, reason=reason, by=by, at=at)


def settle(
    conn: Connection, encounter_id: str, *, mine: Note, result: Note, based_on: int, by: str, at: int, reason: str = ""
) -> Saved | Overtaken:
    """End a conflict: keep what I had written as a revision of its own, then the result where it differs.

    `based_on` is the revision that the conflict page showed as saved; who saved again meanwhile overtakes once more.
    A second click finds the first one's result.
    """
    current = newest_draft(conn, encounter_id)
    if current and current.revision > based_on and (current.note, current.reason) == (result, reason):
        return Saved(revision=current.revision, is_new=False)
    kept = save(conn, encounter_id, mine, based_on=based_on, by=by, at=at, reason=reason)
    if isinstance(kept, Overtaken) or result == mine:
        return kept
    return save(conn, encounter_id, result, based_on=kept.revision, by=by, at=at, reason=reason)


def _append(conn: Connection, encounter_id: str, revision: int, note: Note, *, reason: str, by: str, at: int) -> Saved:
    conn.execute(
        "INSERT INTO note_draft (encounter_id, revision, body, reason, saved_at, saved_by) "
        "VALUES (:id, :revision, :body, :reason, :at, :by)",
        {"id": encounter_id, "revision": revision, "body": to_json(note), "reason": reason, "at": at, "by": by},
    )
    return Saved(revision=revision, is_new=True)


def sign(
    conn: Connection,
    encounter_id: str,
    note: Note,
    *,
    n: int,
    based_on: int,
    by: str,
    at: int,
    clock_state: str,
    mode: str,
    reason: str = "",
) -> Signed | Overtaken:
    """Sign the note as version `n`; the first one ends the encounter. The note was judged by `rules` before.

    Overtaken also when somebody signed a version `n` meanwhile: a second one is an amendment and needs its `reason`.
    `mode` and `clock_state` are the node's at this moment.
    """
    last = conn.execute(
        "SELECT n, hash FROM note_version WHERE encounter_id = :id ORDER BY n DESC LIMIT 1", {"id": encounter_id}
    ).fetchone()
    previous = bytes(last["hash"]) if last else NO_HASH
    current = newest_draft(conn, encounter_id)
    if current is None:
        # Nothing was saved, so nothing is signed: this is the first, whatever number the form brought.
        n = 1
    elif n != (last["n"] + 1 if last else 1):
        return Overtaken(draft=current)
    saved = save(conn, encounter_id, note, based_on=based_on, by=by, at=at, reason=reason)
    if isinstance(saved, Overtaken):
        return saved
    body = to_json(note)
    signature = Signature(
        encounter_id=encounter_id, n=n, revision=saved.revision, author_id=by, signed_at=at, clock_state=clock_state,
        reason=reason, mode=mode,
    )  # fmt: skip
    conn.execute(
        """
        INSERT INTO note_version (encounter_id, n, revision, body, author_id, signed_at, clock_state, reason, mode,
                                  previous_hash, hash)
        VALUES (:encounter_id, :n, :revision, :body, :author_id, :signed_at, :clock_state, :reason, :mode, :previous,
                :hash)
        """,
        {
            "encounter_id": encounter_id, "n": n, "revision": saved.revision, "body": body, "author_id": by,
            "signed_at": at, "clock_state": clock_state, "reason": reason, "mode": mode, "previous": previous,
            "hash": version_hash(previous, body, signature),
        },
    )  # fmt: skip
    conn.executemany(
        """
        INSERT INTO diagnosis (encounter_id, n, rank, code, name, insurance_code, kind, syndrome_code, syndrome_name)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
            (encounter_id, n, rank, d.code, d.name, d.insurance_code, d.kind, d.syndrome_code, d.syndrome_name)
            for rank, d in enumerate(note.diagnoses, start=1)
        ],
    )
    if n == 1:
        queries.end(conn, encounter_id, at=at)
    return Signed(n=n)


def stands(conn: Connection, encounter_id: str, n: int) -> Signed | Overtaken:
    """Version `n` stays as it is, while sheets beside it are signed; Overtaken when somebody signed a newer one."""
    newest, current = versions(conn, encounter_id)[0], newest_draft(conn, encounter_id)
    assert current is not None, "what is signed was saved"
    return Signed(n=n) if newest.n == n else Overtaken(draft=current)


def versions(conn: Connection, encounter_id: str) -> list[Version]:
    """The signed versions, the newest first."""
    rows = conn.execute(
        """
        SELECT n, revision, body, author_id, staff.name AS author_name, signed_at, clock_state, reason, mode, hash
        FROM note_version JOIN staff ON staff.id = author_id WHERE encounter_id = :id ORDER BY n DESC
        """,
        {"id": encounter_id},
    )
    return [
        Version(
            n=row["n"], revision=row["revision"], note=from_json(row["body"]), author_id=row["author_id"],
            author_name=row["author_name"], signed_at=row["signed_at"], clock_state=row["clock_state"],
            reason=row["reason"], mode=row["mode"], hash=bytes(row["hash"]),
        )
        for row in rows
    ]  # fmt: skip


def broken_version(conn: Connection, encounter_id: str) -> int | None:
    """The first version that is not what was signed, by the chain of hashes; None when all are."""
    rows = conn.execute(
        """
        SELECT n, revision, body, author_id, signed_at, clock_state, reason, mode, previous_hash, hash
        FROM note_version WHERE encounter_id = :id ORDER BY n
        """,
        {"id": encounter_id},
    )
    return first_broken(links(rows, encounter_id))


def links(rows: Iterable[Row], subject: str) -> list[Link]:
    """Stored versions as a chain sees them; `subject` is what they are versions of."""
    return [
        Link(
            body=row["body"], previous_hash=bytes(row["previous_hash"]), hash=bytes(row["hash"]),
            signature=Signature(
                encounter_id=subject, n=row["n"], revision=row["revision"], author_id=row["author_id"],
                signed_at=row["signed_at"], clock_state=row["clock_state"], reason=row["reason"], mode=row["mode"],
            ),
        )
        for row in rows
    ]  # fmt: skip
