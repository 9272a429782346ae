"""What chapter 01 quotes and decides of second tasks."""

import pandas as pd
import pytest

from rulbook.claims.ledger import find
from rulbook.display.readings import mechanisms as readings
from rulbook.experiments import mechanisms


def test_the_printed_gain_is_the_ledgers():
    printed = readings.printed_gain()
    assert printed["single_task"] > printed["fixed_050"]


@pytest.mark.parametrize(("separate", "is_dearer"), [(2.0, True), (0.9, False)])
def test_a_hundred_heads_are_judged_on_every_trunk(separate, is_dearer):
    multiples = mechanisms.as_multiples(
        {
            name: pd.DataFrame(
                {
                    "heads": [1, 100],
                    "shared_seconds": [1.0, 4.0],
                    "separate_seconds": [1.0, 4.0 * factor],
                }
            )
            for name, factor in (("one layer", separate), ("compact", 3.0))
        }
    )
    answer = readings.heads_answers(multiples)["n4.1-trunk-cost-amortised"]
    assert answer.value is is_dearer
    assert readings.heads_values(multiples) == {
        "hundred-one": 4.0,
        "separate-one": separate,
        "hundred-compact": 4.0,
        "separate-compact": 3.0,
    }
    assert "100" in readings.heads_table(multiples).data


def trainings_on_few_engines(falls, *, gap=0.0):
    """Rows of ``label_efficiency`` whose error falls so beside each labelling, over five seeds."""
    return pd.DataFrame(
        [
            {
                "engines": 8,
                "training": name,
                "seed": seed,
                "test_rmse": 20 + seed - falls.get(name, 0.0) + 0.01 * seed * (name in falls),
                "gap": 5 + seed + gap * (name in falls) + 0.01 * seed * (name in falls),
            }
            for name in mechanisms.LABELLINGS
            for seed in range(5)
        ]
    )


@pytest.mark.parametrize("helpful", mechanisms.LABELLINGS[1:])
def test_labels_of_every_engine_are_no_augmentation(helpful):
    found = trainings_on_few_engines({helpful: 1.0}, gap=1.0)
    answers = readings.few_engines_answers({800: found})
    same_inputs = helpful in mechanisms.LABELLINGS[1:3]
    assert set(answers["n4.1-mechanism-augmentation"].conditions.values()) == {same_inputs}
    assert set(answers["n4.1-mechanism-regularisation"].conditions.values()) == {False}


def test_a_gain_decides_at_its_length_and_one_below_the_margin_is_none():
    nothing, small, large = (
        trainings_on_few_engines({"balanced": fall}, gap=-fall) for fall in (0.0, 0.3, 0.8)
    )
    for second, helps in ((small, False), (large, True)):
        answers = readings.few_engines_answers({800: nothing, 3000: second})
        for answer in answers.values():
            for setting, holds in answer.conditions.items():
                assert holds is (helps and setting.startswith("3000 steps, "))
    beside = second_tasks({0.5: 0.0, 0.05: -0.4})
    values = readings.longer_values(small, beside[beside["auxiliary"] == "serial number"])
    assert values["longer-gain"] == pytest.approx(0.28)
    assert values["longer-engines"] == 8
    assert values["longer-gap-excluded"] == pytest.approx(0.3, abs=0.01)
    assert values["longer-serial-gain"] == pytest.approx(0.38)


def second_tasks(effects, *, health=0.0):
    """Rows of ``auxiliary_tasks``: the serial number's effect by RUL weight, over five seeds."""
    return pd.DataFrame(
        [
            {"auxiliary": name, "rul_weight": weight, "seed": seed, "rmse": rmse + 0.01 * seed}
            for name in mechanisms.AUXILIARIES
            for weight, effect in {1.0: 0.0, **effects}.items()
            for seed in range(5)
            for rmse in [
                18
                + (weight < 1) * 0.01 * seed
                + {"health": health * (weight < 1), "serial number": effect}.get(name, 0.0)
            ]
        ]
    )


def test_transfer_is_judged_by_the_health_trunk():
    rows = [
        {"trunk": trunk, "seed": seed, "rmse": rmse + 0.01 * seed, "balanced_accuracy": 0.5}
        for trunk, rmse in {
            "untrained": 20,
            "serial number only": 19,
            "health only": 18,
            "RUL only": 16,
            "both": 16,
        }.items()
        for seed in range(5)
    ]
    for row, shift in ((5, 0.02), (10, 0.05), (20, 0.1)):
        rows[row]["rmse"] += shift
    transfer = pd.DataFrame(rows)
    assert readings.transfer_answers(transfer)["n4.1-mechanism-transfer"].value is True
    values = readings.transfer_values(transfer)
    assert values["transfer-gain"] == pytest.approx(1.99)
    assert values["transfer-share"] == pytest.approx(49.75)
    assert values["serial-transfer-gain"] == pytest.approx(0.996)
    assert values["transfer-over-serial"] == pytest.approx(0.994)
    assert values["transfer-joint-low"] < values["transfer-joint"] < values["transfer-joint-high"]
    assert "18.0" in readings.transfer_table(transfer).data


def test_the_serial_number_hurts_where_it_hurts_most_and_never_helps():
    short, longer = second_tasks({0.5: -0.2, 0.05: 0.9}), second_tasks({0.5: -0.3, 0.05: 0.8})
    answers = readings.second_tasks_answers({800: short, 3000: longer})
    holds = {"800 steps": True, "3000 steps": True}
    assert answers["n4.1-negative-transfer"].conditions == holds
    assert answers["n4.1-negative-transfer"].note.endswith("0.05")
    assert answers["n4.1-wrong-auxiliary"].conditions == holds
    other = second_tasks({0.5: -0.8, 0.05: -0.1})
    for answer in readings.second_tasks_answers({800: short, 3000: other}).values():
        assert answer.conditions == {"800 steps": True, "3000 steps": False}


def test_what_a_few_seeds_leave_open_is_open():
    """Neither half a cycle's harm nor its absence, neither its help nor none."""
    vague = second_tasks({0.5: 0.0, 0.05: 0.2})
    serial = vague["auxiliary"] == "serial number"
    vague.loc[serial & (vague["rul_weight"] < 1), "rmse"] += [-1.0, 1.0, -1.0, 1.0, 0.0] * 2
    for answer in readings.second_tasks_answers({800: vague}).values():
        assert answer.conditions == {"800 steps": None}


def test_true_labels_are_held_against_shuffled_ones():
    values = readings.second_tasks_values(second_tasks({0.5: -0.2, 0.05: 0.9}, health=-0.5))
    assert values["alone"] == pytest.approx(18.02)
    assert values["health-gain"] == pytest.approx(0.48)
    assert values["shuffled-gain"] == pytest.approx(-0.02)
    assert values["shuffling-bound"] == pytest.approx(0.5)
    assert values["negative-transfer"] == pytest.approx(0.92)


def test_remarks_on_other_domains_are_rows_of_the_ledger():
    claims = readings.beyond_engines_claims()
    assert not any(find(name).needs_value for name in claims)
