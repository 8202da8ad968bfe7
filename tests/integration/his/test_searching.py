"""What is typed into a search stands in no address; whoever typed it finds it again, going back or after a lock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from flask.testing import FlaskClient

from edge_node.his.staff.model import Role
from edge_node.his.staff.searches import KEPT_MS
from edge_node.simulation.page import Page
from tests.support.encounters import Clinic
from tests.support.his import PASSWORD, His, a_his, look_for
from tests.support.people import an_id_number
from tests.support.walked_clinic import a_walked_clinic
from tests.support.walking import Walk

NAME = "单雅琴"
OVER = "not kept any longer"
WORDS = (NAME, "syq", "syq 1980", "13805162207", "2207", an_id_number("1955-07-30", "001"), "EB2741836", "图兰朵")


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with a_his(tmp_path, idle_lock_s=900) as his:
        clinic = Clinic(his)
        clinic.comes(NAME)
        his.sign_in("zhou")
        yield clinic


def again(his: His, address: str, client: FlaskClient | None = None) -> str:
    answer = (client or his.client).get(address)
    assert answer.status_code == 200, answer.location
    return answer.text


def found(page: str) -> str:
    """What the page shows of the search; today's queue beside it has everybody."""
    return page.partition("<main")[2].partition('id="queue"')[0]


@pytest.mark.parametrize("at", ["/patients", "/reception"])
@pytest.mark.parametrize("typed", WORDS)
def test_a_search_leads_to_an_address_that_does_not_say_it(clinic: Clinic, at: str, typed: str) -> None:
    his = clinic.his
    address = look_for(his, his.client, typed, at=at)
    assert re.fullmatch(at + r"\?find=[\w-]{22}", address)
    for _ in ("once", "loaded again, which posts nothing"):
        page = again(his, address)
        assert (NAME in found(page)) == (typed in (NAME, "syq", "syq 1980")), page
    if len(typed) > 8 or not typed.isascii():
        # Less may stand in a key by chance.
        for place in re.findall(r'(?:href|action|src)="([^"]*)"', page):
            assert typed not in unquote_plus(unescape(place)), place


def test_an_address_with_words_in_it_looks_for_nobody(clinic: Clinic) -> None:
    for at in ("/patients", "/reception"):
        page = again(clinic.his, f"{at}?q={quote(NAME)}")
        assert f'value="{NAME}"' not in page and "1 found" not in page


def test_a_match_is_used_at_an_address_that_goes_on_with_the_search(clinic: Clinic) -> None:
    his = clinic.his
    address = look_for(his, his.client, NAME, at="/reception")
    used = re.search(r'href="(/reception\?find=[^"]+)" data-key="1"', again(his, address))
    assert used, "the list has the match"
    chosen = again(his, unescape(used[1]))
    assert "1 found" in chosen, "the list stands beside the form of whoever was chosen"
    assert 'name="patient_id"' in chosen


def test_the_key_opens_nothing_in_another_session(clinic: Clinic) -> None:
    his = clinic.his
    address = look_for(his, his.client, NAME)
    his.add_staff("lin", Role.NURSE)
    for code in ("lin", "zhou"):
        page = again(his, address, his.sign_in(code, client=his.browser()))
        assert OVER in page and NAME not in page
    assert his.browser().get(address).location.startswith("/login?next=")
    assert NAME in again(his, address), "and it still opens in its own"


def test_it_is_over_after_a_while_and_says_so(clinic: Clinic) -> None:
    his = clinic.his
    for at in ("/patients", "/reception"):
        address = look_for(his, his.client, NAME, at=at)
        for _ in range(3):
            his.clock.advance(KEPT_MS / 3000)
            assert OVER not in again(his, address)
        his.clock.advance(1)
        page = again(his, address)
        assert OVER in page and NAME not in found(page)
        assert "Nobody found" not in page, "nothing was looked for"


def test_a_desk_that_locked_itself_leads_the_same_person_back(clinic: Clinic) -> None:
    his = clinic.his
    address = look_for(his, his.client, NAME)
    his.clock.advance(901)
    assert his.client.get(address).location.startswith("/login?next=")
    his.sign_in("zhou", next=address)
    assert his.last.location == address
    assert NAME in again(his, address)


@pytest.mark.parametrize("leaves", ["locks", "signs out"])
def test_whoever_comes_next_to_the_desk_does_not_see_it(clinic: Clinic, leaves: str) -> None:
    his = clinic.his
    his.add_staff("lin", Role.NURSE)
    address = look_for(his, his.client, NAME)
    if leaves == "locks":
        his.clock.advance(901)
    else:
        his.post(his.client, "/logout")
    his.sign_in("lin")
    assert OVER in again(his, address)
    his.sign_in("zhou")
    assert OVER in again(his, address), "what somebody else's session had before it is gone"


def test_it_outlives_the_proof_that_renews_the_session(clinic: Clinic) -> None:
    his = clinic.his
    his.add_staff("root", Role.ADMIN, Role.REGISTRAR)
    his.sign_in("root")
    address = look_for(his, his.client, NAME)
    before = his.client.get_cookie("edge")
    his.write(lambda conn: conn.execute("UPDATE session SET confirmed_at = 0"))
    answer = his.post(his.client, "/second-factor/begin", proof_password=PASSWORD)
    assert answer.status_code == 200 and 'id="seed"' in answer.text
    after = his.client.get_cookie("edge")
    assert before is not None and after is not None and before.value != after.value
    assert NAME in again(his, address)


def test_what_a_doctor_looks_for_stands_in_no_address_either(clinic: Clinic) -> None:
    his = clinic.his
    his.sign_in("shen")
    queue = again(his, "/encounters/")
    registration = re.search(r"/encounters/queue/([0-9A-Z]{26})", queue)
    assert registration
    encounter = his.post(his.client, f"/encounters/queue/{registration[1]}").location
    typed = {"dx": "乙型肝炎", "rx-q": "某种药", "od-q": "某项检查", "od-count": "3"}
    form = {"revision": "0", "version": "1", "action": "find", "complaint": "乏力", **typed}
    address = his.post(his.client, encounter, **form).location
    assert re.fullmatch(re.escape(encounter) + r"\?find=[\w-]{22}#.+", address)
    page = again(his, address)
    for name, words in typed.items():
        assert re.search(rf'id="{name}"[^>]* value="{words}"', page), f"{name} is typed no second time"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with a_walked_clinic(tmp_path_factory.mktemp("searching")) as walk:
        yield walk


def test_no_form_of_any_page_sends_typed_words_by_its_address(walk: Walk) -> None:
    typed = [
        (page.path, form.action, control.name)
        for page in walk.atlas.pages
        for form in Page(path=page.path, status=200, html=page.html).forms
        if form.method != "post"
        for control in form.controls
        if control.name and not control.is_button and control.kind not in ("hidden", "select")
    ]
    assert typed == []


def test_no_address_on_any_page_holds_anything_of_a_patient(walk: Walk) -> None:
    people = walk.his.conn.execute("SELECT name, phone, mrn, address, guardian_name, guardian_phone FROM patient")
    private = {words for row in people for words in tuple(row) if words}
    assert "单雅琴" in private and "13805162207" in private
    wrong = set()
    for page in walk.atlas.pages:
        for place in re.findall(r'(?:href|src|action|formaction|data-from)="([^"]*)"', page.html):
            plain = unquote_plus(unescape(place))
            wrong |= {(page.path, place) for words in private if words in plain or quote_plus(words) in place}
    assert not wrong
