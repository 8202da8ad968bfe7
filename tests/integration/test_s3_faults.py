"""A store that refuses the key, answers nothing, or is gone: known within 10 s, healed within 10 s, nobody else hurt.

The replicator is a process of its own with the real Litestream; it ships to a bucket, to a folder, and to an address
where nobody ever answers.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.cli.main import Where
from edge_node.cli.replica import replica_group
from edge_node.replication.litestream import ControlSocket
from tests.support.replicated import Replicated, end, make_replicated, replicating, rows, write_row, writing
from tests.support.s3 import BUCKET, KEY, S3Server, s3_server, write_key
from tests.support.waiting import until

# The bar is 10 s; the status file is a second old at most.
WITHIN_S = 10.0


def destinations(home: Path, endpoint: str, nobody: str) -> str:
    return f"""
[[replica.destination]]
name = "cloud"
url = "s3://{BUCKET}/edge"
endpoint = "{endpoint}"
credential = "cloud-key"

[[replica.destination]]
name = "nas"
url = "file://{home}/nas"

[[replica.destination]]
name = "void"
url = "s3://{BUCKET}/void"
endpoint = "{nobody}"
credential = "cloud-key"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path / "server", "rclone") as running:
        yield running


@pytest.fixture
def nobody() -> Iterator[str]:
    """Accepts connections (the kernel does), and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def clinic(tmp_path: Path, server: S3Server, nobody: str) -> Replicated:
    clinic = make_replicated(tmp_path / "home", destinations(tmp_path / "home", server.endpoint, nobody))
    write_key(clinic.home / "credentials" / "cloud-key")
    return clinic


def replica(clinic: Replicated, *arguments: str) -> Result:
    return CliRunner().invoke(replica_group, arguments, obj=Where(home=clinic.home))


class Desk:
    """Writes five rows a second, and watches how far the folder is behind meanwhile."""

    def __init__(self, clinic: Replicated) -> None:
        self._clinic = clinic
        self._stop = threading.Event()
        self.nas_lag_s: list[float] = []
        self.nas_states: set[str] = set()

    def run(self) -> None:
        chance = random.Random(1)
        with writing(self._clinic) as conn:
            while not self._stop.wait(0.2):
                write_row(conn, chance, at=time.time_ns() // 1_000_000)
                nas = self._clinic.destination("nas")
                if nas and nas["rpo_s"] is not None:
                    self.nas_lag_s.append(nas["rpo_s"])
                    self.nas_states.add(nas["state"])

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def at_work(clinic: Replicated) -> Iterator[Desk]:
    desk = Desk(clinic)
    thread = threading.Thread(target=desk.run)
    thread.start()
    try:
        yield desk
    finally:
        desk.stop()
        thread.join()


def is_current(clinic: Replicated, name: str) -> bool:
    """Current, with something of the last three seconds confirmed: not the word of before the fault."""
    entry = clinic.destination(name)
    return entry.get("state") == "current" and entry["rpo_s"] < 3 and entry["confirmed_txid"] > clinic.local_head() - 30


def test_each_fault_is_known_and_healed_and_hurts_nobody_else(
    clinic: Replicated, server: S3Server, tmp_path: Path
) -> None:
    took: dict[str, tuple[float, float]] = {}
    with replicating(clinic) as process, at_work(clinic) as desk:
        until(lambda: is_current(clinic, "cloud") and is_current(clinic, "nas"), within_s=20)
        until(lambda: clinic.destination("void")["state"] == "unreachable", within_s=WITHIN_S)
        desk.nas_lag_s.clear()
        desk.nas_states.clear()

        def play(name: str, break_it: list[object], state: str, why: str, heal_it: list[object]) -> None:
            for step in break_it:
                step()  # type: ignore[operator]
            began = time.monotonic()
            entry = until(
                lambda: (
                    (found := clinic.destination("cloud"))["state"] == state
                    and why in found["reason"]["args"]["why"]
                    and found
                ),
                within_s=WITHIN_S,
            )
            known_s = time.monotonic() - began
            assert entry["reason"]["code"] == f"destination-{state}"
            if state == "refused":
                assert str(clinic.home / "credentials" / "cloud-key") in entry["reason"]["args"]["hint"]
            until(lambda: clinic.destination("cloud")["behind_txids"] > 10, within_s=WITHIN_S)
            for step in heal_it:
                step()  # type: ignore[operator]
            began = time.monotonic()
            until(lambda: is_current(clinic, "cloud"), within_s=WITHIN_S)
            took[name] = (known_s, time.monotonic() - began)

        other = ("ANOTHERKEY", KEY[1])
        play(
            *("key", [server.stop, lambda: server.start(other)], "refused", "InvalidAccessKeyId"),
            [server.stop, server.start],
        )
        play("frozen", [server.freeze], "unreachable", "no answer in time", [server.thaw])
        play("gone", [server.stop], "unreachable", "connection refused", [server.start])

        assert clinic.destination("void")["state"] == "unreachable"
        assert desk.nas_states == {"current"}
        assert max(desk.nas_lag_s) < 4
        desk.stop()
        written = ControlSocket(clinic.run_dir / "litestream.sock").sync(clinic.his, timeout_s=10)
        until(lambda: clinic.local_head() >= written)
        clinic.wait_until_shipped()
        assert end(process) == 0
    print({name: f"known {known:.1f} s, healed {healed:.1f} s" for name, (known, healed) in took.items()})

    identity = ("--identity", str(clinic.identity_file()))
    for origin in ("cloud", "nas"):
        to = tmp_path / f"{origin}.db"
        done = replica(clinic, "restore", "--from", origin, "--to", str(to), *identity)
        assert done.exit_code == 0, done.output
        assert rows(to) == rows(clinic.his)
    sound = replica(clinic, "verify", "--from", "cloud", *identity)
    assert sound.exit_code == 0, sound.output
    there = server.bucket / "edge" / "clinic-0042"
    assert sorted(path.name for path in (there / "claims").iterdir()) == ["e0001.json", "probe.json"]
    epoch = json.loads((clinic.home / "litestream" / "e0001" / "epoch.json").read_bytes())
    assert json.loads((there / "claims" / "e0001.json").read_bytes())["nonce"] == epoch["nonce"]
    log = (clinic.home / "replica.log").read_text()
    assert KEY[1] not in log and "Traceback" not in log


def test_a_store_that_hangs_is_known_although_nothing_is_written(clinic: Replicated, server: S3Server) -> None:
    with replicating(clinic):
        until(lambda: clinic.destination("cloud").get("state") == "current", within_s=20)
        clinic.wait_until_shipped()
        server.freeze()
        until(lambda: clinic.destination("cloud")["state"] == "unreachable", within_s=WITHIN_S)
        server.thaw()
        until(lambda: clinic.destination("cloud")["state"] == "current", within_s=WITHIN_S)


def test_a_key_that_is_missing_and_then_there_needs_no_restart(clinic: Replicated) -> None:
    path = clinic.home / "credentials" / "cloud-key"
    path.unlink()
    with replicating(clinic):
        entry = until(lambda: (found := clinic.destination("cloud")).get("state") == "refused" and found)
        assert entry["reason"]["args"]["why"] == f"{path}: there is no such file"
        assert "it is read again" in entry["reason"]["args"]["hint"]
        assert "there is no such file" in replica(clinic, "status").stdout
        write_key(path)
        until(lambda: clinic.destination("cloud")["state"] == "current", within_s=WITHIN_S)
