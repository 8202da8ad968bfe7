"""An incident as a carrier gets it: what stands in it, whatever was around it, and what is said to be missing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_node.journal import bundle, freeze
from edge_node.journal.freeze import folder_of
from edge_node.journal.record import record_maintenance
from edge_node.orders import new_maintenance
from tests.support.evidence import BEFORE_MIDNIGHT, CLOUD, GATEWAY, Story
from tests.support.journal import node_database


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with node_database(tmp_path) as conn:
        yield Story(tmp_path, conn)


def test_an_incident_over_midnight_is_frozen_once_with_all_around_it(story: Story) -> None:
    story.an_outage()
    row = story.freeze()
    assert row is not None and story.freeze() is None, "once"
    told = story.told(row)

    assert (told["incident"], told["line"]["carrier"], told["state"]) == ("1.4", "China Telecom", "down")
    assert told["start"]["utc"].startswith("2026-11-18T23:59:20") and told["end"]["utc"].startswith("2026-11-19T00:01")
    assert (told["duration_s"], told["duration_by"]) == (100.0, "boot time")
    assert told["signal"]["code"] == "silent" and told["signal"]["limits"]["dead_after_s"] == 1.0
    assert "静默" in told["signal"]["sentence"]["zh_Hans_CN"]
    assert told["last_hop"] == {"targets": [GATEWAY], "answered": True, "asked": 100, "lost": 0,
                                "last_answer_at": told["last_hop"]["last_answer_at"]}  # fmt: skip
    assert told["link"]["at_start"]["carrier"] is True and told["link"]["changes"] == []
    (other,) = told["other_lines"]
    assert (other["name"], other["at_start"]["verdict"], other["probes_during"]["answered"]) == ("unicom", "up", 200)
    assert [use["line"] for use in told["in_use"]] == ["unicom"]
    assert told["clock"]["synchronised"] is True and told["clock"]["set_meanwhile"] == []
    assert told["samples"]["parts"] == [{"around": "start and end", "state": "whole", "count": 221 * 5}]
    phases = {(one["target"], one["phase"]): (one["asked"], one["lost"]) for one in told["probes"]}
    assert phases[CLOUD[0], "before"] == (60, 0) and phases[CLOUD[0], "during"] == (100, 100)
    assert phases[CLOUD[0], "after"] == (61, 0) and phases[GATEWAY, "during"] == (100, 0)

    files_ = story.opened(row).files
    table = list(csv.DictReader(io.StringIO(files_["samples.csv"].decode("utf-8-sig"))))
    assert len(table) == len(files_["samples.jsonl"].splitlines()) == 1105
    assert {one["time_utc"][:10] for one in table} == {"2026-11-18", "2026-11-19"}
    readme = files_["README.txt"].decode("utf-8-sig")
    assert "The carrier's gateway (10.1.1.1) went on answering" in readme and "西城门诊部" in readme
    assert "%(" not in readme and "Project-Id-Version" not in readme
    assert (folder_of(story.folder) / row.file).stat().st_mode & 0o777 == 0o600


def test_directions_and_a_silent_gateway_and_a_lost_carrier(story: Story) -> None:
    story.begins()
    story.passes(80)
    story.watcher.links("telecom", carrier=False)
    story.falls()
    story.passes(100, telecom=False, gateway=False)
    story.watcher.sees_raw([[1.0, "telecom", CLOUD[0], "lost", None, way] for way in ("out", "out", "back")])
    story.watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
    story.passes(90)
    story.watcher.is_recorded(story.conn)
    row = story.freeze()
    assert row is not None
    told = story.told(row)
    assert told["directions"]["samples"] == {"out": 2, "back": 1, "unknown": 300}
    assert told["last_hop"]["answered"] is False
    readme = story.opened(row).files["README.txt"].decode("utf-8-sig")
    assert "did not answer either" in readme and "lost its carrier" in readme and "(site to cloud): 2" in readme


def test_it_waits_for_the_minute_after_and_for_the_end(story: Story) -> None:
    story.begins()
    story.passes(80)
    story.falls()
    story.passes(120, telecom=False)
    story.watcher.is_recorded(story.conn)
    assert story.freeze() is None, "it goes on"
    story.watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
    story.passes(85)
    story.watcher.is_recorded(story.conn)
    assert story.freeze() is None, "the minute after has yet to be written"
    story.passes(5)
    assert story.freeze() is not None


def test_a_long_one_has_a_minute_around_each_edge(story: Story) -> None:
    story.an_outage(of_s=1000)
    row = story.freeze()
    assert row is not None
    told = story.told(row)
    assert [(part["around"], part["state"]) for part in told["samples"]["parts"]] == [
        ("start", "whole"), ("end", "whole"),
    ]  # fmt: skip
    assert told["samples"]["count"] == 2 * 121 * 5, "both ends of a minute belong to it"


def test_the_clock_is_set_back_while_it_lasts(story: Story) -> None:
    """By an hour: the end has an earlier time than the start, and the samples are found by boot time all the same."""
    story.begins()
    story.passes(80)
    story.falls()
    story.passes(50, telecom=False)
    story.watcher.clock.step_wall(-3600)
    story.passes(50, telecom=False)
    story.watcher.tells("verdict", "telecom", "down", "up", "clean", for_s=10.0)
    story.passes(90)
    story.watcher.clock.step_wall(3600)  # somebody puts it right
    story.passes(30)
    story.watcher.is_recorded(story.conn)
    row = story.freeze()
    assert row is not None
    told = story.told(row)
    assert (told["duration_s"], told["duration_by"]) == (100.0, "boot time")
    assert told["end"]["utc"] < told["start"]["utc"]
    assert told["samples"]["parts"] == [{"around": "start and end", "state": "whole", "count": 221 * 5}]
    assert [step["by_s"] for step in told["clock"]["set_meanwhile"]] == [-3600.0]
    assert "durations are by boot time" in story.opened(row).files["README.txt"].decode("utf-8-sig")


@pytest.mark.parametrize("lost", ["the day of the start", "all"])
def test_a_part_whose_traces_are_gone_is_named(story: Story, lost: str) -> None:
    story.an_outage(of_s=1000)
    for path in sorted(story.watcher.traces.iterdir())[: 1 if lost != "all" else None]:
        path.unlink()
    row = story.freeze()
    assert row is not None
    told = story.told(row)
    states = [(part["around"], part["state"]) for part in told["samples"]["parts"]]
    # The minute around the start reaches over midnight: twenty seconds of it stand in the next day's file.
    expected = [("start", "in part"), ("end", "whole")] if lost != "all" else [("start", "missing"), ("end", "missing")]
    assert states == expected
    assert "2026-11-18" in told["samples"]["days_without_file"]
    assert "2026-11-18" in story.opened(row).files["README.txt"].decode("utf-8-sig")


def test_a_line_without_samples_for_half_a_minute_is_in_part(story: Story) -> None:
    story.begins()
    story.passes(60)
    story.watcher.clock.advance(40)
    story.falls()
    story.passes(100, telecom=False)
    story.watcher.tells("verdict", "telecom", "down", "up", "clean")
    story.passes(90)
    story.watcher.is_recorded(story.conn)
    row = story.freeze()
    assert row is not None
    assert [part["state"] for part in story.told(row)["samples"]["parts"]] == ["in part"]


def test_one_that_goes_on_for_longer_than_traces_are_kept(story: Story) -> None:
    """Frozen with its beginning before that is gone, and again at its end, with the first bundle inside."""
    story.begins()
    story.passes(80)
    story.falls()
    story.passes(100, telecom=False)
    story.watcher.is_recorded(story.conn)
    for _ in range(11 * 24 * 2):
        story.watcher.clock.advance(1800)
        story.watcher.is_recorded(story.conn)
    first = story.freeze()
    assert first is not None and first.goes_on and story.freeze() is None
    assert story.told(first)["samples"]["parts"][0] == {"around": "start", "state": "whole", "count": 121 * 5}
    for path in story.watcher.traces.iterdir():
        path.unlink()
    story.watcher.clock.advance(86_400)
    story.watcher.tells("verdict", "telecom", "down", "up", "clean")
    story.watcher.is_recorded(story.conn)
    story.passes(120)
    story.watcher.is_recorded(story.conn)
    second = story.freeze()
    assert second is not None and not second.goes_on and second.incident == first.incident
    told = story.told(second)
    assert told["earlier"] == first.digest
    inside = bundle.unpack(story.opened(second).files["earlier.zip"], name="earlier.zip")
    assert inside.digest == first.digest and story.freeze() is None


def test_announced_work_and_what_it_counts(story: Story) -> None:
    story.an_outage()
    start_ms = BEFORE_MIDNIGHT
    work = new_maintenance("telecom", start_ms=start_ms, until_ms=start_ms + 130_000, now_ms=start_ms, by="li", why="x")
    record_maintenance(story.conn, [work])
    row = story.freeze()
    assert row is not None
    told = story.told(row)
    assert (told["counted_s"], told["excluded_s"]) == (50.0, 50.0)
    assert [one["by"] for one in told["maintenance"]] == ["li"]


def test_more_samples_than_fit_lose_those_of_other_lines(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.an_outage()
    monkeypatch.setattr(freeze, "MOST_SAMPLES", 700)
    row = story.freeze()
    assert row is not None
    told = story.told(row)
    assert told["samples"]["is_cut"] and told["samples"]["count"] == 700
    assert sum(one["asked"] for one in told["probes"]) == 221 * 3, "none of the line's own"
