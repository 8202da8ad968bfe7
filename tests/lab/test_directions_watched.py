"""Row 19: loss in one direction only, through the real watcher: the direction is named, and never the other one."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_node.cli.line import line_group
from edge_node.cli.main import Where
from edge_node.config.render import toml
from failover import trace
from failover.probes.outcome import Direction, Outcome, Sample
from failover.probes.stamp_packet import PORT, ReflectorPacket, SenderPacket, read_sender, reflector_bytes
from tests.lab.reflecting import impostor, reflector
from tests.lab.topology import CLOUD_PREFIX, LINES, SERVICE_IP, TARGETS, TELECOM, UNICOM, Laboratory
from tests.lab.watched import WatchedLines
from tests.support.waiting import until

pytestmark = pytest.mark.alone

KEY, OTHER_KEY = "5a" * 32, "a5" * 32
STAMP, ECHO = f"{TARGETS[0]}:{PORT}", TARGETS[1]
DSCP = 46
# A shorter window than a node has, so that a test need not wait for half a minute.
DETECT = {"interval": "100ms", "window": "5s", "confirm": "1s"}


def configuration(home: Path, *, dscp: int = 0) -> None:
    """Two lines, each with a signed STAMP target and one that is asked by echo."""
    targets = [{"address": TARGETS[0], "kind": "stamp", "credential": "stamp-key"}, {"address": ECHO}]
    document = {
        "node": {"id": "clinic-lab"},
        "lines": {"act": "enforce", "cloud_prefixes": [CLOUD_PREFIX], "service_ip": SERVICE_IP, "detect": DETECT},
        "line": [
            {
                "name": line.name,
                "preferred": line.number,
                "interface": line.name,
                "address": f"{line.address}/30",
                "gateway": line.gateway,
                "dscp": dscp,
                "target": targets,
            }
            for line in LINES
        ],
    }
    home.mkdir()
    text = "".join(f"{name} = {toml(value)}\n" for name, value in document.items())
    (home / "edge-node.toml").write_text(text, encoding="utf-8")


def key_file(path: Path, key: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(key)
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def watched(lab: Laboratory, home: Path, *, dscp: int = 0) -> Iterator[WatchedLines]:
    configuration(home, dscp=dscp)
    key_file(home / "credentials/stamp-key", KEY)
    watcher = WatchedLines(lab, home)
    try:
        watcher.start()
        yield watcher
    except BaseException:
        print(watcher.log.read_text())
        raise
    finally:
        if watcher.process is not None and watcher.process.poll() is None:
            watcher.process.kill()
            watcher.process.wait()


def target(watcher: WatchedLines, line: str, name: str = STAMP) -> dict[str, Any]:
    return next(found for found in watcher.line(line)["targets"] if found["name"] == name)


def lost(watcher: WatchedLines, line: str) -> tuple[float, float, float]:
    """The shares that are lost on the way out, on the way back, and nobody knows where; -1 for what is not known."""
    told = target(watcher, line)["direction"] or {"out": {}, "back": {}, "unknown": {}}
    shares = (told[name].get("loss_ratio") for name in ("out", "back", "unknown"))
    out, back, unknown = (-1.0 if share is None else float(share) for share in shares)
    return out, back, unknown


def until_clean(watcher: WatchedLines) -> None:
    """Until no window holds a loss, and both lines are up."""

    def is_clean(line: str) -> bool:
        return watcher.line(line)["verdict"] == "up" and lost(watcher, line) == (0, 0, 0)

    until(lambda: all(is_clean(line.name) for line in LINES), within_s=60)


def samples(home: Path) -> Iterator[Sample]:
    for path in sorted((home / "links/traces").iterdir()):
        yield from (entry for entry in trace.read(path) if isinstance(entry, Sample))


def shown(home: Path, *arguments: str) -> str:
    said = CliRunner().invoke(line_group, [*arguments, "--home", str(home)], obj=Where())
    assert said.exit_code == 0, said.output
    return said.stdout


def name_a_share(lab: Laboratory, watcher: WatchedLines, ways: Mapping[str, str]) -> None:
    """Lose 30 % of each line one way; its verdict and every figure name that way."""
    until_clean(watcher)
    for line, way in ways.items():
        lab.fault(line, "loss=30%" if way == "out" else "loss-back=30%")
    for line, way in ways.items():
        until(lambda line=line: watcher.line(line)["verdict"] == "degraded", within_s=30)  # type: ignore[misc]
        # A share of fifty questions scatters by some seven in a hundred.
        until(lambda line=line, way=way: 0.1 < lost(watcher, line)[way == "back"] < 0.5)  # type: ignore[misc]
        assert watcher.line(line)["reason"]["code"] == f"loss-{way}"
        assert lost(watcher, line)[way == "out"] == 0
        assert target(watcher, line, ECHO)["direction"] is None, "an echo cannot tell"
        until(lambda line=line, way=way: is_listed(watcher, line, way))  # type: ignore[misc]
    for line in ways:
        lab.fault(line, "heal")


def is_listed(watcher: WatchedLines, line: str, way: str) -> bool:
    listed = next(row for row in shown(watcher.home, "list").splitlines() if line in row)
    return f"% {way} " in listed and "JITTER BACK" in shown(watcher.home, "explain", line)


def name_a_black_hole(lab: Laboratory, watcher: WatchedLines, ways: Mapping[str, str]) -> None:
    """Seconds of nothing one way: while it lasts nobody knows; once it is over, all of it is told."""
    until_clean(watcher)
    for line, way in ways.items():
        lab.fault(line, f"blackhole-{way}")
    for line in ways:
        until(lambda line=line: lost(watcher, line)[2] > 0)  # type: ignore[misc]
        assert lost(watcher, line)[:2] == (0, 0)
        until(lambda line=line: watcher.line(line)["verdict"] == "down")  # type: ignore[misc]
    for line in ways:
        lab.fault(line, "heal")
    for line, way in ways.items():
        until(lambda line=line, way=way: lost(watcher, line)[way == "back"] > 0.05)  # type: ignore[misc]
        assert lost(watcher, line)[way == "out"] == 0


def name_them_in_the_record(watcher: WatchedLines, ways: Mapping[str, str]) -> None:
    """What was written down, too, names the way of what was lost, and never the other."""
    for line, way in ways.items():
        told = [
            sample.direction
            for sample in samples(watcher.home)
            if (sample.line, sample.target, sample.outcome) == (line, STAMP, Outcome.LOST)
        ]
        named = [direction for direction in told if direction is not None]
        print(f"{line} loses {way}: {len(named)} of {len(told)} lost questions named in the trace")
        assert set(named) == {Direction(way)} and len(named) >= 5
        reasons = [entry["reason"]["code"] for entry in watcher.transitions() if entry["subject"] == line]
        assert {code for code in reasons if code.startswith("loss")} == {f"loss-{way}"}


def one_way_each(lab: Laboratory, folder: Path, ways: Mapping[str, str]) -> None:
    with (
        reflector(lab.cloud, folder / "reflector.log", "--key-file", str(key_file(folder / "key", KEY))),
        watched(lab, folder / "home") as watcher,
    ):
        name_a_share(lab, watcher, ways)
        name_a_black_hole(lab, watcher, ways)
        watcher.end(signal.SIGTERM)
        name_them_in_the_record(watcher, ways)


def test_loss_one_way_is_named(lab: Laboratory, tmp_path: Path) -> None:
    one_way_each(lab, tmp_path, {TELECOM.name: "out", UNICOM.name: "back"})


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("run", range(3))
@pytest.mark.parametrize("way, other", [("out", "back"), ("back", "out")])
def test_loss_one_way_is_named_three_times_of_three(
    lab: Laboratory, tmp_path: Path, way: str, other: str, run: int
) -> None:
    one_way_each(lab, tmp_path, {TELECOM.name: way, UNICOM.name: other})


def test_probes_carry_the_class_of_service_of_their_line(lab: Laboratory, tmp_path: Path) -> None:
    lab.cloud.nft(
        "table ip seen {\n counter marked { }\n counter bare { }\n"
        "chain arrival {\n type filter hook input priority 0\n"
        f"udp dport {PORT} ip dscp {DSCP} counter name marked\n"
        f"udp dport {PORT} ip dscp != {DSCP} counter name bare\n}}\n}}\n"
    )

    def counted(name: str) -> int:
        return int(
            lab.cloud.run("nft", "list", "counter", "ip", "seen", name).stdout.partition("packets")[2].split()[0]
        )

    key = key_file(tmp_path / "key", KEY)
    with (
        reflector(lab.cloud, tmp_path / "log", "--key-file", str(key)),
        watched(lab, tmp_path / "home", dscp=DSCP),
    ):
        until(lambda: counted("marked") >= 20)
        assert counted("bare") == 0


def answered(question: bytes, *, key: str = KEY, back_by: int = 0) -> bytes:
    """The answer to a question, or to one that was asked so many before it."""
    asked = read_sender(question, key=bytes.fromhex(KEY))
    assert isinstance(asked, SenderPacket)
    answer = ReflectorPacket(
        sequence=1, timestamp=asked.timestamp, received=asked.timestamp,
        sender_sequence=(asked.sequence - back_by) % 2**32,
        sender_timestamp=asked.timestamp, sender_ttl=254, sender_error=asked.error, error=asked.error, ssid=asked.ssid,
    )  # fmt: skip
    return reflector_bytes(answer, key=bytes.fromhex(key))


def test_a_target_that_does_not_answer_rightly_is_lost_and_the_problem_is_said(lab: Laboratory, tmp_path: Path) -> None:
    """Each wrong far end in turn, under one watcher: the target is silent, its line lives on by the other one."""
    home, cloud = tmp_path / "home", lab.cloud
    with watched(lab, home) as watcher:

        def said() -> set[str]:
            return {
                problem["code"] for problem in watcher.state["problems"] if problem["args"].get("target") == STAMP
            }  # fmt: skip

        def troubles() -> set[tuple[str, str]]:
            return {(trouble["code"], trouble["args"]["target"]) for trouble in watcher.state["troubles"]}

        def until_said(code: str) -> None:
            until(lambda: said() == {code}, within_s=30)
            # Silent on all lines: no line is to blame. (The judge is a little more patient than who names the problem.)
            until(lambda: troubles() == {("cloud-trouble", STAMP)})
            assert target(watcher, TELECOM.name)["rtt_s"] is None
            assert [watcher.line(line.name)["verdict"] for line in LINES] == ["up", "up"]

        watcher.until_up(TELECOM.name, UNICOM.name)
        until_said("probe-refused")
        with impostor(cloud, lambda question: question[:60]):
            until_said("probe-malformed")
        with impostor(cloud, lambda question: answered(question, key=OTHER_KEY)):
            until_said("probe-unsigned")
        with impostor(cloud, answered, answers_from=TARGETS[1]):
            until_said("probe-elsewhere")
        with impostor(cloud, lambda question: answered(question, back_by=1)) as count:
            until(lambda: count() > 10)
            until_said("probe-unheard")
        # The real one with another key, or with none, is silent, as a dead one is; its own log says why.
        for name, options, reason in (
            ("other", ("--key-file", str(key_file(tmp_path / "other", OTHER_KEY))), "unsigned"),
            ("bare", (), "error-estimate"),
        ):
            log = tmp_path / f"{name}.log"
            with reflector(cloud, log, *options):
                until(lambda log=log, reason=reason: f"reason={reason}" in log.read_text())  # type: ignore[misc]
                until_said("probe-unheard")
        with reflector(cloud, tmp_path / "log", "--key-file", str(key_file(tmp_path / "key", KEY))):
            until(lambda: said() == set() and troubles() == set())
            until(lambda: target(watcher, TELECOM.name)["rtt_s"] is not None)
