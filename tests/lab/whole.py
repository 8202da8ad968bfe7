"""The whole path in one place: network, store, receiver, and a node that runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_node.base.clock import parse_utc
from edge_node.store.connection import connect_reader
from tests.lab.clinic import LabNode, found_clinic, running
from tests.lab.cloud import Store, store
from tests.lab.receiver import Receiver, receiver
from tests.lab.topology import Laboratory, laboratory
from tests.support.waiting import until


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A laboratory with everything in it; files lie under `folder`."""

    lab: Laboratory
    folder: Path
    store: Store
    receiver: Receiver
    node: LabNode


@contextlib.contextmanager
def whole_path(folder: Path) -> Iterator[Whole]:
    """Everything started and ready; nothing of it runs afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        laboratory() as lab,
        store(lab.cloud, folder) as kept,
        receiver(lab.cloud, folder) as platform,
        running(found_clinic(lab, folder, kept)) as node,
    ):
        yield Whole(lab=lab, folder=folder, store=kept, receiver=platform, node=node)


DESTINATIONS = ("cloud", "nas")


def is_current(whole: Whole, *names: str) -> bool:
    """Do these destinations hold everything but what is in transit? All of them, if none is named."""
    return all(whole.node.destination(name).get("state") == "current" for name in names or DESTINATIONS)


def is_empty(whole: Whole) -> bool:
    """Has everything been told? By the table itself, and by the service's word, which may be a second old."""
    outbox = whole.node.state_of("outbox")
    if not outbox.get("queued") == outbox.get("waiting") == outbox.get("dead") == 0:
        return False
    with contextlib.closing(connect_reader(whole.node.home / "data/his.db")) as conn:
        return bool(conn.execute("SELECT count(*) FROM outbox WHERE state <> 'sent'").fetchone()[0] == 0)


def has_caught_up(whole: Whole, *, since_ms: float) -> bool:
    """Is what was put off before that moment (UTC milliseconds) told and copied? What came later may be on its way."""
    oldest = whole.node.state_of("outbox").get("oldest_queued_at", "")
    return is_current(whole) and (oldest is None or (oldest != "" and parse_utc(oldest) >= since_ms))


def is_well(whole: Whole) -> bool:
    """Online, copied and told, as on any morning."""
    return whole.node.mode() == "online" and has_caught_up(whole, since_ms=(time.time() - 5) * 1000)


def took_s(condition: Callable[[], bool], within_s: float) -> float:
    """How long it takes until this holds; AssertionError when that is longer than it may be."""
    began_s = time.monotonic()
    until(condition, within_s=within_s)
    return time.monotonic() - began_s
