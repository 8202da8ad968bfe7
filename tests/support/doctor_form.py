"""A doctor's browser on one encounter: it posts what the page shows, as a browser would."""

from __future__ import annotations

import re
from html import unescape

from werkzeug.test import TestResponse

from edge_node.his.catalogues import queries as catalogues
from edge_node.his.prescriptions import sheets
from tests.support.encounters import Clinic


class Doctor:
    """A doctor's browser on one encounter: types into the form as the page shows it, and presses buttons."""

    def __init__(self, clinic: Clinic, encounter_id: str, who: str = "shen") -> None:
        self.clinic, self.his, self.path = clinic, clinic.his, f"/encounters/{encounter_id}"
        self.encounter_id = encounter_id
        self.client = self.his.sign_in(who, client=self.his.browser())
        self.page = self.client.get(self.path).text

    def fields(self) -> list[tuple[str, str]]:
        """What a browser would post of the form, without a button."""
        found = []
        for tag in re.findall(r"<(?:input|textarea|select)\b[^>]*>(?:[^<]*</textarea>)?", self.page):
            name = re.search(r'name="([^"]+)"', tag)
            if name is None or 'type="radio"' in tag:
                continue
            if tag.startswith("<select"):
                block = self.page[self.page.index(tag) :].partition("</select>")[0]
                chosen = re.search(r'<option value="([^"]*)" selected', block)
                found.append((name[1], chosen[1] if chosen else ""))
            elif tag.startswith("<textarea"):
                found.append((name[1], unescape(re.sub(r"^<[^>]*>|</textarea>$", "", tag)).strip("\n")))
            else:
                value = re.search(r'\bvalue="([^"]*)"', tag)
                found.append((name[1], unescape(value[1]) if value else ""))
        return found

    def press(self, name: str, value: str, **typed: str) -> TestResponse:
        """Type into fields, and press a button; the page that follows is `page`."""
        form: dict[str, list[str]] = {}
        for field, what in self.fields():
            form.setdefault(field, []).append(what)
        for field, what in typed.items():
            form[field.replace("__", "-")] = [what]
        form[name] = [value]
        answer = self.client.post(self.path, data=form)
        self.page = self.client.get(answer.headers["Location"]).text if answer.status_code == 302 else answer.text
        return answer

    def add(self, drug: str) -> None:
        entry = catalogues.find_drugs(self.his.conn, drug, herbal="Herb:" in self.page)[0]
        self.press("rx-add", entry.id)

    def sheets(self) -> list[sheets.Prescription]:
        return sheets.of_encounter(self.his.conn, self.encounter_id)

    def ready(self) -> None:
        """A note that can be signed."""
        self.press("add", "J20.900|急性支气管炎", complaint="咳嗽 5 天")
