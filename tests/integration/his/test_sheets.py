"""Prescriptions in the database: saved, signed, read back as what the rules judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import training_drugs
from edge_node.his.orders.queries import skin_tests
from edge_node.his.prescriptions import sheets, situation
from edge_node.his.prescriptions.body import Body, from_json, read, to_json, with_drug, without_line
from edge_node.his.prescriptions.finding import Finding, may_sign
from edge_node.his.prescriptions.model import Form, Kind, SkinTestState
from edge_node.his.prescriptions.rules import check
from edge_node.store.connection import Connection, DatabaseError
from tests.support.encounters import Clinic
from tests.support.his import a_his


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.write(lambda conn: catalogues.keep_drugs(conn, training_drugs(), at=1))
        yield clinic


class Desk:
    """A doctor with one encounter open."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic, self.his = clinic, clinic.his
        self.encounter_id = clinic.begun()
        (self.patient_id, self.registration_id) = tuple(
            self.his.conn.execute(
                "SELECT patient_id, registration_id FROM encounter WHERE id = ?", (self.encounter_id,)
            ).fetchone()
        )

    def opened(self, form: Form = Form.MEDICINES) -> sheets.Prescription:
        sheet_id = self.his.write(
            lambda conn: sheets.open_sheet(
                conn, encounter_id=self.encounter_id, patient_id=self.patient_id, form=form,
                by=self.clinic.staff["shen"], at=self.his.clock.wall_ms(),
            )
        )  # fmt: skip
        return self.fresh(sheet_id)

    def fresh(self, sheet_id: str) -> sheets.Prescription:
        found = sheets.get(self.his.conn, sheet_id)
        assert found is not None
        return found

    def drug(self, typed: str, *, herbal: bool = False) -> str:
        return catalogues.find_drugs(self.his.conn, typed, herbal=herbal)[0].id

    def body(self, *typed: str) -> Body:
        body = Body()
        for word in typed:
            body = with_drug(body, catalogues.find_drugs(self.his.conn, word, herbal=False)[0])
        return body

    def save(self, sheet: sheets.Prescription, body: Body, *, based_on: int = 0) -> int | sheets.Overtaken:
        return self.his.write(
            lambda conn: sheets.save(
                conn, sheet.id, body, based_on=based_on, by=self.clinic.staff["shen"], at=self.his.clock.wall_ms()
            )
        )

    def found(self, sheet: sheets.Prescription, body: Body) -> tuple[Finding, ...]:
        _, now = situation.of_sheet(
            self.his.conn, sheet, body, diagnoses=("J20.900",), doctor_id=self.clinic.staff["shen"],
            today=self.clinic.today, now=self.his.clock.wall_ms(),
        )  # fmt: skip
        return check(now)

    def codes(self, sheet: sheets.Prescription, body: Body) -> list[str]:
        return [f"{finding.level} {finding.code}" for finding in self.found(sheet, body)]

    def sign(self, sheet: sheets.Prescription, *, rx_no: str = "R1") -> int:
        def work(conn: Connection) -> int:
            fresh = sheets.get(conn, sheet.id)
            assert fresh is not None
            judged = read(
                fresh.body, sheets.drugs_of(conn, fresh.body), form=fresh.form, diagnoses=("J20.900",), emergency=False
            )
            return sheets.sign(
                conn, fresh, judged, rx_no=rx_no, kind=Kind.ORDINARY, valid_until=self.clinic.today.isoformat(),
                by=self.clinic.staff["shen"], at=self.his.clock.wall_ms(), clock_state="synced", mode="online",
            )  # fmt: skip

        return self.his.write(work)

    def sql(self, statement: str, **values: object) -> None:
        self.his.write(lambda conn: conn.execute(statement, values))


@pytest.fixture
def desk(clinic: Clinic) -> Desk:
    desk = Desk(clinic)
    desk.sql("UPDATE patient SET allergies_asked_at = 1 WHERE id = :id", id=desk.patient_id)
    return desk


def test_a_line_begins_with_what_is_usual_and_is_priced(desk: Desk) -> None:
    body = desk.body("盐酸氨溴索片")
    judged = read(body, sheets.drugs_of(desk.his.conn, body), form=Form.MEDICINES, diagnoses=(), emergency=False)
    (line,) = judged.priced
    assert (line.line.dose, line.line.frequency, line.line.days, line.packs) == (30, "tid", 5, 1)
    assert judged.total_fen == 1560
    assert judged.problems == ()


def test_what_is_typed_and_cannot_be_read_is_told_at_its_field(desk: Desk) -> None:
    body = desk.body("盐酸氨溴索片")
    body = replace(body, lines=(replace(body.lines[0], dose="3o", days="0", packs="1.5"),))
    judged = read(body, sheets.drugs_of(desk.his.conn, body), form=Form.MEDICINES, diagnoses=(), emergency=False)
    assert [problem.field for problem in judged.problems] == ["rx-dose-1", "rx-days-1", "rx-packs-1"]
    assert "stop incomplete" in desk.codes(desk.opened(), body)


def test_a_body_survives_its_json() -> None:
    body = Body(lines=(), reasons={"supply-too-long:1": "高血压"}, doses="7")
    assert from_json(to_json(body)) == body
    with pytest.raises(ValueError, match="not a sheet"):
        from_json('{"lines": [{}]}')


def test_a_line_taken_away_takes_the_reasons_about_lines_that_moved(desk: Desk) -> None:
    body = desk.body("盐酸氨溴索片", "苯磺酸氨氯地平片", "盐酸二甲双胍片")
    reasons = {
        "supply-too-long:1": "a",
        "supply-too-long:3": "b",
        "diagnosis-missing": "c",
        "same-ingredient:1,2:x": "d",
    }
    left = without_line(replace(body, reasons=reasons), 2)
    assert len(left.lines) == 2
    assert left.reasons == {"supply-too-long:1": "a", "diagnosis-missing": "c"}


def test_saving_again_is_nothing_new_and_a_stale_form_is_told(desk: Desk) -> None:
    sheet, body = desk.opened(), desk.body("盐酸氨溴索片")
    assert desk.save(sheet, body) == 1
    assert desk.save(sheet, body) == 1
    assert desk.save(sheet, desk.body("布洛芬混悬液"), based_on=1) == 2
    overtaken = desk.save(sheet, desk.body("蒙脱石散"), based_on=1)
    assert isinstance(overtaken, sheets.Overtaken)
    assert overtaken.draft.revision == 2


def test_an_allergy_of_the_record_stops_its_group(desk: Desk) -> None:
    sheet, body = desk.opened(), desk.body("阿莫西林胶囊")
    assert desk.codes(sheet, body) == ["stop skin-test-missing"]
    desk.sql(
        "INSERT INTO allergy (id, patient_id, substance, recorded_at, recorded_by) VALUES ('a', :p, '青霉素', 1, :by)",
        p=desk.patient_id, by=desk.clinic.staff["zhou"],
    )  # fmt: skip
    assert desk.codes(sheet, body) == ["stop allergic"]
    assert desk.codes(sheet, desk.body("头孢克洛胶囊")) == ["ask allergy-cross"]
    desk.sql("UPDATE allergy SET ended_at = 2, ended_by = recorded_by, end_reason = '误记'")
    assert desk.codes(sheet, body) == ["stop skin-test-missing"]


def test_nobody_asked(desk: Desk) -> None:
    desk.sql("UPDATE patient SET allergies_asked_at = NULL")
    assert desk.codes(desk.opened(), desk.body("盐酸氨溴索片")) == ["ask allergies-not-asked"]


def test_a_skin_test_gates_the_drug(desk: Desk) -> None:
    sheet, body = desk.opened(), desk.body("阿莫西林胶囊")
    desk.sql(
        "INSERT INTO order_item (id, encounter_id, patient_id, kind, name, substance, count, price_fen, ordered_at, "
        "ordered_by) VALUES ('o', :e, :p, 'skin_test', '青霉素皮试', '阿莫西林', 1, 600, :at, :by)",
        e=desk.encounter_id, p=desk.patient_id, at=desk.his.clock.wall_ms(), by=desk.clinic.staff["shen"],
    )  # fmt: skip
    assert desk.codes(sheet, body) == ["note skin-test-waiting"]
    for result, said in (("positive", ["stop skin-test-positive"]), ("negative", [])):
        desk.his.clock.advance(60)
        desk.sql(
            "INSERT INTO order_result (id, order_id, result, at, by) VALUES (:r, 'o', :r, :at, :by)",
            r=result, at=desk.his.clock.wall_ms(), by=desk.clinic.staff["shen"],
        )  # fmt: skip
        assert desk.codes(sheet, body) == said
    desk.his.clock.advance(73 * 3600)
    (test,) = skin_tests(desk.his.conn, [desk.patient_id], now=desk.his.clock.wall_ms())
    assert test.state is SkinTestState.NEGATIVE
    assert desk.codes(sheet, body) == ["stop skin-test-old"]


def test_weight_and_pregnancy_come_from_the_newest_measuring(desk: Desk) -> None:
    for at, pregnant in ((1, 0), (2, 1)):
        desk.sql(
            "INSERT INTO triage (id, registration_id, weight_kg, pregnant, level, at, by) "
            "VALUES (:id, :r, '58.5', :pregnant, 3, :at, :by)",
            id=str(at), r=desk.registration_id, pregnant=pregnant, at=at, by=desk.clinic.staff["zhou"],
        )  # fmt: skip
    assert desk.codes(desk.opened(), desk.body("左氧氟沙星片")) == ["stop pregnancy-forbidden"]


def test_other_sheets_of_today_and_running_ones_count(desk: Desk) -> None:
    first, second = desk.opened(), desk.opened()
    desk.save(first, desk.body("酚麻美敏片"))
    assert desk.codes(second, desk.body("对乙酰氨基酚片")) == ["ask same-ingredient"]
    desk.sign(first)
    assert desk.codes(second, desk.body("对乙酰氨基酚片")) == ["ask same-ingredient"]
    desk.his.clock.advance(4 * 24 * 3600)
    assert desk.codes(second, desk.body("对乙酰氨基酚片")) == []


def test_what_is_signed_is_frozen_and_chained(desk: Desk) -> None:
    sheet = desk.opened()
    desk.save(sheet, desk.body("盐酸氨溴索片"))
    assert desk.sign(sheet) == 1
    desk.save(sheet, desk.body("盐酸氨溴索片", "布洛芬缓释胶囊"), based_on=1)
    assert desk.sign(sheet, rx_no="R2") == 2
    fresh = desk.fresh(sheet.id)
    assert [(version.n, version.rx_no, version.total_fen) for version in fresh.versions] == [
        (2, "R2", 1560 + 1620),
        (1, "R1", 1560),
    ]
    assert (fresh.status, fresh.is_open) == ("signed", False)
    assert sheets.broken_version(desk.his.conn, sheet.id) is None
    for statement in (
        "UPDATE prescription_version SET total_fen = 1", "DELETE FROM prescription_version",
        "UPDATE prescription_line SET packs = 9", "DELETE FROM prescription_line",
    ):  # fmt: skip
        with pytest.raises(DatabaseError, match="never"):
            desk.sql(statement)
    desk.sql("DROP TRIGGER prescription_version_kept")
    desk.sql("UPDATE prescription_version SET body = replace(body, '30', '90') WHERE n = 1")
    assert sheets.broken_version(desk.his.conn, sheet.id) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE prescription_version SET rx_no = 'R9' WHERE n = 2",
        "UPDATE prescription_version SET kind = 'narcotic' WHERE n = 2",
        "UPDATE prescription_version SET valid_until = '2027-12-31' WHERE n = 2",
        "UPDATE prescription_version SET total_fen = 1 WHERE n = 2",
        "UPDATE prescription_line SET dose = '300' WHERE n = 2",
        "UPDATE prescription_line SET spec = '300 mg × 20 片' WHERE n = 2",
        "DELETE FROM prescription_line WHERE n = 2",
    ],
)
def test_the_chain_covers_everything_that_is_printed(desk: Desk, statement: str) -> None:
    sheet = desk.opened()
    for n in (1, 2):
        desk.save(sheet, desk.body(*["盐酸氨溴索片"] * n), based_on=n - 1)
        desk.sign(sheet, rx_no=f"R{n}")
    table = statement.replace("DELETE FROM", "UPDATE").split()[1]
    for trigger in (f"{table}_kept", f"{table}_kept_too"):
        desk.sql(f"DROP TRIGGER {trigger}")
    desk.sql(statement)
    assert sheets.broken_version(desk.his.conn, sheet.id) == 2


def test_void_once_with_a_reason(desk: Desk) -> None:
    sheet = desk.opened()
    by, at = desk.clinic.staff["shen"], desk.his.clock.wall_ms()
    assert desk.his.write(lambda conn: sheets.void(conn, sheet.id, by=by, at=at, reason="开错人"))
    assert not desk.his.write(lambda conn: sheets.void(conn, sheet.id, by=by, at=at, reason="再来"))
    assert (desk.fresh(sheet.id).status, desk.fresh(sheet.id).void_reason) == ("void", "开错人")


def test_rights_and_settings(desk: Desk) -> None:
    sheet, body = desk.opened(), desk.body("注射用头孢哌酮钠舒巴坦钠")
    assert not may_sign(desk.found(sheet, body), {})
    desk.sql("INSERT INTO staff_right (staff_id, right) VALUES (:id, 'restricted')", id=desk.clinic.staff["shen"])
    assert desk.codes(sheet, body) == []
    desk.sql("INSERT INTO setting (key, value, updated_at) VALUES ('skin_test_hours', '24', 1)")
    assert situation.clinic(desk.his.conn).skin_test_hours == 24
