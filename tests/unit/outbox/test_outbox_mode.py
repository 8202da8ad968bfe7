from __future__ import annotations

from typing import Any

import pytest

from edge_node.base.files import ServiceStatus
from edge_node.outbox.mode import is_offline

BOOT = "this-boot"


def a_file(state: dict[str, Any], **changes: Any) -> ServiceStatus:
    values: dict[str, Any] = {
        "service": "links", "pid": 1, "boot_id": BOOT, "started_at": "", "written_at": "", "boottime": 100.0,
        "every_s": 1.0, "stopped": False, "state": state,
    }  # fmt: skip
    return ServiceStatus(**{**values, **changes})


@pytest.mark.parametrize(
    "file, expected",
    [
        pytest.param(a_file({"mode": {"name": "offline"}}), True, id="offline"),
        pytest.param(a_file({"mode": {"name": "backup"}}), False, id="backup-delivers"),
        pytest.param(None, False, id="no-watcher"),
        pytest.param(a_file({"mode": {"name": "offline"}}, boottime=90.0), False, id="stale"),
        pytest.param(a_file({"mode": {"name": "offline"}}, boot_id="before"), False, id="of-another-boot"),
        pytest.param(a_file({"mode": {"name": "offline"}}, stopped=True), False, id="stopped"),
        pytest.param(a_file({}), False, id="nothing-said"),
        pytest.param(a_file({"mode": "offline"}), False, id="another-shape"),
    ],
)
def test_only_a_living_watcher_makes_messages_seldom(file: ServiceStatus | None, expected: bool) -> None:
    assert is_offline(file, now=102.0, this_boot=BOOT) is expected
