"""How far an order is by what was recorded of it, what may be recorded next, and when a skin test is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from edge_node.his.catalogues.prices import PriceItem, PriceKind
from edge_node.his.catalogues.training import training_drugs, training_prices
from edge_node.his.forms import FieldProblem
from edge_node.his.orders import rules
from edge_node.his.orders.forms import Placing, Recorded, parse_act, parse_count
from edge_node.his.orders.model import Order, OrderKind, Outcome, Placed, Result, Stage, total_fen
from edge_node.his.prescriptions.model import Drug
from edge_node.i18n import ENGLISH, translate

MINUTE = 60_000
HERE = timezone(timedelta(hours=8))
NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=HERE)
AT = int(NOON.timestamp() * 1000)


def order(story: str = "", *, kind: OrderKind = OrderKind.TREATMENT, count: int = 1, substance: str = "") -> Order:
    """An order with what was recorded: `placed 10` ten minutes ago, `done`, `negative`; `mistaken<0` takes result 0
    back, `positive<0` stands for it; `cancelled`, `signed`."""
    results: list[Result] = []
    placings: list[Placed] = []
    steps = [step.split() for step in story.split(",") if step.strip()]
    for n, (step, *ago) in enumerate(steps):
        if step == "placed":
            placings.append(Placed(started_at=AT - int(ago[0]) * MINUTE, at=AT, by="林芳"))
        elif step not in ("cancelled", "signed"):
            outcome, _, corrects = step.partition("<")
            results.append(
                Result(
                    id=str(len(results)), outcome=Outcome(outcome), note="", corrects=corrects or None, at=AT + n,
                    by="林芳",
                )
            )  # fmt: skip
    is_test = kind is OrderKind.SKIN_TEST
    return Order(
        id="o", encounter_id="e", registration_id="r", patient_id="p", kind=kind, name="换药", unit="次",
        substance=substance or ("青霉素" if is_test else ""), count=count, price_fen=600, ordered_at=AT - 60 * MINUTE,
        ordered_by="陶然", cancelled_at=AT if "cancelled" in story else None, cancelled_by=None, cancel_reason="",
        note_signed="signed" in story, results=results, placings=placings,
    )  # fmt: skip


def skin_test(story: str = "", substance: str = "青霉素") -> Order:
    return order(story, kind=OrderKind.SKIN_TEST, substance=substance)


@pytest.mark.parametrize(
    "given, stage, done, owed",
    [
        (order(), Stage.OPEN, 0, 600),
        (order("done"), Stage.DONE, 1, 600),
        (order("done", count=3), Stage.OPEN, 1, 1800),
        (order("done, done, done", count=3), Stage.DONE, 3, 1800),
        (order("done, mistaken<0"), Stage.OPEN, 0, 600),
        (order("done, done, mistaken<0", count=2), Stage.OPEN, 1, 1200),
        (order("done, refused", count=3), Stage.REFUSED, 1, 600),
        (order("refused, mistaken<0"), Stage.OPEN, 0, 600),
        (order("cancelled"), Stage.CANCELLED, 0, 0),
        (order("done, cancelled", count=3), Stage.CANCELLED, 1, 600),
        (skin_test(), Stage.OPEN, 0, 600),
        (skin_test("placed 5"), Stage.PLACED, 0, 600),
        (skin_test("placed 25, negative"), Stage.NEGATIVE, 0, 600),
        (skin_test("placed 25, negative, positive<0"), Stage.POSITIVE, 0, 600),
        (skin_test("placed 25, negative, mistaken<0"), Stage.PLACED, 0, 600),
        (skin_test("placed 25, negative, positive<0, negative<1"), Stage.NEGATIVE, 0, 600),
        (skin_test("refused"), Stage.REFUSED, 0, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_how_far_it_is(given: Order, stage: Stage, done: int, owed: int) -> None:
    assert (given.stage, given.done, given.owed_fen) == (stage, done, owed)


def test_what_several_cost_together() -> None:
    assert total_fen([order(count=3), order("cancelled"), skin_test()]) == 2400


@pytest.mark.parametrize(
    "given, may",
    [
        (order(), {Outcome.DONE, Outcome.REFUSED}),
        (order("done"), set()),
        (order("cancelled"), set()),
        (skin_test(), {Outcome.REFUSED}),
        (skin_test("placed 1"), {Outcome.NEGATIVE, Outcome.POSITIVE, Outcome.REFUSED}),
        (skin_test("placed 30, positive"), set()),
    ],
)
def test_what_may_be_recorded(given: Order, may: set[Outcome]) -> None:
    assert rules.may_be_recorded(given) == may
    assert rules.may_be_placed(given) is (given.kind is OrderKind.SKIN_TEST and given.is_open)


def test_only_what_holds_is_corrected_and_to_something_else() -> None:
    given = skin_test("placed 30, negative, positive<0")
    assert rules.may_correct(given, "0") == ()
    assert rules.may_correct(given, "1") == (Outcome.NEGATIVE, Outcome.MISTAKEN)
    assert rules.may_correct(given, "x") == ()
    assert rules.may_correct(order("done"), "0") == (Outcome.MISTAKEN,)


def test_a_correction_speaks_of_the_moment_that_it_corrects() -> None:
    given = skin_test("placed 30, negative, positive<0, negative<1")
    assert given.newest is not None
    assert [given.origin(given.newest).id, given.origin(given.results[0]).id] == ["0", "0"]


@pytest.mark.parametrize(
    "given, may, reason",
    [
        (order(), True, False),
        (order("signed"), True, True),
        (order("done", count=3), True, True),
        (skin_test("placed 1"), True, True),
        (order("done"), False, True),
        (order("cancelled"), False, False),
    ],
)
def test_cancelling(given: Order, may: bool, reason: bool) -> None:
    assert (rules.may_be_cancelled(given), rules.cancel_needs_reason(given)) == (may, reason)


@pytest.mark.parametrize(
    "given, left",
    [
        (skin_test(), None),
        (skin_test("placed 0"), 20),
        (skin_test("placed 19"), 1),
        (skin_test("placed 20"), 0),
        (skin_test("placed 500"), 0),
        (skin_test("placed 25, placed 5"), 15),
        (skin_test("placed 25, negative"), None),
        (skin_test("placed 20", "破伤风抗毒素"), 10),
    ],
)
def test_a_skin_test_is_read_after_its_time(given: Order, left: int | None) -> None:
    assert rules.minutes_left(given, AT) == left


def test_the_clinic_sets_the_time_and_a_label_that_says_longer_counts() -> None:
    assert [rules.reading_minutes("青霉素", minutes) for minutes in (15, 30)] == [15, 30]
    assert [rules.reading_minutes("破伤风抗毒素", minutes) for minutes in (15, 40)] == [30, 40]


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("", "12:00:30"),
        ("11:40", "11:40:00"),
        ("１１：４０", "11:40:00"),
        ("1140", "11:40:00"),
        ("11时40分", "11:40:00"),
        ("11:00", "11:00:30"),
        ("10:59", None),
        ("12:01", None),
        ("25:00", None),
        ("11:60", None),
        ("eleven", None),
        ("9" * 5000, None),
    ],
)
def test_the_time_at_which_a_test_was_placed(typed: str, meant: str | None) -> None:
    found = parse_act(
        {"act": "placed", "placed_at": typed}, skin_test(), now=NOON, ordered=NOON - timedelta(hours=1), usual_min=20
    )  # fmt: skip
    if meant is None:
        assert isinstance(found, list)
        assert "from 11:00" in translate(found[0].text, ENGLISH)
    else:
        assert isinstance(found, Placing)
        assert f"{datetime.fromtimestamp(found.started_at / 1000, HERE):%H:%M:%S}" == meant


def test_past_midnight_an_evening_is_yesterdays() -> None:
    night = datetime(2026, 11, 21, 0, 5, tzinfo=HERE)
    evening = night - timedelta(minutes=20)
    assert rules.clock_time("23:50", now=night, not_before=evening) == datetime(2026, 11, 20, 23, 50, tzinfo=HERE)


def said(found: object) -> dict[str, str]:
    assert isinstance(found, list), found
    return {problem.field: translate(problem.text, ENGLISH) for problem in found}


def recorded(given: Order, **form: str) -> Recorded | Placing | list[FieldProblem]:
    return parse_act(form, given, now=NOON, ordered=NOON - timedelta(hours=1), usual_min=20)


def test_an_early_reading_says_how_long_to_wait_and_passes_with_a_reason() -> None:
    early, ripe = skin_test("placed 8"), skin_test("placed 21")
    assert said(recorded(early, act="read", result="negative")) == {
        "read_note": "Too early: wait 12 min more. If that cannot be, write why"
    }
    assert "write what was seen" in said(recorded(early, act="read", result="positive"))["read_note"]
    found = recorded(early, act="read", result="positive", read_note="  风团 15 mm，伪足 ")
    assert found == Recorded(outcome=Outcome.POSITIVE, note="风团 15 mm，伪足", early_min=12)
    assert recorded(ripe, act="read", result="negative") == Recorded(outcome=Outcome.NEGATIVE)
    assert said(recorded(ripe, act="read", read_note="长" * 201)) == {
        "result": "Choose one",
        "read_note": "Too long by 1 characters",
    }


def test_what_is_not_done_and_what_was_wrong_need_words() -> None:
    assert said(recorded(order(), act="refused")) == {"refused_note": "Write why, in a few words"}
    assert recorded(order(), act="refused", refused_note="已离开") == Recorded(outcome=Outcome.REFUSED, note="已离开")
    assert set(said(recorded(order("done"), act="correct", corrects="0"))) == {"correct_to-0", "correct_note-0"}
    right = recorded(order("done"), act="correct", corrects="0", correct_to="mistaken", correct_note="按错了")
    assert right == Recorded(outcome=Outcome.MISTAKEN, note="按错了", corrects="0")
    with pytest.raises(ValueError, match="no act of ours"):
        recorded(order(), act="cancel")


ITEMS = {item.name: item for item in training_prices()}
DRESSING = ITEMS["换药（小）"]


@pytest.mark.parametrize(
    "typed, item, found",
    [
        ("", DRESSING, 1),
        ("３", DRESSING, 3),
        ("60", DRESSING, 60),
        ("61", DRESSING, "How often: 1 to 60 times"),
        ("0", DRESSING, "How often: 1 to 60 times"),
        ("1.5", DRESSING, "How often: 1 to 60 times"),
        ("²", DRESSING, 2),
        ("-1", DRESSING, "How often: 1 to 60 times"),
        ("9" * 5000, DRESSING, "How often: 1 to 60 times"),
        ("2", ITEMS["青霉素皮试"], "A skin test is done once"),
        ("1", ITEMS["青霉素皮试"], 1),
    ],
)
def test_how_often(typed: str, item: PriceItem, found: int | str) -> None:
    count = parse_count(typed, item)
    assert (count if isinstance(count, int) else translate(count.text, ENGLISH)) == found


@pytest.mark.parametrize(
    "drug, name",
    [
        ("注射用青霉素钠", "青霉素皮试"),
        ("阿莫西林胶囊", "青霉素皮试"),
        ("破伤风抗毒素注射液", "破伤风抗毒素皮试"),
        ("盐酸氨溴索片", None),
    ],
)
def test_the_skin_test_of_a_drug(drug: str, name: str | None) -> None:
    (entry,) = [entry for entry in training_drugs() if entry.drug.name == drug]
    found = rules.skin_test_for(entry.drug, training_prices())
    assert (found.name if found else None) == name


def test_a_test_for_the_very_ingredient_goes_before_one_for_the_group() -> None:
    drug = Drug(
        code="x", name="头孢曲松", unit="g", pack=Decimal(1), ingredients={"头孢曲松": Decimal(1000)},
        groups=("头孢菌素类",),
    )  # fmt: skip
    own = PriceItem(code="P9", name="头孢曲松皮肤试验", unit="次", price_fen=800, kind=PriceKind.SKIN_TEST)
    assert rules.skin_test_for(drug, [ITEMS["头孢菌素皮试"], own]) == own
    assert rules.skin_test_for(drug, [ITEMS["头孢菌素皮试"]]) == ITEMS["头孢菌素皮试"]


def test_every_skin_test_of_the_training_list_names_its_substance() -> None:
    tests = [item for item in ITEMS.values() if item.kind is PriceKind.SKIN_TEST]
    assert [rules.substance_of(item.name) for item in tests] == ["青霉素", "头孢菌素", "破伤风抗毒素"]
    assert rules.substance_of("皮试") == "皮试"


def running(orders: Sequence[Order], substance: str) -> bool:
    return rules.running_test(orders, substance=substance) is not None


def test_a_test_that_goes_on_is_found_and_one_that_ended_is_not() -> None:
    assert running([order(), skin_test("placed 3")], "青霉素")
    assert not running([skin_test("placed 30, negative"), skin_test("cancelled")], "青霉素")
    assert not running([replace(skin_test(), substance="头孢菌素")], "青霉素")
