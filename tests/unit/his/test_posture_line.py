"""What the line at the top says in each posture, and that it never guesses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from edge_node.his.posture import FUNCTIONS, Line, functions, line, samples
from edge_node.i18n import CHINESE, ENGLISH, Text, translate
from edge_node.status import NodeStatus, Posture, Reason, ServiceState
from tests.support.his import a_node_status

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


def said(sentence: Text, language: str = ENGLISH) -> str:
    values = {k: said(v, language) if isinstance(v, Text) else v for k, v in sentence.values.items()}
    return translate(Text(sentence.message, values), language)


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


def test_backup_says_since_when_why_and_that_everything_works() -> None:
    status = with_copies(a_copy(), posture=Posture.BACKUP, mode_since=SINCE, mode_reason=Reason(code="telecom-silent"))
    assert facts(line(status, NOW)) == [
        "since 09:21 (38 min)",
        "telecom-silent",
        "everything works",
        "Cloud copy is up to date",
    ]


def test_offline_says_what_goes_on_and_does_not_complain_of_what_follows_from_it() -> None:
    status = with_copies(a_copy(state="unreachable", rpo_s=2280.0), posture=Posture.OFFLINE, mode_since=SINCE)
    found = line(status, NOW)
    assert facts(found)[-1] == "Cloud copy 38 min behind"
    assert all(not fact.shape for fact in found.facts)
    assert [said(row.head) for row in found.rows if row.head] == ["As usual:", "Later:"]


def test_recovering_counts_what_has_left() -> None:
    outbox = {"queued": 100, "waiting": 44, "dead": 2, "oldest_queued_at": SINCE, "since_outage": 412}
    services = {"replica": ServiceState.OK, "outbox": ServiceState.OK}
    found = line(with_copies(posture=Posture.RECOVERING, outbox=outbox, services=services, mode_since=SINCE), NOW)
    assert found.progress is not None and (found.progress.sent, found.progress.total) == (268, 412)
    assert "To send 144, oldest 38 min" in facts(found) and "To handle 2" in facts(found)


def test_unknown_says_how_long_nothing_was_heard() -> None:
    found = line(with_copies(a_copy(), posture=Posture.UNKNOWN, mode_since=SINCE), NOW)
    assert facts(found)[0] == "the lines have not been heard of for 38 min, since 09:21"
    assert [said(row.text) for row in found.rows] == ["Work goes on as usual; tell the administrator"]


def test_an_exercise_is_a_flag_beside_the_posture() -> None:
    found = line(a_node_status(posture=Posture.OFFLINE, exercise=True), NOW)
    assert (found.name, found.exercise) == (Posture.OFFLINE, True)


def test_the_page_shows_a_sample_of_every_posture_whatever_happens_now() -> None:
    troubled = a_node_status(
        problems=(Reason(code="disk-low"),), posture=Posture.OFFLINE, services={"replica": ServiceState.STOPPED}
    )
    shown = samples(troubled)
    assert [found.name for _, found in shown[:-1]] == list(Posture)
    assert shown[-1][1].exercise
    assert shown == samples(a_node_status())


@pytest.mark.parametrize("language", [CHINESE, ENGLISH])
def test_every_sentence_of_the_line_has_its_words(language: str) -> None:
    for why, found in samples(a_node_status()):
        texts = [why, found.title, *(f.text for f in found.facts), *(r.text for r in found.rows)]
        for sentence in texts:
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
