"""What chapter 01 quotes and decides of second tasks."""

import pandas as pd
import pytest

from rulbook.claims.ledger import find
from rulbook.display.readings import mechanisms as readings
from rulbook.experiments import mechanisms


def differences(column, names, *, difference, p_holm):
    return pd.DataFrame(
        {column: names, "difference": difference, "low": difference, "high": difference}
    ).assign(p_holm=p_holm)


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


@pytest.mark.parametrize("helpful", mechanisms.LABELLINGS[1:])
def test_labels_of_every_engine_are_no_augmentation(helpful):
    names = mechanisms.LABELLINGS[1:]
    error = differences("training", names, difference=-1.0, p_holm=1.0)
    error.loc[error["training"] == helpful, "p_holm"] = 0.01
    gap = differences("training", names, difference=1.0, p_holm=0.01)
    answers = readings.few_engines_answers(error, gap)
    same_inputs = helpful in mechanisms.LABELLINGS[1:3]
    assert answers["n4.1-mechanism-augmentation"].value is same_inputs
    assert answers["n4.1-mechanism-regularisation"].value is False


def test_transfer_is_judged_by_the_health_trunk():
    rows = [
        {"trunk": trunk, "seed": seed, "rmse": rmse + 0.01 * seed, "balanced_accuracy": 0.5}
        for trunk, rmse in {"untrained": 20, "health only": 18, "RUL only": 16, "both": 16}.items()
        for seed in range(5)
    ]
    rows[5]["rmse"] += 0.05
    transfer = pd.DataFrame(rows)
    assert readings.transfer_answers(transfer)["n4.1-mechanism-transfer"].value is True
    values = readings.transfer_values(transfer)
    assert values["transfer-gain"] == pytest.approx(1.99)
    assert values["transfer-share"] == pytest.approx(49.75)
    assert "18.0" in readings.transfer_table(transfer).data


def test_the_serial_number_hurts_where_it_hurts_most_and_never_helps():
    weights = [0.5, 0.05]
    found = differences("rul_weight", weights, difference=[-0.2, 0.9], p_holm=[0.9, 0.01])
    found["auxiliary"] = "serial number"
    answers = readings.second_tasks_answers(found)
    assert answers["n4.1-negative-transfer"].value is True
    assert answers["n4.1-negative-transfer"].note.endswith("0.05")
    assert answers["n4.1-wrong-auxiliary"].value is True
    auxiliary = pd.DataFrame(
        [
            {"auxiliary": name, "rul_weight": weight, "seed": seed, "rmse": rmse}
            for name, rmse in (("health", 18.0), ("shuffled", 18.5))
            for weight in (1, 0.5)
            for seed in (1, 2)
        ]
    )
    values = readings.second_tasks_values(found, auxiliary)
    assert (values["alone"], values["health-shuffled-max"]) == (18.0, 0.5)
    assert values["negative-transfer"] == 0.9


def test_remarks_on_other_domains_are_rows_of_the_ledger():
    claims = readings.beyond_engines_claims()
    assert not any(find(name).needs_value for name in claims)
