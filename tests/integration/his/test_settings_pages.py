"""What the clinic decides for itself; and the page that says who may do what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from edge_node.his.permissions import EVERYBODY, TABLE
from edge_node.his.prescriptions import situation
from edge_node.his.settings import acts, queries
from edge_node.his.settings.model import DEFAULTS, Settings, of_rows, to_rows
from edge_node.his.staff.model import Role
from edge_node.i18n import CHINESE
from tests.support.his import His, a_his, hidden_fields

GOOD = {
    "narcotics": "on", "skin_test_hours": "24", "totp_roles": ["doctor", "auditor"], "call_screen": "off",
    "idle_lock_min": "", "session_hours": "12", "proof_min": "30", "skin_test_min": "20",
}  # fmt: skip


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        his.add_staff("gu", Role.ADMIN)
        his.add_staff("meng", Role.MANAGER)
        yield his


@pytest.fixture
def gu(his: His) -> FlaskClient:
    return his.sign_in("gu")


def based_on(client: FlaskClient) -> str:
    return hidden_fields(client.get("/settings").text)["based_on"]


def traces(his: His) -> list[dict[str, object]]:
    rows = his.conn.execute("SELECT detail FROM audit_log WHERE action = 'settings_changed' ORDER BY seq")
    return [json.loads(row["detail"]) for row in rows]


def test_as_delivered_nothing_is_set(his: His) -> None:
    assert queries.get(his.conn) == DEFAULTS == Settings(narcotics=False, skin_test_hours=72, totp_roles=frozenset())


def test_what_is_saved_holds_for_the_rules_of_prescriptions_and_is_traced_with_what_was(
    his: His, gu: FlaskClient
) -> None:
    assert his.post(gu, "/settings", based_on=based_on(gu), **GOOD).location == "/settings?done=1"
    assert "settings are saved" in gu.get("/settings?done=1").text
    expected = Settings(narcotics=True, skin_test_hours=24, totp_roles=frozenset({Role.DOCTOR, Role.AUDITOR}))
    assert queries.get(his.conn) == expected
    clinic = situation.clinic(his.conn)
    assert (clinic.narcotics, clinic.skin_test_hours) == (True, 24)
    assert traces(his) == [
        {
            "narcotics": {"was": "off", "is": "on"},
            "skin_test_hours": {"was": "72", "is": "24"},
            "totp_roles": {"was": "", "is": "doctor,auditor"},
        }
    ]
    page = gu.get("/settings").text
    assert len(re.findall("checked", page)) == 4 and 'value="24"' in page


def test_saving_the_same_again_leaves_no_trace(his: His, gu: FlaskClient) -> None:
    for _ in range(2):
        assert his.post(gu, "/settings", based_on=based_on(gu), **GOOD).status_code == 302
    assert len(traces(his)) == 1


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"skin_test_hours": ""}, "skin_test_hours"),
        ({"skin_test_hours": "0"}, "skin_test_hours"),
        ({"skin_test_hours": "169"}, "skin_test_hours"),
        ({"skin_test_hours": "-24"}, "skin_test_hours"),
        ({"skin_test_hours": "２４"}, "skin_test_hours"),
        ({"skin_test_hours": "9" * 5000}, "skin_test_hours"),
        ({"skin_test_hours": "<b>"}, "skin_test_hours"),
        ({"narcotics": ""}, "narcotics"),
        ({"narcotics": "maybe"}, "narcotics"),
        ({"totp_roles": ["doctor", "patient"]}, "totp_roles"),
        ({"idle_lock_min": "4"}, "idle_lock_min"),
        ({"idle_lock_min": "31"}, "idle_lock_min"),
        ({"session_hours": "0"}, "session_hours"),
        ({"session_hours": "25"}, "session_hours"),
        ({"proof_min": ""}, "proof_min"),
        ({"proof_min": "481"}, "proof_min"),
        ({"skin_test_min": "14"}, "skin_test_min"),
        ({"skin_test_min": "61"}, "skin_test_min"),
    ],
)
def test_what_makes_no_sense_is_said_beside_the_field_and_changes_nothing(
    his: His, gu: FlaskClient, fields: dict[str, object], field: str
) -> None:
    answer = his.post(gu, "/settings", based_on=based_on(gu), **{**GOOD, **fields})
    assert answer.status_code == 422 and f'href="#{field}"' in answer.text and f'id="{field}-note"' in answer.text
    assert "<b>" not in answer.text
    assert 'value="doctor" checked' in answer.text, "what was ticked stays"
    assert queries.get(his.conn) == DEFAULTS and traces(his) == []


@pytest.mark.parametrize("stale", ["", "-1", "x", "9" * 5000])
def test_a_version_that_no_form_has_overwrites_nothing(his: His, gu: FlaskClient, stale: str) -> None:
    assert his.post(gu, "/settings", based_on=stale, **GOOD).status_code == 409
    assert queries.get(his.conn) == DEFAULTS


def test_two_at_once_lose_nothing(his: His, gu: FlaskClient) -> None:
    first = second = based_on(gu)
    assert his.post(gu, "/settings", based_on=first, **GOOD).status_code == 302
    mine = {**GOOD, "skin_test_hours": "48"}
    answer = his.post(gu, "/settings", based_on=second, **mine)
    assert answer.status_code == 409
    assert 'value="48"' in answer.text and "skin test 24 hours" in " ".join(answer.text.split())
    assert queries.get(his.conn).skin_test_hours == 24
    again = his.post(gu, "/settings", based_on=hidden_fields(answer.text)["based_on"], **mine)
    assert again.status_code == 302 and queries.get(his.conn).skin_test_hours == 48


def test_two_changes_at_one_instant_are_two_versions(his: His) -> None:
    by = his.add_staff("x", Role.ADMIN)
    versions = []
    for hours in (24, 48, 24):
        new = Settings(narcotics=False, skin_test_hours=hours, totp_roles=frozenset())
        his.write(lambda conn, new=new: queries.change(conn, new, at=1000, by=by))  # type: ignore[misc]
        versions.append(queries.version(his.conn))
    assert len(set(versions)) == 3


@pytest.mark.parametrize("rows", [{}, {"skin_test_hours": "x", "narcotics": "?", "totp_roles": "patient,,"}])
def test_what_lies_unreadable_in_the_table_is_as_delivered(rows: dict[str, str]) -> None:
    assert of_rows(rows) == DEFAULTS
    assert of_rows(to_rows(DEFAULTS)) == DEFAULTS


def test_every_page_and_form_is_part_of_an_act_in_words() -> None:
    """Who adds an entry to the table says in settings/acts.py what it is, for those who are to judge the table."""
    shown = acts.chapters(TABLE)
    assert [act.endpoint for chapter in shown for act in chapter.acts if act.name is None] == []


def test_no_act_mixes_roles() -> None:
    mixed = [
        act.name.message
        for chapter in acts.chapters(TABLE)
        for act in chapter.acts
        if act.name and [one.name for one in chapter.acts].count(act.name) > 1
    ]
    assert set(mixed) <= {
        "Own password, second factor and sessions, locking the desk",
        "Sign in, the state of the node, trust of these pages, language",
    }


def test_an_endpoint_without_words_is_shown_by_its_name() -> None:
    shown = acts.chapters({"new.page": frozenset({Role.NURSE}), "home": EVERYBODY})
    assert [act.endpoint for act in shown[-1].acts] == ["new.page"]


@pytest.mark.parametrize("code", ["gu", "meng"])
@pytest.mark.parametrize("language, word", [("en", "Show an ID number, phone"), (CHINESE, "查看完整证件号码")])
def test_the_page_says_who_may_in_both_languages(his: His, code: str, language: str, word: str) -> None:
    client = his.sign_in(code)
    client.set_cookie("lang", language)
    page = client.get("/settings/permissions").text
    assert word in page and len(re.findall("<h1", page)) == 1
    cells = [len(re.findall("<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", page, re.S) if "colspan" not in row]
    assert set(cells) == {len(Role) + 1}
