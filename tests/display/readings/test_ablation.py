import math
import re

import pandas as pd
import pytest

from rulbook.claims.ledger import find
from rulbook.display.readings import ablation as readings
from rulbook.display.results import within
from rulbook.studies.by_condition import condition_table
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import compare_groups, comparison_table, estimates_table
from rulbook.studies.evidence import records_of
from rulbook.studies.grid import GRID, main_effects
from rulbook.studies.methods import FIXED_METHODS, METHODS

from ..conftest import epoch


def cells_of(html) -> list[list[str]]:
    rows = re.findall(r"<tr.*?</tr>", html.data, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", c) for c in re.findall(r"<t[dh].*?</t[dh]>", r)] for r in rows]


@pytest.fixture
def every_seed(make_record, make_evidence):
    """Return a maker of evidence with every seed of these methods, by their spread."""

    def make(subset="FD002", study="core-a", **spreads):
        return make_evidence(
            [
                make_record(name, subset, seed, noise=noise, epochs=(epoch(12.0, [3.0]),))
                for name, noise in spreads.items()
                for seed in SEEDS
            ],
            study,
        )

    return make


@pytest.fixture
def grid(every_seed):
    return every_seed(fixed_050=10.0, amnl=10.0, gaba=20.0, grace=20.0)


def test_printed_errors_are_those_of_the_ledger():
    printed = readings.printed_sweep("FD002")
    assert printed["single_task"] == find("n24.1-table-single-task-fd002").printed_number
    assert [str(value) for value in printed.values()] == [
        find(f"n24.1-table-{row}-fd002").printed for row in readings.PRINTED_ROWS.values()
    ]


def test_what_is_recorded_is_counted_by_subset(make_record, make_evidence):
    one = make_evidence([make_record(), make_record("gaba")])
    two = make_evidence([make_record(subset="FD001", seed=seed) for seed in SEEDS[:2]])
    read = readings.recorded_so_far({"FD001": two, "FD002": one, "FD003": make_evidence()})
    total = len(METHODS) * len(SEEDS)
    assert f"FD001: 1 of {len(METHODS)} methods, 2 runs of {total};" in read
    assert f"FD002: 2 of {len(METHODS)} methods, 2 runs of {total}." in read
    assert "On FD002 there is one seed only" in read
    assert "FD003" not in read
    assert readings.recorded_so_far({"FD001": make_evidence()}) == "Recorded so far. Nothing yet."


def test_the_sizes_that_were_tried_are_shown_with_the_one_that_was_kept():
    sizing, core = records_of("sizing"), records_of("core-a")
    head, *rows = cells_of(readings.sizing_shown(sizing))
    assert [row[0] for row in rows].count("kept") == 1
    errors = {row[0]: float(row[head.index("validation RMSE")]) for row in rows}
    read = readings.sizing_reading(sizing, core.records)
    assert f"{errors['kept']:.2f}" not in read  # differences, not levels
    longest = max(len(run.epochs) for run in core.records if run.config.network == "compact")
    assert f"the longest stopped after {longest} by itself" in read


def test_amnl_has_its_own_and_other_weights(every_seed):
    core = every_seed(amnl=10.0, fixed_050=10.0)
    others = every_seed(study="amnl-weights", amnl_060=9.0)
    _, *rows = cells_of(readings.amnl_shown(core, others))
    assert [row[1] for row in rows] == ["AMNL", "AMNL 0.6/0.4"]
    estimate = estimates_table(core.records, "FD002").set_index("method").loc["amnl"]
    assert rows[0][3] == within(estimate["rmse"], estimate["low"], estimate["high"])


def test_the_best_fixed_weights_are_named_once_every_seed_is_there(every_seed, make_evidence):
    spreads = dict.fromkeys(FIXED_METHODS, 10.0) | {"fixed_0002": 4.0}
    whole = every_seed(**spreads)
    read = readings.fixed_weights_reading({"FD002": whole})
    assert read.startswith("* On FD002, 0.002/0.998 has the lowest error.")
    assert "0.002/0.998 is lower (difference −" in read
    assert readings.fixed_weights_reading({"FD002": make_evidence(whole.records[1:])}) == ""


def test_the_grid_has_four_cells_a_subset_and_waits_for_what_is_missing(grid):
    _, fixed, gaba, *others = cells_of(readings.grid_shown(grid))
    assert [fixed[:2], gaba[:2]] == [["FD002", "fixed 0.5/0.5"], ["FD002", "GABA"]]
    estimate = estimates_table(grid.records, "FD002").set_index("method").loc["grace"]
    assert gaba[3].startswith(within(estimate["rmse"], estimate["low"], estimate["high"]))
    assert {cell for row in others for cell in row[2:]} == {"waiting"}


def test_main_effects_are_shown_and_read_by_the_corrected_test(grid):
    effects = main_effects(grid.records, ["FD002", "FD004"])
    head, *rows = cells_of(readings.main_effects_shown(effects, grid))
    assert [row[head.index("what is changed")] for row in rows] == effects["change"].tolist()
    read = readings.main_effects_reading(effects)
    assert read.startswith("These can be told from zero: GABA for fixed 0.5/0.5 on FD002, by ")
    seen = effects.assign(p_holm=[0.01, 0.06])
    assert "failure-weighted" not in readings.main_effects_reading(seen)
    assert readings.main_effects_reading(effects.assign(p_holm=1.0)).startswith("None of these")


def test_a_comparison_is_read_from_its_table(grid, make_evidence):
    compared = comparison_table(grid.records, "FD002")
    read = readings.comparison_reading(grid, "FD002")
    ties = int(compared["outcome"].isin(["tie", "equivalent"]).sum())
    assert f"{ties} of {len(compared)} network methods with five seeds cannot be told from" in read
    assert "GABA is higher" in read
    fewer = make_evidence(grid.records[:-2])
    assert "1 method with fewer seeds has no outcome." in readings.comparison_reading(
        fewer, "FD002"
    )
    assert readings.comparison_reading(grid, "FD001") == "On FD001 nothing can be compared yet."


def test_conditions_are_read_from_their_table(grid):
    compared = condition_table({"protocol": grid.records}, "FD002")
    outcomes = compared.set_index("method")["outcome"]
    assert outcomes["gaba"] == outcomes["grace"] == "higher"
    read = readings.conditions_reading(compared)
    assert read.startswith("Of 3 comparisons with every seed, 2 are told from equal weights: GABA ")
    row = compared.set_index("method").loc["gaba"]
    interval = within(row["difference"], row["difference_low"], row["difference_high"])
    assert f"is higher (difference {interval} cycles); GRACE on FD002" in read
    assert readings.lower_in_words(compared) == ""
    turned = compared.assign(outcome=compared["outcome"].replace("higher", "lower"))
    assert readings.lower_in_words(turned) == (
        f"GABA ({row['condition_label']}) on FD002, GRACE ({row['condition_label']}) on FD002"
    )
    assert "No method has every seed" in readings.conditions_reading(compared.iloc[:1])


def test_steps_at_which_nothing_binds_are_never():
    ends = pd.DataFrame(
        {
            "ratio": [10, 500],
            "wanted_weight": [1 / 11, 1 / 501],
            "binding_step": [float("nan"), 233.0],
            "by_recurrence": [float("nan"), 233.0],
            "final_weight": [1 / 11, 0.0477],
            "weighted_ratio": [1.0, 25.0],
        }
    )
    _, first, second = cells_of(readings.floor_ends_shown(ends))
    assert first[2:4] == ["never", "never"]
    assert second[2:4] == ["233", "233"]


def test_gabas_weights_are_shown_by_epoch_once_each(grid, make_evidence):
    _, *rows = cells_of(readings.gaba_weights_shown({"FD002": grid, "FD004": grid}))
    assert rows == [["FD002", "1", "5", "0.5000", "0.5000", "3"]]
    assert "No training with GABA" in readings.gaba_weights_shown({"FD002": make_evidence()}).data


def test_the_controls_of_the_floor_are_compared_with_its_fixed_weights(every_seed, make_evidence):
    core = every_seed(fixed_005=10.0, gaba=10.0, imtl_g=20.0, gaba_no_floor=10.0)
    compared = comparison_table(
        core.records, "FD002", reference="fixed_005", methods=("gaba", "gaba_no_floor", "imtl_g")
    )
    _, *rows = cells_of(readings.floor_controls_shown({"FD002": core}))
    assert [row[4] for row in rows] == compared["outcome"].tolist()
    alone = compare_groups(core.records, "FD002", ["imtl_g"], ["gaba_no_floor"])
    read = readings.floor_controls_reading(core)
    assert within(alone.difference, alone.low, alone.high) in read
    assert "more than chance" in read
    nothing = make_evidence()
    assert readings.floor_controls_reading(nothing) == nothing.sentence()
    assert "Not recorded yet" in readings.floor_controls_shown({"FD002": nothing}).data
    one_seed = make_evidence([run for run in core.records if run.config.seed == SEEDS[0]])
    assert "nan" not in readings.floor_controls_shown({"FD002": one_seed}).data


def test_choices_are_compared_under_each_weighting_that_has_them(make_record, make_evidence):
    ended = {"epochs": (epoch(12.0),)}
    core = make_evidence([make_record(name, **ended) for name in ("fixed_050", "gaba")])
    changed = make_evidence(
        [make_record(name, target_unit="cap", **ended) for name in ("gaba", "dwa")]
    )
    variants = readings.choices_by_weights(core, {"in caps": changed})
    assert variants[["weights", "choice"]].to_numpy().tolist() == [
        ["GABA", "the protocol"],
        ["GABA", "in caps"],
    ]
    assert readings.choices_by_weights(core, {"in caps": make_evidence()}).empty


def test_what_mixed_precision_does_is_said_by_weighting(make_record, make_evidence):
    def trained(noise, seeds=SEEDS):
        epochs = (epoch(12.0, [3.0]),)
        return [make_record("fixed_050", "FD001", s, noise=noise, epochs=epochs) for s in seeds]

    def mixed(noise, seeds=SEEDS):
        runs = trained(noise, seeds)
        changed = [run.config.with_changes(precision="bfloat16") for run in runs]
        return make_evidence(
            [
                run.model_copy(update={"config": config})
                for run, config in zip(runs, changed, strict=True)
            ],
            "precision-fd001",
        )

    core = make_evidence(trained(10.0))
    same, coarse, one, nothing = mixed(10.0), mixed(40.0), mixed(10.0, SEEDS[:1]), mixed(1.0, ())
    assert "cycles (5 seeds, equivalent, within 0.5" in readings.precision_reading(core, same)
    assert "Rounding is no method" not in readings.precision_reading(core, same)
    assert "cycles (5 seeds, told apart)" in readings.precision_reading(core, coarse)
    assert "Rounding is no method" in readings.precision_reading(core, coarse)
    assert "cycles (1 seed, no outcome)" in readings.precision_reading(core, one)
    assert readings.precision_reading(core, nothing) == nothing.sentence()


def test_a_second_run_of_every_seed_is_held_against_the_first(make_record, make_evidence):
    def trained(noise, seeds=SEEDS):
        return [make_record("fixed_050", "FD001", s, noise=noise + (s == 42)) for s in seeds]

    core = trained(10.0)
    read = readings.rerun_reading(core, make_evidence(trained(10.0), "imbalance"))
    assert "differ by up to 0.0 cycles" in read
    read = readings.rerun_reading(core, make_evidence(trained(14.0), "imbalance"))
    largest, overall = re.findall(r"up to ([\d.]+) cycles|FD001 ([\d.]+) \[", read)
    assert 3 < float(overall[1]) < float(largest[0]) < 6
    few = make_evidence(trained(14.0, SEEDS[:4]), "imbalance")
    assert readings.rerun_reading(core, few) == few.sentence()


def test_the_front_page_counts_comparisons_of_networks(every_seed):
    core = every_seed("FD002", fixed_050=10.0, gaba=20.0)
    compared = condition_table({"protocol": core.records}, "FD002")
    values = readings.comparison_values(compared)
    assert values["compared"] == 1
    assert 0 < values["seen-low"] == values["seen-high"]
    assert math.isnan(values["others-low"])
    assert values["lower-than-equal"] == ""
    elsewhere = compared.assign(subset="FD001", condition="book-batch")
    values = readings.comparison_values(pd.concat([compared, elsewhere]))
    assert values["compared"] == 2
    assert values["others-high"] == values["seen-high"]


def test_a_shut_head_is_told_with_its_end(make_record, make_evidence):
    runs = [
        make_record(rul_bias="default", starts_dead=True, epochs=(epoch(41.2),)),
        make_record("single_task", rul_bias="default", epochs=(epoch(12.0),)),
    ]
    read = readings.default_bias_reading(make_evidence(runs))
    assert read == (
        "With the default output bias 1 of 2 recorded trainings started with a shut RUL head. "
        "Fixed 0.5/0.5, seed 42: validation RMSE 41 cycles at the end."
    )
    nothing = make_evidence()
    assert readings.default_bias_reading(nothing) == nothing.sentence()


def test_the_books_network_stands_beside_the_compact_one(make_record, make_evidence):
    core = make_evidence([make_record(epochs=(epoch(12.0, [30.0]),))])
    paper = make_evidence(
        [
            make_record(network="paper", epochs=(epoch(10.0, [50.0]), epoch(13.5, [90.0]))),
            make_record("single_task", network="paper", diverged=True),
        ],
        "paper-size",
    )
    head, *rows = cells_of(readings.paper_size_shown(paper, {"FD002": core}))
    assert [row[2] for row in rows] == ["paper", "compact", "paper, diverged"]
    assert rows[0][head.index("gradient ratio, median of epochs")] == "70"
    assert rows[0][head.index("best epoch")] == "1 of 2"
    assert "rises by 3.5 to 3.5 cycles" in readings.paper_size_reading(paper)
    assert readings.paper_size_reading(core) == ""
    assert "rulbook sweep" in readings.paper_size_shown(make_evidence(), {}).data


def test_the_overview_leaves_out_methods_with_fewer_seeds_and_the_baselines(
    every_seed, make_record, make_evidence
):
    whole = every_seed(fixed_050=10.0, single_task=12.0)
    few = [make_record("gaba", noise=1.0), make_record("constant", noise=40.0)]
    boosted = make_record("gradient_boosting", noise=11.0)
    read = readings.overview({"FD002": make_evidence([*whole.records, *few, boosted])})
    errors = estimates_table([*whole.records, boosted], "FD002").set_index("method")["rmse"]
    assert read.startswith(
        "* **FD002.** The errors of the 2 network methods with 5 recorded seeds "
    )
    assert f"{errors['fixed_050']:.2f} (Fixed 0.5/0.5)" in read
    assert f"here its error is {errors['single_task']:.2f}. Gradient boosting" in read
    assert read.endswith(f"its error is {errors['gradient_boosting']:.2f}.")
    assert "GABA" not in read
    assert readings.overview({"FD001": make_evidence()}) == "* No network is recorded yet."


def test_the_grid_has_all_of_its_methods():
    assert {name for cells in readings.GRID_ROWS.values() for name in cells} == set(GRID)


def test_every_cell_of_the_table_has_the_runs_that_its_label_names(every_seed, make_evidence):
    core = every_seed(amnl=10.0, fixed_075=20.0)
    claims = readings.table_claims({"protocol": core.records})
    errors = estimates_table(core.records, "FD002").set_index("method")["rmse_mean"]
    assert claims["n24.1-table-050-fd002"].value == pytest.approx(errors["amnl"])
    assert claims["n24.1-table-075-fd002"].value == pytest.approx(errors["fixed_075"])
    assert list(claims["n24.1-table-075-fd002"].conditions) == ["protocol"]
    assert claims["n24.1-table-060-fd002"].value is None
    assert all(find(name) for name in claims)


def test_statements_are_decided_by_their_rules_and_are_rows_of_the_ledger():
    fixed, adaptive = readings.fixed_weight_claims({}), readings.adaptive_claims({})
    assert set(fixed) & set(adaptive) == set()
    assert all(find(name) for name in (*fixed, *adaptive))
    assert adaptive["n4.3-gaba-converged-weights"].value is None


def test_how_far_a_heavy_rul_weight_is_from_the_single_task_is_quoted(every_seed):
    core = every_seed(single_task=10.0, fixed_090=40.0)
    compared = comparison_table(core.records, "FD002", reference="single_task")
    near = readings.fixed_weight_claims({"protocol": core.records})[
        "n24.1-heavy-rul-near-single-measured"
    ]
    assert near.note.startswith(
        f"0.9/0.1 minus single task, in cycles: {compared['difference'][0]:.2f}"
    )
    assert near.note.count(" on FD") == 1
    assert readings.fixed_weight_claims({})["n24.1-heavy-rul-near-single-measured"].note == ""


def test_tables_are_folded_behind_what_they_show(every_seed):
    core = every_seed(fixed_050=10.0, amnl=10.0, gaba=10.0, constant=60.0)
    told = comparison_table(core.records, "FD002", methods=["amnl", "gaba"])["outcome"]
    assert not told.isin(readings.TOLD_APART).any()
    html = readings.method_tables(core, "FD002").data
    assert html.startswith("<details")
    assert (
        "<summary>Tables: all 4 methods: on FD002, none of 2 is told from fixed 0.5/0.5"
    ) in html
    assert html.count("<caption>") == 2
    cells = {"FD002": {"fixed_050": "7.37"}}
    assert "7.37" in readings.sweep_tables(core, ["fixed_050"], cells).data
    assert "four cells against fixed 0.5/0.5" in readings.grid_tables(core).data


def test_the_floor_and_the_trace_are_quoted():
    ends = pd.DataFrame({"ratio": [10, 500], "weighted_ratio": [1.0, 25.0]})
    values = readings.floor_values(ends)
    assert values["left-500"] == 25.0
    assert values["lowest"] == pytest.approx(0.05 / 1.05)
    trace = pd.DataFrame(
        {
            "step": [0, 1, 2],
            "bound": [False, True, True],
            "weight": [0.5, 0.05, 0.048],
            "wanted": [0.01, 0.002, 0.004],
        }
    )
    values = readings.trace_values(trace, "a fleet", 64)
    assert (values["weight-low"], values["weight-high"]) == (0.048, 0.05)
    assert (values["steps"], values["wanted"]) == (3, pytest.approx(0.003))
    assert values["bound-at"] != "no"
    never = readings.trace_values(trace.assign(bound=False), "a fleet", 64)
    assert never["bound-at"] == "no"
