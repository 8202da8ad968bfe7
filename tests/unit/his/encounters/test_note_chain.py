"""The note's stored form and the chain of its signed versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_node.his.catalogues.icd import DiagnosisKind
from edge_node.his.encounters.note import (
    NO_HASH,
    Diagnosis,
    Link,
    Note,
    Signature,
    first_broken,
    from_json,
    to_json,
    version_hash,
)

NOTE = Note(
    complaint="咳嗽 5 天",
    history="第一行\n第二行 “引号” \\",
    temperature="37.6",
    diagnoses=(Diagnosis(code="J20.900", name="急性支气管炎"), Diagnosis(code="", name="乏力待查")),
)


def a_chain(*notes: Note) -> list[Link]:
    links: list[Link] = []
    for n, note in enumerate(notes, start=1):
        previous = links[-1].hash if links else NO_HASH
        signature = Signature(
            encounter_id="E1",
            n=n,
            revision=n * 2,
            author_id="li",
            signed_at=1_795_000_000_000 + n,
            clock_state="synced",
            reason="" if n == 1 else "slip",
            mode="online",
        )
        body = to_json(note)
        links.append(
            Link(body=body, signature=signature, previous_hash=previous, hash=version_hash(previous, body, signature))
        )
    return links


def test_a_note_comes_back_as_it_was_written() -> None:
    assert from_json(to_json(NOTE)) == NOTE


def test_equal_notes_have_one_stored_form() -> None:
    assert to_json(replace(NOTE)) == to_json(NOTE)
    assert "咳嗽" in to_json(NOTE), "characters stand in the file as they are read"


# Written by the release before diagnoses had codes of the insurance and syndromes.
OLD_BODY = (
    '{"blood_pressure":"","complaint":"咳嗽 5 天","diagnoses":[{"code":"J20.900","name":"急性支气管炎"},'
    '{"code":"","name":"乏力待查"}],"examination":"","history":"","onset_date":"","pulse":"","respiration":"",'
    '"temperature":"37.6"}'
)
OLD_HASH = "44d9b92130dd8d7f23e42770426d2817c0c48f10205689fcb5ecf1f050909302"


def test_an_old_signed_note_is_read_and_written_to_the_letter_and_its_hash_holds() -> None:
    signature = Signature(
        encounter_id="E1", n=1, revision=2, author_id="li", signed_at=1_795_000_000_000, clock_state="synced",
        reason="", mode="online",
    )  # fmt: skip
    again = to_json(from_json(OLD_BODY))
    assert again == OLD_BODY
    assert version_hash(NO_HASH, again, signature).hex() == OLD_HASH


def test_what_diagnoses_learned_to_say_later_comes_back() -> None:
    cough = Diagnosis(
        code="A04.01.01", name="咳嗽", kind=DiagnosisKind.TCM_DISEASE, syndrome_code="B02.02.04",
        syndrome_name="痰热郁肺证",
    )  # fmt: skip
    note = replace(NOTE, diagnoses=(Diagnosis(code="J20.900", name="急性支气管炎", insurance_code="J20.900"), cough))
    assert from_json(to_json(note)) == note
    assert '"kind":"disease"' not in to_json(note)


def test_a_field_that_an_older_program_did_not_know_is_empty() -> None:
    assert from_json('{"complaint":"x","diagnoses":[]}') == Note(complaint="x")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"diagnoses":[{"code":"J20"}]}',
        '{"diagnoses":3}',
        "null",
        '{"diagnoses":[{"code":"B02","name":"x","kind":"tcm_syndrome"}]}',
    ],
    ids=["nothing", "a-list", "no-diagnoses", "no-name", "not-a-list", "null", "a-syndrome-alone"],
)
def test_what_is_no_note_is_refused(body: str) -> None:
    with pytest.raises(ValueError):
        from_json(body)


def test_an_honest_chain_holds() -> None:
    assert first_broken(a_chain(NOTE, replace(NOTE, complaint="咳嗽 6 天"), NOTE)) is None
    assert first_broken([]) is None


def _with_signature(link: Link, **changes: object) -> Link:
    return replace(link, signature=replace(link.signature, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda link: replace(link, body=link.body.replace("5 天", "6 天")), id="the-text"),
        pytest.param(lambda link: replace(link, body=link.body.replace(":", ": ", 1)), id="a-space-in-the-json"),
        pytest.param(lambda link: _with_signature(link, author_id="wang"), id="who-signed"),
        pytest.param(lambda link: _with_signature(link, signed_at=1), id="when"),
        pytest.param(lambda link: _with_signature(link, clock_state="suspect"), id="by-which-clock"),
        pytest.param(lambda link: _with_signature(link, mode="offline"), id="in-which-mode"),
        pytest.param(lambda link: _with_signature(link, reason="other"), id="why"),
        pytest.param(lambda link: _with_signature(link, revision=9), id="which-draft"),
        pytest.param(lambda link: replace(link, previous_hash=bytes(31) + b"\1"), id="what-it-follows"),
        pytest.param(lambda link: replace(link, hash=bytes(32)), id="the-hash"),
    ],
)
def test_a_changed_version_is_named(tamper: object) -> None:
    links = a_chain(NOTE, NOTE, NOTE)
    links[1] = tamper(links[1])  # type: ignore[operator]
    assert first_broken(links) == 2


def test_a_version_that_was_taken_out_is_named() -> None:
    first, _, third = a_chain(NOTE, NOTE, NOTE)
    assert first_broken([first, third]) == 2


def test_versions_of_two_encounters_cannot_be_exchanged() -> None:
    (link,) = a_chain(NOTE)
    assert first_broken([_with_signature(link, encounter_id="E2")]) == 1
