"""When a measured value agrees with a printed figure."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rulbook.claims import Claim, Verdict, compare
from rulbook.claims.decision import decide
from rulbook.claims.verdict import normalise, over_conditions, shown
from rulbook.errors import RulbookError, UsageError
from rulbook.studies.conditions import CONDITIONS
from rulbook.studies.holds import PARTLY, Holds

from ..ledger_rows import make_row

PLACES = st.integers(0, 6)
MAGNITUDES = st.floats(-1e5, 1e5)


def printing(figure: str | bool, **changes: Any) -> Claim:
    return Claim.model_validate(make_row(printed=figure, **changes))


def test_the_example_of_the_book() -> None:
    assert compare(printing("6.82"), (6.33 + 7.30) / 2) is Verdict.REPRODUCED
    assert (6.33 + 7.30) / 2 < 6.815, "the float lies outside the half unit, by its noise alone"


@given(MAGNITUDES, PLACES)
def test_a_figure_agrees_with_its_own_rounding(value: float, places: int) -> None:
    assert compare(printing(f"{value:.{places}f}"), value) is Verdict.REPRODUCED


@given(st.integers(-(10**6), 10**6), PLACES, st.sampled_from([-1, 1]))
def test_the_bound_is_included_and_nothing_beyond_it(units: int, places: int, side: int) -> None:
    printed = Decimal(units).scaleb(-places)
    claim = printing(f"{printed:f}")
    half = Decimal(5).scaleb(-places - 1)
    assert compare(claim, printed + side * half) is Verdict.REPRODUCED
    assert compare(claim, printed + side * half * Decimal("1.001")) is Verdict.REFUTED


@given(MAGNITUDES, MAGNITUDES)
def test_agreement_depends_on_the_distance_alone(printed: float, value: float) -> None:
    claim = printing(repr(printed), tolerance="1", tolerance_reason="so")
    mirrored = 2 * normalise(printed) - normalise(value)
    assert compare(claim, normalise(value)) == compare(claim, mirrored)


@given(st.floats(1e5, 2e5), MAGNITUDES, st.integers(0, 10**5), st.integers(0, 10**5))
def test_a_wider_tolerance_never_turns_agreement_away(
    printed: float, value: float, one: int, two: int
) -> None:
    narrow, wide = sorted((one, two))
    figure = repr(printed)
    verdicts = [
        compare(printing(figure, tolerance=str(bound), tolerance_reason="so"), value)
        for bound in (narrow, wide)
    ]
    assert verdicts != [Verdict.REPRODUCED, Verdict.REFUTED]


@given(st.floats(-1e4, 1e4, width=32))
def test_every_kind_of_scalar_is_compared_alike(value: float) -> None:
    claim = printing("6.82")
    kinds = [np.float32(value), torch.tensor(value), np.array(value, dtype=np.float32)]
    verdicts = {compare(claim, kind) for kind in kinds}
    assert len(verdicts) == 1
    assert {normalise(kind) for kind in (np.float64(value), np.array(value))} == {normalise(value)}


def test_a_single_precision_value_is_read_at_its_own_precision() -> None:
    assert compare(printing("6.82"), np.float32(6.815)) is Verdict.REPRODUCED
    assert compare(printing("6.82"), torch.tensor(6.815)) is Verdict.REPRODUCED
    assert compare(printing("6.82"), torch.tensor(6.8149)) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("printed", "value", "verdict"),
    [
        ("2.02", np.float32(0.13) * np.float32(15.5), Verdict.REPRODUCED),  # 2.0149999
        ("2.02", torch.tensor(0.13) * 15.5, Verdict.REPRODUCED),
        ("2.02", np.float32(2.01499), Verdict.REFUTED),
        ("0.2", np.float16(0.14995), Verdict.REPRODUCED),
        ("0.2", np.float16(0.1493), Verdict.REFUTED),
        ("0.4", torch.tensor(0.35, dtype=torch.bfloat16), Verdict.REPRODUCED),  # 0.34960938
        ("0.4", torch.tensor(0.34, dtype=torch.bfloat16), Verdict.REFUTED),
    ],
)
def test_the_noise_of_a_shorter_float_decides_nothing(
    printed: str, value: object, verdict: Verdict
) -> None:
    assert compare(printing(printed), value) is verdict


@pytest.mark.parametrize(("off", "agrees"), [(0.0, True), (4e-6, False)])
def test_a_shorter_float_keeps_the_digits_that_a_tolerance_asks_for(
    off: float, agrees: bool
) -> None:
    claim = printing("1", tolerance="1e-6", tolerance_reason="exact but for rounding")
    for kind in (float, np.float32, torch.tensor):
        found = compare(claim, kind(1.0 + off))
        assert found is (Verdict.REPRODUCED if agrees else Verdict.REFUTED)


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("4250.871", np.float32(4250.871)),
        ("1,024", np.float16(1024)),
        ("1,024", torch.tensor(1024, dtype=torch.bfloat16)),
    ],
)
def test_a_shorter_float_keeps_as_many_digits_as_the_figure_has(
    printed: str, value: object
) -> None:
    assert compare(printing(printed), value) is Verdict.REPRODUCED
    assert decide(printing(printed), value).shown == printed.replace(",", "")


@pytest.mark.parametrize("printed", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -7e82])
def test_nan_and_infinities_agree_with_themselves_only(printed: str, value: float) -> None:
    same = repr(value) == printed
    assert (compare(printing(printed), value) is Verdict.REPRODUCED) == same


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_finite_figure_never_agrees_with_what_is_not(value: float) -> None:
    generous = printing("6.82", tolerance="6.82", tolerance_reason="so")
    assert compare(generous, value) is Verdict.REFUTED


@pytest.mark.parametrize("value", [True, np.True_, np.array(True), torch.tensor(True)])
def test_truth_values_agree_when_equal(value: object) -> None:
    assert compare(printing(True), value) is Verdict.REPRODUCED
    assert compare(printing(False), value) is Verdict.REFUTED


def test_text_agrees_but_for_white_space() -> None:
    claim = printing("Fixed(0.50/0.50)")
    assert compare(claim, " Fixed(0.50/0.50)\n") is Verdict.REPRODUCED
    assert compare(claim, np.str_("Fixed(0.5/0.5)")) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("figure", "value"),
    [("6.82", "6.82"), ("6.82", True), (True, 1), (True, "holds"), ("(4, 17)", 4)],
)
def test_a_value_of_another_type_is_an_error(figure: str | bool, value: object) -> None:
    with pytest.raises(RulbookError, match=r"Claim n24\.1-mean is printed as"):
        compare(printing(figure), value)


@pytest.mark.parametrize(
    "value",
    [
        *(None, [1.0, 2.0], [[1.0], [1.0, 2.0]], 1j, object()),
        *(np.zeros(1), torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
        torch.zeros(2).to_sparse(),
    ],
)
def test_only_one_number_a_truth_value_or_text_is_compared(value: object) -> None:
    with pytest.raises(RulbookError, match="is not one number, a truth value or text"):
        compare(printing("6.82"), value)


def test_disagreement_is_refuted_or_not_reproduced_by_tier() -> None:
    conditions = {"conditions": "so", "reason": "so", "expected": "not_reproduced"}
    assert compare(printing("6.82"), 7) is Verdict.REFUTED
    assert compare(printing("6.82", tier="statistical", **conditions), 7) is Verdict.NOT_REPRODUCED
    assert compare(printing("6.82", tier="statistical", **conditions), 6.82) is Verdict.REPRODUCED


def test_what_the_text_settles_no_value_can_move() -> None:
    contradiction = printing(
        "711",
        expected="inconsistent",
        reason="so",
        other={"where": "there", "statement": "708"},
    )
    assert compare(contradiction, 711) is Verdict.INCONSISTENT


@pytest.mark.parametrize(
    ("printed", "value", "text"),
    [
        ("6.82", 6.815, "6.815"),
        ("6.82", 7, "7.00"),
        ("711", 708, "708"),
        ("0.9960", 0.97382, "0.97382"),
        ("0.996", -7.331e82, "-7.331e+82"),
        ("500", 123.456, "123.46"),
        ("0.00001", 0.003984, "0.003984"),
        ("0", 1e-9, "1.000e-9"),
        ("0.5", math.nan, "NaN"),
        (True, False, "does not hold"),
        ("(4, 17)", "(4, 17)", "(4, 17)"),
    ],
)
def test_a_value_is_shown_two_places_finer(
    make_claim: Callable[..., Claim], printed: str | bool, value: object, text: str
) -> None:
    assert shown(make_claim(printed=printed), value) == text


def test_a_value_is_shown_with_its_unit(make_claim: Callable[..., Claim]) -> None:
    assert shown(make_claim(printed="9", unit="%"), 9.12) == "9.12 %"


FAIR = [name for name, condition in CONDITIONS.items() if not condition.is_forensic]
FORENSIC = [name for name, condition in CONDITIONS.items() if condition.is_forensic]
SETTINGS = ["AdamW at 3 rates", "plain SGD at its largest stable rate"]
HOLDS = st.dictionaries(
    st.sampled_from([*FAIR, *SETTINGS]), st.sampled_from([True, False, PARTLY, None])
)


@given(HOLDS)
def test_a_verdict_over_conditions_is_what_those_that_decide_agree_on(
    holds: dict[str, Holds],
) -> None:
    decided = {value for value in holds.values() if value is not None}
    agreed = {
        frozenset(): None,
        frozenset({True}): Verdict.REPRODUCED,
        frozenset({False}): Verdict.NOT_REPRODUCED,
    }
    assert over_conditions(holds) is agreed.get(frozenset(decided), Verdict.DEPENDS)


@given(HOLDS, st.booleans())
def test_a_forensic_condition_never_counts(holds: dict[str, Holds], found: bool) -> None:
    assert FORENSIC
    forensic = dict.fromkeys(FORENSIC, found)
    assert over_conditions(holds | forensic) is over_conditions(holds)


@pytest.mark.parametrize("answer", [math.nan, "yes", 1, 0.0])
@pytest.mark.parametrize("name", [FAIR[0], FORENSIC[0], SETTINGS[0]])
def test_what_is_no_answer_is_refused(name: str, answer: Any) -> None:
    with pytest.raises(UsageError, match="is no answer to whether a claim holds"):
        over_conditions({name: answer})


def test_truth_values_of_numpy_are_answers() -> None:
    answers: Any = {FAIR[0]: np.True_, FAIR[1]: np.False_}
    assert over_conditions(answers) is Verdict.DEPENDS
    claim = printing(True, tier="statistical")
    decision = decide(claim, conditions={FAIR[0]: answers[FAIR[0]]})
    assert (decision.measured, decision.conditions) == (True, {FAIR[0]: True})


def test_an_unknown_condition_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="book-batch"):
        over_conditions({"nonesuch": None})
