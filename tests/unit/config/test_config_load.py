"""What a file becomes: values with their units, defaults that follow from others, and errors about the file itself."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest

from edge_node.base.errors import ConfigError, ExitCode
from edge_node.config.line_schema import Detect
from edge_node.config.load import load, parse
from edge_node.config.schema import Language
from edge_node.config.values import Endpoint, Failback, FailbackKind

HERE = Path(__file__).parent
NODE = '[node]\nid = "clinic-0042"\n'


def test_the_contract_s_example_loads() -> None:
    config = load(HERE / "contract_section_3.toml")

    assert config.node.name == "西城门诊部"
    assert config.his.listen == Endpoint("0.0.0.0", 443)
    assert config.his.tls is not None
    assert config.his.language is Language.CHINESE
    assert config.his.idle_lock_s == 900.0
    assert config.replica.disk_budget_bytes == 20 * 1024**3
    (cloud,) = config.replica.destination
    assert (cloud.scheme, cloud.folder) == ("s3", None)
    assert cloud.bandwidth_bits == 8_000_000
    assert cloud.addresses == (ip_address("10.100.0.9"),)
    assert config.lines.cloud_prefixes == (ip_network("10.100.0.0/24"),)
    (telecom,) = config.line
    assert telecom.address == ip_interface("10.1.1.2/30")
    assert telecom.failback == Failback(kind=FailbackKind.AUTO)
    assert telecom.contract is not None
    assert telecom.contract.rtt_p95_s == pytest.approx(0.02)
    assert telecom.target[0].port is None
    assert config.upstream[0].topics == ("patient", "encounter")


def test_the_contract_s_detection_is_the_default() -> None:
    assert load(HERE / "contract_section_3.toml").lines.detect == Detect()


def test_a_node_needs_only_its_id() -> None:
    config = parse(NODE)

    assert (config.node.name, config.node.code) == ("clinic-0042", "0042")
    assert config.node.state_dir == Path("/var/lib/edge-node")
    assert config.replica.local == Path("/var/lib/edge-node/replica")
    assert (config.line, config.upstream, config.replica.destination) == ((), (), ())
    assert str(config.his.listen) == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("node_id", "code"),
    [
        pytest.param("clinic-0042", "0042", id="last-four"),
        pytest.param("west-gate-7", "ATE7", id="hyphens-do-not-count"),
        pytest.param("a1", "A1", id="shorter"),
    ],
)
def test_the_code_of_record_numbers_comes_from_the_id(node_id: str, code: str) -> None:
    assert parse(f'[node]\nid = "{node_id}"\n').node.code == code


def test_a_home_holds_everything_that_is_not_placed_elsewhere() -> None:
    config = parse(f'{NODE}run_dir = "/run/other"\n', home=Path("/srv/clinic"))

    assert config.node.state_dir == Path("/srv/clinic")
    assert config.node.run_dir == Path("/run/other")
    assert config.node.links_dir == Path("/srv/clinic/links")
    assert config.replica.local == Path("/srv/clinic/replica")


def test_the_local_replica_follows_a_state_folder_that_was_moved() -> None:
    assert parse(f'{NODE}state_dir = "/srv/edge"\n').replica.local == Path("/srv/edge/replica")


def test_a_line_is_judged_as_all_are_except_where_it_says_otherwise() -> None:
    config = parse(
        NODE + '[lines.detect]\nhold = "2min"\nwindow = "20s"\n'
        '[[line]]\nname = "telecom"\npreferred = 3\ninterface = "enp2s0"\n[line.detect]\nwindow = "40s"\n'
    )

    (line,) = config.line
    assert (line.table, line.mark) == (103, 3)
    assert (line.detect.hold_s, line.detect.window_s, line.detect.confirm_s) == (120.0, 40.0, 5.0)
    assert config.lines.detect.window_s == 20.0


def test_values_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(NODE).node.id = "other"


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "edge-node.toml")

    assert (raised.value.code, raised.value.exit_code) == ("config-missing", ExitCode.CONFIG)
    assert str(tmp_path) in raised.value.message
    assert "edge-node init" in str(raised.value.hint)


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path)

    assert raised.value.code == "config-missing"
    assert "IsADirectoryError" in str(raised.value.context)


def test_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "edge-node.toml"
    path.write_bytes('[node]\nid = "clinic-0042"\nname = "西城"\n'.encode("gb18030"))

    with pytest.raises(ConfigError) as raised:
        load(path)

    assert [problem.text for problem in raised.value.problems] == ["not UTF-8; save the file as UTF-8"]


def test_a_file_with_a_byte_order_mark_loads(tmp_path: Path) -> None:
    """Windows' editor puts one there."""
    path = tmp_path / "edge-node.toml"
    path.write_text(NODE, encoding="utf-8-sig")

    assert load(path).node.id == "clinic-0042"
