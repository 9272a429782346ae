"""Each rule against records in which it is known whether the claim holds."""

import numpy as np
import pytest

from rulbook.data.cmapss import SUBSETS
from rulbook.studies import SEEDS
from rulbook.studies.condition_rules import decisions, rule_of
from rulbook.studies.conditions import training_condition
from rulbook.studies.holds import PARTLY
from rulbook.training.record import ProbeScores, summarise_gradients

from .conftest import epoch, validated


def health_epoch(rmse, accuracy, critical):
    return validated(rmse, health_accuracy=accuracy, health_recall=[0.9, 0.5, critical])


@pytest.mark.parametrize(
    ("accuracy", "critical", "probe", "expected"),
    [
        (0.30, 0.1, 0.33, {"plateau": True, "recall": True, "rare": True, "probe": True}),
        (0.80, 0.9, 0.85, {"plateau": False, "recall": False, "rare": False, "probe": False}),
        (0.15, 0.32, 0.85, {"plateau": True, "recall": False, "rare": True, "probe": False}),
    ],
)
def test_symptoms(make_record, accuracy, critical, probe, expected):
    scores = ProbeScores(
        accuracy=0.5, balanced_accuracy=probe, recall=[0.5] * 3, majority_share=0.5
    )
    records = [
        make_record(
            subset=subset,
            seed=seed,
            epochs=(
                health_epoch(12.0, accuracy, critical),
                *(health_epoch(40.0, accuracy, critical),) * 5,
            ),
        ).model_copy(update={"probe": scores})
        for subset in ("FD001", "FD002", "FD003", "FD004")
        for seed in SEEDS
    ]
    claims = {
        "plateau": "n12.4-symptom-hs-plateau",
        "recall": "n12.4-symptom-critical-recall",
        "rare": "n12.4-rare-class-below-guessing",
        "probe": "n12.4-symptom-probe-at-chance",
    }
    assert {short: rule_of(claim).holds(records) for short, claim in claims.items()} == expected
    three = [record for record in records if record.config.subset != "FD004"]
    plateau = rule_of("n12.4-symptom-hs-plateau")
    assert plateau.holds(three) is expected["plateau"]
    assert plateau.holds(three[: len(SEEDS) - 1]) is None


@pytest.mark.parametrize(
    ("accuracies", "holds"),
    [
        ([0.9, 0.9, 0.9, 0.9, 0.3, 0.9], True),
        ([0.3, 0.3, 0.3, 0.3, 0.9, 0.3], False),
        ([0.3, 0.3, 0.3, 0.3, 0.36], False),
        ([0.3, 0.3, 0.3, 0.3], None),
    ],
)
def test_after_five_epochs_means_at_the_fifth(on_every_seed, accuracies, holds):
    course = tuple(health_epoch(12.0, accuracy, 0.5) for accuracy in accuracies)
    records = on_every_seed("fixed_050", epochs=course)
    assert rule_of("n12.4-symptom-hs-after-five-epochs").holds(records) is holds


@pytest.mark.parametrize("first_epoch", [40.0, 14.0])
@pytest.mark.parametrize(("noise", "holds"), [(12.0, True), (40.0, False)])
def test_the_rul_task_trains_where_its_error_is_half_of_a_constants(
    on_every_seed, noise, holds, first_epoch
):
    """However much of it was learned in the first epoch."""
    course = (epoch(first_epoch), epoch(12.0))
    records = on_every_seed("fixed_050", noise=noise, epochs=course)
    assert rule_of("n12.4-symptom-rul-trains").holds(records) is holds


@pytest.mark.parametrize(
    ("last", "seeds", "holds"),
    [(0.2, SEEDS, True), (0.9, SEEDS, False), (0.2, SEEDS[:4], None)],
)
def test_equal_weights_fail_reproducibly_only_if_every_seed_fails(make_record, last, seeds, holds):
    records = [
        make_record(seed=seed, epochs=(health_epoch(12.0, accuracy, 0.0),))
        for seed, accuracy in zip(seeds, [0.1] * (len(seeds) - 1) + [last], strict=True)
    ]
    assert rule_of("n12.4-symptom-one-to-one-fails").holds(records) is holds


@pytest.mark.parametrize(
    ("late", "plateau", "fails"),
    [([0.1] * 5, True, True), ([0.1] * 3 + [0.9] * 2, True, PARTLY), ([0.9] * 5, PARTLY, PARTLY)],
)
def test_a_head_that_learns_after_the_selected_epoch_counts_too(make_record, late, plateau, fails):
    """In the second case the mean of the last epoch is open, and says nothing of a plateau."""
    records = [
        make_record(
            seed=seed, epochs=(health_epoch(12.0, 0.1, 0.0), health_epoch(13.0, accuracy, 0.0))
        )
        for seed, accuracy in zip(SEEDS, late, strict=True)
    ]
    assert rule_of("n12.4-symptom-hs-plateau").holds(records) == plateau
    assert rule_of("n12.4-symptom-one-to-one-fails").holds(records) == fails


def course(rul_losses, health_losses, ratios=None, cosine=0.25):
    """Return epochs with these losses and gradient ratios, one value of each an epoch."""
    ratios = ratios or [3.0] * len(rul_losses)
    return tuple(
        epoch(12.0).model_copy(
            update={
                "rul_loss": rul_loss,
                "health_loss": health_loss,
                "gradients": summarise_gradients(np.full(9, ratio), np.ones(9), np.full(9, cosine)),
            }
        )
        for rul_loss, health_loss, ratio in zip(rul_losses, health_losses, ratios, strict=True)
    )


def trained_by(on_every_seed, epochs, subsets=SUBSETS, **changes):
    return [
        run
        for subset in subsets
        for run in on_every_seed("fixed_050", subset, epochs=epochs, **changes)
    ]


STEADY = course([1000.0, 500.0], [1.0, 0.5])

MOVING = course([20_000.0, 50.0], [5.0, 0.05], cosine=-0.1)


@pytest.mark.parametrize(("epochs", "is_steady"), [(STEADY, True), (MOVING, False)])
def test_remarks_on_a_training_turn_with_its_course(on_every_seed, epochs, is_steady):
    records = trained_by(on_every_seed, epochs)
    for claim in ("l9.1-mse-scale", "l9.1-ce-scale", "n4.3-ce-scale"):
        assert rule_of(claim).holds(records) is is_steady
        assert rule_of(claim).holds(records[: len(SEEDS) - 1]) is None
    for claim in ("l9.1-balance-drifts-measured", "l9.1-conflict-occurs"):
        assert rule_of(claim).holds(records) is (not is_steady)


def with_cosines(*cosines):
    """Return epochs of twenty steps each; the ``cosines`` are those of an epoch."""
    return tuple(
        epoch(12.0).model_copy(
            update={"gradients": summarise_gradients(np.full(20, 3.0), np.ones(20), of_steps)}
        )
        for of_steps in cosines
    )


AT_EASE, AT_ODDS, AT_TIMES = np.full(20, 0.5), np.full(20, -0.5), np.r_[[-0.5] * 2, [0.5] * 18]


@pytest.mark.parametrize(
    ("cosines", "conflict"),
    [
        ((AT_EASE, AT_TIMES, AT_TIMES), True),
        ((AT_ODDS, AT_EASE, AT_EASE), False),
        ((AT_ODDS, AT_EASE, AT_ODDS, AT_EASE), False),
        ((AT_EASE, AT_ODDS, AT_ODDS, AT_EASE), True),
    ],
)
def test_gradients_conflict_where_a_twentieth_of_a_typical_epochs_steps_do(
    on_every_seed, cosines, conflict
):
    """The first epoch is no typical one."""
    records = trained_by(on_every_seed, with_cosines(*cosines))
    assert rule_of("l9.1-conflict-occurs").holds(records) is conflict


@pytest.mark.parametrize(
    ("rul_losses", "drifts"),
    [([1000.0, 450.0], True), ([1000.0, 2200.0], True), ([1000.0, 550.0], False)],
)
def test_the_balance_drifts_beyond_a_factor_of_two_either_way(on_every_seed, rul_losses, drifts):
    records = trained_by(on_every_seed, course(rul_losses, [1.0, 1.0]))
    assert rule_of("l9.1-balance-drifts-measured").holds(records) is drifts


def test_a_claim_about_trainings_holds_in_part_where_subsets_disagree(on_every_seed):
    records = [
        *trained_by(on_every_seed, STEADY, ["FD001"]),
        *trained_by(on_every_seed, MOVING, ["FD002"]),
    ]
    assert decisions(rule_of("l9.1-ce-scale"), {"protocol": records}) == {"protocol": PARTLY}


@pytest.mark.parametrize(
    ("claim", "lowest", "highest", "within"),
    [
        ("l9.1-mse-scale", 81.0, 11_999.0, True),
        ("l9.1-mse-scale", 79.0, 11_999.0, False),
        ("l9.1-mse-scale", 81.0, 12_001.0, False),
        ("n4.3-mse-scale", 11.0, 999.0, True),
        ("n4.3-mse-scale", 9.0, 999.0, False),
        ("n4.3-mse-scale", 11.0, 1001.0, False),
        ("l9.1-mse-scale-three-values", 101.0, 999.0, True),
        ("l9.1-mse-scale-three-values", 99.0, 999.0, False),
        ("l9.1-mse-scale-three-values", 101.0, 1001.0, False),
        ("l9.1-ce-scale", 0.11, 2.9, True),
        ("l9.1-ce-scale", 0.09, 2.9, False),
        ("l9.1-ce-scale", 0.11, 3.1, False),
        ("n4.3-ce-scale", 0.01, 1.9, True),
        ("n4.3-ce-scale", 0.01, 2.1, False),
    ],
)
def test_either_end_of_a_scale_counts(on_every_seed, claim, lowest, highest, within):
    scale, other = [highest, lowest], [1.0, 1.0]
    losses = (scale, other) if "mse" in claim else (other, scale)
    records = trained_by(on_every_seed, course(*losses))
    assert rule_of(claim).holds(records) is within


@pytest.mark.parametrize(
    ("claim", "median", "near"),
    [
        ("n4.3-typical-rul-loss", 6.3, True),
        ("n4.3-typical-rul-loss", 6.2, False),
        ("n4.3-typical-rul-loss", 18.7, True),
        ("n4.3-typical-rul-loss", 18.8, False),
        ("n4.3-typical-health-loss", 0.41, True),
        ("n4.3-typical-health-loss", 0.39, False),
        ("n4.3-typical-health-loss", 1.19, True),
        ("n4.3-typical-health-loss", 1.21, False),
        ("l9.1-ce-near-one", 0.51, True),
        ("l9.1-ce-near-one", 0.49, False),
        ("l9.1-ce-near-one", 1.51, False),
    ],
)
def test_a_typical_loss_is_that_of_the_median_epoch(on_every_seed, claim, median, near):
    losses, other = [1000.0, median, 0.001], [1.0, 1.0, 1.0]
    pair = (losses, other) if "rul" in claim else (other, losses)
    records = trained_by(on_every_seed, course(*pair))
    assert rule_of(claim).holds(records) is near


def test_what_is_said_of_cycles_is_not_about_caps(on_every_seed):
    caps = dict(training_condition("caps").changes)
    records = {"caps": trained_by(on_every_seed, STEADY, **caps)}
    assert decisions(rule_of("l9.1-mse-scale"), records) == {}
    assert decisions(rule_of("l9.1-conflict-occurs"), records) == {"caps": False}


@pytest.mark.parametrize(
    ("ratios", "quadruples"),
    [
        ([10.0, 11.0, 12.0, 50.0], True),
        ([10.0, 50.0], None),  # ends with the warm-up
        ([10.0, 50.0, 20.0], None),  # a peak on the way
        ([10.0, 39.0], None),
        ([10.0] * 29 + [41.0], True),
        ([10.0] * 30 + [90.0], False),
    ],
)
def test_the_balancing_weight_has_quadrupled_in_time_or_may_yet(on_every_seed, ratios, quadruples):
    one = [1.0] * len(ratios)
    records = trained_by(on_every_seed, course(one, one, ratios))
    assert rule_of("n12.4-pitfall-required-weight-grows").holds(records) is quadruples
    one_seed = [run for run in records if run.config.seed == SEEDS[0]]
    assert rule_of("n12.4-pitfall-required-weight-grows").holds(one_seed) is None


@pytest.mark.parametrize(("ratio", "tenfold"), [(11.0, True), (0.09, True), (9.0, False)])
def test_gradients_may_differ_tenfold_either_way(on_every_seed, ratio, tenfold):
    short = course([1000.0], [1.0], [ratio])
    records = trained_by(on_every_seed, short, ["FD001"])
    others = trained_by(on_every_seed, course([1000.0], [1.0]), SUBSETS[1:])
    rule = rule_of("n4.1-imbalance-wild")
    assert rule.holds([*records, *others]) is tenfold
    assert rule.holds(records) is (tenfold or None)


@pytest.mark.parametrize(("cosine", "holds"), [(-0.2, True), (0.6, False)])
def test_the_tasks_disagree_where_the_typical_cosine_is_negative(on_every_seed, cosine, holds):
    seen = summarise_gradients(np.full(9, 3.0), np.ones(9), np.full(9, cosine))
    one = epoch(12.0).model_copy(update={"gradients": seen})
    records = [r for s in SUBSETS for r in on_every_seed("fixed_050", s, epochs=(one,))]
    rule = rule_of("n12.4-tasks-disagree-cosine")
    assert rule.holds(records) is holds
    few = [r for r in records if r.config.seed != SEEDS[0]]
    assert rule.holds(few) is None
