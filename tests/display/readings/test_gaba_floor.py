import pandas as pd
import pytest

from rulbook.display.readings import gaba_floor as readings
from rulbook.display.results import within
from rulbook.experiments.gaba_floor import floor_by_ratio
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import compare_groups, comparison_table

from ..conftest import cells_of


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


def test_the_floor_and_the_trace_are_quoted():
    ends = floor_by_ratio([10, 500])
    values = readings.floor_values(ends)
    assert values["end-500"] == pytest.approx(0.05 / (1.05 - 1 / 501))
    assert values["left-500"] == pytest.approx(500 * values["end-500"] / (1 - values["end-500"]))
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
