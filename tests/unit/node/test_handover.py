"""The hand-over sheet: what is on it for which node, in both languages, as text and as a page."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from edge_node.cli.handover import as_page, as_text
from edge_node.cli.handover_sheet import BLANK, Facts
from edge_node.i18n import CHINESE, ENGLISH
from edge_node.tls.trusted import as_shown
from tests.support.authorities import an_authority

AUTHORITY = as_shown(an_authority().found)
FACTS = Facts(
    clinic="西城门诊部", node_id="clinic-0042", version="0.1.0", addresses=("https://192.168.1.10/",),
    hosts="192.168.1.10  clinic-0042", authority=AUTHORITY, serves_time=True, time_address="192.168.1.10",
    contact="王工 138 0000 0000", identities_elsewhere=1,
)  # fmt: skip


def said(facts: Facts, language: str = ENGLISH) -> str:
    return re.sub(r" +", " ", as_text(facts, language))


def test_everything_that_a_clinic_needs_is_on_it() -> None:
    sheet = said(FACTS)
    for words in (
        "Address to type https://192.168.1.10/", "192.168.1.10 clinic-0042",
        "Time server for every computer 192.168.1.10",
        "Page with the steps https://192.168.1.10/trust", "On duty 王工 138 0000 0000", "sudo edge-node doctor",
        "on paper in the safe", "Identities that open a copy from elsewhere 1", "Edge node clinic-0042",
    ):  # fmt: skip
        assert words in sheet
    assert AUTHORITY.sha256.replace(":", " ") in re.sub(r"\s+", " ", sheet)


def test_what_is_not_known_is_left_to_be_written_in() -> None:
    sheet = said(replace(FACTS, contact=None, serves_time=False, authority=None))
    assert f"On duty {BLANK}" in sheet
    assert "Time server for every computer none on this machine" in sheet
    assert "Trusting them" not in sheet and "SHA-256" not in sheet


def test_a_name_is_only_promised_where_something_announces_it() -> None:
    assert ".local" not in said(FACTS)
    assert "By name, without any DNS https://edge.local/" in said(replace(FACTS, mdns="https://edge.local/"))


def test_unencrypted_copies_are_said_outright_and_no_identity_is_looked_for() -> None:
    sheet = said(replace(FACTS, is_plain=True))
    assert "are not encrypted: whoever reaches them can read them" in sheet
    assert "Recovery identity" not in sheet


@pytest.mark.parametrize("language, word", [(CHINESE, "值班联系人"), (ENGLISH, "On duty")])
def test_the_page_holds_the_file_to_trust_and_asks_nobody_for_anything(language: str, word: str) -> None:
    page = as_page(FACTS, language)
    assert word in page and word in as_text(FACTS, language)
    found = re.search(r'href="data:application/x-x509-ca-cert;base64,([^"]+)"', page)
    assert found and base64.b64decode(found[1]) == AUTHORITY.certificate
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "<script" not in page


def test_what_people_typed_cannot_become_markup() -> None:
    page = as_page(replace(FACTS, contact="<b>王工</b>"), CHINESE)
    assert "&lt;b&gt;王工" in page
