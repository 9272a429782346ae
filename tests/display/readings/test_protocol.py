import numpy as np
import pandas as pd
import pytest

from rulbook.data.prepare import Recipe
from rulbook.display.readings import protocol as readings
from rulbook.display.results import within
from rulbook.statistics import MARGIN, Outcome, compare_crossed
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import comparison_table, rmse_by_seed

from ..conftest import cells_of, epoch


@pytest.fixture
def core(make_record, make_evidence):
    return make_evidence(
        make_record(name, seed=seed, epochs=(epoch(12.0), epoch(11.0)))
        for name in ("single_task", "fixed_050", "dwa")
        for seed in SEEDS
    )


@pytest.mark.parametrize(
    ("other_losses", "words"),
    [
        (
            lambda losses: losses,
            "0.00 [0.00,\u00a00.00] cycles: not told apart from none, and shown",
        ),
        (lambda losses: 4 * losses, "cycles: lower, and not shown"),
    ],
    ids=["alike", "twice as large"],
)
def test_dropped_settings_are_told_from_none_and_measured(other_losses, words):
    losses = np.random.default_rng(0).uniform(50.0, 200.0, size=(5, 40))
    (compared,) = compare_crossed([(losses, other_losses(losses))], margin=MARGIN)
    said = readings.sensors_reading(compared, "C-MAPSS")
    assert words in said
    assert "(5 fits of each, paired by seed and test engine, C-MAPSS)" in said


@pytest.fixture
def nothing(make_evidence):
    return make_evidence()


def test_printed_errors_rise():
    claims = readings.printed_for_fd002()
    printed = [float(claim.printed_number) for claim in claims]
    assert printed == sorted(printed)
    _, *rows = cells_of(readings.printed_shown(claims))
    assert [row[2] for row in rows] == [claim.printed_words for claim in claims]


def test_choices_without_an_interval_show_the_error_alone():
    choices = pd.DataFrame(
        {
            "subset": "FD002",
            "choice": ["one", "another"],
            "scored_on": "windows",
            "windows": [3, 4],
            "rmse": [13.0, 7.5],
            "low": [12.0, float("nan")],
            "high": [14.0, float("nan")],
        }
    )
    _, first, second = cells_of(readings.choices_shown(choices, "a fleet"))
    assert first[-1] == within(13.0, 12.0, 14.0)
    assert second[-1] == "7.50"


def test_both_conventions_are_shown_and_read(core, nothing):
    _, *rows = cells_of(readings.conventions_shown(core))
    assert [row[1] for row in rows] == ["Single task (RUL only)", "Fixed 0.5/0.5"]
    capped, uncapped = (
        rmse_by_seed(core.records, "FD002", "single_task", capped=is_capped).value
        for is_capped in (True, False)
    )
    read = readings.conventions_reading(core)
    assert f"{capped:.2f} cycles against capped lives and {uncapped:.2f} against" in read
    assert "FD004" not in read
    assert readings.conventions_reading(nothing).endswith("is not recorded yet.")
    assert "rulbook sweep core" in readings.conventions_shown(nothing).data


def test_the_gain_of_looking_at_the_test_engines_is_over_seeds(make_record, make_evidence, nothing):
    watched = make_evidence(
        make_record(
            seed=seed,
            watch_test=True,
            epochs=(epoch(9.0, test_rmse=14.0 + gain), epoch(9.5, test_rmse=14.0)),
        )
        for seed, gain in ((42, 1.0), (123, 2.0))
    )
    head, row = cells_of(readings.selection_shown(watched))
    cells = dict(zip(head, row, strict=True))
    assert cells["gain"].startswith("1.50 [")
    assert cells["best on test"].startswith("14.00")
    assert "rulbook sweep test-selection" in readings.selection_shown(nothing).data


def test_other_recipes_stand_beside_the_protocol(core, make_record, make_evidence, nothing):
    recipes = make_evidence(
        [
            make_record(
                recipe=Recipe(split_by="window"), epochs=(epoch(9.0), epoch(8.0))
            ).model_copy(update={"selected_epoch": 1}),
            make_record(recipe=Recipe(features="sensors"), epochs=(epoch(12.0),)),
        ]
    )
    variants = readings.recipe_variants(core, recipes)
    assert variants["choice"].tolist() == [
        "the protocol",
        "14 sensors for 17 features",
        "validation split by window",
    ]
    read = readings.window_split_reading(core, recipes)
    assert (
        "the best epoch is number 1. When windows are held out, it is number 2 of at most" in read
    )
    assert "validation error that is then reported is 8.00 cycles" in read
    assert readings.window_split_reading(core, nothing) == nothing.sentence()


def test_a_printed_difference_is_held_against_the_noise(core, nothing, make_evidence):
    (row,) = comparison_table(core.records, "FD002", methods=["single_task"]).itertuples()
    assert f"would have found four times out of five is {row.smallest_detectable:.2f}" in (
        readings.difference_reading(core, 0.1)
    )
    seen = row.smallest_detectable
    assert "could well miss it" in readings.difference_reading(core, 0.9 * seen)
    assert "as large as the source's" in readings.difference_reading(core, 1.1 * seen)
    assert "not both recorded yet" in readings.difference_reading(nothing, 1.0)
    few = make_evidence(run for run in core.records if run.config.seed != 42)
    assert readings.difference_reading(few, 1.0) == ("With 4 seeds the noise is not known yet.")


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome.TIE, "cycles, a tie."),
        (Outcome.EQUIVALENT, "cycles, equivalent."),
        (Outcome.LOWER, "cycles, a difference: lower."),
    ],
)
def test_every_outcome_of_the_difference_reads_as_a_sentence(core, monkeypatch, outcome, said):
    compared = comparison_table(core.records, "FD002", methods=["single_task"])
    monkeypatch.setattr(
        readings, "comparison_table", lambda *_, **__: compared.assign(outcome=outcome)
    )
    assert said in readings.difference_reading(core, 0.1)


def test_the_explorer_has_the_trees_and_a_network_where_one_is_recorded(core, nothing):
    trees = pd.DataFrame({"predicted": [1.0]})
    assert list(readings.predictions_to_explore(nothing, trees, "a fleet")) == [
        "trees, live on a fleet"
    ]
    assert list(readings.predictions_to_explore(core, trees, "a fleet"))[1:] == [
        f"network 0.5/0.5, seed {SEEDS[0]}"
    ]


def test_choices_are_quoted_on_the_first_subset():
    names = (
        *("the protocol", "14 sensors for 17 features", "uncapped test targets"),
        *("uncapped targets throughout", "all windows for the last", "validation engines"),
        *("validation windows", "trained on the random draw"),
    )
    choices = pd.DataFrame({"choice": names, "rmse": range(10, 18), "subset": "FD002"})
    other = choices.assign(subset="FD004", rmse=99)
    values = readings.choice_values(pd.concat([choices, other]), "a fleet")
    assert (values["protocol"], values["engines"], values["windows"]) == (10, 15, 16)
    assert values["leak"] == pytest.approx(100 * (1 - 16 / 15))
    assert 99 not in values.values()


def test_what_selection_on_test_gains_is_quoted_for_trees_and_networks(make_record, make_evidence):
    chosen, best = (pd.Series({"trees": n, "test_rmse": e}) for n, e in ((40, 13.5), (55, 13.25)))
    jumping = (epoch(14.0, test_rmse=15.0), epoch(14.5, test_rmse=13.0))
    watched = make_evidence(
        [
            make_record(watch_test=True, epochs=jumping),
            make_record("single_task", watch_test=True, epochs=jumping[:1]),
        ]
    )
    assert readings.selection_values(chosen, best, watched) == {
        "trees-chosen": 40,
        "trees-best": 55,
        "test-chosen": 13.5,
        "test-best": 13.25,
        "trees-gain": 0.25,
        "watched": 2,
        "least-gain": 0.0,
        "most-gain": 2.0,
    }
