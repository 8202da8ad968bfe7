"""What the doctor's pages show, read from the database as ready values; knows no web."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from edge_node.his.encounters import queries, rules, versions
from edge_node.his.encounters.note import Note
from edge_node.his.encounters.queries import CatalogueEntry, Encounter
from edge_node.his.encounters.versions import Draft, Version
from edge_node.his.patients import queries as patients
from edge_node.his.patients.queries import Patient, Visit
from edge_node.his.reception import queries as reception
from edge_node.his.reception.queries import Department, QueueEntry
from edge_node.his.reception.rules import Status, waited_minutes
from edge_node.his.triage.queries import newest
from edge_node.store.connection import Connection

# Beside a note the rail leaves room for the history; the whole queue is on the encounters page.
RAIL_BESIDE_NOTE = 6
LEFT_OPEN_BESIDE_NOTE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One person of the rail; `encounter_id` once they are with the doctor, `left_open` since an earlier day."""

    entry: QueueEntry
    encounter_id: str | None
    waited_min: int
    left_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """Who is with this doctor and who waits. `department` None shows all of them; beyond the cards `hidden` wait, and
    the notes of `left_hidden` visits of earlier days are not signed."""

    department: Department | None
    cards: Sequence[Card]
    waiting: int
    hidden: int
    left_hidden: int


class Stage(StrEnum):
    """How far the note of an encounter is."""

    WRITING = "writing"
    SIGNED = "signed"
    AMENDING = "amending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One encounter with everything that its page needs. `patient` stands for the person, whichever of their records
    the encounter hangs on. `versions` are the newest first; `measured` is a note with the nurse's newest measures."""

    encounter: Encounter
    entry: QueueEntry
    patient: Patient
    draft: Draft | None
    versions: Sequence[Version]
    measured: Note

    @property
    def stage(self) -> Stage:
        """Writing before the first signature, amending while a newer draft than the newest version is kept."""
        if not self.versions:
            return Stage.WRITING
        newest = self.draft.revision if self.draft else 0
        return Stage.AMENDING if newest > self.versions[0].revision else Stage.SIGNED

    @property
    def note(self) -> Note:
        """What the form begins with: the last saved, else what the nurse has measured."""
        return self.draft.note if self.draft else self.measured

    @property
    def revision(self) -> int:
        """What the form is based on."""
        return self.draft.revision if self.draft else 0

    @property
    def next_version(self) -> int:
        """The number of the version that would be signed now."""
        return len(self.versions) + 1


def rail(
    conn: Connection,
    *,
    queue_date: date,
    doctor_id: str,
    department_id: str | None,
    now: int,
    limit: int | None = None,
    here: str = "",
) -> Rail:
    """The doctor's patients of a day: those called in, the newest that were left open on earlier days, then who waits
    for this doctor or for any. With a `limit`, of those left open two (and the encounter that is `here`), and of those
    who wait that many."""
    found = (entry for entry in reception.departments(conn) if entry.id == department_id)
    mine = [
        Card(
            entry=entry, encounter_id=encounter.id, waited_min=waited_minutes(entry.registered_at, now),
            left_open=rules.is_left_open(entry.queue_date, queue_date),
        )
        for encounter in queries.mine_open(conn, doctor_id=doctor_id)
        if (entry := reception.entry(conn, encounter.registration_id))
    ]  # fmt: skip
    left = [card for card in reversed(mine) if card.left_open]
    beside = left if limit is None else left[:LEFT_OPEN_BESIDE_NOTE]
    left_shown = [card for card in left if card in beside or card.encounter_id == here]
    waiting = reception.queue(conn, queue_date, department_id=department_id, doctor_id=doctor_id, status=Status.WAITING)
    shown = waiting[:limit]
    return Rail(
        department=next(found, None),
        cards=[
            *(card for card in mine if not card.left_open),
            *left_shown,
            *(
                Card(entry=entry, encounter_id=None, waited_min=waited_minutes(entry.registered_at, now))
                for entry in shown
            ),
        ],
        waiting=len(waiting),
        hidden=len(waiting) - len(shown),
        left_hidden=len(left) - len(left_shown),
    )


def case(conn: Connection, encounter_id: str) -> Case | None:
    """One encounter, or None where there is no such."""
    encounter = queries.get(conn, encounter_id)
    if encounter is None:
        return None
    entry = reception.entry(conn, encounter.registration_id)
    assert entry is not None, "an encounter refers to its registration"
    return Case(
        encounter=encounter,
        entry=entry,
        patient=entry.patient,
        draft=versions.newest_draft(conn, encounter_id),
        versions=versions.versions(conn, encounter_id),
        measured=_measured(conn, encounter.registration_id),
    )


def _measured(conn: Connection, registration_id: str) -> Note:
    triage = newest(conn, registration_id)
    if triage is None:
        return Note()
    found = triage.measured
    return Note(
        temperature=found.temperature,
        pulse=found.pulse,
        respiration=found.respiration,
        blood_pressure=found.blood_pressure,
    )


def history(conn: Connection, patient_id: str, *, except_registration: str) -> list[Visit]:
    """Earlier visits that led to an encounter, the newest first."""
    return [
        visit
        for visit in patients.visits(conn, patient_id)
        if visit.encounter_id and visit.registration_id != except_registration
    ]


def english_names(conn: Connection, note: Note) -> dict[str, str]:
    """The English names of a note's codes, as far as the catalogue knows them; the note keeps the Chinese ones."""
    codes = {code for d in note.diagnoses for code in (d.code, d.syndrome_code) if code}
    found = (queries.diagnosis(conn, code) for code in sorted(codes))
    return {entry.code: entry.name_en for entry in found if entry}


def only_match(matches: Sequence[CatalogueEntry], typed: str) -> CatalogueEntry | None:
    """The diagnosis that is meant without doubt: the only match, or the one whose code or name was typed whole."""
    wanted = typed.strip().lower()
    exact = [match for match in matches if wanted in (match.code.lower(), match.name)]
    if len(exact) == 1:
        return exact[0]
    return matches[0] if len(matches) == 1 else None
