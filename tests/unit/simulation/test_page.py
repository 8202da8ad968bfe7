"""Forms are sent as a browser sends them: all that stands in them, what was typed over it, the pressed button."""

from __future__ import annotations

import pytest

from edge_node.simulation.page import NoSuchControl, Page

FORM = """
<title>2 places to mend · X42-V26000010 · 内科</title>
<div class="errors"><h2>Not saved</h2><ul><li><a href="#name">Name: <b>too</b> long</a></li></ul></div>
<button form="note" name="action" value="enter">hidden first</button>
<form action="/elsewhere" method="post"><input type="hidden" name="csrf_token" value="other"></form>
<form id="note" action="/note" method="post">
  <input type="hidden" name="csrf_token" value="a&amp;b"><input name="name" value="&#21333;">
  <input type="hidden" name="diagnosis" value="1|a"><input type="hidden" name="diagnosis" value="2|b">
  <input type="password" name="proof"><input name="gone" value="1" disabled><input value="nameless">
  <textarea name="history">
first line
second</textarea>
  <select name="place"><option value="">Choose</option>
    <option value="d1" selected>内科</option><option>d2</option></select>
  <select name="first"><option value="x">X<option value="y">Y</select>
  <label><input type="radio" name="sex" value="1" checked>M</label>
  <label><input type="radio" name="sex" value="2">F</label>
  <input type="checkbox" name="asked" value="1"><input type="checkbox" name="kept" value="1" checked>
  <div class="find find--stop"><button name="remove" value="3">Remove</button></div>
  <button class="btn btn--go" name="action" value="sign">Sign</button><button type="reset">Reset</button>
</form>
<table><tr><th>单雅琴</th><td>1980-03-14</td><td><button form="note" name="use" value="P1">Use</button>
<a href="/reception?patient=P1">Use <b>it</b></a></td></tr></table>
<input form="note" name="outside" value="too"><a href="/plain">plain</a>
"""
PAGE = Page(path="/note", status=422, html=FORM)
NOTE = PAGE.form("/note")


def test_enter_sends_everything_with_the_first_button_of_the_page() -> None:
    assert NOTE.filled({}) == [
        ("csrf_token", "a&b"), ("name", "单"), ("diagnosis", "1|a"), ("diagnosis", "2|b"), ("proof", ""),
        ("history", "first line\nsecond"), ("place", "d1"), ("first", "x"), ("sex", "1"), ("kept", "1"),
        ("outside", "too"), ("action", "enter"),
    ]  # fmt: skip


def test_what_is_typed_goes_over_what_stood_there() -> None:
    typed = {"name": "覃", "sex": "2", "place": "d2", "asked": "1", "kept": "", "outside": ""}
    sent = NOTE.filled(typed, press=("action", "sign"))
    assert {name: value for name, value in sent if name in typed} == {
        "name": "覃", "sex": "2", "place": "d2", "asked": "1", "outside": "",
    }  # fmt: skip
    assert sent[-1] == ("action", "sign")
    assert NOTE.main() == ("action", "sign")


@pytest.mark.parametrize(
    ("typed", "press", "said"),
    [
        pytest.param({"nmae": "x"}, None, "no field nmae", id="a-field-that-is-not-there"),
        pytest.param({"sex": "3"}, None, "does not offer 3 for sex, only 1, 2", id="a-choice-that-is-not-offered"),
        pytest.param({"place": "d3"}, None, "does not offer d3", id="an-option-that-is-not-offered"),
        pytest.param({}, ("action", "call"), "action=enter, action=sign", id="a-button-that-is-not-there"),
    ],
)
def test_nothing_is_made_up(typed: dict[str, str], press: tuple[str, str] | None, said: str) -> None:
    with pytest.raises(NoSuchControl, match=said):
        NOTE.filled(typed, press=press)


def test_what_a_person_reads() -> None:
    assert PAGE.title == "2 places to mend · X42-V26000010 · 内科"
    assert list(PAGE.problems) == ["Name: too long"]
    assert [(link.href, link.text, link.row) for link in PAGE.links] == [
        ("#name", "Name: too long", ""), ("/reception?patient=P1", "Use it", "单雅琴 1980-03-14 Use Use it"),
        ("/plain", "plain", ""),
    ]  # fmt: skip
    assert NOTE.buttons("use")[0].row == "单雅琴 1980-03-14 Use Use it"
    assert NOTE.buttons("remove")[0].within == "find find--stop"
    assert NOTE.options("place") == [("", "Choose"), ("d1", "内科"), ("d2", "d2")]
    assert NOTE.names("password") == ["proof"]
    with pytest.raises(NoSuchControl, match="has no form to /gone"):
        PAGE.form("/gone")
