"""The second factor over HTTP: set up, asked for, used once, lost, removed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from edge_node.base.clock import ClockState
from edge_node.cli.main import Where, cli
from edge_node.his import audit
from edge_node.his.settings.forms import values_of
from edge_node.his.settings.model import DEFAULTS
from edge_node.his.staff import queries, second_factor
from tests.support.his import PASSWORD, His, a_his_at_home, a_node_status, hidden_fields

MINUTE = 60.0


@pytest.fixture
def his(tmp_path: Path) -> Iterator[His]:
    with a_his_at_home(tmp_path) as his:
        yield his


def code(his: His, seed: str) -> str:
    """What the telephone shows now."""
    return pyotp.TOTP(seed).at(his.clock.wall_ms() // 1000)


def set_up(his: His, client: FlaskClient) -> str:
    """Set up a second factor on the person's page; the seed."""
    page = his.post(client, "/second-factor/begin").text
    found = re.search(r'id="seed">([A-Z2-7 ]+)<', page)
    assert found
    seed = found[1].replace(" ", "")
    form = {"csrf_token": hidden_fields(page)["csrf_token"], "one_time_code": code(his, seed)}
    assert client.post("/second-factor/confirm", data=form).location == "/second-factor?done=1"
    his.clock.advance(MINUTE)
    return seed


def type_code(his: His, client: FlaskClient, typed: str, **more: str) -> str | None:
    his.last = client.post("/login/code", data={"csrf_token": his.csrf(client), "one_time_code": typed, **more})
    return his.last.location


def actions(his: His) -> list[str]:
    return [row["action"] for row in his.conn.execute("SELECT action FROM audit_log ORDER BY seq")]


def is_in(client: FlaskClient) -> bool:
    return client.get("/password").status_code == 200


def test_from_then_on_the_password_alone_lets_nobody_in(his: His) -> None:
    other = his.sign_in("gu", client=his.browser())
    seed = set_up(his, his.sign_in("gu"))
    assert not is_in(other), "sessions from before are over"
    desk = his.sign_in("gu", client=his.browser(), next="/console?tab=1")
    assert his.last.status_code == 200 and "Code of the telephone" in his.last.text
    assert not is_in(desk)
    assert hidden_fields(his.last.text)["next"] == "/console?tab=1"
    assert type_code(his, desk, code(his, seed), next="/console?tab=1") == "/console?tab=1"
    assert is_in(desk)
    assert actions(his) == ["signed_in", "signed_in", "second_factor_added", "signed_in"]
    assert audit.verify(his.conn) is None


def test_a_seed_that_was_not_confirmed_asks_for_nothing(his: His) -> None:
    his.post(his.sign_in("gu"), "/second-factor/begin")
    his.sign_in("gu", client=his.browser())
    assert his.last.location == "/console"


def test_a_code_works_once(his: His) -> None:
    seed = set_up(his, his.sign_in("gu"))
    first, second = his.browser(), his.browser()
    typed = code(his, seed)
    his.sign_in("gu", client=first)
    his.sign_in("gu", client=second)
    assert type_code(his, first, typed) == "/console"
    assert type_code(his, second, typed) is None and his.last.status_code == 422
    assert "does not fit, or was used" in his.last.text and not is_in(second)
    his.clock.advance(30)
    assert type_code(his, second, code(his, seed)) == "/console"


def test_of_two_who_use_a_code_at_the_same_instant_one_is_let_in(his: His) -> None:
    """Both have looked at the step used last before either has taken the new one."""
    seed = set_up(his, his.sign_in("gu"))
    found = queries.find_by_code(his.conn, "gu")
    assert found is not None
    factor = queries.factor(his.conn, found.id)
    assert factor is not None
    step = second_factor.step_of(seed, code(his, seed), now=his.clock.wall_ms(), last_step=factor.last_step)
    assert step is not None

    def use() -> bool:
        return his.write(lambda conn: queries.use_step(conn, found.id, factor, step, at=his.clock.wall_ms()))

    assert [use(), use()] == [True, False]


def test_the_code_that_set_it_up_is_used_already(his: His) -> None:
    seed = set_up(his, his.sign_in("gu"))
    his.clock.advance(-MINUTE)
    his.sign_in("gu", client=his.browser())
    assert type_code(his, his.client, code(his, seed)) is None


def test_a_password_and_four_wrong_codes_lock_and_the_password_in_between_changes_nothing(his: His) -> None:
    """Who has the password guesses no longer than who has not."""
    seed = set_up(his, his.sign_in("gu"))
    desk = his.browser()
    for typed in ("000000", "000001", "000002", "000003"):
        his.sign_in("gu", client=desk)
        type_code(his, desk, typed)
        assert his.last.status_code == 422
    assert type_code(his, desk, code(his, seed)) is None
    assert his.last.status_code == 429 and "locked for another 15 min" in his.last.text
    his.clock.advance(15 * MINUTE)
    his.sign_in("gu", client=desk)
    assert type_code(his, desk, code(his, seed)) == "/console"


def test_a_code_without_a_password_before_it_is_nothing(his: His) -> None:
    seed = set_up(his, his.sign_in("gu"))
    stranger = his.browser()
    assert type_code(his, stranger, code(his, seed)) is None
    assert his.last.status_code == 422 and "Too long since the password" in his.last.text and not is_in(stranger)


def test_five_minutes_after_the_password_it_is_asked_for_again(his: His) -> None:
    seed = set_up(his, his.sign_in("gu"))
    desk = his.sign_in("gu", client=his.browser())
    his.clock.advance(5 * MINUTE + 1)
    assert type_code(his, desk, code(his, seed)) is None and "Too long since the password" in his.last.text


def test_the_session_is_another_than_before_the_code(his: His) -> None:
    """A cookie that somebody planted before the sign-in is worth nothing after it."""
    seed = set_up(his, his.sign_in("gu"))
    desk = his.sign_in("gu", client=his.browser())
    planted = desk.get_cookie("edge")
    assert planted is not None
    assert type_code(his, desk, code(his, seed)) == "/console"
    thief = his.browser()
    thief.set_cookie("edge", planted.value)
    assert not is_in(thief)


def test_a_form_that_waited_comes_back_after_the_code(his: His) -> None:
    seed = set_up(his, his.sign_in("gu"))
    desk = his.browser()
    kept = '["/logout",[["note","typed before"]]]'
    his.sign_in("gu", client=desk, kept=kept)
    assert "What you typed is kept" in his.last.text
    type_code(his, desk, "000000", kept=hidden_fields(his.last.text)["kept"])
    type_code(his, desk, code(his, seed), kept=hidden_fields(his.last.text)["kept"])
    assert his.last.status_code == 200 and "typed before" in his.last.text


def test_the_seed_is_sealed_and_in_no_trace(his: His) -> None:
    seed = set_up(his, his.sign_in("gu"))
    kept = b"".join(path.read_bytes() for path in his.context.db_path.parent.glob("his.db*"))
    assert seed.encode() not in kept and b"second_factor_added" in kept
    assert seed not in his.client.get("/second-factor").text, "it was shown once"


def test_a_seed_copied_to_another_person_opens_nothing(his: His) -> None:
    set_up(his, his.sign_in("gu"))
    his.write(
        lambda conn: conn.execute(
            "UPDATE staff SET totp_confirmed_at = 1, totp_sealed = (SELECT totp_sealed FROM staff WHERE code = 'gu') "
            "WHERE code = 'zhou'"
        )
    )
    desk = his.sign_in("zhou", client=his.browser())
    type_code(his, desk, "123456")
    assert his.last.status_code == 503 and not is_in(desk)


def test_a_role_that_needs_it_is_led_to_set_it_up_and_what_was_typed_is_saved_first(his: His) -> None:
    desk = his.sign_in("zhou", client=his.browser())
    form = {"csrf_token": his.csrf(desk, "/password")}
    gu = his.sign_in("gu")
    his.post(gu, "/settings", **values_of(DEFAULTS), totp_roles="registrar", based_on="0")
    assert desk.get("/reception").location == "/second-factor"
    assert desk.post("/patients/find", data={**form, "q": "x"}).location != "/second-factor", "a form is taken"
    assert "Your role needs a second factor" in desk.get("/second-factor").text
    assert desk.get("/password").status_code == 200
    set_up(his, desk)
    assert desk.get("/reception").status_code == 200
    assert "so it stays" in desk.get("/second-factor").text
    assert gu.get("/console").status_code == 200, "another role does not need it"


def test_it_is_removed_by_a_code_only(his: His) -> None:
    seed = set_up(his, his.sign_in("gu"))
    assert his.post(his.client, "/second-factor/remove", one_time_code="000000").status_code == 422
    assert his.post(his.client, "/second-factor/remove", one_time_code=code(his, seed)).location == "/second-factor"
    assert actions(his)[-2:] == ["sign_in_failed", "second_factor_removed"]
    his.sign_in("gu", client=his.browser())
    assert his.last.location == "/console"


def test_a_telephone_that_was_lost_is_forgotten_by_a_reset(his: His) -> None:
    set_up(his, his.sign_in("gu"))
    home = his.context.db_path.parents[1]
    result = CliRunner().invoke(cli, ["user", "reset", "gu", "--home", str(home)], obj=Where())
    assert result.exit_code == 0 and "second factor is removed" in result.stderr
    his.sign_in("gu", client=his.browser(), password=result.stdout.strip())
    assert his.last.location == "/password"


def test_a_suspect_clock_is_said_where_a_code_is_asked_for(his: His) -> None:
    set_up(his, his.sign_in("gu"))
    his.sign_in("gu", client=his.browser())
    assert "clock is suspect" not in his.last.text
    his.status = a_node_status(clock=ClockState.SUSPECT)
    his.sign_in("gu", client=his.browser())
    assert "clock is suspect" in his.last.text
    assert "clock is suspect" in his.client.get("/second-factor").text


@pytest.mark.parametrize("password, asked", [(PASSWORD, True), ("wrong password", False)])
def test_only_who_knows_the_password_learns_that_there_is_a_second_factor(his: His, password: str, asked: bool) -> None:
    set_up(his, his.sign_in("gu"))
    his.sign_in("gu", client=his.browser(), password=password)
    assert ("Code of the telephone" in his.last.text) is asked
