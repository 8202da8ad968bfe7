"""What was typed comes back whole, and leads nowhere else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.his.forms import seen
from edge_node.his.kept import KeptForm, keep, load, local_path


# Of a machine shared with other tests no deadline says anything.
@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text())))
def test_a_dumped_form_loads_as_it_was(fields: list[tuple[str, str]]) -> None:
    form = keep("/reception", [(seen(name), seen(value)) for name, value in fields])
    assert load(form.dump()) == form


def test_secrets_stay_behind_and_everything_else_stays() -> None:
    form = keep(
        "/x",
        [("csrf_token", "t"), ("name", "单雅琴"), ("password", "p"), ("new_password_again", "p"), ("kept", "…"),
         ("dx", "J06.9"), ("dx", "I10"), ("request_key", "k" * 22), ("note", "")],
    )  # fmt: skip
    assert form.fields == (("name", "单雅琴"), ("dx", "J06.9"), ("dx", "I10"), ("request_key", "k" * 22), ("note", ""))
    assert form.readable() == ["单雅琴", "J06.9", "I10"]


def test_what_was_chosen_of_a_list_is_kept_and_not_read_out_as_a_code() -> None:
    chosen = [("id_type", "resident"), ("department_id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("rx-route-12", "iv")]
    form = keep("/x", [*chosen, ("rx-dose-12", "240")])
    assert form.fields[:3] == tuple(chosen)
    assert form.readable() == ["240"]


@pytest.mark.parametrize(
    "address", ["/", "/reception", "/patients?q=%E5%8D%95&page=2", "/encounters/01ARZ3/note#dx", "/a//b", "/a?next=//x"]
)
def test_paths_of_ours(address: str) -> None:
    assert local_path(address) == address


@pytest.mark.parametrize(
    "address",
    [None, "", "reception", "//evil.example", "/\\evil.example", "https://evil.example/", "javascript:alert(1)",
     "/a\\b", "/ a", "/a\nb", "/\t/evil.example", "\\\\evil.example", 7],
)  # fmt: skip
def test_addresses_elsewhere(address: object) -> None:
    assert local_path(address) is None


@pytest.mark.parametrize(
    "dumped",
    ["", "{", "null", "[]", "[1, []]", '["/x"]', '["/x", [["a"]]]', '["/x", 5]', json.dumps(["//evil.example", []])],
)
def test_what_is_no_form_of_ours_is_none(dumped: str) -> None:
    assert load(dumped) is None


def test_loading_leaves_out_what_keeping_leaves_out() -> None:
    smuggled = KeptForm("/x", (("csrf_token", "t"), ("name", "李")))
    assert load(smuggled.dump()) == KeptForm("/x", (("name", "李"),))
