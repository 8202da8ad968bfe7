"""Signing in and out, locks, the password; what a shared desk and a patient attacker meet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_node.base.clock import ClockState
from edge_node.his import audit
from edge_node.his.forms import FieldProblem
from edge_node.his.staff import attempts, queries
from edge_node.his.staff.model import Role
from edge_node.his.staff.tries import Tries
from tests.support.his import PASSWORD, His, a_his

MINUTE = 60.0


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his(tmp_path) as his:
        his.add_staff("gu", Role.ADMIN, name="顾工")
        his.add_staff("zhou", Role.REGISTRAR, Role.CASHIER, name="周敏")
        yield his


def actions(his: His) -> list[str]:
    return [row["action"] for row in his.conn.execute("SELECT action FROM audit_log ORDER BY seq")]


def is_in(his: His, path: str = "/password") -> bool:
    return his.client.get(path).status_code == 200


def test_a_good_sign_in_leads_to_the_persons_own_first_page(his: His) -> None:
    his.sign_in("gu")
    assert (his.last.status_code, his.last.location) == (302, "/console")
    page = his.client.get("/console")
    assert page.status_code == 200 and "顾工" in page.text and "Desk 1" in page.text
    assert actions(his) == ["signed_in"]
    assert audit.verify(his.conn) is None


def test_the_page_asked_for_comes_after_the_sign_in_and_no_other_site(his: His) -> None:
    assert his.client.get("/console?tab=1").location == "/login?next=/console?tab%3D1"
    his.sign_in("gu", next="/console?tab=1")
    assert his.last.location == "/console?tab=1"
    his.sign_in("gu", client=his.browser(), next="//evil.example/")
    assert his.last.location == "/console"


@pytest.mark.parametrize(
    "code, password",
    [
        pytest.param("gu", "wrong password", id="wrong-password"),
        pytest.param("nobody", PASSWORD, id="nobody"),
        pytest.param("gone", PASSWORD, id="somebody-who-left"),
    ],
)
def test_a_bad_sign_in_never_says_which_of_the_two_was_wrong(his: His, code: str, password: str) -> None:
    gone = his.add_staff("gone", Role.ADMIN)
    his.write(lambda conn: conn.execute("UPDATE staff SET active = 0 WHERE id = ?", (gone,)))
    his.sign_in(code, password=password)
    assert his.last.status_code == 422
    assert "Code or password is wrong" in his.last.text
    assert "aria-invalid" not in his.last.text
    assert f'value="{code}"' in his.last.text and password not in his.last.text
    assert not is_in(his)
    assert actions(his) == ["sign_in_failed"]


def test_what_was_typed_into_the_wrong_field_is_written_down_nowhere(his: His) -> None:
    his.sign_in("my secret password", password="x")
    row = his.conn.execute("SELECT object, detail FROM audit_log").fetchone()
    assert (row["object"], row["detail"]) == ("", "{}")


def test_five_failures_lock_the_code_for_a_quarter_of_an_hour_even_for_the_right_password(his: His) -> None:
    for _ in range(5):
        his.sign_in("gu", password="wrong password")
    his.clock.advance(5 * MINUTE)
    his.sign_in("gu")
    assert his.last.status_code == 429 and "locked for another 10 min" in his.last.text
    his.sign_in("zhou", client=his.browser())
    assert his.last.status_code == 302, "another code is not locked"
    his.clock.advance(10 * MINUTE)
    his.sign_in("gu")
    assert his.last.status_code == 302


def test_a_code_that_nobody_has_locks_just_the_same(his: His) -> None:
    answers = []
    for code in ("gu", "nobody"):
        for _ in range(6):
            his.sign_in(code, password="wrong password")
        answers.append((his.last.status_code, "is locked for another 15 min" in his.last.text))
    assert answers == [(429, True), (429, True)]


def test_trying_a_locked_code_does_not_lock_it_longer(his: His) -> None:
    for _ in range(5):
        his.sign_in("gu", password="wrong password")
    for _ in range(14):
        his.clock.advance(MINUTE)
        his.sign_in("gu", password="wrong password")
    his.clock.advance(MINUTE)
    his.sign_in("gu")
    assert his.last.status_code == 302


def test_many_desks_at_once_with_the_right_password_are_all_let_in(his: His) -> None:
    """Eight are noted as failed before the first is looked at: that is no eight failures."""
    start = threading.Barrier(8)

    def desk(_: int) -> int:
        client = his.browser()
        form = {"csrf_token": his.csrf(client), "code": "gu", "password": PASSWORD}
        start.wait(60)
        return client.post("/login", data=form).status_code

    with ThreadPoolExecutor(8) as desks:
        assert list(desks.map(desk, range(8))) == [302] * 8


def test_one_wrong_password_posted_many_times_at_once_counts_once_and_again_after_its_answer(his: His) -> None:
    tries, now = Tries(), his.clock.wall_ms()
    who = audit.Who(staff_id=None, station="", address="192.0.2.7")
    moment = audit.Moment(at=now, clock_state=ClockState.SYNCED)

    def begin(typed: str) -> object:
        return his.write(
            lambda conn: attempts.begin(conn, tries, code="gu", typed=typed, address="192.0.2.7", now=now)
        )  # fmt: skip

    assert len({begin("a typo") for _ in range(9)}) == 1, "leaning on Enter"
    his.write(lambda conn: attempts.failed(conn, tries, code="gu", typed="a typo", who=who, now=moment))
    assert len({begin("a typo"), begin("a typo")}) == 1
    assert len({begin(f"guess {n}") for n in range(3)}) == 3, "guesses at once are counted one by one"
    assert isinstance(begin("guess 4"), FieldProblem), "which are five"


def test_a_success_forgets_the_failures_before_it(his: His) -> None:
    for _ in range(2):
        for _ in range(4):
            his.sign_in("gu", password="wrong password", client=his.browser())
        his.sign_in("gu", client=his.browser())
        assert his.last.status_code == 302


def test_many_codes_from_one_computer_are_slowed_down(his: His) -> None:
    for n in range(30):
        his.sign_in(f"code{n}", password="wrong password")
        assert his.last.status_code == 422
    his.sign_in("gu")
    assert his.last.status_code == 429 and "from this computer" in his.last.text


def test_locks_survive_a_restart(tmp_path: Path) -> None:
    with a_his(tmp_path) as his:
        his.add_staff("gu", Role.ADMIN)
        for _ in range(5):
            his.sign_in("gu", password="wrong password")
        [failures] = his.conn.execute("SELECT count(*) FROM login_attempt WHERE code = 'gu' AND ok = 0").fetchone()
    assert failures == 5


def test_the_session_in_the_database_is_only_a_digest_and_changes_with_each_sign_in(his: His) -> None:
    his.sign_in("gu")
    first = his.client.get_cookie("edge")
    his.sign_in("gu")
    second = his.client.get_cookie("edge")
    assert first is not None and second is not None and first.value != second.value
    rows = his.conn.execute(
        "SELECT id_hash, revoked_at FROM session ORDER BY created_at, revoked_at IS NULL"
    ).fetchall()
    assert [row["revoked_at"] is None for row in rows] == [False, True], "the session before is over"
    with his.client.session_transaction() as held:
        session_id = held["_user_id"]
    assert bytes(rows[1]["id_hash"]) == queries.session_digest(session_id) != session_id.encode()


def test_locking_the_desk_ends_the_session_for_the_cookie_too(his: His) -> None:
    his.sign_in("gu")
    cookie = his.client.get_cookie("edge")
    assert cookie is not None
    assert his.post(his.client, "/logout").location == "/login"
    thief = his.browser()
    thief.set_cookie("edge", cookie.value)
    assert thief.get("/console").status_code == 302
    assert actions(his) == ["signed_in", "signed_out"]


def test_the_desk_locks_though_nothing_can_be_written(his: His, capsys: pytest.CaptureFixture[str]) -> None:
    his.sign_in("gu")
    cookie = his.client.get_cookie("edge")
    token = his.csrf(his.client, "/password")
    his.context.writer.close()
    assert cookie is not None and his.client.get("/console").status_code == 200, "reading goes on"
    assert his.client.post("/logout", data={"csrf_token": token}).location == "/login"
    thief = his.browser()
    thief.set_cookie("edge", cookie.value)
    assert thief.get("/console").status_code == 302
    assert "sign_out_not_written" in capsys.readouterr().err


def test_the_sign_in_page_does_not_know_who_was_here(his: His) -> None:
    his.sign_in("gu")
    his.post(his.client, "/logout")
    page = his.client.get("/login").text
    assert "顾工" not in page and 'value="gu"' not in page
    assert 'value="Desk 1"' in page, "the desk stays"


def test_an_idle_session_ends_and_one_in_use_does_not(his: His) -> None:
    his.sign_in("gu")
    for _ in range(4):
        his.clock.advance(14 * MINUTE)
        assert is_in(his)
    his.clock.advance(15 * MINUTE + 1)
    assert not is_in(his)


def test_a_session_in_use_holds_though_nothing_can_be_written(his: His) -> None:
    his.sign_in("gu")
    his.context.writer.close()
    for _ in range(4):
        his.clock.advance(14 * MINUTE)
        assert is_in(his)


def test_the_page_asking_for_the_posture_keeps_no_session_alive(his: His) -> None:
    his.sign_in("gu")
    for _ in range(4):
        his.clock.advance(5 * MINUTE)
        assert his.client.get("/posture/line").status_code == 200
    assert not is_in(his)


def test_nobody_works_longer_than_twelve_hours(his: His) -> None:
    his.sign_in("gu")
    for _ in range(71):
        his.clock.advance(10 * MINUTE)
        assert is_in(his)
    his.clock.advance(11 * MINUTE)
    assert not is_in(his)


def test_a_session_in_use_costs_a_write_a_minute_at_most(his: His) -> None:
    his.sign_in("gu")
    [before] = his.conn.execute("SELECT last_seen_at FROM session").fetchone()
    seen = set()
    for _ in range(60):
        his.clock.advance(2)
        his.client.get("/console")
        seen.add(his.conn.execute("SELECT last_seen_at FROM session").fetchone()[0])
    assert len(seen - {before}) in (2, 3)


def test_somebody_who_left_is_out_at_once(his: His) -> None:
    his.sign_in("gu")
    his.write(lambda conn: conn.execute("UPDATE staff SET active = 0 WHERE code = 'gu'"))
    assert not is_in(his)


def test_a_first_password_must_be_changed_before_anything_else(his: His) -> None:
    his.add_staff("new", Role.ADMIN, must_change=True)
    his.sign_in("new")
    assert his.last.location == "/password"
    assert his.client.get("/console").location == "/password"
    answer = his.post(
        his.client,
        "/password",
        password=PASSWORD,
        new_password="another three words",
        new_password_again="another three words",
    )
    assert answer.location == "/console"
    assert is_in(his, "/console")
    his.sign_in("new", client=his.browser(), password="another three words")
    assert his.last.location == "/console"


def test_a_change_of_password_ends_the_persons_other_sessions_only(his: His) -> None:
    other, somebody = his.browser(), his.browser()
    his.sign_in("gu", client=other)
    his.sign_in("zhou", client=somebody)
    his.sign_in("gu")
    his.post(
        his.client, "/password", password=PASSWORD, new_password="three new words", new_password_again="three new words"
    )
    assert [browser.get("/password").status_code for browser in (his.client, somebody, other)] == [200, 200, 302]
    assert actions(his)[-1] == "password_changed"


@pytest.mark.parametrize(
    "old, new, again, field",
    [
        pytest.param("not my password", "three new words", "three new words", "password", id="wrong-old-one"),
        pytest.param(PASSWORD, "short", "short", "new_password", id="too-short"),
        pytest.param(PASSWORD, "three new words", "three other words", "new_password_again", id="typed-differently"),
    ],
)
def test_a_bad_change_names_the_field_and_changes_nothing(his: His, old: str, new: str, again: str, field: str) -> None:
    his.sign_in("gu")
    answer = his.post(his.client, "/password", password=old, new_password=new, new_password_again=again)
    assert answer.status_code == 422 and f'href="#{field}"' in answer.text
    assert new not in answer.text and old not in answer.text
    his.sign_in("gu", client=his.browser())
    assert his.last.status_code == 302


def test_guessing_the_old_password_in_an_open_session_locks_as_well(his: His) -> None:
    his.sign_in("gu")
    for _ in range(5):
        his.post(
            his.client,
            "/password",
            password="a guess of mine",
            new_password="three new words",
            new_password_again="three new words",
        )
    answer = his.post(
        his.client, "/password", password=PASSWORD, new_password="three new words", new_password_again="three new words"
    )
    assert answer.status_code == 429
