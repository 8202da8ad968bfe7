"""What chrony, systemd's own service, or at least the kernel says of the clock."""

from __future__ import annotations

import pytest

from edge_node.journal.clock_facts import asked, clock_facts, zone_name

CHRONY = "C0A80101,ntp1,3,1795000000.1,{offset},-0.000002,0.00001,-8.1,0.01,0.02,0.001,0.0005,64.2,{leap}\n"
TIMESYNC = "       Server: 10.0.0.1 (ntp1)\n       Offset: {offset}\n        Delay: 1.3ms\n"


@pytest.mark.parametrize(
    ("chrony", "timesync", "kernel", "expected"),
    [
        pytest.param(CHRONY.format(offset="0.000123", leap="Normal"), None, True,
                     (True, 0.000123, "chronyc tracking"), id="chrony"),
        pytest.param(CHRONY.format(offset="1.5", leap="Not synchronised"), None, True,
                     (False, 1.5, "chronyc tracking"), id="chrony-knows-better-than-the-kernel"),
        pytest.param("506 Cannot talk to daemon\n", TIMESYNC.format(offset="+1.2ms"), True,
                     (True, 0.0012, "timedatectl timesync-status"), id="timesyncd"),
        pytest.param(None, TIMESYNC.format(offset="-150us"), True,
                     (True, -0.00015, "timedatectl timesync-status"), id="behind"),
        pytest.param(None, TIMESYNC.format(offset="n/a"), True, (True, None, "the kernel (adjtimex)"), id="no-offset"),
        pytest.param(None, TIMESYNC.format(offset="+1ms"), False, (False, None, "the kernel (adjtimex)"),
                     id="an-offset-from-before-is-none"),
        pytest.param(None, None, None, (None, None, None), id="nobody-knows"),
    ],
)  # fmt: skip
def test_who_says_what(
    chrony: str | None,
    timesync: str | None,
    kernel: bool | None,
    expected: tuple[bool | None, float | None, str | None],
) -> None:
    facts = clock_facts(ask=lambda argv: chrony if argv[0] == "chronyc" else timesync, kernel=lambda: kernel)
    assert (facts["synchronised"], facts["offset_s"], facts["said_by"]) == expected


def test_a_program_that_is_not_there_says_nothing() -> None:
    assert asked(("no-such-program-of-ours",)) is None
    assert asked(("false",)) is None


def test_the_zone_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Asia/Shanghai")
    assert zone_name() == "Asia/Shanghai"
    monkeypatch.delenv("TZ")
    assert zone_name()
