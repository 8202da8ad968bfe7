"""The console's lines over a real node.db: pictures, incidents, and a sentence for everything that can be missing."""

from __future__ import annotations

import contextlib
import functools
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_node.config.load import load
from edge_node.config.schema import Config
from edge_node.his.line_history import NotRecorded, Period, Place, Shown
from edge_node.his.staff.model import Role
from edge_node.i18n import ENGLISH, translate
from edge_node.services import history_file, line_pictures
from edge_node.services.line_pictures import LinePictures
from edge_node.status import NodeStatus
from edge_node.store.connection import connect
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import create_database
from tests.support.clock import FakeClock
from tests.support.his import His, a_his
from tests.support.line_history import fill
from tests.support.node_files import a_file, a_line, a_node, links_state, on_backup

CONFIG = """
[node]
id = "clinic-0042"
[replica]
plain = true
[[line]]
name = "telecom"
carrier = "China Telecom"
circuit = "SZ-20418837"
preferred = 1
interface = "enp2s0"
contract = { availability = 0.999, rtt_p95 = "8ms", loss = 0.001 }
[[line.target]]
address = "10.100.0.1"
[[line.target]]
address = "10.100.0.2"
[[line]]
name = "unicom"
preferred = 2
interface = "enp3s0"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
    return load(tmp_path / "edge-node.toml", home=tmp_path)


@pytest.fixture
def his(tmp_path: Path, config: Config) -> Iterator[His]:
    with a_his(tmp_path, line_history=lambda clock: LinePictures(config, clock)) as his:
        his.add_staff("gu", Role.ADMIN)
        his.status = status()
        yield his


def status(**changes: Any) -> NodeStatus:
    return a_node(links=a_file("links", **on_backup(**changes)))


def node_db(config: Config, *, days: int = 0) -> Path:
    path = db_path(config.node.state_dir, "node")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_filled(days))
    return path


@functools.cache
def _filled(days: int) -> bytes:
    """The content of a node.db up to the moment at which the tests' clock stands; made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.db"
        create_database(path, DATABASES["node"])
        with contextlib.closing(connect(path)) as conn:
            if days:
                fill(conn, until_ms=FakeClock().wall_ms(), days=days)
        return path.read_bytes()


def test_a_line_has_its_picture_its_incidents_and_what_was_agreed(his: His, config: Config) -> None:
    node_db(config, days=3)
    page = his.sign_in("gu").get("/console/lines/telecom").text
    assert len(re.findall(r'<svg class="chart"', page)) == 3, "one for each width"
    assert page.count('class="c-out"') == 2 * 3 + 1, "and what it means"
    for words in (
        "SZ-20418837", "agreed 8 ms", "agreed 99.9%", "agreed 0.1%", "agreed for 95 in 100: 8 ms", "2 in 30 days",
        "goes on", "silent for 1.0 s on 2 of 2 targets", "outages: 2, 20 min together", "5 min a step",
        "edge-node line explain telecom", "China Telecom", "no data for 40 min, which is not the same as good",
    ):  # fmt: skip
        assert words in page, words
    newest = re.search(r"edge-node line evidence (\d+\.\d+)", page)
    assert newest is not None and f'<td class="num mono">{newest[1]}</td>' in page
    assert re.search(r"98\.\d\d\d?% <small>of the known time</small> <small>agreed 99.9%", page)


def test_the_console_has_a_picture_for_each_line(his: His, config: Config) -> None:
    node_db(config, days=3)
    page = his.sign_in("gu").get("/console?period=3h").text
    assert 'href="/console/lines/telecom?period=3h"' in page
    assert re.search(r'href="/console\?period=3h" aria-current="page">3 hours<', page)
    assert len(re.findall(r'<svg class="chart"', page)) == 2 * 2
    assert "in use for 11 min" in page, "unicom since the outage"
    ids = re.findall(r'<pattern id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize(
    "asked, period", [("7d", "7 days"), ("30d", "30 days"), ("forever", "24 hours"), ("", "24 hours")]
)
def test_a_period_is_chosen_by_a_link(his: His, config: Config, asked: str, period: str) -> None:
    node_db(config, days=3)
    page = his.sign_in("gu").get(f"/console/lines/telecom?period={asked}").text
    assert re.search(rf'aria-current="page">{period}<', page)
    assert f"Available, {period}" in page


def test_the_strict_policy_has_nothing_to_forbid(his: His, config: Config) -> None:
    node_db(config, days=3)
    for path in ("/console", "/console/lines/telecom"):
        answer = his.sign_in("gu").get(path)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert " style=" not in answer.text and "<style" not in answer.text and " onclick" not in answer.text
        assert re.search(r'href="/static/chart\.css\?v=\w+"', answer.text)


def damage(path: Path) -> None:
    for beside in path.parent.glob("node.db-*"):
        beside.unlink()
    path.write_bytes(b"not a database at all" * 500)


def of_another_version(path: Path) -> None:
    with contextlib.closing(connect(path)) as conn:
        conn.execute("DROP TABLE heard")


@pytest.mark.parametrize(
    "spoil, why",
    [
        pytest.param(Path.unlink, history_file.MISSING, id="missing"),
        pytest.param(lambda path: None, line_pictures.NOTHING_YET, id="empty"),
        pytest.param(damage, history_file.UNREADABLE, id="damaged"),
        pytest.param(of_another_version, history_file.UNREADABLE, id="another-version"),
    ],
)
def test_without_a_history_the_pages_stand_and_say_why(his: His, config: Config, spoil: Any, why: NotRecorded) -> None:
    spoil(node_db(config))
    client = his.sign_in("gu")
    for path in ("/console", "/console/lines/telecom"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert translate(why.why, ENGLISH) in answer.text
        assert "telecom down" in answer.text and '<svg class="chart"' not in answer.text


def test_what_was_missing_is_shown_as_soon_as_it_is_there(his: His, config: Config) -> None:
    client = his.sign_in("gu")
    assert "There is no history" in client.get("/console").text
    node_db(config, days=3)
    assert "There is no history" not in client.get("/console").text


def test_a_line_that_nobody_recorded_is_not_without_outages(his: His, config: Config) -> None:
    node_db(config, days=3)
    with contextlib.closing(connect(db_path(config.node.state_dir, "node"))) as conn:
        conn.execute("DELETE FROM transition WHERE subject = 'unicom'")
    page = his.sign_in("gu").get("/console/lines/unicom").text
    assert "Nothing is known of this line in 30 days" in page
    assert "no outage" not in page
    assert re.search(r"Outages, 24 hours</dt><dd>—", page)


def test_a_line_that_the_configuration_did_not_have(his: His, config: Config) -> None:
    """The watcher was told of a new line (SIGHUP); the HIS has not been started again yet."""
    node_db(config, days=3)
    his.status = status(lines=[a_line("mobile", targets=[])])
    page = his.sign_in("gu").get("/console/lines/mobile").text
    assert "start edge-his again" in page and "The line is judged by its carrier" in page


def test_of_a_silent_watcher_the_history_is_still_shown(his: His, config: Config) -> None:
    node_db(config, days=3)
    his.status = a_node(links=a_file("links", age_s=3600, **links_state()))
    page = his.sign_in("gu").get("/console/lines/telecom").text
    assert "The watcher of the lines is silent" in page and "2 in 30 days" in page
    assert "not known" in page and "4 ms /" not in page


@pytest.mark.parametrize(
    "role, code", [(Role.MANAGER, 200), (Role.ADMIN, 200), (Role.REGISTRAR, 403), (Role.DOCTOR, 403)]
)
def test_who_may_see_a_line(his: His, role: Role, code: int) -> None:
    his.add_staff("li", role)
    assert his.browser().get("/console/lines/telecom").status_code == 302
    assert his.sign_in("li").get("/console/lines/telecom").status_code == code


def test_a_line_that_is_not_there(his: His) -> None:
    for name in ("mobile", "..", "%00", "<b>"):
        assert his.sign_in("gu").get(f"/console/lines/{name}").status_code == 404


def test_reading_leaves_the_database_and_its_wal_alone(his: His, config: Config) -> None:
    """The last close of a writer would delete the WAL, and Litestream would ship a whole copy."""
    path = node_db(config, days=3)
    with contextlib.closing(connect(path)) as conn:
        conn.execute("UPDATE heard SET blind_s = 1")
        before = {one.name: one.stat().st_size for one in path.parent.glob("node.db*")}
        assert before["node.db-wal"] > 0
        assert '<svg class="chart"' in his.sign_in("gu").get("/console").text
        assert {one.name: one.stat().st_size for one in path.parent.glob("node.db*")} == before


def test_a_picture_is_kept_for_its_minute(config: Config) -> None:
    path, clock = node_db(config, days=3), FakeClock()
    pictures = LinePictures(config, clock)

    def shown(period: Period = Period.DAY) -> Shown | NotRecorded:
        return pictures.shown("telecom", period, Place.ROW, language=ENGLISH)

    first = shown()
    path.unlink()
    assert shown() is first, "asked for twice, drawn once"
    assert shown(Period.WEEK) == history_file.MISSING
    clock.advance(60)
    assert shown() == history_file.MISSING


@pytest.mark.long
@pytest.mark.timeout(600)
def test_pages_over_a_year_of_minutes(tmp_path: Path, config: Config) -> None:
    """Two lines with two targets: 2.1 million minutes. Processor time of a page, at first and within the same minute.

    A picture reads its own window alone, whatever lies before it.
    """
    with a_his(tmp_path, line_history=lambda clock: LinePictures(config, clock)) as his:
        node_db(config, days=365)
        his.add_staff("gu", Role.ADMIN)
        his.status = status()
        client = his.sign_in("gu")
        for path in ("/console?period=30d", "/console/lines/telecom?period=30d", "/console/lines/telecom?period=7d",
                     "/console/lines/telecom?period=24h"):  # fmt: skip
            new: list[float] = []
            kept: list[float] = []
            for _ in range(20):
                his.clock.advance(60)
                for taken in (new, kept):
                    began = time.process_time()
                    assert client.get(path).status_code == 200
                    taken.append(time.process_time() - began)
            p95 = [statistics.quantiles(taken, n=20)[-1] for taken in (new, kept)]
            print(f"{path}: p95 {p95[0] * 1000:.0f} ms, kept {p95[1] * 1000:.0f} ms")
            assert p95[0] < 2.0 and p95[1] < 0.2
