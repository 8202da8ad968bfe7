"""Templates of notes in his.db: prose for the empty fields of a note, in no patient's words.

SQL of templates stands here and nowhere else; `filled` and `problems` are pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ulid import ULID

from edge_node.his.encounters import rules
from edge_node.his.encounters.note import PROSE_FIELDS, Note, from_json, to_json
from edge_node.his.forms import FieldProblem
from edge_node.his.patients.queries import Patient
from edge_node.his.reception.queries import Department, departments
from edge_node.i18n import text
from edge_node.store.connection import Connection, Row

NAME_LIMIT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What it is called, and the prose that it writes. `department_id` None is everybody's."""

    id: str
    name: str
    department_id: str | None
    note: Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The templates of one department, None for everybody's."""

    department: Department | None
    templates: Sequence[Template]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A note with a template in its empty fields; `left` are those that had words of their own."""

    note: Note
    left: tuple[str, ...]


def filled(note: Note, template: Note) -> Filled:
    """Fill the empty fields of prose. What is typed stays, to the letter."""
    wanted = {name: words for name in PROSE_FIELDS if (words := getattr(template, name))}
    empty = {name: words for name, words in wanted.items() if not getattr(note, name)}
    left = tuple(name for name, words in wanted.items() if getattr(note, name) not in ("", words))
    return Filled(note=replace(note, **empty), left=left)


def prose_of(note: Note) -> Note:
    """What of a note goes into a template: neither measures nor diagnoses, which are one patient's."""
    return Note(**{name: getattr(note, name) for name in PROSE_FIELDS})


def problems(name: str, prose: Note, patient: Patient) -> list[FieldProblem]:
    """What keeps these words from becoming a template: no name, no words, too many, or the patient in them."""
    found = []
    if not name:
        found.append(FieldProblem(field="name", text=text("Give the template a name")))
    elif len(name) > NAME_LIMIT:
        found.append(FieldProblem(field="name", text=text("At most %(limit)d characters", limit=NAME_LIMIT)))
    if prose == Note():
        found.append(FieldProblem(field="complaint", text=text("Nothing is written that could be filled in")))
    known = (patient.name, patient.guardian_name, patient.phone, patient.mrn)
    marks = [mark for mark in known if len(mark) > 1]
    for field, words in (("name", name), *((field, getattr(prose, field)) for field in PROSE_FIELDS)):
        mark = next((mark for mark in marks if mark in words), None)
        if mark:
            found.append(FieldProblem(field=field, text=text('"%(mark)s" tells who the patient is', mark=mark)))
    return found + rules.too_long(prose)


_TEMPLATE = "SELECT id, name, department_id, body FROM note_template"


def _template(row: Row) -> Template:
    return Template(
        id=row["id"], name=row["name"], department_id=row["department_id"], note=prose_of(from_json(row["body"]))
    )


def get(conn: Connection, template_id: str) -> Template | None:
    """One template, retired ones too."""
    row = conn.execute(f"{_TEMPLATE} WHERE id = :id", {"id": template_id}).fetchone()
    return _template(row) if row else None


def of_department(conn: Connection, department_id: str | None) -> list[Template]:
    """The templates that a department has for itself."""
    rows = conn.execute(
        f"{_TEMPLATE} WHERE department_id = :id AND active = 1 ORDER BY rank, name", {"id": department_id}
    )
    return [_template(row) for row in rows]


def groups(conn: Connection, department_id: str | None) -> list[Group]:
    """All that are offered: those of the department first, then everybody's, then those of the others."""
    found = [_template(row) for row in conn.execute(f"{_TEMPLATE} WHERE active = 1 ORDER BY rank, name")]
    all_of = departments(conn)
    own = [department for department in all_of if department.id == department_id]
    others = [department for department in all_of if department.id != department_id]
    ordered = [
        Group(
            department=department,
            templates=[one for one in found if one.department_id == (department.id if department else None)],
        )
        for department in (*own, None, *others)
    ]
    return [group for group in ordered if group.templates]


def keep(conn: Connection, name: str, prose: Note, *, department_id: str) -> str | None:
    """Keep a template of a department, and return its id; None when one of this name is offered.

    The name of a retired one can be given again.
    """
    row = conn.execute("SELECT id, active FROM note_template WHERE name = :name", {"name": name}).fetchone()
    if row and row["active"]:
        return None
    template_id = row["id"] if row else str(ULID())
    conn.execute(
        """
        INSERT INTO note_template (id, name, department_id, body, rank)
        SELECT :id, :name, :department, :body, coalesce(max(rank), 0) + 1 FROM note_template WHERE true
        ON CONFLICT (id) DO UPDATE SET department_id = excluded.department_id, body = excluded.body,
            rank = excluded.rank, active = 1
        """,
        {"id": template_id, "name": name, "department": department_id, "body": to_json(prose)},
    )
    return str(template_id)


def retire(conn: Connection, template_id: str, *, department_id: str) -> bool:
    """Offer a department's template no more; False when it has none of this id, or not any more."""
    return bool(
        conn.execute(
            "UPDATE note_template SET active = 0 WHERE id = :id AND department_id = :department AND active = 1",
            {"id": template_id, "department": department_id},
        ).rowcount
    )
