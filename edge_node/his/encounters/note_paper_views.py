"""The paper of a signed note, which every patient may ask for: shown as it will be printed, counted copy by copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flask import abort, redirect, render_template, request, url_for

from edge_node.his import audit, request_key
from edge_node.his.context import context, reader, write
from edge_node.his.encounters import note_prints, versions
from edge_node.his.encounters.desk import Case
from edge_node.his.encounters.note_paper import PrintedNote, printed_note
from edge_node.his.encounters.queue_views import Page, blueprint, case_of
from edge_node.his.encounters.versions import Version
from edge_node.his.language import local
from edge_node.his.orders import queries as orders
from edge_node.his.orders.model import Order, OrderKind
from edge_node.his.orders.model import Stage as OrderStage
from edge_node.his.patients import allergies
from edge_node.his.patients.desk import this_desk
from edge_node.his.prescriptions import desk as sheet_desk
from edge_node.his.prescriptions import prints
from edge_node.his.prescriptions.model import Form
from edge_node.his.prescriptions.printed import how_taken, quantity, usage
from edge_node.his.security import who
from edge_node.store.connection import Connection

_TESTED = {OrderStage.NEGATIVE: "（－）", OrderStage.POSITIVE: "（＋）", OrderStage.REFUSED: "未做"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which version of whose note."""

    case: Case
    version: Version

    @property
    def replaced_by(self) -> int | None:
        """The newest version, when this one is older."""
        newest = self.case.versions[0].n
        return newest if self.version.n < newest else None

    @property
    def is_broken(self) -> bool:
        """Is it, or what it follows, not what was signed?"""
        broken = versions.broken_version(reader(), self.case.encounter.id)
        return broken is not None and self.version.n >= broken

    @property
    def until(self) -> int | None:
        """When the next version was signed; None while this one stands. UTC milliseconds."""
        return next((one.signed_at for one in reversed(self.case.versions) if one.n > self.version.n), None)


@blueprint.get("/<encounter_id>/note/paper")
def note_paper(encounter_id: str) -> Page:
    """The paper of a version, the newest unless the address says otherwise; with `copy` that copy of it."""
    asked = _asked(encounter_id, request.args.get("version", type=int))
    copies = note_prints.copies(reader(), encounter_id, asked.version.n)
    is_broken, number = asked.is_broken, request.args.get("copy", type=int)
    copy = next((one for one in copies if one.number == number and not is_broken), None)
    audit.viewed(
        who(), f"encounter:{encounter_id}",
        {"page": "paper", "version": asked.version.n, "copy": copy and copy.number},
    )  # fmt: skip
    return render_template(
        "encounters/note_paper.html", asked=asked, version=asked.version, paper=_paper(asked), copy=copy,
        copies=copies, exercise=context().node_status().exercise, is_broken=is_broken,
    )  # fmt: skip


@blueprint.post("/<encounter_id>/note/paper")
def print_note(encounter_id: str) -> Page:
    """Count one more copy, and show it ready for the printer; a second click finds the first one's."""
    asked = _asked(encounter_id, request.form.get("version", type=int))
    desk, token, n = this_desk(), request_key.posted(request.form), asked.version.n
    if asked.is_broken:
        return redirect(url_for(".note_paper", encounter_id=encounter_id, version=n))

    def work(conn: Connection) -> str:
        copy = note_prints.add_copy(conn, encounter_id, n, by=desk.staff_id, at=desk.moment.at)
        desk.trace(conn, "note_printed", f"encounter:{encounter_id}", version=n, copy=copy)
        return str(copy)

    copy = write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    return redirect(url_for(".note_paper", encounter_id=encounter_id, version=n, copy=copy))


def _asked(encounter_id: str, n: int | None) -> Asked:
    case = case_of(encounter_id)
    wanted = n if n is not None or not case.versions else case.versions[0].n
    version = next((one for one in case.versions if one.n == wanted), None)
    return Asked(case=case, version=version or abort(404))


def _paper(asked: Asked) -> PrintedNote:
    conn, case = reader(), asked.case
    return printed_note(
        asked.version, clinic_name=context().clinic_name, visit_no=case.entry.visit_no, patient=case.patient,
        department=case.entry.department.name, kind=case.entry.kind, began=local(case.encounter.started_at),
        allergies=_allergies(conn, asked),
        treatment=[*_prescribed(conn, asked), *_ordered(conn, asked)],
    )  # fmt: skip


def _allergies(conn: Connection, asked: Asked) -> str:
    """What stood on record when the version was signed. That somebody was asked is known of the last time only."""
    at = asked.version.signed_at
    stood = [
        one
        for one in allergies.all_of(conn, asked.case.patient.id)
        if one.recorded_at <= at and (one.ended_at is None or one.ended_at > at)
    ]
    if stood:
        return "；".join(one.substance + (f"（{one.reaction}）" if one.reaction else "") for one in stood)
    asked_at = allergies.of_patient(conn, asked.case.patient.id).asked_at
    return "否认药物过敏" if asked_at is not None and asked_at <= at else "未记录"


def _prescribed(conn: Connection, asked: Asked) -> Iterator[str]:
    """The sheets as they stood beside this version, each with its number."""
    for sheet in sheet_desk.of_encounter(conn, asked.case.encounter.id):
        stood = (one for one in sheet.versions if asked.until is None or one.signed_at < asked.until)
        version = next(stood, None)
        if version is None:
            continue
        lines = prints.lines(conn, sheet.id, version.n)
        if sheet.form is Form.HERBAL:
            herbs = "、".join(f"{line.name} {line.dose} {line.unit}" for line in lines)
            yield f"中药饮片处方 {version.rx_no}：{herbs}；{how_taken(version.body)}"
        else:
            yield f"处方 {version.rx_no}："
            yield from (f"{line.name}　{line.spec}　{quantity(line)}　{usage(line)}" for line in lines)


def _ordered(conn: Connection, asked: Asked) -> Iterator[str]:
    for order in orders.of_encounter(conn, asked.case.encounter.id):
        if order.cancelled_at is None and (asked.until is None or order.ordered_at < asked.until):
            yield _order(order)


def _order(order: Order) -> str:
    if order.kind is OrderKind.SKIN_TEST:
        return f"{order.name}：{_TESTED.get(order.stage, '皮试待结果')}"
    return f"{order.name}　{order.count} {order.unit}".rstrip()
