"""A clinic with a queue, for tests of the doctor's work: departments, doctors, patients and their registrations."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from edge_node.his import seed
from edge_node.his.encounters import queries, versions
from edge_node.his.encounters.note import Diagnosis, Note
from edge_node.his.language import local
from edge_node.his.patients import queries as patients
from edge_node.his.patients.identity import Sex
from edge_node.his.reception import queries as reception
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.staff.model import Role
from edge_node.store.connection import Connection
from tests.support.his import His

BRONCHITIS = Diagnosis(code="J20.900", name="急性支气管炎")
NOTE = Note(complaint="cough for 5 days", diagnoses=(BRONCHITIS,))


@dataclass
class Clinic:
    """Two doctors of one department, shen and guo, and a registrar; patients come by `comes`."""

    his: His
    count: int = 0
    staff: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        at = self.his.clock.wall_ms()
        self.his.write(lambda conn: seed.plant(conn, at=at, training=False, hash_password=str, make_password=str))
        departments = reception.departments(self.his.conn)
        self.departments = {department.code: department.id for department in departments}
        internal = self.departments["internal"]
        self.staff["zhou"] = self.his.add_staff("zhou", Role.REGISTRAR)
        self.staff["shen"] = self.his.add_staff("shen", Role.DOCTOR, name="沈立群", department_id=internal)
        self.staff["guo"] = self.his.add_staff("guo", Role.DOCTOR, name="郭宁", department_id=internal)

    @property
    def today(self) -> date:
        return local(self.his.clock.wall_ms()).date()

    def comes(
        self, name: str, *, department: str = "internal", doctor: str | None = None, patient_id: str = ""
    ) -> QueueEntry:
        """A patient is registered for today; a minute passes."""
        self.count += 1
        number, at, by, day = self.count, self.his.clock.wall_ms(), self.staff["zhou"], self.today

        def work(conn: Connection) -> QueueEntry:
            person = (
                patient_id
                or patients.insert(
                    conn, mrn=f"M{number}", name=name, sex=Sex.FEMALE, birth_date=date(1980, 3, 14), at=at, by=by
                ).id
            )
            return reception.register(
                conn,
                patient_id=person,
                department_id=self.departments[department],
                queue_date=day,
                mode="online",
                doctor_id=self.staff[doctor] if doctor else None,
                visit_no=f"V{number}",
                at=at,
                by=by,
            )

        entry = self.his.write(work)
        self.his.clock.advance(60)
        return entry

    def begun(self, name: str = "单雅琴", *, doctor: str = "shen") -> str:
        """The id of an encounter that has just begun."""
        entry = self.comes(name)
        encounter_id = self.his.write(
            lambda conn: queries.begin(
                conn, entry.registration_id, doctor_id=self.staff[doctor], at=self.his.clock.wall_ms()
            )
        )
        assert encounter_id is not None
        return encounter_id

    def call_next(self, doctor: str, *, department: str | None = "internal") -> str | None:
        """The name of the patient who was called, None when nobody waits."""
        encounter_id = self.his.write(
            lambda conn: queries.call_next(
                conn,
                queue_date=self.today,
                doctor_id=self.staff[doctor],
                at=self.his.clock.wall_ms(),
                department_id=self.departments[department] if department else None,
            )
        )
        encounter = queries.get(self.his.conn, encounter_id) if encounter_id else None
        patient = patients.get(self.his.conn, encounter.patient_id) if encounter else None
        return patient.name if patient else None

    def save(
        self, encounter_id: str, note: Note, *, based_on: int, doctor: str = "shen"
    ) -> versions.Saved | versions.Overtaken:
        """Keep a draft."""
        return self.his.write(
            lambda conn: versions.save(
                conn, encounter_id, note, based_on=based_on, by=self.staff[doctor], at=self.his.clock.wall_ms()
            )
        )

    def sign(
        self,
        encounter_id: str,
        note: Note = NOTE,
        *,
        n: int = 1,
        based_on: int = 0,
        doctor: str = "shen",
        reason: str = "",
    ) -> versions.Signed | versions.Overtaken:
        """Sign a version."""
        return self.his.write(
            lambda conn: versions.sign(
                conn, encounter_id, note, n=n, based_on=based_on, by=self.staff[doctor], reason=reason,
                at=self.his.clock.wall_ms(), clock_state="synced", mode="online",
            )
        )  # fmt: skip
