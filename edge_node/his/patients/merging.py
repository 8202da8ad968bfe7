"""Merging two records of one person and taking it back: what is written together, in one transaction, with its trace.

Both records are read again where it is written, so that two people who merge crosswise, or twice, end with one merge.
"""

from __future__ import annotations

from edge_node.his.patients import apart, merge_rules, merges, queries
from edge_node.his.patients.desk import Desk
from edge_node.his.patients.merge_rules import Side
from edge_node.his.patients.queries import Patient
from edge_node.i18n import Text
from edge_node.store.connection import Connection


class NotMerged(Exception):
    """Nothing was written; `why` is what stands in the way now, for the person at the desk."""

    def __init__(self, why: Text) -> None:
        super().__init__(why.message)
        self.why = why


def side(conn: Connection, patient: Patient, desk: Desk) -> Side:
    """A record with what a merge asks of it."""
    return Side(
        patient=patient,
        visits=queries.visits(conn, patient.id),
        open_today=merges.open_visits(conn, patient.id, desk.today),
    )


def merge(conn: Connection, kept_id: str, merged_id: str, desk: Desk, *, reason: str) -> Patient:
    """Merge one record into another, each taken for what stands for its person by now; returns the kept one. That they
    were said to be different people ends with it.

    Writes nothing when they are one by now: somebody else was quicker, whichever way round. Raises NotMerged, and
    KeyError for an unknown record.
    """
    kept, merged = queries.current(conn, kept_id), queries.current(conn, merged_id)
    if kept is None or merged is None:
        raise KeyError(kept_id if kept is None else merged_id)
    if kept.id == merged.id:
        return kept
    if hindered := merge_rules.hindrance(side(conn, kept, desk), side(conn, merged, desk)):
        raise NotMerged(hindered)
    # Somebody may have given the other one a document meanwhile.
    if refused := merge_rules.choice_problem(kept, merged):
        raise NotMerged(refused.text)
    apart.take_back(conn, kept.id, merged.id, desk)
    joined = merges.join(
        conn, kept_id=kept.id, merged_id=merged.id, at=desk.moment.at, by=desk.staff_id, reason=reason
    )  # fmt: skip
    desk.trace(conn, "patients_merged", f"patient:{kept.id}", merged=merged.id, reason=reason)
    desk.tell(conn, joined, into=kept)
    return kept


def undo(conn: Connection, kept_id: str, merged_id: str, desk: Desk, *, reason: str) -> bool:
    """Take a merge back: each record has its own again; what was changed on the kept one meanwhile stays there. The two
    are different people from now on, and are not offered as one again.

    False when it was taken back before. Raises KeyError where the record never was merged into that one.
    """
    there = conn.execute(
        "SELECT 1 FROM patient_merge WHERE merged_id = :merged", {"merged": merged_id}
    ).fetchone()  # fmt: skip
    if there is None:
        raise KeyError(merged_id)
    merged = queries.get(conn, merged_id)
    if merged is None or merged.merged_into != kept_id:
        return False
    parted = merges.part(conn, merged_id=merged_id, at=desk.moment.at, by=desk.staff_id, reason=reason)
    if parted is None:
        return False
    desk.trace(conn, "merge_undone", f"patient:{kept_id}", merged=merged_id, reason=reason)
    apart.say(conn, kept_id, merged_id, desk)
    desk.tell(conn, parted)
    return True
