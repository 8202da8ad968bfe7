"""A clinic in the middle of its day, in which every page has something to show; for `walking`.

Everything is made through the forms themselves, by people of the roles that may. What a new page needs to be reached is
added here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_node.config.load import load
from edge_node.his import seed
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.patients.identity import IdType
from edge_node.his.reception import queries as reception
from edge_node.his.staff.model import Role
from edge_node.services.copy_desk import CopyDesk
from edge_node.services.line_pictures import LinePictures
from tests.support.copies_told import CONFIG as COPIES
from tests.support.copies_told import copies_state
from tests.support.his import His, a_his, look_for
from tests.support.node_files import WALL_MS, a_file, a_node, on_backup
from tests.support.people import an_id_number
from tests.support.walking import Walk, code_of

LINES = """
[[line]]
name = "telecom"
preferred = 1
interface = "enp2s0"
[[line]]
name = "unicom"
preferred = 2
interface = "enp3s0"
"""
DIAGNOSIS = "J20.900|急性支气管炎"


@dataclass
class Day:
    """The day as it is made: who came, by name."""

    his: His
    walk: Walk
    registrations: dict[str, str]

    def post(self, role: Role, path: str, **fields: str) -> str:
        """A form by somebody of a role; returns where it leads. What is refused here is a mistake of the test."""
        answer = self.his.post(self.walk.client(role), path, **fields)
        assert answer.status_code == 302, (path, answer.status_code, answer.text[answer.text.find("<main") :][:3000])
        return answer.location

    def comes(self, name: str, born: str, *, department: str = "internal", **more: str) -> str:
        """Somebody is registered; the registration's id."""
        departments = {one.code: one.id for one in reception.departments(self.his.conn)}
        fields = {
            "name": name, "sex": "2", "birth_date": born, "id_type": IdType.NONE, "phone": "", "address": "",
            "department_id": departments[department], **more,
        }  # fmt: skip
        made = self.post(Role.REGISTRAR, "/reception", **fields).partition("registered=")[2]
        self.registrations[name] = made
        self.his.clock.advance(1)
        return made

    def patient(self, name: str) -> str:
        (found,) = self.his.conn.execute("SELECT id FROM patient WHERE name = ? ORDER BY rowid", (name,)).fetchone()
        return str(found)

    def begun(self, name: str) -> str:
        """The doctor calls somebody in; the address of the encounter."""
        return self.post(Role.DOCTOR, f"/encounters/queue/{self.registrations[name]}")

    def press(self, encounter: str, **typed: str) -> str:
        """A button of the form of note and sheet, with what is typed."""
        (form,) = (one for one in self.walk.forms_of(Role.DOCTOR, encounter) if one.endpoint == "encounters.save")
        answer = self.walk.send(form, {name.replace("__", "-"): value for name, value in typed.items()})
        assert answer.status_code == 302, answer.text[answer.text.find("<main") :][:3000]
        return answer.location

    def orders(self, name: str) -> list[str]:
        """What was ordered for somebody."""
        rows = self.his.conn.execute("SELECT id FROM order_item WHERE patient_id = ?", (self.patient(name),))
        return [str(row[0]) for row in rows]


@contextlib.contextmanager
def a_walked_clinic(folder: Path) -> Iterator[Walk]:
    """The clinic, its copies and lines, and a `Walk` through it."""
    (folder / "edge-node.toml").write_text(COPIES + LINES, encoding="utf-8")
    config = load(folder / "edge-node.toml", home=folder)
    with a_his(
        folder,
        copies=lambda clock: CopyDesk(config, clock),
        line_history=lambda clock: LinePictures(config, clock),
    ) as his:
        # What goes wrong becomes a page, as in the clinic.
        his.app.testing = False
        his.status = a_node(
            links=a_file("links", **on_backup()), replica=a_file("replica", **copies_state(WALL_MS))
        )  # fmt: skip
        at = his.clock.wall_ms()
        his.write(lambda conn: seed.plant(conn, at=at, training=True, hash_password=str, make_password=str))
        internal = next(one.id for one in reception.departments(his.conn) if one.code == "internal")
        for role in Role:
            his.add_staff(
                code_of(role), role, name=f"某{role}", department_id=internal if role is Role.DOCTOR else None
            )  # fmt: skip
        day = Day(his=his, walk=Walk(his), registrations={})
        _morning(day)
        yield day.walk


def _morning(day: Day) -> None:
    his, walk = day.his, day.walk
    day.comes("单雅琴", "1980-03-14", phone="13805162207", address="西城街道桂花里 12 号")
    day.comes("欧阳淑贞", "1952-07-30", id_type=IdType.RESIDENT, id_number=an_id_number("1952-07-30", "204"))
    day.comes("段玉", "1971-02-03", phone="13805162208")
    day.comes("李小满", "2019-06-01", department="paediatrics", guardian_name="李明", guardian_relation="父亲",
              guardian_phone="13805162209")  # fmt: skip
    day.comes("王兰", "1966-12-24")
    day.comes("张明", "1990-01-01", sex="1", phone="13805162210")
    day.comes("覃𬭎", "1996-11-02", sex="1")
    day.post(Role.REGISTRAR, f"/reception/{day.registrations['王兰']}/cancel", reason="有事先走")
    day.post(
        Role.NURSE, f"/triage/{day.registrations['单雅琴']}", level="3", temperature="38.2", pulse="96",
        note="面色潮红", substance="青霉素", reaction="皮疹",
    )  # fmt: skip
    day.post(
        Role.DOCTOR, f"/patients/{day.patient('张明')}/allergies", substance="花粉", reaction="打喷嚏", since="2015"
    )
    day.begun("单雅琴")
    overtaken = day.begun("欧阳淑贞")
    _writes(day, overtaken)
    stale = his.post(walk.client(Role.DOCTOR), overtaken, revision="0", complaint="发热", action="save")
    assert stale.status_code == 409
    walk.shown.append((Role.DOCTOR, overtaken, stale.text))
    day.post(Role.DOCTOR, f"/patients/{day.patient('段玉')}/allergies/none")
    signed = day.begun("段玉")
    _writes(day, signed)
    day.press(signed, action="sign", version="1")
    walk.also += [
        (Role.DOCTOR, signed),
        (Role.DOCTOR, f"{overtaken}/template"),
        (Role.REGISTRAR, f"/reception/{day.registrations['段玉']}"),
        (Role.REGISTRAR, f"/patients/{day.patient('王兰')}/merge?other={day.patient('段玉')}"),
        (Role.REGISTRAR, look_for(his, walk.client(Role.REGISTRAR), "nobody")),
        *((Role.DOCTOR, f"/orders/{order}/cancel") for order in day.orders("段玉")),
        # Somebody who has signed in twice may end the other session.
        (Role.CASHIER, "/sessions"),
    ]
    (left,) = his.conn.execute("SELECT id FROM staff WHERE code = 'taoran'").fetchone()
    day.post(Role.ADMIN, "/staff/lock", staff_id=left)
    his.sign_in(code_of(Role.CASHIER), client=his.browser())
    walk.shown.append(
        (Role.AUDITOR, "/second-factor", his.post(walk.client(Role.AUDITOR), "/second-factor/begin").text)
    )
    day.post(Role.ADMIN, "/console/replica", kind="pause", destination="nas", hours="1", why="the carrier works on it")
    # Pages as they are when the last proof of who somebody is has grown old.
    for role, path in ((Role.ADMIN, "/staff"), (Role.DOCTOR, overtaken)):
        client = walk.client(role)
        his.write(lambda conn: conn.execute("UPDATE session SET confirmed_at = 0"))
        walk.shown.append((role, path, client.get(path).text))
        his.write(lambda conn: conn.execute("UPDATE session SET confirmed_at = ?", (his.clock.wall_ms(),)))
    for twin in ("诸葛孔明", "诸葛孔朋"):
        day.comes(twin, "1981-07-23", sex="1", department="tcm")
    day.post(Role.REGISTRAR, f"/reception/{day.registrations['诸葛孔朋']}/cancel", reason="登记重复")
    kept, other = day.patient("诸葛孔明"), day.patient("诸葛孔朋")
    day.post(Role.REGISTRAR, f"/patients/{kept}/merge", other=other, kept=kept, reason="同一人")
    day.post(Role.REGISTRAR, f"/patients/{day.patient('张明')}/apart", other=day.patient("覃𬭎"))


def _writes(day: Day, encounter: str) -> None:
    """A note with a diagnosis, a sheet and an order beside it, kept as a draft."""
    day.press(encounter, complaint="咳嗽 5 天", history="受凉后咳嗽，无发热", add=DIAGNOSIS)
    drug = catalogues.find_drugs(day.his.conn, "blf", herbal=False)[0]
    day.press(encounter, **{"rx-add": drug.id})
    item = catalogues.find_prices(day.his.conn, "whxr")
    if item:
        day.press(encounter, **{"od-add": item[0].id})
