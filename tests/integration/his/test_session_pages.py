"""Sessions: how long they hold, where one is signed in, ended by oneself and by the administrator; locked accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from edge_node.cli.main import Where, cli
from edge_node.his import audit
from tests.support.his import PASSWORD, His, a_his_at_home, hidden_fields

MINUTE = 60.0


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his_at_home(tmp_path) as his:
        yield his


def signed_in(his: His, code: str, station: str) -> FlaskClient:
    return his.sign_in(code, client=his.browser(), station=station)


def is_in(client: FlaskClient) -> bool:
    return client.get("/password").status_code == 200


def choose(his: His, **values: str) -> None:
    def work(conn: object) -> None:
        for key, value in values.items():
            conn.execute("INSERT OR REPLACE INTO setting (key, value, updated_at) VALUES (?, ?, 1)", (key, value))  # type: ignore[attr-defined]

    his.write(work)


def digests(page: str) -> list[str]:
    return re.findall(r'name="session" value="([0-9a-f]{64})"', page)


def actions(his: His) -> list[str]:
    return [row["action"] for row in his.conn.execute("SELECT action FROM audit_log ORDER BY seq")]


def test_one_sees_where_one_is_signed_in_and_ends_one_or_all_others(his: His) -> None:
    first, second, third, other = (
        signed_in(his, code, desk) for code, desk in (("zhou", "挂号 1"), ("zhou", "2"), ("zhou", "3"), ("gu", "4"))
    )
    page = first.get("/sessions").text
    assert "signed in at 3 places" in page and page.count("this one") == 1
    assert page.index("挂号 1") < page.index("this one") < page.index("<tr>", page.index("this one")), (
        "one's own is first"
    )
    assert len(digests(page)) == 2, "this one is left by locking the desk"
    assert his.post(first, "/sessions/end", session=digests(page)[0]).location == "/sessions?ended=1"
    assert sorted([is_in(second), is_in(third)]) == [False, True]
    assert his.post(first, "/sessions/end-others").location == "/sessions?ended=1"
    assert [is_in(client) for client in (first, second, third, other)] == [True, False, False, True]
    assert actions(his).count("sessions_ended") == 2 and audit.verify(his.conn) is None


def test_nobody_ends_somebody_elses(his: His) -> None:
    zhou, gu = signed_in(his, "zhou", "1"), signed_in(his, "gu", "2")
    his.sign_in("gu", client=his.browser())
    [digest] = digests(gu.get("/sessions").text)
    assert his.post(zhou, "/sessions/end", session=digest).location == "/sessions?ended=0"
    assert len(digests(gu.get("/sessions").text)) == 1
    for junk in ("", "x" * 64, "AB" * 32, "0" * 63):
        assert his.post(zhou, "/sessions/end", session=junk).status_code == 400
    assert zhou.get("/staff").status_code == 403


def test_a_desk_locks_itself_as_the_settings_say_and_leads_back_to_where_one_was(his: His) -> None:
    zhou = signed_in(his, "zhou", "挂号 1")
    choose(his, idle_lock_min="5")
    his.clock.advance(6 * MINUTE)
    locked = zhou.get("/sessions?x=1")
    assert locked.location == "/login?next=/sessions?x%3D1"
    page = zhou.get(locked.location).text
    assert "This desk locked itself" in page and 'value="zhou"' in page and "周敏" not in page
    assert re.search(r'id="password"[^>]*autofocus', page), "only the password is left to type"
    his.sign_in("zhou", client=zhou, next=hidden_fields(page)["next"])
    assert his.last.location == "/sessions?x=1"
    choose(his, idle_lock_min="30")
    assert "signed in at 1 place." in zhou.get("/sessions").text, "the locked one is over, whatever is set"


def test_a_sign_in_lasts_as_long_as_the_settings_say(his: His) -> None:
    zhou = signed_in(his, "zhou", "1")
    choose(his, session_hours="1")
    for _ in range(6):
        assert is_in(zhou)
        his.clock.advance(10 * MINUTE)
    his.clock.advance(1)
    assert not is_in(zhou)


def test_the_administrator_signs_somebody_out_and_locks_an_account_at_once(his: His) -> None:
    zhou, gu = signed_in(his, "zhou", "挂号 1"), signed_in(his, "gu", "2")
    page = gu.get("/staff").text
    assert "挂号 1" in page
    zhou_id = his.conn.execute("SELECT id FROM staff WHERE code = 'zhou'").fetchone()[0]
    assert his.post(gu, "/staff/end-sessions", staff_id=zhou_id).location == "/staff?done=zhou"
    assert not is_in(zhou) and "signed out everywhere" in gu.get("/staff?done=zhou").text
    his.sign_in("zhou", client=zhou)
    assert is_in(zhou)
    assert his.post(gu, "/staff/lock", staff_id=zhou_id).location == "/staff?done=zhou"
    assert not is_in(zhou)
    his.sign_in("zhou", client=zhou)
    assert his.last.status_code == 422 and "Code or password is wrong" in his.last.text
    his.post(gu, "/staff/unlock", staff_id=zhou_id)
    his.sign_in("zhou", client=zhou)
    assert is_in(zhou)
    traces = actions(his)
    assert [traces.count(action) for action in ("sessions_ended", "staff_locked", "staff_unlocked")] == [2, 1, 1]
    assert audit.verify(his.conn) is None


def test_enter_beside_the_password_does_nothing_to_anybody(his: His) -> None:
    gu = signed_in(his, "gu", "2")
    his.write(lambda conn: conn.execute("UPDATE session SET confirmed_at = 1"))
    page = gu.get("/staff").text
    assert re.search(r"<button[^>]*>", page.partition('id="people"')[2])[0].count('formaction="/staff/confirm"') == 1  # type: ignore[index]
    assert his.post(gu, "/staff/confirm", proof_password="not it").status_code == 422
    assert his.post(gu, "/staff/confirm", proof_password=PASSWORD).location == "/staff"
    assert "proof_password" not in gu.get("/staff").text


def test_nobody_locks_themselves_out(his: His) -> None:
    gu = signed_in(his, "gu", "2")
    gu_id = his.conn.execute("SELECT id FROM staff WHERE code = 'gu'").fetchone()[0]
    answer = his.post(gu, "/staff/lock", staff_id=gu_id)
    assert answer.status_code == 422 and "Nobody locks their own account" in answer.text and is_in(gu)
    assert his.post(gu, "/staff/lock", staff_id="nobody").status_code == 404


def test_a_role_that_was_taken_away_is_gone_at_the_next_click(his: His) -> None:
    zhou = signed_in(his, "zhou", "1")
    assert zhou.get("/reception").status_code == 200
    his.write(lambda conn: conn.execute("UPDATE staff_role SET role = 'cashier' WHERE role = 'registrar'"))
    assert zhou.get("/reception").status_code == 403


def test_who_tries_passwords_elsewhere_locks_nobody_out_where_they_work(his: His) -> None:
    """For ever, from another computer; and it does not help whoever tries to be let in."""
    desk, attacker = signed_in(his, "zhou", "1"), his.browser()
    elsewhere = {"REMOTE_ADDR": "192.0.2.66"}
    form = {"csrf_token": hidden_fields(attacker.get("/login").text)["csrf_token"], "code": "zhou"}

    def tries(password: str) -> int:
        return attacker.post("/login", data=form | {"password": password}, environ_base=elsewhere).status_code

    for _ in range(3):
        assert [tries(f"a guess of mine {n}") for n in range(6)] == [422] * 5 + [429]
        assert tries("three words apart") == 429, "the right one too, at a computer that is not known"
        his.sign_in("zhou", client=desk)
        assert his.last.status_code == 302
        his.clock.advance(16 * MINUTE)
    for n in range(5):
        his.sign_in("zhou", client=desk, password=f"wrong {n}")
    his.sign_in("zhou", client=desk)
    assert his.last.status_code == 429, "failures at the desk itself count there"


def test_an_account_is_locked_from_the_command_line(his: His) -> None:
    zhou, home = signed_in(his, "zhou", "1"), str(his.context.db_path.parents[1])

    def user(*arguments: str) -> str:
        result = CliRunner().invoke(cli, ["user", *arguments, "--home", home], obj=Where())
        assert result.exit_code == 0, result.output
        return result.output

    assert "would be locked" in user("lock", "zhou", "--dry-run") and is_in(zhou)
    assert "is locked, and signed out" in user("lock", "zhou", "--reason", "left")
    assert not is_in(zhou) and "locked" in user("list")
    assert "locked already" in user("lock", "zhou")
    assert "is unlocked" in user("unlock", "zhou")
    his.sign_in("zhou", client=zhou)
    assert is_in(zhou)
    assert [one for one in actions(his) if one.startswith("staff_")] == ["staff_locked", "staff_unlocked"]
