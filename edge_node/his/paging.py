"""One page of a long list, by the number that an address asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_node.his.forms import whole_number

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Generic[T]):
    """`number` and those of its rows, `first` and `last`, count from 1; `total` is how many the whole list has."""

    rows: Sequence[T]
    number: int
    first: int
    last: int
    total: int


def part(entries: Sequence[T], asked: str, *, most: int) -> Part[T]:
    """The page that is asked for, of `most` rows; the nearest that there is, and the first for what is no number."""
    last_page = max(0, (len(entries) - 1) // most)
    try:
        page = min(max(whole_number(asked) - 1, 0), last_page)
    except ValueError:
        page = 0
    begin = page * most
    rows = entries[begin : begin + most]
    return Part(
        rows=rows, number=page + 1, first=begin + 1 if rows else 0, last=begin + len(rows), total=len(entries)
    )  # fmt: skip
