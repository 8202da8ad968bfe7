"""Drafts and signed versions against a real database: nothing is written over, nothing is changed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.his.encounters import versions
from edge_node.his.encounters.note import Note
from edge_node.his.encounters.versions import Overtaken, Saved, Signed
from edge_node.store.connection import Connection, IntegrityError
from tests.support.encounters import BRONCHITIS, NOTE, Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        yield Clinic(his)


@pytest.fixture
def encounter_id(clinic: Clinic) -> str:
    return clinic.begun()


MORE = replace(NOTE, history="worse at night")
OTHER = replace(NOTE, history="hay fever in spring")


def kept(clinic: Clinic, encounter_id: str) -> list[tuple[int, Note, str]]:
    return [
        (draft.revision, draft.note, draft.saved_by_name) for draft in versions.drafts(clinic.his.conn, encounter_id)
    ]


def test_every_saved_state_stays_with_who_saved_it(clinic: Clinic, encounter_id: str) -> None:
    assert clinic.save(encounter_id, NOTE, based_on=0) == Saved(revision=1, is_new=True)
    assert clinic.save(encounter_id, MORE, based_on=1, doctor="guo") == Saved(revision=2, is_new=True)
    assert kept(clinic, encounter_id) == [(2, MORE, "郭宁"), (1, NOTE, "沈立群")]
    newest = versions.newest_draft(clinic.his.conn, encounter_id)
    assert newest is not None
    assert newest.note == MORE


def test_saving_twice_saves_once(clinic: Clinic, encounter_id: str) -> None:
    clinic.save(encounter_id, NOTE, based_on=0)
    assert clinic.save(encounter_id, NOTE, based_on=0) == Saved(revision=1, is_new=False), "a second click"
    assert clinic.save(encounter_id, NOTE, based_on=1) == Saved(revision=1, is_new=False), "nothing changed"
    assert len(kept(clinic, encounter_id)) == 1


def test_nobody_writes_over_somebody(clinic: Clinic, encounter_id: str) -> None:
    clinic.save(encounter_id, NOTE, based_on=0)
    clinic.save(encounter_id, OTHER, based_on=1, doctor="guo")
    outcome = clinic.save(encounter_id, MORE, based_on=1)
    assert isinstance(outcome, Overtaken)
    assert (outcome.draft.revision, outcome.draft.note, outcome.draft.saved_by_name) == (2, OTHER, "郭宁")
    assert kept(clinic, encounter_id)[0][0] == 2, "nothing was written"


def test_two_empty_forms_conflict_too(clinic: Clinic, encounter_id: str) -> None:
    clinic.save(encounter_id, NOTE, based_on=0)
    assert isinstance(clinic.save(encounter_id, MORE, based_on=0, doctor="guo"), Overtaken)


@pytest.mark.parametrize(
    "result, ends_with",
    [
        pytest.param(replace(NOTE, history="both"), [(3, "worse at night"), (4, "both")], id="merged"),
        pytest.param(MORE, [(3, "worse at night")], id="mine"),
        pytest.param(OTHER, [(3, "worse at night"), (4, "hay fever in spring")], id="saved"),
    ],
)
def test_every_way_out_keeps_what_both_wrote(
    clinic: Clinic, encounter_id: str, result: Note, ends_with: list[tuple[int, str]]
) -> None:
    clinic.save(encounter_id, NOTE, based_on=0)
    clinic.save(encounter_id, OTHER, based_on=1, doctor="guo")

    def settle() -> Saved | Overtaken:
        return clinic.his.write(
            lambda conn: versions.settle(
                conn, encounter_id, mine=MORE, result=result, based_on=2, by=clinic.staff["shen"], at=1
            )
        )

    outcome = settle()
    assert outcome == Saved(revision=ends_with[-1][0], is_new=True)
    assert settle() == Saved(revision=ends_with[-1][0], is_new=False), "a second click"
    everything = [(revision, note.history) for revision, note, _ in reversed(kept(clinic, encounter_id))]
    assert everything == [(1, ""), (2, "hay fever in spring"), *ends_with]


def test_a_third_person_overtakes_the_conflict(clinic: Clinic, encounter_id: str) -> None:
    for revision, note in enumerate((NOTE, OTHER, replace(NOTE, history="third"))):
        clinic.save(encounter_id, note, based_on=revision, doctor="guo")
    outcome = clinic.his.write(
        lambda conn: versions.settle(
            conn, encounter_id, mine=MORE, result=MORE, based_on=2, by=clinic.staff["shen"], at=1
        )
    )
    assert isinstance(outcome, Overtaken)
    assert outcome.draft.note.history == "third"
    assert len(kept(clinic, encounter_id)) == 3


def test_a_signature_says_who_when_and_how(clinic: Clinic, encounter_id: str) -> None:
    assert clinic.sign(encounter_id, MORE) == Signed(n=1)
    (version,) = versions.versions(clinic.his.conn, encounter_id)
    assert (version.n, version.note, version.author_name, version.signed_at, version.clock_state, version.mode) == (
        1,
        MORE,
        "沈立群",
        clinic.his.clock.wall_ms(),
        "synced",
        "online",
    )
    rows = clinic.his.conn.execute("SELECT n, rank, code, name FROM diagnosis WHERE encounter_id = ?", (encounter_id,))
    assert [tuple(row) for row in rows] == [(1, 1, BRONCHITIS.code, BRONCHITIS.name)]


def test_an_amendment_is_the_next_version_and_the_first_stays(clinic: Clinic, encounter_id: str) -> None:
    clinic.sign(encounter_id, NOTE)
    assert clinic.sign(encounter_id, MORE, n=2, based_on=1, doctor="guo", reason="forgotten") == Signed(n=2)
    found = versions.versions(clinic.his.conn, encounter_id)
    assert [(v.n, v.note, v.author_name, v.reason, v.revision) for v in found] == [
        (2, MORE, "郭宁", "forgotten", 2),
        (1, NOTE, "沈立群", "", 1),
    ]
    assert versions.broken_version(clinic.his.conn, encounter_id) is None


def test_signing_twice_signs_once(clinic: Clinic, encounter_id: str) -> None:
    clinic.sign(encounter_id, NOTE)
    outcome = clinic.sign(encounter_id, NOTE)
    assert isinstance(outcome, Overtaken)
    assert outcome.draft.note == NOTE
    assert len(versions.versions(clinic.his.conn, encounter_id)) == 1


def test_nobody_signs_over_somebody(clinic: Clinic, encounter_id: str) -> None:
    clinic.save(encounter_id, NOTE, based_on=0)
    clinic.save(encounter_id, OTHER, based_on=1, doctor="guo")
    assert isinstance(clinic.sign(encounter_id, MORE, based_on=1), Overtaken)
    assert versions.versions(clinic.his.conn, encounter_id) == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE note_version SET body = '{}'", "UPDATE note_version SET signed_at = 0", "DELETE FROM note_version"],
)
def test_the_database_itself_refuses_to_change_a_signed_note(clinic: Clinic, encounter_id: str, statement: str) -> None:
    clinic.sign(encounter_id)
    with pytest.raises(IntegrityError, match="a signed note is never"):
        clinic.his.write(lambda conn: conn.execute(statement))
    assert len(versions.versions(clinic.his.conn, encounter_id)) == 1


def test_a_version_that_was_changed_behind_the_program_is_named(clinic: Clinic, encounter_id: str) -> None:
    clinic.sign(encounter_id, NOTE)
    clinic.sign(encounter_id, MORE, n=2, based_on=1, reason="forgotten")

    def tamper(conn: Connection) -> None:
        conn.execute("DROP TRIGGER note_version_kept")
        conn.execute("UPDATE note_version SET body = replace(body, '5 days', '6 days') WHERE n = 1")

    clinic.his.write(tamper)
    assert versions.broken_version(clinic.his.conn, encounter_id) == 1
