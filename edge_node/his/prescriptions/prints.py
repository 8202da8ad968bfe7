"""What a paper shows of a signed version, and which copies of it were printed. SQL stands here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedLine:
    """One line as it was signed. `dose` is decimal text in `unit`, of herbs for one dose of the decoction."""

    number: int
    drug_id: str
    name: str
    spec: str
    dose: str
    unit: str
    route: str
    frequency: str
    days: int
    packs: int
    pack_unit: str


def lines(conn: Connection, sheet_id: str, n: int) -> list[SignedLine]:
    """The lines of a signed version, in its order."""
    rows = conn.execute(
        """
        SELECT line, drug_id, name, spec, dose, unit, route, frequency, days, packs, pack_unit
        FROM prescription_line WHERE prescription_id = :id AND n = :n ORDER BY line
        """,
        {"id": sheet_id, "n": n},
    )
    return [
        SignedLine(
            number=row["line"], drug_id=row["drug_id"], name=row["name"], spec=row["spec"], dose=row["dose"],
            unit=row["unit"], route=row["route"], frequency=row["frequency"], days=row["days"], packs=row["packs"],
            pack_unit=row["pack_unit"],
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One print of a version; `at` is UTC milliseconds, `by` the name of who printed."""

    number: int
    at: int
    by: str


def copies(conn: Connection, sheet_id: str, n: int) -> list[Copy]:
    """The prints of a signed version, the first one first."""
    rows = conn.execute(
        "SELECT copy, at, staff.name FROM prescription_print JOIN staff ON staff.id = by "
        "WHERE prescription_id = :id AND n = :n ORDER BY copy",
        {"id": sheet_id, "n": n},
    )
    return [Copy(number=row["copy"], at=row["at"], by=row["name"]) for row in rows]


def add_copy(conn: Connection, sheet_id: str, n: int, *, by: str, at: int) -> int:
    """One more print of a signed version; returns the number of the copy."""
    (copy,) = conn.execute(
        """
        INSERT INTO prescription_print (prescription_id, n, copy, at, by)
        SELECT :id, :n, coalesce(max(copy), 0) + 1, :at, :by FROM prescription_print
        WHERE prescription_id = :id AND n = :n
        RETURNING copy
        """,
        {"id": sheet_id, "n": n, "at": at, "by": by},
    ).fetchone()
    return int(copy)
