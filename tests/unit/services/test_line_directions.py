"""What the status says of STAMP targets: losses each way, and what is wrong where nothing is answered."""

from __future__ import annotations

from typing import Any

import pytest

from edge_node.services.line_report import UNHEARD_S, unanswered
from edge_node.services.node_snapshot import _target
from edge_node.status.lines import _line
from failover.core.model import Detect
from failover.probes.engine import Asked
from failover.setup import ProbeKind, Target

STAMP = Target(address="10.100.0.1", kind=ProbeKind.STAMP, port=862)
ECHO = Target(address="10.100.0.2")


def asked(target: Target, *, heard_until: float | None, now: float = 100.0) -> Asked:
    """A target that was asked for a hundred seconds, and answered until then."""
    found = Asked("telecom", target, Detect(), 0.0)
    for n in range(int(now * 5)):
        found.window.asked(n / 5)
        if heard_until is not None and n / 5 < heard_until:
            found.window.answered(n / 5, 0.01)
    return found


@pytest.mark.parametrize(
    "stamp, echo, codes",
    [
        pytest.param(100.0, 100.0, [], id="all-is-well"),
        pytest.param(None, 100.0, ["probe-unheard"], id="never-an-answer-on-a-line-that-lives"),
        pytest.param(50.0, 100.0, [], id="it-answered-before: the-trouble-says-enough"),
        pytest.param(None, None, [], id="the-line-itself-is-dark"),
    ],
)
def test_a_target_that_never_answered_is_a_problem(stamp: float | None, echo: float | None, codes: list[str]) -> None:
    targets = [asked(STAMP, heard_until=stamp), asked(ECHO, heard_until=echo)]
    found = list(unanswered("telecom", targets, 100.0))
    assert [problem["code"] for problem in found] == codes
    for problem in found:
        assert problem["args"] == {"line": "telecom", "target": "10.100.0.1:862"}


def test_it_is_given_time_to_answer() -> None:
    alone = [asked(STAMP, heard_until=None, now=UNHEARD_S - 1)]
    assert list(unanswered("telecom", alone, UNHEARD_S - 1)) == []
    assert [p["code"] for p in unanswered("telecom", alone, UNHEARD_S + 1)] == ["probe-unheard"], "with no other target"


def test_a_barred_target_is_another_problem() -> None:
    barred = asked(STAMP, heard_until=None)
    barred.barred = "no-route"
    assert list(unanswered("telecom", [barred], 100.0)) == []


TOLD = {
    "out": {"loss_ratio": 0.12, "jitter_s": 0.001},
    "back": {"loss_ratio": 0.0, "jitter_s": None},
    "unknown": {"loss_ratio": 0.01},
}


@pytest.mark.parametrize(
    "written, shown",
    [
        pytest.param(TOLD, TOLD, id="told"),
        pytest.param(None, None, id="not-told"),
        pytest.param("out", None, id="of-another-shape"),
        pytest.param(
            {"out": {"loss_ratio": 7}, "back": 3},
            {"out": {"loss_ratio": None, "jitter_s": None}, "back": {"loss_ratio": None, "jitter_s": None},
             "unknown": {"loss_ratio": None}},
            id="of-other-shapes-within",
        ),
    ],
)  # fmt: skip
def test_directions_pass_from_the_watcher_to_whoever_asks(written: Any, shown: Any) -> None:
    line = _line({"name": "telecom", "targets": [{"address": "10.100.0.1", "direction": written}]})
    assert line["targets"][0]["direction"] == shown
    metrics = _target({"address": "10.100.0.1", "direction": written})
    expected = (0.12, 0.0) if written == TOLD else (7.0, None) if isinstance(written, dict) else (None, None)
    assert (metrics.lost_out_ratio, metrics.lost_back_ratio) == expected
