"""Whole visits through the pages: a registrar and a doctor, each with a browser of their own, who give up never.

Whoever gets no answer, or a 503, presses the same button of the same form again, until there is one.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.desk import Answer, Desk, hidden, name_of, new_key

AGAIN_AFTER_S = 0.25
DIAGNOSIS = "J20.900|急性支气管炎"
NOTE = {
    "complaint": "咳嗽、咳黄痰 3 天",
    "history": "3 天前受凉后咳嗽，咳黄痰，伴发热，最高 38.2 ℃，无胸痛、无咯血。",
    "temperature": "37.9",
    "pulse": "88",
    "respiration": "20",
    "blood_pressure": "128/82",
    "onset_date": "",
    "examination": "咽充血，双肺呼吸音粗，可闻及少许湿啰音。",
}


class Stopped(Exception):
    """The staff go home: what is not answered yet will not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistence:
    """Presses the button again until there is an answer. `is_over` ends it, with Stopped."""

    is_over: Callable[[], bool]

    def press(self, ask: Callable[[], Answer], *, expect: int = 302) -> Answer:
        """Ask until answered. AssertionError for an answer that is neither the expected one nor a passing failure."""
        while True:
            if self.is_over():
                raise Stopped
            try:
                answer = ask()
            except (OSError, http.client.HTTPException):
                time.sleep(AGAIN_AFTER_S)
                continue
            if answer.status == expect:
                return answer
            assert answer.status == 503, f"{answer.status} {answer.location}: {said(answer.body)}"
            time.sleep(AGAIN_AFTER_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """At the reception's desk."""

    desk: Desk
    until_answered: Persistence

    def registers(self, phone: str, *, again: bool, doctor: Doctor) -> str:
        """Register the patient with this phone, new or known from before, to this doctor; the registration's id."""
        press = self.until_answered.press
        more = {"doctor_id": doctor.id, "department_id": doctor.department_id}
        if again:
            found = press(lambda: self.desk.post("/reception/find", {"q": phone}))
            listed = press(lambda: self.desk.get(found.location), expect=200).body
            chosen = re.search(r"patient=([0-9A-Z]{26})", listed)
            assert chosen, f"nobody has the phone {phone}: {said(listed)}"
            page = press(lambda: self.desk.get(f"/reception?patient={chosen[1]}"), expect=200).body
            more |= {"patient_id": hidden(page, "patient_id"), "version": hidden(page, "version")}
        else:
            press(lambda: self.desk.get("/reception"), expect=200)
        key = new_key()
        answer = press(lambda: self.desk.register(name_of(phone), phone, request_key=key, more=more))
        registered = re.search(r"registered=([0-9A-Z]{26})", answer.location)
        assert registered, answer.location
        press(lambda: self.desk.get(answer.location), expect=200)
        return registered[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """In the consulting room. `id` and `department_id` are what the reception's form calls them."""

    desk: Desk
    until_answered: Persistence
    id: str
    department_id: str

    def sees_the_next(self, *, amends: bool) -> tuple[str, int]:
        """Call who waits longest, keep a draft, sign it; the encounter's id, and how many versions were signed."""
        press = self.until_answered.press
        press(lambda: self.desk.get("/encounters/"), expect=200)
        key = new_key()
        called = press(lambda: self.desk.post("/encounters/call", {"request_key": key})).location
        found = re.search(r"/encounters/([0-9A-Z]{26})$", called)
        assert found, f"nobody waits: {called}"
        page = press(lambda: self.desk.get(called), expect=200).body
        self._posts(called, page, "save")
        page = press(lambda: self.desk.get(called), expect=200).body
        self._posts(called, page, "sign")
        press(lambda: self.desk.get(called), expect=200)
        if amends:
            page = press(lambda: self.desk.get(f"{called}?amend=1"), expect=200).body
            self._posts(called, page, "sign", complaint="咳嗽、咳黄痰 4 天", reason="患者补充病史")
            press(lambda: self.desk.get(called), expect=200)
        return found[1], 2 if amends else 1

    def _posts(self, path: str, page: str, action: str, **changed: str) -> None:
        fields = {name: hidden(page, name) for name in ("revision", "version")}
        form = {**fields, "action": action, "diagnosis": DIAGNOSIS, **NOTE, **changed}
        answer = self.until_answered.press(lambda: self.desk.post(path, form))
        assert answer.location.endswith(path), f"{action} led to {answer.location}"


def said(page: str) -> str:
    """What a person reads on a page, for the report of a failure."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.find("<main") :])).strip()[:1000]


def doctor_of(page: str, name: str) -> tuple[str, str]:
    """The ids of a doctor and of their department, as the reception's form lists them."""
    form = page[page.index('<select id="doctor_id"') :]
    listed = re.search(
        rf'<optgroup label="([^"]*)">(?:(?!</optgroup>).)*?value="([0-9A-Z]{{26}})"[^>]*>{name}', form, re.DOTALL
    )
    assert listed, f"no doctor {name} in the form"
    department = re.search(rf'<option value="([0-9A-Z]{{26}})"[^>]*>{re.escape(listed[1])}', page)
    assert department, f"no department {listed[1]} in the form"
    return listed[2], department[1]
