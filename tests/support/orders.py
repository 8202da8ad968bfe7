"""A clinic in which things are ordered and carried out: its doctor's and its nurses' browsers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from werkzeug.test import TestResponse

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.training import training_drugs, training_prices
from edge_node.his.orders import queries
from edge_node.his.orders.model import Order
from edge_node.his.staff.model import Role
from edge_node.store.connection import Connection
from tests.support.doctor_form import Doctor
from tests.support.encounters import Clinic
from tests.support.his import His, a_his

# Skin tests are waited for; nobody is signed out meanwhile.
IDLE_LOCK_S = 86_400.0


def house(his: His) -> Clinic:
    """A clinic with the training catalogues and two nurses, lin and ding."""
    clinic = Clinic(his)

    def plant(conn: Connection) -> None:
        catalogues.keep_drugs(conn, training_drugs(), at=1)
        catalogues.keep_prices(conn, training_prices(), at=1)

    his.write(plant)
    for code, name in (("lin", "林芳"), ("ding", "丁香")):
        clinic.staff[code] = his.add_staff(code, Role.NURSE, name=name)
    return clinic


@contextlib.contextmanager
def a_house(data: Path) -> Iterator[Clinic]:
    """Such a clinic on a new database in the folder `data`."""
    with a_his(data, idle_lock_s=IDLE_LOCK_S) as his:
        yield house(his)


def doctor_of(clinic: Clinic) -> Doctor:
    """Doctor shen with a patient who was asked about allergies."""
    doctor = Doctor(clinic, clinic.begun())
    clinic.his.write(lambda conn: conn.execute("UPDATE patient SET allergies_asked_at = 1"))
    return doctor


class Nurse:
    """A nurse's browser on one order: presses a button of the page as it stands, with what is typed."""

    def __init__(self, clinic: Clinic, order_id: str, who: str = "lin") -> None:
        self.his, self.path = clinic.his, f"/orders/{order_id}"
        self.client = self.his.sign_in(who, client=self.his.browser())
        self.look()

    def look(self) -> None:
        self.page = self.client.get(self.path).text

    def press(self, act: str, **typed: str) -> TestResponse:
        """The page stays as it was, as in a browser that goes back."""
        form = next(
            (form for form in re.findall(r"<form.*?</form>", self.page, re.DOTALL) if f'value="{act}"' in form), ""
        )
        assert form, f"no {act} on this page"
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
        answer = self.client.post(self.path, data={**{name: unescape(value) for name, value in hidden}, **typed})
        self.after = (
            self.client.get(answer.headers["Location"]).text if answer.status_code == 302 else answer.text
        )  # fmt: skip
        return answer


def orders(doctor: Doctor) -> list[Order]:
    return queries.of_encounter(doctor.his.conn, doctor.encounter_id)


def the_order(doctor: Doctor) -> Order:
    (order,) = orders(doctor)
    return order


def ordered(doctor: Doctor, code: str, count: str = "") -> Order:
    doctor.press("action", "od-find", od__q=code, od__count=count)
    return orders(doctor)[-1]


def words(page: str) -> str:
    main = page[page.index("<main") :]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main))).strip()


def actions(doctor: Doctor) -> list[str]:
    rows = doctor.his.conn.execute("SELECT action FROM audit_log WHERE object LIKE 'order:%' ORDER BY seq")
    return [row["action"] for row in rows if row["action"] != "viewed"]
