"""Which copies of a signed note were printed. SQL stands here and nowhere else."""

from __future__ import annotations

from edge_node.his.prescriptions.prints import Copy
from edge_node.store.connection import Connection


def copies(conn: Connection, encounter_id: str, n: int) -> list[Copy]:
    """The prints of a signed version, the first one first."""
    rows = conn.execute(
        "SELECT copy, at, staff.name FROM note_print JOIN staff ON staff.id = by "
        "WHERE encounter_id = :id AND n = :n ORDER BY copy",
        {"id": encounter_id, "n": n},
    )
    return [Copy(number=row["copy"], at=row["at"], by=row["name"]) for row in rows]


def add_copy(conn: Connection, encounter_id: str, n: int, *, by: str, at: int) -> int:
    """One more print of a signed version; returns the number of the copy."""
    (copy,) = conn.execute(
        """
        INSERT INTO note_print (encounter_id, n, copy, at, by)
        SELECT :id, :n, coalesce(max(copy), 0) + 1, :at, :by FROM note_print WHERE encounter_id = :id AND n = :n
        RETURNING copy
        """,
        {"id": encounter_id, "n": n, "at": at, "by": by},
    ).fetchone()
    return int(copy)
