"""Sheets in his.db: opened, saved, signed, made void. A saved state and a signed version are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ulid import ULID

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.drugs import CatalogueDrug
from edge_node.his.encounters.note import NO_HASH, Signature, canonical_json, first_broken, version_hash
from edge_node.his.encounters.versions import links
from edge_node.his.prescriptions.body import Body, Read, from_json, to_json
from edge_node.his.prescriptions.model import Form, Kind
from edge_node.store.connection import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One saved state of a sheet."""

    revision: int
    body: Body
    saved_at: int
    saved_by: str
    saved_by_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What was signed, with the number that is printed."""

    n: int
    revision: int
    rx_no: str
    kind: Kind
    valid_until: str
    total_fen: int
    body: Body
    author_id: str
    author_name: str
    signed_at: int
    clock_state: str
    reason: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prescription:
    """One sheet of an encounter. `status` is draft, signed or void; `versions` are the newest first."""

    id: str
    encounter_id: str
    patient_id: str
    form: Form
    status: str
    void_reason: str
    draft: Draft | None
    versions: Sequence[Version]

    @property
    def body(self) -> Body:
        """What was saved last."""
        return self.draft.body if self.draft else Body()

    @property
    def revision(self) -> int:
        return self.draft.revision if self.draft else 0

    @property
    def next_version(self) -> int:
        return len(self.versions) + 1

    @property
    def is_open(self) -> bool:
        """Something is written that is not signed."""
        return self.status != "void" and self.revision > (self.versions[0].revision if self.versions else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaken:
    """Nothing was written: somebody saved `draft` after the form was opened."""

    draft: Draft


def open_sheet(conn: Connection, *, encounter_id: str, patient_id: str, form: Form, by: str, at: int) -> str:
    """A new, empty sheet; returns its id."""
    sheet_id = str(ULID())
    conn.execute(
        "INSERT INTO prescription (id, encounter_id, patient_id, form, status, opened_at, opened_by) "
        "VALUES (:id, :encounter, :patient, :form, 'draft', :at, :by)",
        {"id": sheet_id, "encounter": encounter_id, "patient": patient_id, "form": form, "at": at, "by": by},
    )
    return sheet_id


_SHEET = "SELECT id, encounter_id, patient_id, form, status, void_reason FROM prescription"


def get(conn: Connection, sheet_id: str) -> Prescription | None:
    """One sheet."""
    row = conn.execute(f"{_SHEET} WHERE id = :id", {"id": sheet_id}).fetchone()
    return _prescription(conn, row) if row else None


def of_encounter(conn: Connection, encounter_id: str) -> list[Prescription]:
    """The sheets of an encounter in the order in which they were opened, void ones too."""
    rows = conn.execute(f"{_SHEET} WHERE encounter_id = :id ORDER BY rowid", {"id": encounter_id}).fetchall()
    return [_prescription(conn, row) for row in rows]


def _prescription(conn: Connection, row: Row) -> Prescription:
    return Prescription(
        id=row["id"],
        encounter_id=row["encounter_id"],
        patient_id=row["patient_id"],
        form=Form(row["form"]),
        status=row["status"],
        void_reason=row["void_reason"],
        draft=newest_draft(conn, row["id"]),
        versions=versions(conn, row["id"]),
    )


def newest_draft(conn: Connection, sheet_id: str) -> Draft | None:
    """What was saved last, signed or not."""
    row = conn.execute(
        "SELECT revision, body, saved_at, saved_by, staff.name AS name FROM prescription_draft "
        "JOIN staff ON staff.id = saved_by WHERE prescription_id = :id ORDER BY revision DESC LIMIT 1",
        {"id": sheet_id},
    ).fetchone()
    if row is None:
        return None
    return Draft(
        revision=row["revision"],
        body=from_json(row["body"]),
        saved_at=row["saved_at"],
        saved_by=row["saved_by"],
        saved_by_name=row["name"],
    )


def save(conn: Connection, sheet_id: str, body: Body, *, based_on: int, by: str, at: int) -> int | Overtaken:
    """Keep a state, and return its revision. What is saved already makes no new one."""
    current = newest_draft(conn, sheet_id)
    if current and current.body == body:
        return current.revision
    if current and current.revision != based_on:
        return Overtaken(draft=current)
    revision = current.revision + 1 if current else 1
    conn.execute(
        "INSERT INTO prescription_draft (prescription_id, revision, body, saved_at, saved_by) "
        "VALUES (:id, :revision, :body, :at, :by)",
        {"id": sheet_id, "revision": revision, "body": to_json(body), "at": at, "by": by},
    )
    return revision


def sign(
    conn: Connection,
    sheet: Prescription,
    read: Read,
    *,
    rx_no: str,
    kind: Kind,
    valid_until: str,
    by: str,
    at: int,
    clock_state: str,
    mode: str,
    reason: str = "",
) -> int:
    """Sign what was saved last as the next version, and return its number.

    `sheet` and `read` are of this transaction, and the rules have found nothing that stops. The signature covers the
    body, and with it every reason that was given, and all that is printed: number, kind, validity, sum and lines.
    """
    draft = sheet.draft
    assert draft is not None, "an empty sheet is never signed"
    last = conn.execute(
        "SELECT n, hash FROM prescription_version WHERE prescription_id = :id ORDER BY n DESC LIMIT 1", {"id": sheet.id}
    ).fetchone()
    n, previous = (last["n"] + 1, bytes(last["hash"])) if last else (1, NO_HASH)
    body = to_json(draft.body)
    lines = [
        (
            priced.entry.id, priced.line.drug.name, str(priced.line.dose), priced.line.drug.unit, priced.line.route,
            priced.line.frequency, priced.line.days or read.sheet.days or 0, priced.packs, priced.price_fen,
            priced.entry.spec, priced.entry.pack_unit,
        )
        for priced in read.priced
    ]  # fmt: skip
    stated = _stated(body, (rx_no, str(kind), valid_until, read.total_fen), lines)
    signature = Signature(
        encounter_id=sheet.id, n=n, revision=draft.revision, author_id=by, signed_at=at, clock_state=clock_state,
        reason=reason, mode=mode,
    )  # fmt: skip
    conn.execute(
        """
        INSERT INTO prescription_version (prescription_id, n, revision, rx_no, kind, valid_until, total_fen, body,
            author_id, signed_at, clock_state, reason, mode, previous_hash, hash)
        VALUES (:id, :n, :revision, :rx_no, :kind, :until, :total, :body, :by, :at, :clock_state, :reason, :mode,
            :previous, :hash)
        """,
        {
            "id": sheet.id, "n": n, "revision": draft.revision, "rx_no": rx_no, "kind": kind, "until": valid_until,
            "total": read.total_fen, "body": body, "by": by, "at": at, "clock_state": clock_state, "reason": reason,
            "mode": mode, "previous": previous, "hash": version_hash(previous, stated, signature),
        },
    )  # fmt: skip
    conn.executemany(
        f"INSERT INTO prescription_line (prescription_id, n, line, {_LINE}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(sheet.id, n, number, *line) for number, line in enumerate(lines, start=1)],
    )
    conn.execute("UPDATE prescription SET status = 'signed' WHERE id = :id", {"id": sheet.id})
    return int(n)


def void(conn: Connection, sheet_id: str, *, by: str, at: int, reason: str) -> bool:
    """Make a sheet void, with its reason; False when it was so already."""
    return bool(
        conn.execute(
            "UPDATE prescription SET status = 'void', voided_at = :at, voided_by = :by, void_reason = :reason "
            "WHERE id = :id AND status <> 'void'",
            {"id": sheet_id, "at": at, "by": by, "reason": reason},
        ).rowcount
    )


def versions(conn: Connection, sheet_id: str) -> list[Version]:
    """The signed versions, the newest first."""
    rows = conn.execute(
        "SELECT prescription_version.*, staff.name AS author_name FROM prescription_version "
        "JOIN staff ON staff.id = author_id WHERE prescription_id = :id ORDER BY n DESC",
        {"id": sheet_id},
    )
    return [
        Version(
            n=row["n"], revision=row["revision"], rx_no=row["rx_no"], kind=Kind(row["kind"]),
            valid_until=row["valid_until"], total_fen=row["total_fen"], body=from_json(row["body"]),
            author_id=row["author_id"], author_name=row["author_name"], signed_at=row["signed_at"],
            clock_state=row["clock_state"], reason=row["reason"], mode=row["mode"],
        )
        for row in rows
    ]  # fmt: skip


def broken_version(conn: Connection, sheet_id: str) -> int | None:
    """The first version that is not what was signed, by the chain of hashes; None when all are."""
    rows = conn.execute(
        "SELECT * FROM prescription_version WHERE prescription_id = :id ORDER BY n", {"id": sheet_id}
    ).fetchall()
    return first_broken(
        [
            replace(link, body=_stated(link.body, _printed(row), _lines(conn, sheet_id, row["n"])))
            for row, link in zip(rows, links(rows, sheet_id), strict=True)
        ]
    )


_LINE = "drug_id, name, dose, unit, route, frequency, days, packs, price_fen, spec, pack_unit"


def _lines(conn: Connection, sheet_id: str, n: int) -> list[Sequence[object]]:
    rows = conn.execute(
        f"SELECT {_LINE} FROM prescription_line WHERE prescription_id = :id AND n = :n ORDER BY line",
        {"id": sheet_id, "n": n},
    )
    return [tuple(row) for row in rows]


def _printed(row: Row) -> Sequence[object]:
    return row["rx_no"], row["kind"], row["valid_until"], row["total_fen"]


def _stated(body: str, printed: Sequence[object], lines: Sequence[Sequence[object]]) -> str:
    """What the signature of a sheet covers: the stored body, and what its paper shows beside it."""
    return canonical_json({"body": body, "printed": list(printed), "lines": [list(line) for line in lines]})


def drugs_of(conn: Connection, body: Body) -> dict[str, CatalogueDrug]:
    """The drugs of a body by their id. Raises KeyError for an id that the catalogue never had."""
    found = {drug_id: catalogues.drug(conn, drug_id) for drug_id in {line.drug_id for line in body.lines}}
    unknown = [drug_id for drug_id, entry in found.items() if entry is None]
    if unknown:
        raise KeyError(unknown[0])
    return {drug_id: entry for drug_id, entry in found.items() if entry is not None}
