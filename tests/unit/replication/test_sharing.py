"""What shipping takes of a line that others need too."""

from __future__ import annotations

from typing import Any

import pytest

from edge_node.replication.sharing import URGENT_PART, WHOLE, Share, share
from edge_node.status.line_share import Restraint


def line(*, active: bool, metered: bool) -> dict[str, Any]:
    return {"name": "mobile", "active": active, "metered": metered}


METERED = Share(history=False, restraints=(Restraint.METERED,))
URGENT = Share(part=URGENT_PART, history=False, restraints=(Restraint.URGENT,))


@pytest.mark.parametrize(
    ("links", "outbox", "expected"),
    [
        pytest.param(None, None, WHOLE, id="nothing-is-known"),
        pytest.param({}, {}, WHOLE, id="nothing-is-said"),
        pytest.param({"lines": [line(active=True, metered=False)]}, {"urgent": 0}, WHOLE, id="a-line-of-our-own"),
        pytest.param({"lines": [line(active=False, metered=True)]}, {"urgent": 0}, WHOLE, id="metered-but-not-in-use"),
        pytest.param({"lines": [line(active=True, metered=True)]}, {"urgent": 0}, METERED, id="metered"),
        pytest.param({"lines": []}, {"urgent": 3}, URGENT, id="urgent-messages-wait"),
        pytest.param({"lines": []}, {"urgent": "many"}, WHOLE, id="a-word-of-a-newer-outbox"),
        pytest.param(
            {"lines": [line(active=True, metered=True)]},
            {"urgent": 1},
            Share(part=URGENT_PART, history=False, restraints=(Restraint.METERED, Restraint.URGENT)),
            id="both",
        ),
    ],
)
def test_share(links: dict[str, Any] | None, outbox: dict[str, Any] | None, expected: Share) -> None:
    assert share(links, outbox) == expected
