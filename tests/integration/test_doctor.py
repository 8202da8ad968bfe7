"""`edge-node doctor`: each fault is a finding with its remedy, and one fault hides no other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_node.base.clock import ClockState, SystemClock, utc_text
from edge_node.base.errors import ExitCode
from edge_node.cli.doctor import screen
from edge_node.cli.doctor_finding import Finding, guarded, ok, warn
from edge_node.cli.doctor_machine import kernel_settings, shown_units
from edge_node.cli.doctor_network import closed_to_ping
from edge_node.cli.main import Where, cli
from edge_node.cli.units import shipped_units
from edge_node.config.load import parse
from edge_node.config.schema import Config
from edge_node.his import audit
from edge_node.replication.anchors import Anchor, Head, make_anchor
from edge_node.replication.sealing import read_identity
from edge_node.replication.shipping_record import ShippingRecord
from edge_node.store.connection import connect, transaction
from tests.support.node import free_port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node"
    listen = f"127.0.0.1:{(port := free_port())}"
    made = CliRunner().invoke(cli, ["init", "--training", "--listen", listen, "--home", str(home)], obj=Where())
    assert made.exit_code == 0, made.output
    config = home / "edge-node.toml"
    config.write_text(config.read_text().replace("127.0.0.1:9108", f"127.0.0.1:{port + 1}"))
    return home


def doctor(home: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *options, "--home", str(home)], obj=Where())


def found(home: Path, level: str) -> list[dict[str, Any]]:
    return [finding for finding in json.loads(doctor(home, "--json").output) if finding["level"] == level]


def test_a_new_node_has_nothing_wrong(home: Path) -> None:
    result = doctor(home)
    assert result.exit_code == 0, result.output
    assert found(home, "fail") == []
    assert any(finding["what"].startswith("his.db is sound") for finding in found(home, "ok"))


def test_the_screen_is_in_parts_and_says_how_much_is_wrong(home: Path) -> None:
    (home / "credentials/his-secret").unlink()
    said = doctor(home).output
    parts = re.findall(r"^(\S.*)$", said, flags=re.MULTILINE)
    assert parts[:-1] == ["machine", "node", "lines and ports", "copies"]
    assert re.fullmatch(r"1 wrong, \d+ to look at, \d+ well", parts[-1])
    assert "  fail  credential-missing: the credential his-secret cannot be read\n" in said
    assert "        → `edge-node init` makes it" in said
    assert "ok  " not in doctor(home, "--wrong").output


def open_credential(home: Path) -> None:
    (home / "credentials/data-key").chmod(0o644)


def lose_credential(home: Path) -> None:
    (home / "credentials/his-secret").unlink()


def garble_database(home: Path) -> None:
    path = home / "data/his.db"
    content = bytearray(path.read_bytes())
    content[100:8000] = b"\xff" * 7900
    path.write_bytes(content)


def lose_database(home: Path) -> None:
    (home / "data/node.db").unlink()


def age_database(home: Path) -> None:
    conn = connect(home / "data/his.db")
    conn.execute("DELETE FROM _sqlite_migrations WHERE name = (SELECT max(name) FROM _sqlite_migrations)")
    conn.close()


def open_folder(home: Path) -> None:
    (home / "data").chmod(0o755)


def seal_to_itself_alone(home: Path) -> None:
    own = str(read_identity(home / "credentials/node-identity").to_public())
    config = home / "edge-node.toml"
    config.write_text(re.sub(r"encrypt_to = \[.*?\]", f'encrypt_to = ["{own}"]', config.read_text(), flags=re.DOTALL))


def fail_drill(home: Path) -> None:
    entry = {"drill": {"at": "2026-11-20T03:10:00Z", "ok": False, "outcome": "restore-failed"}}
    document = {"schema": 1, "destinations": {"cloud": entry}, "orders": []}
    (home / "reports/proofs.json").write_text(json.dumps(document))


def tear_replica(home: Path) -> None:
    (home / "replica").mkdir(mode=0o700)
    for level, name in ((9, "0000000000000001-0000000000000002"), (0, "0000000000000005-0000000000000005")):
        folder = home / f"replica/e0001/his/ltx/{level}"
        folder.mkdir(parents=True)
        (folder / f"{name}.ltx").write_bytes(b"LTX1")


def lose_interface(home: Path) -> None:
    config = home / "edge-node.toml"
    config.write_text(config.read_text() + '\n[[line]]\nname = "telecom"\npreferred = 2\ninterface = "absent0"\n')


def garble_orders(home: Path) -> None:
    (home / "orders/links.json").write_text("{")


def an_anchor(seq: int, *, at_ms: int) -> Anchor:
    head = Head(seq=seq, hash=f"{seq:064x}", txid=1)
    return make_anchor(head, node_id="training-0001", epoch=1, now_ms=at_ms, why="daily")


def note(home: Path, *, noted: Anchor | None, contradicted: Anchor | None = None) -> None:
    record = ShippingRecord(home / "shipping/cloud.json")
    record.mark_known()
    record.remember_anchors(noted=noted, contradicted=contradicted)
    record.save()


def contradict_audit(home: Path) -> None:
    far = an_anchor(88_121, at_ms=SystemClock().wall_ms())
    note(home, noted=far, contradicted=far)


FAULTS: dict[str, tuple[Callable[[Path], None], str, str, int]] = {
    "credential-open": (open_credential, "the credential data-key may be read by others", "chmod 600 ", 3),
    "credential-lost": (lose_credential, "the credential his-secret cannot be read", "the recovery kit holds it", 3),
    "folder-open": (open_folder, "/node/data may be used by others", "chmod 700 ", 6),
    "database-garbled": (garble_database, "his.db", "edge-node ", 4),
    "database-lost": (lose_database, "there is no database at", "edge-node db ensure", 4),
    "interface-absent": (lose_interface, "there is no interface absent0 for line telecom; this machine has", "mend", 6),
    "orders-garbled": (garble_orders, "", "edge-node order list", 4),
    "replica-torn": (tear_replica, "local replica e0001/his restores to TXID 2 only, of 5", "replica verify", 5),
    "sealed-to-itself": (seal_to_itself_alone, "copies are sealed to this machine's identity alone", "the safe", 5),
    "audit-rewritten": (
        contradict_audit,
        "the audit log is not as it was noted at cloud on",
        "audit verify --against cloud",
        4,
    ),
    "drill-failed": (fail_drill, "the last drill of cloud failed (restore-failed)", "replica drill --from cloud", 5),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_remedy(home: Path, fault: str) -> None:
    do, what, remedy, exit_code = FAULTS[fault]
    do(home)
    (finding,) = found(home, "fail")
    assert what in finding["what"]
    assert remedy in finding["remedy"]
    assert doctor(home).exit_code == finding["exit_code"] == exit_code


def test_all_faults_at_once_are_all_named_and_the_first_kind_decides(home: Path) -> None:
    for do, *_ in FAULTS.values():
        do(home)
    assert len(found(home, "fail")) == len(FAULTS)
    assert doctor(home).exit_code == 3


def test_a_database_that_the_next_start_brings_up_to_date_is_no_fault(home: Path) -> None:
    age_database(home)
    assert doctor(home).exit_code == 0
    assert "db-behind" in [finding["code"] for finding in found(home, "warn")]


def test_an_audit_log_that_was_not_noted_lately_is_looked_at(home: Path) -> None:
    now_ms = SystemClock().wall_ms()
    note(home, noted=None)
    assert not [finding for finding in found(home, "warn") if "audit log" in finding["what"]], "there is no row yet"
    conn = connect(home / "data/his.db")
    who = audit.Who(staff_id=None, station="edge-node", address="-")
    with transaction(conn):
        audit.record(conn, who, "promoted", "node:training-0001", {}, at=now_ms, clock_state=ClockState.SYNCED)
    row = conn.execute("SELECT seq, hash FROM audit_log").fetchone()
    conn.close()
    assert any("was not noted at cloud yet" in finding["what"] for finding in found(home, "warn"))
    fresh = replace(an_anchor(row["seq"], at_ms=now_ms), hash=bytes(row["hash"]).hex())
    note(home, noted=fresh)
    assert any("audit log was noted at cloud on" in finding["what"] for finding in found(home, "ok"))
    note(home, noted=replace(fresh, at=utc_text(now_ms - 3 * 86_400_000)))
    assert doctor(home).exit_code == 0
    (late,) = [finding for finding in found(home, "warn") if "audit log" in finding["what"]]
    assert "last noted at cloud" in late["what"] and "edge-node replica status" in late["remedy"]


def test_a_look_that_breaks_off_hides_no_other() -> None:
    def broken(_: Config) -> Iterator[Finding]:
        yield ok("seen before")
        raise PermissionError(13, "Permission denied", "/somewhere")

    findings = list(guarded(broken, parse('[node]\nid = "clinic-0042"\n')))
    assert [finding.level for finding in findings] == ["ok", "fail"]
    assert findings[1].exit_code is ExitCode.NETWORK and "/somewhere" in findings[1].what


def test_a_node_on_which_all_is_well_says_so_in_one_line() -> None:
    assert screen({"node": [ok("a"), ok("b")]}, only_wrong=True) == "all is well: 2 things looked at"
    assert screen({"node": [ok("a"), warn("b", "do c", evidence="seen d")]}) == (
        "node\n  ok    a\n  warn  b\n        seen d\n        → do c\n\n0 wrong, 1 to look at, 1 well"
    )


def test_what_the_kernel_is_asked_is_what_the_units_ship() -> None:
    settings = kernel_settings(shipped_units() / "edge-node.sysctl.conf")
    assert settings["net.ipv4.ping_group_range"] == "0 2147483647"
    assert settings["net.ipv4.conf.all.ignore_routes_with_linkdown"] == "1"


@pytest.mark.parametrize("group_range, closed", [("1\t0\n", True), ("0\t2147483647\n", False), ("0\t0\n", False)])
def test_who_may_send_echoes(group_range: str, closed: bool) -> None:
    assert closed_to_ping(group_range) is closed


def test_what_systemd_shows_of_units_is_read_in_any_order() -> None:
    first, second = "Result=success\nId=edge-his.socket\nActiveState=active", "ActiveState=failed\nId=edge-his.service"
    assert {unit: shown["ActiveState"] for unit, shown in shown_units(f"{first}\n\n{second}\n").items()} == {
        "edge-his.socket": "active",
        "edge-his.service": "failed",
    }
    assert shown_units("") == {}
