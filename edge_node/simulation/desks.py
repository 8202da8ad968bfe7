"""People at their computers: what a registrar, a nurse and a doctor do with the pages for one visit.

Each looks at the page as it is: searches, reads, fills in what there is to fill, presses a button, and looks at what
came of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge_node.simulation.browser import Browser
from edge_node.simulation.page import Form, Page
from edge_node.simulation.people import Person
from edge_node.simulation.plan import Visit

_REGISTERED = re.compile(r"registered=([0-9A-Z]{26})")
_ENCOUNTER = re.compile(r"/encounters/([0-9A-Z]{26})(?:$|[?#])")
# The visit's number stands in the title of every page about it.
_VISIT_NO = re.compile(r"\b[0-9A-Z]+-V[0-9]+\b")
REASON = "病情需要，已向患者说明"
# As often a doctor mends what keeps a note from being signed; then the visit is stuck.
MENDS_MAX = 8
DOSES = "7"


class Stuck(Exception):
    """A page did not lead to where a person expected it to; what it said instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """With what somebody signs in."""

    code: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Somebody who has a queue number."""

    visit: Visit
    registration_id: str
    visit_no: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """Who is with a doctor, and the page that says so."""

    encounter_id: str
    visit_no: str
    page: Page


@dataclass(kw_only=True)
class Desk:
    """Somebody who has signed in, at one browser."""

    browser: Browser
    account: Account

    def sign_in(self, station: str) -> None:
        """Raises Stuck when it does not lead to the work."""
        form = self.browser.open("/login").form("/login")
        typed = {"code": self.account.code, "password": self.account.password, "station": station}
        page = self.browser.submit(form, typed)
        # A wrong password leads back, and where one is to be chosen first, or a second factor, no work begins.
        if page.status != 200 or page.path.startswith(("/login", "/password", "/second-factor")):
            raise Stuck(f"{self.account.code} cannot begin to work: {page.says()}")

    def send(self, form: Form, values: Mapping[str, str], *, press: tuple[str, str] | None = None) -> Page:
        """Submit; a password that the page asks for is the person's own."""
        proof = dict.fromkeys(form.names("password"), self.account.password)
        return self.browser.submit(form, {**proof, **values}, press=press)


def visit_no(page: Page) -> str:
    """The number of the visit that a page is about. Raises Stuck."""
    found = _VISIT_NO.search(page.title)
    if found is None:
        raise Stuck(f"no visit: {page.says()}")
    return found[0]


class Registrar(Desk):
    """At the reception."""

    def registers(self, visit: Visit) -> Arrived:
        """Look for the person, then register them with the record that was found or a new one. Raises Stuck."""
        person = visit.person
        page = self.browser.open("/reception")
        page = self.browser.submit(page.form("/reception/find"), {"q": visit.search})
        if not _is_filled(page) and (found := _row_of(page, person)):
            page = self.browser.open(found)
        form = page.form("/reception")
        page = self.send(form, _typed(form, visit), press=form.main())
        if page.status == 409:
            page = self._decides(page, visit)
        registered = _REGISTERED.search(page.path)
        if registered is None:
            raise Stuck(f"not registered: {page.says()}")
        details = self.browser.open(f"/reception/{registered[1]}")
        return Arrived(visit=visit, registration_id=registered[1], visit_no=visit_no(details))

    def cancels(self, arrived: Arrived) -> bool:
        """Take somebody out of the queue; False when a doctor was quicker. Raises Stuck."""
        page = self.browser.open(f"/reception/{arrived.registration_id}")
        form = page.find(f"/reception/{arrived.registration_id}/cancel")
        if form is None:
            return False
        page = self.send(form, {"reason": "患者临时有事，先离开"})
        if page.status not in (200, 409):
            raise Stuck(f"not cancelled: {page.says()}")
        return page.status == 200

    def _decides(self, page: Page, visit: Visit) -> Page:
        """Perhaps the same person: the one of the record, when name and birth date say so; else somebody else."""
        form = page.form("/reception")
        alike, other = form.buttons("use"), form.buttons("distinct_from")
        same = [b for b in alike if visit.person.name in b.row and visit.person.born.isoformat() in b.row]
        if other and not same:
            return self.send(form, {}, press=(other[0].name, other[0].value))
        if not alike:
            return page
        chosen = (same or alike)[0]
        form = self.send(form, {}, press=(chosen.name, chosen.value)).form("/reception")
        return self.send(form, _typed(form, visit), press=form.main())


def _is_filled(page: Page) -> bool:
    """A document's or a record's number leads at once to the form of that person."""
    form = page.find("/reception")
    return form is not None and form.has("patient_id")


def _row_of(page: Page, person: Person) -> str:
    """The address behind the person in the list of who was found; empty when they are not in it."""
    rows = (link for link in page.links if "patient=" in link.href and person.born.isoformat() in link.row)
    return next((link.href for link in rows if person.name in link.row), "")


def _typed(form: Form, visit: Visit) -> dict[str, str]:
    """Where to, and for a new record who it is; what the page does not ask is not said."""
    person = visit.person
    places = [(value, words) for value, words in form.options("department_id") if value]
    there = [value for value, words in places if visit.department in words]
    fields = {"department_id": (there or [value for value, _ in places])[0]}
    if not form.has("patient_id"):
        fields |= {
            "name": person.name, "sex": person.sex, "birth_date": person.born.isoformat(),
            "id_type": "resident" if person.id_number else "none", "id_number": person.id_number,
            "phone": person.phone, "address": person.address, "occupation": person.occupation,
            "guardian_name": person.guardian_name, "guardian_relation": person.guardian_relation,
            "guardian_phone": person.guardian_phone,
        }  # fmt: skip
    return {name: value for name, value in fields.items() if form.has(name)}


class Nurse(Desk):
    """At the triage."""

    def measures(self, arrived: Arrived) -> bool:
        """Measure somebody of the queue; False when they have gone home already. Raises Stuck."""
        queue = self.browser.open("/triage")
        link = queue.link(f"/triage/{arrived.registration_id}")
        page = self.browser.open(link.href if link else f"/triage/{arrived.registration_id}")
        form = page.find(f"/triage/{arrived.registration_id}")
        if form is None:
            return False
        visit = arrived.visit
        said = {"substance": visit.allergy} if visit.allergy else {"asked": "1"}
        typed = {name: value for name, value in {**visit.measures, **said}.items() if form.has(name)}
        page = self.send(form, typed, press=form.main())
        if page.status == 409:
            return False
        if "saved=" not in page.path:
            raise Stuck(f"not measured: {page.says()}")
        return True


class Doctor(Desk):
    """In a consulting room."""

    def calls(self) -> Called | None:
        """Call in whoever is next in the clinic; None when nobody waits. Raises Stuck."""
        page = self.browser.open("/encounters/?all=1")
        page = self.send(page.form("/encounters/call"), {})
        encounter = _ENCOUNTER.search(page.path)
        if encounter is None:
            return None
        return Called(encounter_id=encounter[1], visit_no=visit_no(page), page=page)

    def puts_back(self, called: Called) -> bool:
        """The patient does not come; False once something is written about them. Raises Stuck."""
        form = called.page.find(f"/encounters/{called.encounter_id}/back")
        if form is None:
            return False
        page = self.send(form, {})
        return page.status == 200 and called.encounter_id not in page.path

    def sees(self, called: Called, visit: Visit) -> int:
        """Write the note, look the diagnosis up, prescribe, sign; how many drugs were signed. Raises Stuck."""
        case, address = visit.case, f"/encounters/{called.encounter_id}"
        form = called.page.form(address)
        typed = {"complaint": case.complaint, "history": case.history, "examination": case.examination}
        form = self._diagnoses(form, {**typed, "dx": case.diagnosis}, address)
        if case.herbs:
            form = self.send(form, {}, press=("rx-open", "herbal")).form(address)
        for name in (*case.drugs, *case.herbs):
            form = self._prescribes(form, name, address)
        page, drugs = self._signs(form, address)
        if visit.is_amended:
            self._amends(page, address, case.complaint)
        return drugs

    def _diagnoses(self, form: Form, typed: Mapping[str, str], address: str) -> Form:
        page = self.send(form, typed, press=("action", "find"))
        form = page.form(address)
        if not form.value("dx"):
            return form
        found = form.buttons("add")
        if not found:
            raise Stuck(f"no diagnosis: {page.says()}")
        return self.send(form, {}, press=(found[0].name, found[0].value)).form(address)

    def _prescribes(self, form: Form, name: str, address: str) -> Form:
        form = self.send(form, {"rx-q": name}, press=("action", "rx-find")).form(address)
        if found := form.buttons("rx-add"):
            form = self.send(form, {}, press=(found[0].name, found[0].value)).form(address)
        return form

    def _signs(self, form: Form, address: str) -> tuple[Page, int]:
        """Sign; what the rules stop is taken off the sheet, what they ask is answered."""
        for _ in range(MENDS_MAX):
            typed = {name: REASON for name in form.names() if name.startswith("reason-") and not form.value(name)}
            typed |= {"rx-q": ""} if form.has("rx-q") else {}
            typed |= {"rx-doses": DOSES} if form.has("rx-doses") and not form.value("rx-doses") else {}
            stopped = [button for button in form.buttons("rx-remove") if "find--stop" in button.within.split()]
            if stopped:
                form = self.send(form, typed, press=(stopped[0].name, stopped[0].value)).form(address)
                continue
            drugs = sum(control.name == "rx-drug" for control in form.controls)
            page = self.send(form, typed, press=("action", "sign"))
            signed = page.find(address)
            if page.status == 200 and signed is None:
                return page, drugs
            if signed is None:
                break
            form = signed
        raise Stuck(f"not signed: {page.says()}")

    def _amends(self, page: Page, address: str, complaint: str) -> None:
        link = page.link("amend=1")
        if link is None:
            raise Stuck(f"no way to change it: {page.says()}")
        form = self.browser.open(link.href).form(address)
        self._signs_again(form, {"complaint": f"{complaint}，补充病史", "reason": "患者补充病史"}, address)

    def _signs_again(self, form: Form, typed: Mapping[str, str], address: str) -> None:
        page = self.send(form, typed, press=("action", "sign"))
        if page.status != 200 or page.find(address) is not None:
            raise Stuck(f"not changed: {page.says()}")
