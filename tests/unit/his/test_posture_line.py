"""What the line at the top says in each posture, and that it never guesses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge_node.base.clock import utc_text
from edge_node.his.posture.examples import samples
from edge_node.his.posture.rules import LOST, Line, line
from edge_node.his.posture.works import FUNCTIONS, functions
from edge_node.i18n import CHINESE, ENGLISH, Text, translate
from edge_node.status import Mode, NodeStatus, Posture, Reason, ServiceState, Watch
from tests.support.his import a_node_status
from tests.support.node_files import DOWN, a_file, a_line, an_upstream, outbox_state

# 2026-11-20 09:59 in Shanghai, 38 minutes after 09:21.
NOW = 1_795_139_940_000
SINCE = "2026-11-20T01:21:00Z"


@pytest.fixture(autouse=True)
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


def said(sentence: Text | None, language: str = ENGLISH) -> str:
    return translate(sentence, language) if sentence else ""


def facts(found: Line, language: str = ENGLISH) -> list[str]:
    return [said(fact.text, language) for fact in found.facts]


def a_copy(name: str = "cloud", state: str = "current", rpo_s: float | None = 0.0, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "rpo_s": rpo_s, **more}


def with_copies(*copies: dict[str, Any], **changes: Any) -> NodeStatus:
    return a_node_status(replica={"litestream": "running", "txid": 7, "destinations": list(copies)}, **changes)


def test_online_is_quiet() -> None:
    found = line(with_copies(a_copy("local"), a_copy()), NOW)
    assert (found.name, said(found.title), found.shape) == (Posture.ONLINE, "Online", "up")
    assert facts(found) == ["this node has no line to watch", "Cloud copy is up to date"]
    assert (found.rows, found.progress, found.exercise) == ((), None, False)


@pytest.mark.parametrize(
    "copy, words, shape",
    [
        pytest.param(a_copy(state="behind", rpo_s=2.0), "Cloud copy is up to date", "", id="two-seconds-are-nothing"),
        pytest.param(a_copy(state="behind", rpo_s=72.0), "Cloud copy 1 min behind", "", id="behind"),
        pytest.param(
            a_copy(state="unreachable", rpo_s=0.0), "Cloud copy cannot be reached, 0 s behind", "deg", id="gone"
        ),
        pytest.param(
            a_copy(state="refused", rpo_s=5100.0),
            "Cloud copy cannot be reached, 1 h 25 min behind",
            "deg",
            id="refused",
        ),
        pytest.param(a_copy(state="paused", rpo_s=200_000.0), "Cloud copy is paused, 2 d 7 h behind", "", id="paused"),
        pytest.param(a_copy("nas", rpo_s=None), "Copy nas is up to date", "", id="another-name"),
        pytest.param(a_copy("local", rpo_s=None), "Local copy is up to date", "", id="only-local"),
        pytest.param(
            a_copy(state="behind", rpo_s=None), "how far Cloud copy is behind is not known", "unk", id="never-measured"
        ),
        pytest.param(
            a_copy(state="unreachable", rpo_s=None), "how far Cloud copy is behind is not known", "unk", id="never-seen"
        ),
    ],
)
def test_how_far_a_copy_is(copy: dict[str, Any], words: str, shape: str) -> None:
    [fact] = line(with_copies(copy), NOW).facts[1:]
    assert (said(fact.text), fact.shape) == (words, shape)


def test_before_the_replicator_has_named_a_destination_the_copies_are_unknown() -> None:
    assert facts(line(a_node_status(), NOW))[1:] == ["how far the copies are is not known"]


@pytest.mark.parametrize("state", [ServiceState.STALE, ServiceState.STOPPED])
def test_a_silent_replicator_makes_the_copies_unknown_not_current(state: ServiceState) -> None:
    found = line(with_copies(a_copy(), services={"his": ServiceState.OK, "replica": state}), NOW)
    assert facts(found)[1:] == ["how far the copies are is not known"]
    assert found.facts[-1].shape == "unk"


@pytest.mark.parametrize(
    "code, words",
    [
        ("his-cannot-write", "Nothing can be saved at the moment"),
        ("clock-suspect", "The clock of the node cannot be right"),
        ("disk-low", "The disk is nearly full"),
    ],
)
def test_what_concerns_everybody_stands_in_the_line(code: str, words: str) -> None:
    found = line(a_node_status(problems=(Reason(code=code), Reason(code="rpo-exceeded"))), NOW)
    assert [said(fact.text) for fact in found.facts if fact.shape == "deg"] == [words]


SERVICES = dict.fromkeys(("links", "his", "replica", "outbox", "monitor"), ServiceState.OK)


def with_lines(*lines: dict[str, Any], outbox: dict[str, Any] | None = None, **changes: Any) -> NodeStatus:
    return with_copies(
        a_copy("local"), a_copy(), lines=lines, services=SERVICES, outbox=outbox or outbox_state(), **changes
    )


def test_online_names_the_line_and_its_delay_and_the_counts() -> None:
    status = with_lines(a_line(active=True, rtt_s=0.0042), a_line("unicom"), mode_reason=Reason(code="first-line"))
    found = line(status, NOW)
    assert facts(found) == ["telecom 4 ms", "To send 0", "To handle 0", "Cloud copy is up to date"]
    assert all(fact.quiet for fact in found.facts[:3]), "figures that move are not read aloud"
    link_only = with_lines(a_line(active=True, rtt_s=None), mode_reason=Reason(code="first-line"))
    assert facts(line(link_only, NOW))[0] == "telecom is in use"


def test_a_node_that_tells_nobody_has_no_counts() -> None:
    nobody = {**outbox_state(), "upstreams": []}
    status = with_lines(a_line(active=True), outbox=nobody, mode_reason=Reason(code="first-line"))
    assert facts(line(status, NOW)) == ["telecom 18 ms", "Cloud copy is up to date"]


def test_a_silent_outbox_is_not_an_empty_one() -> None:
    status = with_lines(a_line(active=True), mode_reason=Reason(code="first-line"), outbox_is_known=False)
    assert "what waits to be sent is not known" in facts(line(status, NOW))


def test_backup_says_since_when_through_whom_why_and_that_everything_works() -> None:
    status = with_lines(
        a_line(**DOWN),
        a_line("unicom", active=True),
        posture=Posture.BACKUP,
        mode=Mode.BACKUP,
        mode_since=SINCE,
        mode_reason=Reason(code="line-down", args={"line": "telecom", "cause": "silent"}),
        watch=Watch(line="unicom"),
    )
    assert facts(line(status, NOW)) == [
        "since 09:21 (38 min) through unicom",
        "telecom down: silent for 1.0 s on 2 of 2 targets",
        "everything works",
        "To send 0",
        "To handle 0",
        "Cloud copy is up to date",
    ]
    assert facts(line(status, NOW), CHINESE)[:3] == [
        "09:21 起（38 分）经 unicom",
        "telecom 中断：静默 1.0 秒，2/2 个目标无应答",
        "功能不受限",
    ]


def test_offline_says_what_goes_on_whom_to_call_and_does_not_complain_of_what_follows_from_it() -> None:
    status = with_copies(
        a_copy("local"),
        a_copy(state="unreachable", rpo_s=2280.0),
        posture=Posture.OFFLINE,
        mode=Mode.OFFLINE,
        mode_since=SINCE,
        mode_reason=Reason(code="every-line-down"),
        services=SERVICES,
        lines=(a_line(**DOWN), a_line("unicom", **DOWN)),
        outbox=outbox_state(an_upstream(queued=37, oldest_queued_at=utc_text(NOW - 37 * 60_000))),
    )
    found = line(status, NOW)
    assert facts(found) == [
        "since 09:21 (38 min)",
        "no line lives",
        "To send 37, oldest 37 min",
        "To handle 0",
        "Cloud copy 38 min behind",
        "Local copy is up to date",
    ]
    assert all(not fact.shape for fact in found.facts)
    assert [said(row.head) for row in found.rows] == ["As usual:", "Later:", "Report to:"]
    assert found.rows[-1].words == "China Telecom · China Unicom"


def recovering(**changes: Any) -> NodeStatus:
    outbox = outbox_state(an_upstream(queued=100, waiting=44, dead=2, oldest_queued_at=SINCE), since_outage=412)
    return with_lines(
        a_line(active=True),
        **{
            "posture": Posture.RECOVERING,
            "mode_since": utc_text(NOW - 45_000),
            "watch": Watch(line="telecom"),
            "outbox": {**outbox, "last_delivered_at": utc_text(NOW - 2_000)},
            **changes,
        },
    )


def test_recovering_counts_what_has_left_and_how_long_the_rest_will_take() -> None:
    found = line(recovering(), NOW)
    assert found.progress is not None and (found.progress.sent, found.progress.total) == (268, 412)
    assert facts(found) == [
        "since 09:58 (45 s) through telecom",
        "sent 268 of 412",
        "6 a second, about 24 s left",
        "last delivered 09:58:58",
        "To handle 2",
        "Cloud copy is up to date",
    ]


def test_a_slow_recovery_promises_no_pace_and_one_that_has_sent_nothing_no_time() -> None:
    slow = outbox_state(an_upstream(queued=400, oldest_queued_at=SINCE), since_outage=412)
    assert "about 25 min left" in facts(line(recovering(outbox=slow), NOW))
    none = outbox_state(an_upstream(queued=412, oldest_queued_at=SINCE), since_outage=412)
    assert not any("left" in words for words in facts(line(recovering(outbox=none), NOW)))


def test_a_recovery_of_copies_alone_has_no_bar() -> None:
    found = line(recovering(outbox=outbox_state()), NOW)
    assert found.progress is None and "the copies catch up" in facts(found)


UNHEARD = [
    pytest.param(
        ServiceState.STALE, Mode.BACKUP,
        "nothing was heard of the lines for 4 min; the last word, at 09:55: Backup line", id="the-watcher-hangs",
    ),
    pytest.param(
        ServiceState.STOPPED, Mode.ONLINE,
        "nothing was heard of the lines for 4 min; the last word, at 09:55: Online", id="the-watcher-was-stopped",
    ),
    pytest.param(ServiceState.OK, Mode.STARTING, "the lines are still being judged", id="the-watcher-listens"),
    pytest.param(
        ServiceState.STALE, Mode.STARTING, "the watcher of the lines has not said anything yet", id="no-word-yet"
    ),
]  # fmt: skip


@pytest.mark.parametrize("state, mode, words", UNHEARD)
def test_unknown_says_how_long_nothing_was_heard_and_what_was_last(state: ServiceState, mode: Mode, words: str) -> None:
    heard = replace(a_file("links"), written_at=utc_text(NOW - 240_000))
    status = with_lines(posture=Posture.UNKNOWN, mode=mode, files={"links": heard})
    found = line(replace(status, services={**SERVICES, "links": state}), NOW)
    assert facts(found)[0] == words
    assert [said(row.text) for row in found.rows] == ["Work goes on as usual; tell the administrator"]


def test_a_watcher_that_never_spoke() -> None:
    status = with_lines(posture=Posture.UNKNOWN, mode=Mode.STARTING, files={"links": None})
    found = line(replace(status, services={**SERVICES, "links": ServiceState.STOPPED}), NOW)
    assert facts(found)[0] == "the watcher of the lines has not said anything yet"


def test_an_exercise_is_a_flag_beside_the_posture() -> None:
    found = line(a_node_status(posture=Posture.OFFLINE, exercise=True), NOW)
    assert (found.name, found.exercise) == (Posture.OFFLINE, True)


def test_the_page_shows_a_sample_of_every_posture() -> None:
    shown = samples()
    assert [found.name for _, found in shown[:-1]] == list(Posture)
    assert shown[-1][1].exercise


@pytest.mark.parametrize("language", [CHINESE, ENGLISH])
def test_every_sentence_of_the_line_has_its_words(language: str) -> None:
    for why, found in [*samples(), (LOST.title, LOST)]:
        for sentence in (why, found.title, *(f.text for f in found.facts), *(r.text for r in found.rows if r.text)):
            words = said(sentence, language)
            assert words and "%(" not in words
            assert (language == ENGLISH) == words.isascii()


def test_nothing_that_concerns_a_patient_needs_a_line() -> None:
    assert all(function.offline.kind == "ok" for function in FUNCTIONS[:3])


@pytest.mark.parametrize("posture", [Posture.ONLINE, Posture.OFFLINE])
def test_what_cannot_be_saved_is_not_called_as_usual(posture: Posture) -> None:
    shown = functions(a_node_status(posture=posture, problems=(Reason(code="his-cannot-write"),)))
    now = [(function.online if posture is Posture.ONLINE else function.offline).kind for function in shown]
    assert now[:3] == ["badq"] * 3
    assert [function.offline for function in shown[3:]] == [function.offline for function in FUNCTIONS[3:]]
    assert functions(a_node_status(posture=posture)) == list(FUNCTIONS)
