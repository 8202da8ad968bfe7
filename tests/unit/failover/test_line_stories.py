"""What the watcher would have done, and why: one story per incident it guards against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failover.core.judge import Evidence, Watched, verdicts
from failover.core.model import Code, Failback, FailbackKind, LinePolicy, Order, OrderKind, Policy, State, Verdict
from failover.core.window import Window
from tests.support.lines import TELECOM, TWO_LINES, UNICOM, Story, Transition, play

FIRST = (0, "online", "telecom", "first-line")
MOBILE = LinePolicy(name="mobile", preferred=3, metered=True)


@pytest.mark.parametrize(
    "script, seconds, story",
    [
        pytest.param("0 ++", 100, [FIRST], id="nothing-happens"),
        pytest.param("0 ++ | 30 -+ | 30.8 ++", 60, [FIRST], id="four-lost-probes-are-forgiven"),
        pytest.param("0 jj | 30 -j | 30.8 jj", 200, [FIRST], id="four-lost-probes-are-forgiven-on-a-jittery-line"),
        pytest.param(
            "0 ++ | 30 -+", 100, [FIRST, (31, "backup", "unicom", "line-down")], id="one-second-of-silence-fails-over"
        ),
        pytest.param("0 ++ | 30 x+", 60, [FIRST, (30, "backup", "unicom", "line-down")], id="a-cut-cable-at-once"),
        pytest.param(
            "0 ++ | 30 -+ | 60 ++",
            130,
            [FIRST, (31, "backup", "unicom", "line-down"), (120, "online", "telecom", "failback")],
            id="returns-after-its-hold",
        ),
        pytest.param(
            "0 ++ | 30 -+ | 60 ++ | 200 -+ | 201.4 ++",
            330,
            [
                FIRST,
                (31, "backup", "unicom", "line-down"),
                (120, "online", "telecom", "failback"),
                (201, "backup", "unicom", "line-down"),
                (322, "online", "telecom", "failback"),
            ],
            id="the-second-hold-is-twice-the-first",
        ),
        pytest.param(
            "0 ++ | 30 --",
            100,
            [FIRST, (34, "offline", None, "every-line-down")],
            id="all-lines-silent",
        ),
        pytest.param(
            "0 ++ | 30 -- | 60 -+",
            100,
            [FIRST, (34, "offline", None, "every-line-down"), (70, "backup", "unicom", "back-online")],
            id="any-line-ends-offline",
        ),
        pytest.param("0 ++ | 30 -- | 32.6 ++", 100, [FIRST], id="a-short-silence-of-all-is-no-move"),
        pytest.param("0 --", 30, [(4, "offline", None, "every-line-down")], id="dead-from-the-start"),
        pytest.param("0 -+", 30, [(1, "backup", "unicom", "first-line")], id="the-second-line-is-the-first-to-live"),
        pytest.param("0 ?+ | 20 ++", 22, [(20, "online", "telecom", "first-line")], id="unknown-is-waited-for"),
        pytest.param("0 ++ | 30 z+ | 32 ++", 200, [FIRST], id="a-stopped-process-condemns-nobody"),
        pytest.param("0 ++ | 30 z+ | 3600 ++", 3660, [FIRST], id="nor-does-an-hour-of-sleep"),
        pytest.param(
            "0 ++ | 30 -+ | 60 ++ | 80 z+ | 200 ++",
            245,
            [FIRST, (31, "backup", "unicom", "line-down"), (241, "online", "telecom", "failback")],
            id="sleep-serves-no-hold",
        ),
        pytest.param("0 jj", 200, [FIRST], id="80±20-ms-is-harmless"),
        pytest.param("0 ++ | 60 %%", 200, [FIRST], id="equally-bad-lines-are-not-swapped"),
        pytest.param(
            "0 ++ | 90 %+ | 200 %-",
            300,
            [FIRST, (104, "backup", "unicom", "line-degraded"), (201, "online", "telecom", "line-down")],
            id="a-lossy-line-beats-a-dead-one",
        ),
    ],
)
def test_story(script: str, seconds: float, story: list[Transition]) -> None:
    assert play(script, seconds) == story


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "mark, within_s",
    [pytest.param("%", 25, id="loss"), pytest.param("~", 10, id="delay"), pytest.param("b", 10, id="bloat")],
)
def test_a_bad_line_is_left_once_and_soon(mark: str, within_s: float, seed: int) -> None:
    _, *left = play(f"0 ++ | 60 {mark}+", 240, Story(seed=seed))
    assert [transition[1:] for transition in left] == [("backup", "unicom", "line-degraded")]
    assert left[0][0] - 60 <= within_s


def test_three_seconds_on_three_off_is_one_move() -> None:
    flapping = " | ".join(f"{60 + 6 * n} -+ | {63 + 6 * n} ++" for n in range(50))
    assert play(f"0 ++ | {flapping}", 360) == [FIRST, (61, "backup", "unicom", "line-down")]


def test_the_last_living_line_is_never_suppressed() -> None:
    """Telecom falls until it is suppressed; when unicom dies it is used all the same."""
    falls = " | ".join(f"{20 * n} -+ | {20 * n + 3} ++" for n in range(1, 6))
    story = Story()
    play(f"0 ++ | {falls} | 115 ++", 118, story)
    assert story.health["telecom"].flap.suppressed
    later = Story(state=story.state)
    later.health = story.health
    moments = list(later.run("0 ++", 0.2))
    assert moments[0].decision.reason.code in (Code.HOLD_RUNS, Code.SUPPRESSED)
    assert play(f"0 ++ | {falls} | 118 +-", 130)[-1] == (119, "online", "telecom", "line-down")


def test_scatter_of_the_answers_is_not_silence() -> None:
    """The last answer before four lost probes was early, the next one is late: 1.03 s apart, and still four."""
    window = Window(30.0)
    for n in range(100):
        window.asked(n * 0.2)
        window.answered(n * 0.2, 0.06 if n % 2 else 0.1)
    evidence = {"telecom": Evidence(targets=(Watched(target="cloud-1", window=window),))}
    weighed = verdicts(verdicts({}, evidence, 18.0, TWO_LINES).health, evidence, 19.9, TWO_LINES)
    heard_at = 99 * 0.2 + 0.06
    assert verdicts(weighed.health, evidence, heard_at + 1.03, TWO_LINES).health["telecom"].verdict is Verdict.UP
    assert verdicts(weighed.health, evidence, heard_at + 1.07, TWO_LINES).health["telecom"].verdict is Verdict.DOWN


CLOUDS = ("cloud-1", "cloud-2")


@pytest.mark.parametrize(
    "script, troubles",
    [
        pytest.param("0 ++ | 30 cc", {Code.CLOUD_TROUBLE}, id="silent-on-every-line"),
        pytest.param("0 ++ | 30 c+", {Code.TARGET_SILENT}, id="silent-on-one-line"),
    ],
)
def test_one_silent_target_is_no_move(script: str, troubles: set[Code]) -> None:
    story = Story(targets=CLOUDS)
    *_, last = story.run(script, 100)
    assert play(script, 100, Story(targets=CLOUDS)) == [FIRST]
    assert {trouble.code for trouble in last.judgement.troubles} == troubles
    assert all(health.verdict is Verdict.UP and not health.flap.falls for health in story.health.values())


def test_a_dead_cloud_is_not_charged_to_the_lines() -> None:
    story = Story(targets=CLOUDS, gateway=True)
    assert play("0 ++ | 30 CC | 90 ++", 120, story) == [
        FIRST,
        (34, "offline", None, "cloud-down"),
        (100, "online", "telecom", "back-online"),
    ]
    assert not any(health.flap.falls for health in story.health.values())


def test_a_line_that_missed_the_cloud_first_is_pardoned() -> None:
    story = Story(gateway=True)
    play("0 ++ | 30 C+ | 30.6 CC", 32, story)
    assert [health.reason.code for health in story.health.values()] == [Code.CLOUD_SILENT] * 2
    assert not any(health.flap.falls for health in story.health.values())


def test_an_old_fall_is_not_pardoned() -> None:
    story = Story(gateway=True)
    play("0 ++ | 30 C+ | 60 CC", 70, story)
    assert len(story.health["telecom"].flap.falls) == 1
    assert not story.health["unicom"].flap.falls


@pytest.mark.parametrize(
    "script, story",
    [
        pytest.param("0 ++ | 30 x+", [FIRST, (30, "backup", "unicom", "line-down")], id="carrier-gone"),
        pytest.param("0 ?? | 5 ++", [(5, "online", "telecom", "first-line")], id="unknown-is-not-down"),
        pytest.param(
            "0 ++ | 30 x+ | 40 ++",
            [FIRST, (30, "backup", "unicom", "line-down"), (100, "online", "telecom", "failback")],
            id="comes-back-after-the-hold",
        ),
    ],
)
def test_lines_without_targets(script: str, story: list[Transition]) -> None:
    assert play(script, 120, Story(targets=())) == story


def order(kind: OrderKind, line: str, since: float = 20, until: float = 100) -> Order:
    return Order(kind=kind, line=line, since=since, until=until, by="wang", why="test")


@pytest.mark.parametrize(
    "script, orders, story",
    [
        pytest.param(
            "0 ++",
            [order(OrderKind.PIN, "unicom")],
            [FIRST, (20, "backup", "unicom", "pinned"), (100, "online", "telecom", "failback")],
            id="pin-until-it-expires",
        ),
        pytest.param(
            "0 ++ | 40 +-",
            [order(OrderKind.PIN, "unicom")],
            [FIRST, (20, "backup", "unicom", "pinned"), (41, "online", "telecom", "line-down")],
            id="a-pinned-line-that-dies-is-left",
        ),
        pytest.param(
            "0 ++ | 40 +- | 50 ++",
            [order(OrderKind.PIN, "unicom", until=200)],
            [
                FIRST,
                (20, "backup", "unicom", "pinned"),
                (41, "online", "telecom", "line-down"),
                (110, "backup", "unicom", "pinned"),
                (200, "online", "telecom", "failback"),
            ],
            id="and-serves-its-hold-like-any-other",
        ),
        pytest.param(
            "0 ++ | 40 %+",
            [order(OrderKind.PIN, "telecom")],
            [FIRST, (100, "backup", "unicom", "line-degraded")],
            id="a-pinned-line-may-be-bad",
        ),
        pytest.param(
            "0 ++ | 40 %+",
            [order(OrderKind.HOLD, "telecom", until=150)],
            [FIRST, (150, "backup", "unicom", "line-degraded")],
            id="a-held-line-in-use-may-be-bad",
        ),
        pytest.param(
            "0 ++ | 40 -+",
            [order(OrderKind.HOLD, "telecom", until=300)],
            [FIRST, (41, "backup", "unicom", "line-down")],
            id="but-is-left-when-it-dies",
        ),
        pytest.param(
            "0 ++ | 30 -+ | 35 ++",
            [order(OrderKind.HOLD, "telecom", since=50, until=200)],
            [FIRST, (31, "backup", "unicom", "line-down"), (200, "online", "telecom", "failback")],
            id="a-held-line-not-in-use-is-not-returned-to",
        ),
        pytest.param(
            "0 ++ | 30 -+ | 35 ++",
            [order(OrderKind.HOLD, "unicom", since=50, until=200)],
            [FIRST, (31, "backup", "unicom", "line-down"), (200, "online", "telecom", "failback")],
            id="nor-left-for-the-preferred-one-while-in-use",
        ),
        pytest.param(
            "0 ++ | 40 -+",
            [order(OrderKind.HOLD, "unicom")],
            [FIRST, (41, "backup", "unicom", "line-down")],
            id="unless-it-is-the-last-that-lives",
        ),
        pytest.param(
            "0 ++",
            [order(OrderKind.HOLD, "telecom", until=200), order(OrderKind.PIN, "unicom", since=30)],
            [FIRST, (30, "backup", "unicom", "pinned"), (200, "online", "telecom", "failback")],
            id="a-pin-on-another-line-wins-over-a-hold",
        ),
        pytest.param(
            "0 ++ | 40 +- | 50 ++",
            [order(OrderKind.HOLD, "telecom", since=60, until=200), order(OrderKind.PIN, "unicom", until=180)],
            [
                FIRST,
                (20, "backup", "unicom", "pinned"),
                (41, "online", "telecom", "line-down"),
                (110, "backup", "unicom", "pinned"),
                (200, "online", "telecom", "failback"),
            ],
            id="once-the-pinned-line-is-proven-again",
        ),
        pytest.param(
            "0 ++",
            [order(OrderKind.REHEARSE, "telecom")],
            [FIRST, (20, "backup", "unicom", "rehearsed"), (100, "online", "telecom", "failback")],
            id="a-rehearsed-line-counts-as-down",
        ),
        pytest.param(
            "0 ++",
            [order(OrderKind.REHEARSE, "telecom"), order(OrderKind.REHEARSE, "unicom")],
            [FIRST, (23, "offline", None, "rehearsed"), (100, "online", "telecom", "back-online")],
            id="a-rehearsal-of-all-lines-is-offline",
        ),
        pytest.param("0 ++", [order(OrderKind.PIN, "mobile")], [FIRST], id="an-order-for-a-line-that-is-not-there"),
        pytest.param("0 ++", [order(OrderKind.PIN, "unicom", 20, 20)], [FIRST], id="an-order-that-never-held"),
    ],
)
def test_orders(script: str, orders: list[Order], story: list[Transition]) -> None:
    assert play(script, 240, Story(orders=orders)) == story


def test_of_two_ways_out_the_one_not_held_is_taken() -> None:
    orders = [order(OrderKind.HOLD, "unicom", until=300)]
    three = Policy(lines=(TELECOM, UNICOM, MOBILE))
    assert play("0 +++ | 40 -++", 60, Story(policy=three, orders=orders)) == [
        FIRST,
        (41, "backup", "mobile", "line-down"),
    ]


@pytest.mark.parametrize("held", ["telecom", "unicom"])
def test_a_hold_says_that_it_holds(held: str) -> None:
    *_, last = Story(orders=[order(OrderKind.HOLD, held, since=120, until=300)]).run("0 ++ | 30 -+ | 80 ++", 200)
    assert last.decision.state.line == "unicom"
    assert (last.decision.reason.code, last.decision.reason.args) == (Code.HELD, {"line": held})


def test_a_line_that_never_speaks_is_not_waited_for_for_ever() -> None:
    """It may be one that we are not allowed to ask; unknown is never down, and the node still needs a line."""
    assert play("0 ?+", 60) == [(30, "backup", "unicom", "first-line")]
    assert play("0 ?+", 60, Story(state=State(routed="telecom"))) == [(30, "backup", "unicom", "first-line")]
    assert play("0 ??", 60) == []


def with_failback(kind: FailbackKind) -> Policy:
    rule = Failback(kind=kind, from_min=23 * 60, to_min=5 * 60)
    return replace(TWO_LINES, lines=(replace(TELECOM, failback=rule), UNICOM))


@pytest.mark.parametrize(
    "kind, minute, returns, why",
    [
        pytest.param(FailbackKind.MANUAL, 120, False, Code.FAILBACK_MANUAL, id="manual"),
        pytest.param(FailbackKind.WINDOW, 120, True, Code.STEADY, id="within-its-hours-past-midnight"),
        pytest.param(FailbackKind.WINDOW, 300, False, Code.FAILBACK_WINDOW, id="outside-its-hours"),
        pytest.param(FailbackKind.WINDOW, None, False, Code.FAILBACK_WINDOW, id="time-of-day-unknown"),
    ],
)
def test_failback_rules(kind: FailbackKind, minute: int | None, returns: bool, why: Code) -> None:
    *_, last = Story(policy=with_failback(kind), minute=minute).run("0 ++ | 30 -+ | 60 ++", 240)
    assert (last.decision.state.line == "telecom") is returns
    assert last.decision.reason.code is why


METERED_FIRST = Policy(lines=(replace(MOBILE, preferred=1), replace(UNICOM, preferred=2)))


def test_a_metered_line_comes_last_even_if_it_is_preferred() -> None:
    assert play("0 ++", 200, Story(policy=METERED_FIRST))[-1][2] == "unicom"


def test_a_metered_line_is_left_without_waiting_for_hours() -> None:
    manual = replace(TELECOM, failback=Failback(kind=FailbackKind.MANUAL))
    story = Story(policy=Policy(lines=(manual, MOBILE)))
    assert play("0 ++ | 30 -+ | 60 ++", 200, story) == [
        FIRST,
        (31, "backup", "mobile", "line-down"),
        (120, "online", "telecom", "metered"),
    ]


def test_a_lossy_line_is_kept_before_a_metered_one() -> None:
    assert play("0 ++ | 60 %+", 300, Story(policy=Policy(lines=(TELECOM, MOBILE)))) == [FIRST]


@pytest.mark.parametrize(
    "script, story",
    [
        pytest.param("0 ++", [(0, "backup", "unicom", "adopted"), (60, "online", "telecom", "failback")], id="lives"),
        pytest.param("0 +-", [(1, "online", "telecom", "line-down")], id="died-meanwhile"),
    ],
)
def test_a_watcher_that_starts_over_adopts_its_line(script: str, story: list[Transition]) -> None:
    assert play(script, 100, Story(state=State(routed="unicom"))) == story
