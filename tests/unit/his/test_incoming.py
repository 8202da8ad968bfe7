"""One rule for every field: what nobody sees is not read."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from werkzeug.test import EnvironBuilder

from edge_node.his.forms import posted_json, seen
from edge_node.his.incoming import Incoming


@pytest.mark.parametrize(
    "typed, read",
    [
        pytest.param("甲\0乙", "甲乙", id="nul"),
        pytest.param("81\x1d0692", "810692", id="a-separator-of-a-scanner"),
        pytest.param("甲\x0b乙\x0c丙\x85丁", "甲 乙 丙 丁", id="breaks-of-a-word-processor"),
        pytest.param("\x01\x08\x0e\x1f\x7f\x80\x9f", "", id="nothing-but"),
        pytest.param("a\tb\r\nc\nd", "a\tb\r\nc\nd", id="tab-and-ends-of-lines-stay"),
        pytest.param("𠮷\u200b\u202e é\u00a0👩\u200d👧", "𠮷\u200b\u202e é\u00a0👩\u200d👧", id="all-else-stays"),
    ],
)
def test_what_is_read(typed: str, read: str) -> None:
    assert seen(typed) == read


def request_of(builder: EnvironBuilder) -> Incoming:
    return Incoming(builder.get_environ())


@pytest.mark.parametrize("how", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_every_field_of_a_form_however_it_is_sent(how: str) -> None:
    data = {"note\0": ["甲\0乙", "\x1d"], "new_password": "two\x01words"}
    found = request_of(EnvironBuilder(method="POST", data=data, content_type=how)).form
    assert found.getlist("note") == ["甲乙", ""]
    assert found["new_password"] == "two\x01words", "a password is compared as it was typed"


def test_what_an_address_asks_and_a_file_that_is_sent() -> None:
    assert request_of(EnvironBuilder(query_string="q=a%00b&page=%1d2")).args.to_dict() == {"q": "ab", "page": "2"}
    with request_of(EnvironBuilder(method="POST", data={"file": (BytesIO(b"a\0b"), "x.bin")})) as sent:
        assert sent.files["file"].read() == b"a\0b"
    assert request_of(EnvironBuilder()).form.to_dict() == {}


@pytest.mark.parametrize("ascii_only", [False, True])
def test_json_of_a_page_hides_nothing(ascii_only: bool) -> None:
    document = {"complaint": "甲\0乙\x0c", "diagnoses": [{"name": "\x1d咳", "n": 1}], "quoted": "\\u0000"}
    assert posted_json(json.dumps(document, ensure_ascii=ascii_only)) == {
        "complaint": "甲乙 ", "diagnoses": [{"name": "咳", "n": 1}], "quoted": "\\u0000",
    }  # fmt: skip
