"""Who signs long after the last proof proves once more who it is: on the same page, and nothing typed is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_node.his.encounters import versions
from edge_node.his.settings import queries as settings
from edge_node.his.settings.forms import values_of
from edge_node.his.settings.model import DEFAULTS, PROOF_MIN
from edge_node.his.staff import factors, queries, second_factor
from edge_node.his.staff.proofs import FIELD
from edge_node.his.staff.renewals import GRACE_MS
from edge_node.his.staff.rules import PROOF_MS
from edge_node.store.connection import Connection
from tests.support.doctor_pages import TYPED, post
from tests.support.encounters import Clinic
from tests.support.his import PASSWORD, a_his

MINUTE = 60.0
SIGN = TYPED | {"action": "sign"}
ASKED = f'name="{FIELD}"'


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path) as his:
        clinic = Clinic(his)
        his.sign_in("shen")
        yield clinic


def works_on(clinic: Clinic, minutes: int) -> None:
    """Time passes, and somebody sits at the desk."""
    for _ in range(minutes // 10):
        clinic.his.clock.advance(10 * MINUTE)
        assert clinic.his.client.get("/password").status_code == 200


def signed(clinic: Clinic, encounter_id: str) -> int:
    return len(versions.versions(clinic.his.conn, encounter_id))


def ask_always(clinic: Clinic) -> None:
    clinic.his.write(
        lambda conn: conn.execute("INSERT INTO setting (key, value, updated_at) VALUES (?, '0', 1)", (PROOF_MIN,))
    )
    assert settings.of_sessions(clinic.his.conn).proof_min == 0


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("edge")
    assert found is not None
    return found.value


def traced(clinic: Clinic) -> list[str]:
    rows = clinic.his.conn.execute("SELECT action FROM audit_log WHERE object LIKE 'staff:%' ORDER BY seq")
    return [row["action"] for row in rows]


def test_soon_after_the_sign_in_nothing_is_asked(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    works_on(clinic, 20)
    assert ASKED not in clinic.his.client.get(f"/encounters/{encounter_id}").text
    assert post(clinic, encounter_id, **SIGN).status_code == 302 and signed(clinic, encounter_id) == 1


def test_later_the_page_asks_and_keeps_what_was_typed_and_a_right_password_counts_for_a_while(clinic: Clinic) -> None:
    encounter_id, other = clinic.begun(), clinic.begun("段玉")
    works_on(clinic, 40)
    assert ASKED in clinic.his.client.get(f"/encounters/{encounter_id}").text, "beside the signature"
    refused = post(clinic, encounter_id, **SIGN)
    assert refused.status_code == 422 and 'href="#proof_password"' in refused.text and "too long ago" in refused.text
    for typed in ("cough for 5 days", "Dry at first, yellow since 3 days.", "138-86", "J20.900"):
        assert typed in refused.text or typed.replace("-", "/") in refused.text
    assert signed(clinic, encounter_id) == 0
    wrong = post(clinic, encounter_id, **SIGN | {FIELD: "not my password"})
    assert (
        wrong.status_code == 422
        and "That is not your password" in wrong.text
        and 'id="proof_password-note"' in wrong.text
    )
    assert "not my password" not in wrong.text
    assert post(clinic, encounter_id, **SIGN | {FIELD: PASSWORD}).status_code == 302
    assert post(clinic, other, **SIGN).status_code == 302, "it counts for what comes after"
    assert (signed(clinic, encounter_id), signed(clinic, other)) == (1, 1)
    assert traced(clinic) == ["signed_in", "confirmation_failed", "identity_confirmed"]


def test_drafts_are_kept_without_a_proof_and_enter_beside_the_signature_signs(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    works_on(clinic, 40)
    assert post(clinic, encounter_id, **TYPED).status_code == 302
    assert (
        post(clinic, encounter_id, **TYPED | {"action": "enter", "revision": "1", FIELD: PASSWORD}).status_code == 302
    )
    assert signed(clinic, encounter_id) == 1


def test_a_right_password_counts_though_something_else_is_missing(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    works_on(clinic, 40)
    refused = post(clinic, encounter_id, **SIGN | {FIELD: PASSWORD, "complaint": ""})
    assert refused.status_code == 422 and ASKED not in refused.text
    assert post(clinic, encounter_id, **SIGN).status_code == 302


def test_guessing_it_locks_as_at_the_sign_in(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    works_on(clinic, 40)
    for n in range(5):
        post(clinic, encounter_id, **SIGN | {FIELD: f"a guess of mine {n}"})
    locked = post(clinic, encounter_id, **SIGN | {FIELD: PASSWORD})
    assert (
        locked.status_code == 422 and "locked for another 15 min" in locked.text and signed(clinic, encounter_id) == 0
    )


def test_the_session_has_a_new_id_and_the_old_one_gains_nothing(clinic: Clinic) -> None:
    his, encounter_id, other = clinic.his, clinic.begun(), clinic.begun("段玉")
    works_on(clinic, 40)
    thief = his.browser()
    thief.set_cookie("edge", cookie(his.client))
    assert post(clinic, encounter_id, **SIGN | {FIELD: PASSWORD}).status_code == 302
    assert cookie(thief) != cookie(his.client)
    assert post(clinic, other, client=thief, **SIGN).status_code == 422, (
        "for a moment it still reads, and signs nothing"
    )
    his.clock.advance(GRACE_MS / 1000 + 1)
    assert thief.get("/password").status_code == 302
    assert his.client.get("/password").status_code == 200


def test_two_clicks_are_one_signature_and_one_proof(clinic: Clinic) -> None:
    """The second leaves before the browser has heard of the new session."""
    his, encounter_id = clinic.his, clinic.begun()
    ask_always(clinic)
    form = {"csrf_token": his.csrf(his.client, "/password"), "revision": "0", "version": "1"}
    old = cookie(his.client)
    answers: list[TestResponse] = []
    for _ in range(2):
        his.client.set_cookie("edge", old)
        answers.append(his.client.post(f"/encounters/{encounter_id}", data=form | SIGN | {FIELD: PASSWORD}))
    assert [answer.status_code for answer in answers] == [302, 302], answers[1].text
    assert signed(clinic, encounter_id) == 1
    assert traced(clinic).count("identity_confirmed") == 1
    assert his.client.get("/password").status_code == 200, "and the browser is left with a session that holds"


def test_always_means_always(clinic: Clinic) -> None:
    ask_always(clinic)
    for name in ("单雅琴", "段玉"):
        encounter_id = clinic.begun(name)
        assert post(clinic, encounter_id, **SIGN).status_code == 422
        assert post(clinic, encounter_id, **SIGN | {FIELD: PASSWORD}).status_code == 302


def test_a_code_of_the_telephone_is_a_proof_too_once(clinic: Clinic) -> None:
    his, seed = clinic.his, second_factor.new_seed()
    sealed = factors.sealed(his.context.cipher, clinic.staff["shen"], seed)

    def confirmed(conn: Connection) -> None:
        queries.begin_factor(conn, clinic.staff["shen"], sealed)
        conn.execute("UPDATE staff SET totp_confirmed_at = 1 WHERE code = 'shen'")

    his.write(confirmed)
    ask_always(clinic)
    code = pyotp.TOTP(seed).at(his.clock.wall_ms() // 1000)
    encounter_id, other = clinic.begun(), clinic.begun("段玉")
    his.clock.advance(-120)
    assert post(clinic, encounter_id, **SIGN | {FIELD: code}).status_code == 302
    his.clock.advance(GRACE_MS / 1000 + 1)
    again = post(clinic, other, **SIGN | {FIELD: code})
    assert again.status_code == 422 and "neither your password nor a code" in again.text
    assert post(clinic, other, **SIGN | {FIELD: PASSWORD}).status_code == 302, "the telephone may be at home"


@pytest.mark.parametrize("path", ["/settings", "/second-factor/begin", "/staff/lock"])
def test_what_else_asks(clinic: Clinic, path: str) -> None:
    """An open desk is not enough to change the rules, to lock people out, or to plant a telephone of one's own."""
    his = clinic.his
    his.write(lambda conn: conn.execute("INSERT INTO staff_role VALUES (?, 'admin')", (clinic.staff["shen"],)))
    fields: dict[str, Any] = {
        "/settings": {**values_of(DEFAULTS), "proof_min": "10", "based_on": "0"},
        "/second-factor/begin": {},
        "/staff/lock": {"staff_id": clinic.staff["guo"]},
    }[path]  # fmt: skip
    works_on(clinic, 40)
    refused = his.post(his.client, path, **fields)
    assert refused.status_code == 422 and ASKED in refused.text and "too long ago" in refused.text
    assert settings.version(his.conn) == 0
    assert his.conn.execute("SELECT count(*) FROM staff WHERE active = 0 OR totp_sealed IS NOT NULL").fetchone()[0] == 0
    done = his.post(his.client, path, **fields, **{FIELD: PASSWORD})
    assert done.status_code in (200, 302) and not re.search("too long ago", done.text)


def test_a_proof_of_a_clock_that_ran_ahead_does_not_count_for_ever(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    ahead = clinic.his.clock.wall_ms() + PROOF_MS + 1
    clinic.his.write(lambda conn: conn.execute("UPDATE session SET confirmed_at = ?", (ahead,)))
    assert post(clinic, encounter_id, **SIGN).status_code == 422


def test_a_proof_that_a_full_disk_has_lost_ends_no_session(clinic: Clinic) -> None:
    encounter_id = clinic.begun()
    works_on(clinic, 40)
    with clinic.his.client.session_transaction() as session:
        old_id = session["_user_id"]
    # What is left of it: noted in the writing thread, and undone with the transaction.
    clinic.his.app.extensions["edge_renewals"].note(old_id, "lost", PASSWORD, now=clinic.his.clock.wall_ms())
    assert post(clinic, encounter_id, **SIGN | {FIELD: PASSWORD}).status_code == 302
    assert clinic.his.client.get(f"/encounters/{encounter_id}").status_code == 200
    assert traced(clinic) == ["signed_in", "identity_confirmed"]
