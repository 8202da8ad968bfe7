"""Numbers are given once, in order, differ between epochs, and show a slip of the pen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.his.numbering import epoch_letter, is_number, take
from edge_node.store.connection import Connection, transaction
from tests.support.databases import his_database


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with his_database(tmp_path) as conn:
        yield conn


def _mrn(conn: Connection, *, epoch: int = 1, year: int = 2026) -> str:
    return take(conn, "mrn", node_code="XC42", epoch=epoch, year=year)


def test_numbers_follow_each_other(conn: Connection) -> None:
    assert [number[:-1] for number in (_mrn(conn), _mrn(conn), _mrn(conn))] == [
        "XC42A-260000001",
        "XC42A-260000002",
        "XC42A-260000003",
    ]


def test_each_year_kind_and_epoch_counts_by_itself(conn: Connection) -> None:
    numbers = [
        _mrn(conn),
        _mrn(conn, year=2027),
        _mrn(conn, epoch=2),
        take(conn, "visit", node_code="XC42", epoch=1, year=2026),
    ]
    assert [number[:-1] for number in numbers] == [
        "XC42A-260000001",
        "XC42A-270000001",
        "XC42B-260000001",
        "XC42A-V260000001",
    ]
    assert len(set(numbers)) == 4


def test_a_transaction_undone_gives_its_number_back(conn: Connection) -> None:
    with contextlib.suppress(ZeroDivisionError), transaction(conn):
        first = _mrn(conn)
        _ = 1 / 0
    assert _mrn(conn) == first


def test_ten_million_in_a_year_are_the_end(conn: Connection) -> None:
    conn.execute("INSERT INTO sequence_block (name, epoch, next) VALUES ('mrn-2026', 1, 9999999)")
    assert _mrn(conn).startswith("XC42A-269999999")
    with pytest.raises(OverflowError):
        _mrn(conn)


def test_every_wrong_digit_and_every_swap_is_seen(conn: Connection) -> None:
    number = _mrn(conn)
    head, digits = number.split("-")
    slips = [digits[:i] + other + digits[i + 1 :] for i in range(10) for other in "0123456789" if other != digits[i]]
    slips += [digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :] for i in range(9) if digits[i] != digits[i + 1]]
    assert is_number(number)
    assert [slip for slip in slips if is_number(f"{head}-{slip}")] == []


@pytest.mark.parametrize("text", ["", "XC42A", "13805162207", "320502198003142024", "XC42A-26000000", "单雅琴"])
def test_what_is_not_a_number(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize(
    "epoch, letter", [(1, "A"), (2, "B"), (26, "Z"), (27, "AA"), (52, "AZ"), (53, "BA"), (703, "AAA")]
)
def test_letters_of_epochs(epoch: int, letter: str) -> None:
    assert epoch_letter(epoch) == letter
