"""Operators' wishes: one file for each addressee under `state_dir/orders/`, replaced whole under a lock.

The watcher's file is `links.json`:

    {"schema": 1, "orders": [{"id", "kind": "pin|hold|rehearse", "line", "since", "until", "by", "why"}]}

with times in UTC. Every order runs out by itself, and survives restarts until then. A reader believes nothing: an entry
that it does not understand is left out and named, so that one slip of a hand cannot stop a failover.

The monitor's is `maintenance.json`: announced work on lines, which it records in node.db (`cancelled` where it was):

    {"schema": 1, "orders": [{"id", "line", "since", "until", "announced", "by", "why", "cancelled", "cancelled_by"}]}
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """Announced work on a line; times are UTC milliseconds. Taken back, it ends at its start, or when that was done."""

    id: str
    line: str
    start_ms: int
    until_ms: int
    announced_ms: int
    by: str
    why: str
    cancelled_ms: int | None = None
    cancelled_by: str | None = None

    def as_json(self) -> dict[str, Any]:
        taken_back = {} if self.cancelled_ms is None else {"cancelled": utc_text(self.cancelled_ms),
                                                           "cancelled_by": self.cancelled_by}  # fmt: skip
        return {
            "id": self.id,
            "line": self.line,
            "since": utc_text(self.start_ms),
            "until": utc_text(self.until_ms),
            "announced": utc_text(self.announced_ms),
            "by": self.by,
            "why": self.why,
            **taken_back,
        }

    def taken_back(self, *, now_ms: int, by: str) -> Maintenance:
        """While it runs it ends now, and what has passed stays announced; before and after it never was."""
        runs = self.start_ms < now_ms < self.until_ms
        return replace(self, until_ms=now_ms if runs else self.start_ms, cancelled_ms=now_ms,
                       cancelled_by=by[:LARGEST_TEXT])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceRead:
    """What stands in the file; also what is over, since the monitor may not have been there to record it."""

    works: tuple[Maintenance, ...] = ()
    problems: tuple[str, ...] = ()


def links_path(state_dir: Path) -> Path:
    """The watcher's orders."""
    return state_dir / "orders" / "links.json"


def maintenance_path(state_dir: Path) -> Path:
    """The monitor's orders."""
    return state_dir / "orders" / "maintenance.json"


def read_line_orders(state_dir: Path, *, lines: Collection[str], now_ms: int) -> OrdersRead:
    """The orders that hold at `now_ms`, for the lines that exist. Never raises; no file means no orders."""
    path = links_path(state_dir)
    try:
        entries = _read(path)
    except ValueError as error:
        return OrdersRead(problems=(str(error),))
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


def read_maintenance(state_dir: Path) -> MaintenanceRead:
    """All announced work that stands in the file, whatever its time. Never raises; no file means none."""
    path = maintenance_path(state_dir)
    try:
        entries = _read(path)
    except ValueError as error:
        return MaintenanceRead(problems=(str(error),))
    works, problems = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            works.append(parse_maintenance(entry))
        except ValueError as error:
            problems.append(f"order {number} in {path} is not heeded: {error}")
    return MaintenanceRead(works=tuple(works), problems=tuple(problems))


def _read(path: Path) -> list[Any]:
    """The entries of a file, none where there is no file. Raises ValueError with the sentence."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"{path} is longer than {LARGEST_BYTES} bytes; nothing in it is heeded")
    try:
        return _entries(content)
    except ValueError as error:
        raise ValueError(f"{path} cannot be understood: {error}") from error


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


def parse_maintenance(entry: object) -> Maintenance:
    """One entry of the monitor's file. Raises ValueError with what is wrong with it."""
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")
    names = ["id", "line", "since", "until", "announced", "by", "why"]
    names += ["cancelled", "cancelled_by"] if "cancelled" in entry else []
    texts = {name: entry.get(name) for name in names}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str) or len(value) > LARGEST_TEXT]:
        raise ValueError(f"{', '.join(wrong)} must be text of at most {LARGEST_TEXT} characters")
    if not texts["id"] or not texts["line"]:
        raise ValueError("its id or its line is empty")
    "".join(str(value) for value in texts.values()).encode()  # half of a surrogate pair fits no database
    moments = [name for name in ("since", "until", "announced", "cancelled") if name in texts]
    try:
        at = {name: parse_utc(str(texts[name])) for name in moments}
    except (ValueError, OverflowError) as error:
        raise ValueError(f"its time is none: {error}") from error
    if at["until"] < at["since"] or (at["until"] == at["since"] and "cancelled" not in at):
        raise ValueError("it ends before it begins")
    if at["until"] - at["since"] > LONGEST_MS:
        raise ValueError("it lasts for longer than 31 days; announce it in parts")
    return Maintenance(
        id=str(texts["id"]), line=str(texts["line"]), start_ms=at["since"], until_ms=at["until"],
        announced_ms=at["announced"], by=str(texts["by"]), why=str(texts["why"]), cancelled_ms=at.get("cancelled"),
        cancelled_by=None if "cancelled_by" not in texts else str(texts["cancelled_by"]),
    )  # fmt: skip


def new_maintenance(line: str, *, start_ms: int, until_ms: int, now_ms: int, by: str, why: str) -> Maintenance:
    """Work that is announced now, be it to come or over."""
    return Maintenance(
        id=secrets.token_hex(4), line=line, start_ms=start_ms, until_ms=until_ms, announced_ms=now_ms,
        by=by[:LARGEST_TEXT], why=why[:LARGEST_TEXT],
    )  # fmt: skip


def write_maintenance(
    state_dir: Path, change: Callable[[Sequence[Maintenance]], Sequence[Maintenance]]
) -> tuple[Maintenance, ...]:
    """Replace what stands in the monitor's file by what `change` makes of it, under the lock.

    Raises ServiceError orders-unreadable, orders-unwritable, and what `change` raises; the file is then as it was.
    """
    path = maintenance_path(state_dir)
    with _locked(path):
        read = read_maintenance(state_dir)
        _refuse_problems(path, read.problems)
        works = tuple(change(read.works))
        _write(path, [work.as_json() for work in works])
        return works


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
        _refuse_problems(path, read.problems)
        orders = change(read.orders)
        _write(path, [order.as_json() for order in orders])
        return orders


def _refuse_problems(path: Path, problems: Sequence[str]) -> None:
    """Writing would lose what stands there and is not understood."""
    if problems:
        raise ServiceError(
            "orders-unreadable",
            f"{path} holds what this program does not understand; nothing was changed",
            context="\n".join(problems),
            hint=f"look at it, then move it away: mv {path} {path}.old",
        )


def _write(path: Path, orders: Sequence[Mapping[str, Any]]) -> None:
    document = {"schema": SCHEMA, "orders": list(orders)}
    content = json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
    if len(content) > LARGEST_BYTES:
        raise ServiceError(
            "orders-unwritable",
            f"{path} would be longer than {LARGEST_BYTES} bytes, and nothing in it would be heeded",
            context=f"{len(orders)} orders stand in it",
            hint="take back what is not needed any more; shorter reasons help as well",
        )
    atomic_write(path, content)


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
