import pytest

from rulbook.claims.ledger import find
from rulbook.display.readings import ablation as readings
from rulbook.display.results import within
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import comparison_table, estimates_table
from rulbook.studies.grid import GRID, main_effects
from rulbook.studies.methods import FIXED_METHODS, METHODS

from ..conftest import cells_of


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


@pytest.mark.parametrize(
    ("by_batch", "said"),
    [
        ((27.3, 26.5), "not capped: 27.30, 26.50"),
        ((27.3, 40.0), "not capped: 27.30"),
        ((40.0, 40.0), ""),
    ],
)
def test_an_agreement_against_uncapped_rul_is_noted_and_decides_nothing(
    monkeypatch, by_batch, said
):
    """The source prints 26.92 and does not say whether the RUL of its test engines is capped."""

    def errors(records, subset, method, *, capped=True):
        values = (14.0, 15.0) if capped else by_batch
        return dict(zip(("protocol", "book-batch"), values, strict=True))

    monkeypatch.setattr(readings, "errors_by_condition", errors)
    answer = readings.table_claims({})["n24.1-table-single-task-fd002"]
    assert answer.value == 14.0
    assert answer.conditions == {"protocol": False, "book-batch": False}
    assert answer.note == said


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
