"""Operators' wishes: one file for each addressee under `state_dir/orders/`, replaced whole under a lock.

The watcher's file is `links.json`:

    {"schema": 1, "orders": [{"id", "kind": "pin|hold|rehearse", "line", "since", "until", "by", "why"}]}

with times in UTC. Every order runs out by itself, and survives restarts until then. A reader believes nothing: an entry
that it does not understand is left out and named, so that one slip of a hand cannot stop a failover.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_node.base.clock import parse_utc, utc_text
from edge_node.base.errors import ServiceError
from edge_node.base.files import atomic_write, file_lock

SCHEMA = 1
# A wish for longer than this belongs into the configuration.
LONGEST_MS = 31 * 24 * 3600 * 1000
# A clock that was a little behind when the order was given.
FUTURE_MS = 60_000
# The whole file is read by the process that may change routes: it stays small.
LARGEST_BYTES = 64 * 1024
LARGEST_TEXT = 200


class LineOrderKind(StrEnum):
    """What the watcher is asked to do with a line."""

    PIN = "pin"  # use this line while it lives
    HOLD = "hold"  # leave it as it is: do not come to it, do not go from it, while there is a living choice
    REHEARSE = "rehearse"  # treat it as down


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOrder:
    """One wish; times are UTC milliseconds. `by` and `why` are for the record."""

    id: str
    kind: LineOrderKind
    line: str
    since_ms: int
    until_ms: int
    by: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "line": self.line,
            "since": utc_text(self.since_ms),
            "until": utc_text(self.until_ms),
            "by": self.by,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersRead:
    """What stands in the file. `problems` are sentences about what was left out."""

    orders: tuple[LineOrder, ...] = ()
    problems: tuple[str, ...] = ()


def links_path(state_dir: Path) -> Path:
    """The watcher's orders."""
    return state_dir / "orders" / "links.json"


def read_line_orders(state_dir: Path, *, lines: Collection[str], now_ms: int) -> OrdersRead:
    """The orders that hold at `now_ms`, for the lines that exist. Never raises; no file means no orders."""
    path = links_path(state_dir)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        return OrdersRead()
    except OSError as error:
        return OrdersRead(problems=(f"{path} cannot be read: {error.strerror}",))
    if len(content) > LARGEST_BYTES:
        return OrdersRead(problems=(f"{path} is longer than {LARGEST_BYTES} bytes; nothing in it is heeded",))
    try:
        entries = _entries(content)
    except ValueError as error:
        return OrdersRead(problems=(f"{path} cannot be understood: {error}",))
    orders, problems = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            order = parse_order(entry, lines=lines, now_ms=now_ms)
        except ValueError as error:
            problems.append(f"order {number} in {path} is not heeded: {error}")
            continue
        if order.until_ms > now_ms:
            orders.append(order)
    return OrdersRead(orders=tuple(orders), problems=tuple(problems))


def _entries(content: bytes) -> list[Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"it is not of schema {SCHEMA}")
    entries = document.get("orders")
    if not isinstance(entries, list):
        raise ValueError("it has no list of orders")
    return entries


def parse_order(entry: object, *, lines: Collection[str], now_ms: int) -> LineOrder:
    """One entry of the file. Raises ValueError with what is wrong with it."""
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")
    texts = {name: entry.get(name) for name in ("id", "kind", "line", "since", "until", "by", "why")}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str) or len(value) > LARGEST_TEXT]:
        raise ValueError(f"{', '.join(wrong)} must be text of at most {LARGEST_TEXT} characters")
    try:
        kind = LineOrderKind(str(texts["kind"]))
    except ValueError:
        raise ValueError(f'"{texts["kind"]}" is no order; known are {", ".join(LineOrderKind)}') from None
    if texts["line"] not in lines:
        raise ValueError(f'there is no line "{texts["line"]}"; known are {", ".join(sorted(lines)) or "none"}')
    try:
        since_ms, until_ms = parse_utc(str(texts["since"])), parse_utc(str(texts["until"]))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"its time is none: {error}") from error
    if until_ms <= since_ms:
        raise ValueError("it ends before it begins")
    if until_ms - since_ms > LONGEST_MS:
        raise ValueError("it holds for longer than 31 days; write such a wish into the configuration")
    if since_ms > now_ms + FUTURE_MS:
        raise ValueError(f"it begins in the future, at {texts['since']}; is the clock right?")
    return LineOrder(
        id=str(texts["id"]), kind=kind, line=str(texts["line"]), since_ms=since_ms, until_ms=until_ms,
        by=str(texts["by"]), why=str(texts["why"]),
    )  # fmt: skip


def new_order(kind: LineOrderKind, line: str, *, now_ms: int, for_s: float, by: str, why: str) -> LineOrder:
    """An order that begins now."""
    return LineOrder(
        id=secrets.token_hex(4), kind=kind, line=line, since_ms=now_ms, until_ms=now_ms + round(for_s * 1000),
        by=by[:LARGEST_TEXT], why=why[:LARGEST_TEXT],
    )  # fmt: skip


def with_order(standing: Sequence[LineOrder], order: LineOrder) -> tuple[LineOrder, ...]:
    """A new order takes the place of the line's earlier one; a pin also that of a pin of another line. Pure."""

    def is_kept(other: LineOrder) -> bool:
        both_pin = other.kind is order.kind is LineOrderKind.PIN
        return other.line != order.line and not both_pin

    return (*(other for other in standing if is_kept(other)), order)


def place(state_dir: Path, order: LineOrder, *, lines: Collection[str], now_ms: int) -> tuple[LineOrder, ...]:
    """Add an order to the file, and return all that stand there now. Raises ServiceError orders-unreadable."""
    return _change(state_dir, lambda standing: with_order(standing, order), lines=lines, now_ms=now_ms)


def release(state_dir: Path, line: str | None, *, lines: Collection[str], now_ms: int) -> tuple[LineOrder, ...]:
    """Take back the orders of a line (None: all), and return them. Raises ServiceError orders-unreadable."""
    taken: list[LineOrder] = []

    def without(standing: Sequence[LineOrder]) -> tuple[LineOrder, ...]:
        taken.extend(order for order in standing if line in (None, order.line))
        return tuple(order for order in standing if order not in taken)

    _change(state_dir, without, lines=lines, now_ms=now_ms)
    return tuple(taken)


def _change(
    state_dir: Path,
    change: Callable[[Sequence[LineOrder]], tuple[LineOrder, ...]],
    *,
    lines: Collection[str],
    now_ms: int,
) -> tuple[LineOrder, ...]:
    path = links_path(state_dir)
    with _locked(path):
        read = read_line_orders(state_dir, lines=lines, now_ms=now_ms)
        if read.problems:
            # Writing would lose what stands there and is not understood.
            raise ServiceError(
                "orders-unreadable",
                f"{path} holds what this program does not understand; nothing was changed",
                context="\n".join(read.problems),
                hint=f"look at it, then move it away: mv {path} {path}.old",
            )
        orders = change(read.orders)
        document = {"schema": SCHEMA, "orders": [order.as_json() for order in orders]}
        atomic_write(path, json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n")
        return orders


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with file_lock(path.with_name(f".{path.name}.lock")):
            yield
    except OSError as error:
        raise ServiceError(
            "orders-unwritable",
            f"{path} cannot be written",
            context=error.strerror,
            hint="run the command as the owner of the state folder, or with sudo",
        ) from error
