"""What the page of the copies says: never that a copy is good which nobody has tried, and nothing of what is silent."""

from __future__ import annotations

from typing import Any

import pytest

from edge_node.base.clock import parse_utc
from edge_node.his.console import copy_forms
from edge_node.his.console.copy_forms import Wanted
from edge_node.his.console.copy_rules import CopyDetail, details, local_bytes, points, problems, standing
from edge_node.his.copies import LOCAL, KnownCopy
from edge_node.his.forms import FieldProblem
from edge_node.i18n import ENGLISH, translate
from edge_node.proof_orders import ProofOrder, ProofOrderKind, new_proof_order
from edge_node.status import NodeStatus
from tests.support.copies_told import DAY_MS, HOUR_MS, copies_state
from tests.support.node_files import WALL_MS, a_file, a_node

KNOWN = (
    KnownCopy(name=LOCAL, place="/srv/replica", is_sealed=False, may_expire=False),
    KnownCopy(name="cloud", place="s3://copies/0042", is_sealed=True, may_expire=False),
    KnownCopy(name="nas", place="file:///mnt/nas", is_sealed=False, may_expire=True),
)


def a_status(**changes: Any) -> NodeStatus:
    return a_node(replica=a_file("replica", **copies_state(WALL_MS, **changes)))


def rows(status: NodeStatus, now_ms: int = WALL_MS) -> dict[str, CopyDetail]:
    return {one.copy.name: one for one in details(status, KNOWN, now_ms)}


def said(words: Any) -> str:
    return translate(words, ENGLISH)


def test_each_copy_has_its_drill_its_look_and_its_protection() -> None:
    found = rows(a_status())
    local, cloud, nas = found[LOCAL], found["cloud"], found["nas"]
    assert (local.drill, local.look, local.place) == (None, None, "/srv/replica")
    assert cloud.drill is not None and cloud.look is not None and nas.drill is not None and nas.look is not None
    assert (said(cloud.drill.badge.words), cloud.drill.rto_s) == ("succeeded", 41.2)
    assert said(cloud.look.badge.words) == "intact"
    # Ten days ago, where a week is the rhythm: an old success is no success.
    assert said(nas.drill.badge.words) == "overdue by 3 d"
    assert said(nas.look.badge.words) == "2 findings"
    assert [said(one) for one in cloud.protection] == ["encrypted"]
    assert [said(one) for one in nas.protection] == ["not encrypted", "the node deletes what is old"]
    assert (cloud.kit, cloud.refuses_a_second, nas.refuses_a_second) == (3, True, False)
    assert (cloud.catch_up_s, nas.catch_up_s) == (None, 3.0), "a copy that is current catches up with nothing"


@pytest.mark.parametrize(
    "drill, good, badge",
    [
        (None, None, "not drilled yet"),
        ({"at": "2026-11-18T09:00:00.000Z", "ok": False, "outcome": "failed"}, None, "failed"),
        ({"at": "2026-11-18T09:00:00.000Z", "ok": False, "outcome": "skipped"}, None, "skipped"),
        ({"at": "2026-11-18T09:00:00.000Z", "ok": False, "outcome": "by-moonlight"}, None, "not known"),
        ({"at": "yesterday", "ok": True, "outcome": "ok"}, None, "not drilled yet"),
    ],
)
def test_a_copy_that_was_not_brought_back_is_never_good(drill: Any, good: Any, badge: str) -> None:
    entry = {**copies_state(WALL_MS)["destinations"][1], "last_drill": drill, "last_drill_ok": good}
    found = rows(a_status(destinations=[entry]))["cloud"]
    assert found.drill is not None
    assert said(found.drill.badge.words) == badge
    assert found.drill.badge.kind != "ok"


def because(code: str, **args: str) -> dict[str, Any]:
    return {"code": code, "args": {"destination": "cloud", **args}}


@pytest.mark.parametrize(
    "state, reason, told",
    [
        ("refused", because("destination-refused", why="403", hint="mend the key"), ("403", "mend the key", False)),
        ("paused", because("paused-by-order", why="割接", by="顾工"), ("割接", None, True)),
        ("behind", because("destination-refused", why="403", hint="mend the key"), (None, None, False)),
        ("refused", "odd", (None, None, False)),
    ],
)
def test_why_nothing_is_sent_and_what_to_do(state: str, reason: Any, told: tuple[str | None, str | None, bool]) -> None:
    entry = {**copies_state(WALL_MS)["destinations"][1], "state": state, "reason": reason, "catch_up_s": 4.0}
    found = rows(a_status(destinations=[entry]))["cloud"]
    assert (found.copy.why, found.copy.hint, found.copy.is_ordered) == told
    assert found.catch_up_s == (4.0 if state == "behind" else None), "what is sent nothing catches up with nothing"


def test_when_the_audit_log_was_noted_last() -> None:
    entry = {**copies_state(WALL_MS)["destinations"][1], "last_anchor": {"at": "2026-11-18T09:00:00.000Z", "seq": 88}}
    noted = [rows(a_status(destinations=[one]))["cloud"].noted_at for one in (entry, {**entry, "last_anchor": None})]
    assert noted == [parse_utc("2026-11-18T09:00:00.000Z"), None]


def test_a_look_is_believed_for_two_days() -> None:
    found = rows(a_status(), WALL_MS + 2 * DAY_MS)["cloud"]
    assert found.look is not None and found.look.at_ms is not None
    assert said(found.look.badge.words) == "not verified"


def test_of_a_silent_replicator_nothing_is_known() -> None:
    status = a_node(replica=a_file("replica", stopped=True, **copies_state(WALL_MS)))
    found = rows(status)["nas"]
    assert (said(found.copy.badge.words), found.copy.rpo_s, found.catch_up_s) == ("not known", None, None)
    assert details(a_node(replica=None), KNOWN, WALL_MS) == []
    assert points(a_node(replica=None), "cloud") is None
    assert local_bytes(a_node(replica=None)) is None


def test_restore_points_by_how_finely_they_lie() -> None:
    found = points(a_status(), "cloud")
    assert found is not None and found.at_ms == WALL_MS - 7 * HOUR_MS
    assert [said(row.step) for row in found.rows] == [
        "every second", "every 30 s", "every 5 min", "every hour", "snapshots"
    ]  # fmt: skip
    snapshots = found.rows[-1]
    assert (snapshots.files, snapshots.size_bytes) == (30, 30 * 180_000_000)
    assert points(a_status(), "nas") is None
    odd = {"points": {"cloud": {"at": 7, "stretches": [{"level": 5}, {"level": 0, "files": -1}, "x"]}}}
    found = points(a_status(**odd), "cloud")
    assert found is not None and found.at_ms is None
    assert [(row.files, row.from_ms) for row in found.rows] == [(0, None)]
    assert local_bytes(a_status()) == 6_500_000_000


def test_only_what_is_wrong_with_the_copies_stands_here() -> None:
    codes = [code for code, _ in problems(a_status())]
    assert codes == ["conditional-puts-missing", "destination-unreachable"]
    assert [code for code, _ in problems(a_node(replica=None))] == ["service-stopped"]


def an_order(kind: ProofOrderKind, destination: str, *, ago_ms: int = 0) -> ProofOrder:
    return new_proof_order(
        kind, now_ms=WALL_MS - ago_ms, for_s=3600, by="顾工", why="after the repair", destination=destination
    )


def test_an_order_stands_until_it_is_carried_out() -> None:
    waiting = an_order(ProofOrderKind.DRILL, "cloud")
    done = an_order(ProofOrderKind.DRILL, "cloud", ago_ms=6 * DAY_MS)
    looked = an_order(ProofOrderKind.VERIFY, "cloud", ago_ms=8 * HOUR_MS)
    pause = an_order(ProofOrderKind.PAUSE, "nas", ago_ms=HOUR_MS)
    sentinel = an_order(ProofOrderKind.SENTINEL, "")
    found = standing([pause, done, waiting, looked, sentinel], a_status())
    assert [one.order for one in found] == [waiting, pause]
    assert [one.can_end for one in found] == [False, True]


NAMES = (LOCAL, "cloud")
FORM = {"kind": "pause", "destination": "cloud", "why": " the  line is repaired ", "hours": "4"}


def test_an_order_as_it_was_asked_for() -> None:
    assert copy_forms.parse(FORM, names=NAMES) == Wanted(
        kind=ProofOrderKind.PAUSE, destination="cloud", why="the line is repaired", for_s=4 * 3600.0
    )
    drill = copy_forms.parse({**FORM, "kind": "drill"}, names=NAMES)
    assert isinstance(drill, Wanted) and drill.for_s == copy_forms.BEGUN_WITHIN_S


@pytest.mark.parametrize(
    "changes, fields",
    [
        ({"why": "  "}, ["why"]),
        ({"why": "x" * 201}, ["why"]),
        ({"destination": LOCAL}, ["destination"]),
        ({"destination": LOCAL, "why": ""}, ["destination", "why"]),
    ],
)
def test_what_is_wrong_with_an_order_is_said_beside_its_field(changes: dict[str, str], fields: list[str]) -> None:
    found = copy_forms.parse({**FORM, **changes}, names=NAMES)
    assert isinstance(found, list)
    assert [one.field for one in found if isinstance(one, FieldProblem)] == fields


@pytest.mark.parametrize("changes", [{"kind": "sentinel"}, {"kind": ""}, {"destination": "moon"}, {"hours": "999"}])
def test_what_no_form_of_ours_posts_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        copy_forms.parse({**FORM, **changes}, names=NAMES)
