import math

import pandas as pd

from rulbook.display.readings import training_conditions as readings
from rulbook.display.results import number, within
from rulbook.studies.by_condition import condition_table
from rulbook.studies.by_measure import measure_tables
from rulbook.studies.catalogue import SEEDS

from ...studies.conftest import validated
from ..conftest import cells_of


def test_conditions_are_read_from_their_table(grid):
    compared = condition_table({"protocol": grid.records}, "FD002")
    outcomes = compared.set_index("method")["outcome"]
    assert outcomes["gaba"] == outcomes["grace"] == "higher"
    read = readings.conditions_reading(compared)
    assert read.startswith(
        "Of 3 comparisons of networks with every seed, 2 are told from equal weights: GABA "
    )
    row = compared.set_index("method").loc["gaba"]
    interval = within(row["difference"], row["difference_low"], row["difference_high"])
    assert f"is higher (difference {interval} cycles); GRACE on FD002" in read
    differences = compared[compared["difference_low"].notna()]["difference"].iloc[:3]
    *_, bullet = read.split("\n")
    assert bullet.startswith(
        f"* *the protocol*: FD002 3, {number(differences.min())} to {number(differences.max())} ("
    )
    assert readings.lower_in_words(compared) == ""
    turned = compared.assign(outcome=compared["outcome"].replace("higher", "lower"))
    assert readings.lower_in_words(turned) == (
        f"GABA ({row['condition_label']}) on FD002, GRACE ({row['condition_label']}) on FD002"
    )
    assert "No method has every seed" in readings.conditions_reading(compared.iloc[:1])


def test_the_front_page_counts_comparisons_of_networks(every_seed):
    core = every_seed("FD002", fixed_050=10.0, gaba=20.0)
    compared = condition_table({"protocol": core.records}, "FD002")
    values = readings.comparison_values(compared)
    assert (values["compared"], values["searched"]) == (1, 0)
    assert 0 < values["seen-low"] == values["seen-high"]
    assert math.isnan(values["others-low"])
    assert values["lower-than-equal"] == ""
    elsewhere = compared.assign(subset="FD001", condition="book-batch")
    values = readings.comparison_values(pd.concat([compared, elsewhere]))
    assert values["compared"] == 2
    assert values["others-high"] == values["seen-high"]
    searched = readings.comparison_values(compared.assign(condition="searched-fd001"))
    assert (searched["compared"], searched["searched"]) == (1, 1)
    assert math.isnan(searched["boosting-ahead-FD001"])
    both = [compared.assign(condition=f"searched-{subset}") for subset in ("fd001", "fd003")]
    assert readings.comparison_values(pd.concat(both))["searched"] == 2
    ahead = compared.replace({"method": {"gaba": "gradient_boosting"}})
    values = readings.comparison_values(ahead.assign(condition="searched-fd001"))
    assert values["boosting-ahead-FD001"] < 0
    assert math.isnan(values["boosting-ahead-FD003"])


def test_other_measures_are_told_with_how_many_would_differ_by_chance(on_every_seed):
    records = [*on_every_seed("fixed_050", noise=5.0), *on_every_seed("gaba", bias=25.0)]
    compared = measure_tables({"protocol": records})
    told = compared[compared["outcome"] == "higher"]
    assert "nasa_score" in set(told["measure"])
    read = readings.measures_reading(compared)
    assert read.startswith(f"Of {len(compared)} such comparisons with every seed, {len(told)} ")
    assert f"{compared['measure'].nunique()} families" in read
    assert "\n* *the protocol*: GABA on FD002, NASA score " in read
    assert "[" not in read.partition("* ")[2], "the table has the intervals"
    shown = cells_of(readings.measures_shown(compared))
    assert shown[0][:3] == ["subset", "training condition", "method"]
    assert "higher" in shown[1][3]
    assert readings.measures_reading(compared.iloc[:0]).startswith("No method has every seed")


def test_seeds_whose_head_names_one_state_are_counted_though_its_accuracy_is_high(make_record):
    constant = validated(health_accuracy=0.6, health_recall=[1.0, 0.0, 0.0])
    names_two = validated(health_accuracy=0.6, health_recall=[1.0, 0.0, 1.0])
    records = [
        make_record(method, "FD001", seed, epochs=(constant if seed in stuck else names_two,))
        for method, stuck in (("fixed_050", SEEDS), ("gaba", SEEDS[:2]))
        for seed in SEEDS
    ]
    said = readings.heads_near_chance_reading({"sgd": records}, "sgd")
    assert said.endswith(
        "always names one state has 0.33: on FD001, 5 of 5 with Fixed 0.5/0.5, 2 of 5 with GABA."
    )
    few = {"sgd": records[:4]}
    assert "No method" in readings.heads_near_chance_reading(few, "sgd")
