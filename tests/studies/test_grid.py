import pytest

from rulbook.statistics import holm
from rulbook.studies import grid
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import compare_groups
from rulbook.studies.grid import GRID, MAIN_EFFECTS, main_effects


@pytest.fixture
def records(make_record):
    return [
        make_record(name, "FD002", seed, noise=10.0 if name in ("gaba", "grace") else 14.0)
        for name in GRID
        for seed in SEEDS
    ]


def test_each_change_is_taken_over_both_values_of_the_other(records):
    effects = main_effects(records, ["FD002", "FD004"])
    assert effects["change"].tolist() == list(MAIN_EFFECTS)
    assert set(effects["subset"]) == {"FD002"}
    alone = compare_groups(records, "FD002", *MAIN_EFFECTS["GABA for fixed 0.5/0.5"])
    assert effects["difference"][0] == alone.difference < 0
    assert effects["p_holm"].tolist() == holm(effects["p_value"].tolist())


def test_a_grid_with_a_run_missing_has_no_effects(records):
    effects = main_effects(records[1:], ["FD002"])
    assert effects.empty
    assert "p_holm" in effects


def test_every_effect_sets_two_cells_against_the_other_two():
    for with_it, without_it in MAIN_EFFECTS.values():
        assert sorted([*with_it, *without_it]) == sorted(GRID)


def test_the_grid_crosses_two_weightings_with_two_inner_losses(monkeypatch):
    assert grid.is_two_by_two()
    monkeypatch.setattr(grid, "GRID", ("fixed_050", "amnl", "gaba", "dwa"))
    assert not grid.is_two_by_two()
