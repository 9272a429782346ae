"""The explorer of the front page, which is no notebook, and the figure beside it."""

import re
import shutil

import matplotlib
import pytest

from rulbook.claims.collect import claims_table
from rulbook.claims.ledger import SECTIONS
from rulbook.data import SUBSETS, load
from rulbook.data.prepare import Recipe, prepare
from rulbook.display.readings.training_conditions import (
    comparison_values,
    gap_to_boosting,
    lower_than_equal_weights,
)
from rulbook.publishing import front_page
from rulbook.publishing.layout import of_checkout
from rulbook.statistics import TOLD_APART, Outcome
from rulbook.studies.by_condition import condition_tables, records_by_condition
from rulbook.studies.by_measure import CROSS_ENTROPY, measure_tables
from rulbook.studies.claim_rules import ADAPTIVE_METHODS, BOOK_SUBSETS, is_near_chance
from rulbook.studies.competence import competence_table
from rulbook.studies.condition_rules import rule_of
from rulbook.studies.evidence import completed_runs, records_under
from rulbook.studies.methods import METHODS
from rulbook.studies.tuned_comparison import TUNED_REFERENCE, tuned_table
from rulbook.training.baselines import boosting_validation_rmse


def test_the_figure_names_every_section_and_its_counts(tmp_path):
    rows = claims_table(tmp_path)
    alt = front_page.verdicts_by_section(rows).alt
    for number, section in SECTIONS.items():
        words = re.search(rf"{re.escape(section.name)}: ([^;.]*)", alt)
        assert words
        counts = sum(int(count) for count in re.findall(r"\d+", words[1]))
        assert counts == sum(row["section"] == number for row in rows)


def test_the_figure_is_saved_with_those_of_the_chapters(tmp_path):
    rows = claims_table(tmp_path)
    saved = front_page.save_figure(rows, tmp_path / "figures")
    before = [path.read_bytes() for path in saved]
    assert [path.name for path in saved] == ["index-verdicts.png", "index-verdicts.svg"]
    front_page.save_figure(rows, tmp_path / "figures")
    assert [path.read_bytes() for path in saved] == before


def test_a_matplotlibrc_of_the_builders_leaves_the_figure_as_it_is(tmp_path):
    rows = claims_table(tmp_path)
    before = front_page.verdicts_by_section(rows).svg
    with matplotlib.rc_context({"axes.facecolor": "black", "font.family": "serif"}):
        assert front_page.verdicts_by_section(rows).svg == before


@pytest.fixture(scope="module")
def compared():
    """Compare every method with equal weights under every training condition, as recorded."""
    return condition_tables(records_by_condition())


@pytest.fixture
def front_page_text():
    return " ".join((of_checkout().book / "index.md").read_text(encoding="utf-8").split())


@pytest.mark.slow
def test_under_the_protocol_no_weighting_is_lower_as_the_front_page_says(compared, front_page_text):
    assert "**Under the protocol no weighting is shown to beat equal weights" in front_page_text
    protocol = compared[compared["condition"] == "protocol"]
    lower = protocol.loc[protocol["outcome"] == Outcome.LOWER, "method"]
    assert set(lower) <= {"gradient_boosting"}
    assert set(protocol["subset"]) == set(SUBSETS)


@pytest.mark.slow
def test_most_adaptive_methods_have_their_seeds_where_the_front_page_says(
    compared, front_page_text
):
    assert "most adaptive methods have their seeds only at a smaller batch" in front_page_text
    adaptive = compared[compared["method"].isin(ADAPTIVE_METHODS)]
    has_outcome = adaptive["difference_low"].notna()
    for (condition, subset), rows in adaptive.assign(has_outcome=has_outcome).groupby(
        ["condition", "subset"]
    ):
        share = rows["has_outcome"].mean()
        if condition == "protocol":
            assert share == (subset in BOOK_SUBSETS)
        elif condition == "book-batch" and subset not in BOOK_SUBSETS:
            assert share >= 0.5


@pytest.mark.slow
def test_under_other_conditions_one_method_of_equal_weights_is_lower_as_the_front_page_says(
    compared, front_page_text
):
    lower = lower_than_equal_weights(compared)
    assert "one [shows a lower error]" in front_page_text
    assert list(lower["method"]) == ["amnl"]
    same_pair = compared[(compared["method"] == "amnl") & compared["difference_low"].notna()]
    assert "All are ties, with settings searched on this subset too." in front_page_text
    elsewhere = same_pair.drop(lower.index)
    assert set(elsewhere["outcome"]) == {Outcome.TIE}
    assert "AMNL's error is the lower one in each" in front_page_text
    assert (-elsewhere["smallest_detectable"] < elsewhere["difference"]).all()
    assert (elsewhere["difference"] < 0).all()
    values = comparison_values(compared)
    assert values["pair-elsewhere"] == len(elsewhere)
    assert values["pair-seen-low"] == elsewhere["smallest_detectable"].min()
    assert values["pair-seen-high"] == elsewhere["smallest_detectable"].max()
    families = compared[compared["difference_low"].notna()].groupby(["subset", "condition"])
    assert values["by-chance"] == f"{0.05 * values['families']:.0f}"
    assert 0 < values["families"] <= families.ngroups
    assert METHODS["amnl"].weighting == "fixed_050"


@pytest.mark.slow
def test_under_sgd_two_weightings_train_the_health_head_as_the_front_page_says(front_page_text):
    assert "Under SGD the weights decide how well the health head learns" in front_page_text
    records = {name: records_under(name) for name in ("protocol", "sgd")}
    compared = measure_tables(records)
    cross_entropy = compared[compared["measure"] == CROSS_ENTROPY]
    under_sgd = cross_entropy[cross_entropy["condition"] == "sgd"]
    told = under_sgd.loc[under_sgd["outcome"] == Outcome.LOWER]
    lower = set(zip(told["subset"], told["method"], strict=True))
    assert "equal weights leave it behind on every subset" in front_page_text
    assert {(subset, "fixed_0002") for subset in SUBSETS} <= lower
    assert "GABA is ahead of equal weights on each too" in front_page_text
    assert {(subset, "gaba") for subset in SUBSETS} <= lower
    runs = completed_runs(records["sgd"])
    near_chance = {
        method: [
            sum(
                is_near_chance(run.selected_validation().balanced_accuracy)
                for run in runs[subset, method].values()
            )
            for subset in SUBSETS
        ]
        for method in ("fixed_050", "fixed_0002", "gaba")
    }
    assert "on two of them every seed's mean recall is near chance" in front_page_text
    assert [count == 5 for count in near_chance["fixed_050"]] == [True, True, False, False]
    assert "A small RUL weight](07-ablation-tables) trains it on each." in front_page_text
    assert not any(near_chance["fixed_0002"])
    assert "though a few of its seeds stay near chance" in front_page_text
    assert 0 < sum(near_chance["gaba"]) < 5
    plateau = rule_of("n12.4-symptom-hs-plateau")
    assert plateau.by_subset(records["sgd"])["FD001"] is True
    assert plateau.holds(records["protocol"]) is False


@pytest.mark.slow
def test_where_a_method_is_lower_equal_weights_are_behind_boosting_as_the_front_page_says(
    compared, real_data, front_page_text
):
    assert "cycles behind gradient boosting" in front_page_text
    (row,) = lower_than_equal_weights(compared).itertuples()
    records = records_by_condition()
    validation = boosting_validation_rmse(prepare(load(row.subset, "cmapss"), Recipe()))
    table = competence_table({row.condition: records[row.condition]}, {row.subset: validation})
    equal = table[table["method"] == "fixed_050"]
    assert not equal["competent"].item()
    assert gap_to_boosting(table, compared).startswith(f"{equal['difference'].item():.2f} [")
    searched = f"searched-{row.subset.lower()}"
    table = competence_table({searched: records[searched]}, {row.subset: validation})
    assert table.loc[table["method"] == "fixed_050", "competent"].item()
    again = compared[(compared["condition"] == searched) & (compared["method"] == row.method)]
    assert again["outcome"].item() == Outcome.TIE


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["searched-fd001", "searched-fd003"])
def test_with_searched_settings_no_method_is_told_from_equal_weights_as_chapter_07_says(
    compared, condition
):
    searched = compared[compared["condition"] == condition]
    decided = searched[searched["difference_low"].notna()].set_index("method")
    assert {"single_task", "gaba", "grace", "amnl"} <= set(decided.index)
    assert not set(decided["outcome"].drop("gradient_boosting")) & set(TOLD_APART)


@pytest.mark.slow
def test_tuned_alike_no_method_is_told_from_tuned_fixed_weights_as_the_front_page_says(
    front_page_text,
):
    assert "on one subset, no method is shown to beat fixed weights" in front_page_text
    tuned = tuned_table("FD001").set_index("method")["outcome"].drop(TUNED_REFERENCE)
    assert set(tuned) <= {Outcome.TIE, Outcome.EQUIVALENT}


@pytest.mark.slow
def test_the_explorer_answers_on_a_page_that_is_no_notebook(assets, tmp_path, visit):
    shutil.copytree(assets, tmp_path, dirs_exist_ok=True)
    html = front_page.embedded(front_page.tug_of_war())
    page_file = tmp_path / "index.html"
    page_file.write_text(f"<!DOCTYPE html><meta charset='utf-8'><body>{html}", encoding="utf-8")
    opened = visit(page_file.as_uri())
    reading = opened.page.locator(".rulbook-explorer .rulbook-explorer-reading")
    reading.wait_for()
    assert "RUL pulling 10 times" in reading.inner_text()
    opened.page.locator(".noUi-handle").press("ArrowRight")
    opened.page.get_by_role("button", name="balancing").click()
    opened.page.wait_for_function(
        "document.querySelector('.rulbook-explorer .rulbook-explorer-reading').innerText"
        ".includes('balancing weights and RUL pulling 30 times')"
    )
    assert "+0.000" in reading.inner_text()
    assert opened.asked_elsewhere == []
    assert opened.complaints == []
