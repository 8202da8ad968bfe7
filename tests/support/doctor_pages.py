"""The doctor's pages as a test's browser uses them."""

from __future__ import annotations

import html
import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_node.his.encounters import versions
from edge_node.his.encounters.note import Note
from tests.support.encounters import Clinic

TYPED: dict[str, Any] = {
    "complaint": "cough for 5 days",
    "history": "Dry at first, yellow since 3 days.",
    "temperature": "３７.６",
    "blood_pressure": "138-86",
    "diagnosis": "J20.900|急性支气管炎",
}


def words(answer: TestResponse) -> str:
    """What a person reads on a page."""
    main = answer.text[answer.text.index("<main") :]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main))).strip()


def post(clinic: Clinic, encounter_id: str, *, client: FlaskClient | None = None, **fields: Any) -> TestResponse:
    form = {"revision": "0", "version": "1", "action": "save", **fields}
    return clinic.his.post(client or clinic.his.client, f"/encounters/{encounter_id}", **form)


def get(clinic: Clinic, path: str) -> TestResponse:
    return clinic.his.client.get(path, follow_redirects=True)


def newest(clinic: Clinic, encounter_id: str) -> Note:
    draft = versions.newest_draft(clinic.his.conn, encounter_id)
    return draft.note if draft else Note()


def actions(clinic: Clinic) -> list[str]:
    rows = clinic.his.conn.execute("SELECT action FROM audit_log WHERE object LIKE 'encounter:%' ORDER BY seq")
    return [row["action"] for row in rows]
