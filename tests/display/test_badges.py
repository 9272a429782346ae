"""What a badge shows, and that what it records can be read back from an executed notebook."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output

from rulbook.claims.collect import collect
from rulbook.claims.decision import Answer, Decision
from rulbook.display import check, check_all, claims_of, glue, glue_all
from rulbook.display.badges import MARKS, Mark
from rulbook.errors import RulbookError, UsageError
from rulbook.publishing import recorded_values
from rulbook.studies.conditions import training_condition

from ..ledger_rows import WAITING, make_row
from .conftest import contrast

UseLedger = Callable[..., Any]
CONTRADICTION = {
    "expected": "inconsistent",
    "reason": "so",
    "other": {"where": "there", "statement": "It is 708.", "printed": "708"},
}


@pytest.fixture(autouse=True, scope="module")
def _shell() -> Iterator[None]:
    """Outputs are captured as a kernel would send them only where there is a shell."""
    InteractiveShell.instance()
    yield
    InteractiveShell.clear_instance()


def outputs_of(cell: Callable[[], None]) -> list[dict[str, Any]]:
    """Run a cell and return its outputs as a notebook stores them, after JSON and back."""
    captured: CapturedIO
    with capture_output() as captured:
        cell()
    return json.loads(
        json.dumps(
            [
                {"output_type": "display_data", "data": shown.data, "metadata": shown.metadata}
                for shown in captured.outputs
            ],
            allow_nan=False,
        )
    )


def read_back(cell: Callable[[], None], folder: Path) -> list[Decision]:
    """Return the decisions of a cell by way of a notebook on disk."""
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": "words"},
            {"cell_type": "code", "metadata": {}, "source": "", "outputs": outputs_of(cell)},
        ],
    }
    (folder / "06-equal-weights.ipynb").write_text(json.dumps(notebook), "utf-8")
    decided = collect(folder)
    assert {entry.chapter for entry in decided} <= {"06-equal-weights"}
    return [entry.decision for entry in decided]


def badge_of(cell: Callable[[], None]) -> str:
    return str(outputs_of(cell)[0]["data"]["text/html"])


def notebook_of(cell: Callable[[], None]) -> nbformat.NotebookNode:
    """Return a notebook of a cell that was run."""
    return nbformat.from_dict({"cells": [{"outputs": outputs_of(cell)}]})


def glued(cell: Callable[[], None]) -> dict[str, str]:
    return recorded_values.glued(notebook_of(cell))


def words(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


@pytest.mark.parametrize("kind", [float, np.float64, torch.tensor, np.array])
def test_a_value_survives_the_notebook(
    use_ledger: UseLedger, tmp_path: Path, kind: Callable[[float], object]
) -> None:
    use_ledger(make_row())
    [decision] = read_back(lambda: check("n24.1-mean", kind(6.8125)), tmp_path)
    assert decision == Decision("n24.1-mean", "refuted", measured=6.8125, shown="6.8125")


def test_everything_a_badge_is_told_survives(use_ledger: UseLedger, tmp_path: Path) -> None:
    use_ledger(make_row(needs="cmapss"))
    [decision] = read_back(
        lambda: check(
            "n24.1-mean", 6.82, source="cmapss", interval=(6.5, np.float64(7.1)), note="five seeds"
        ),
        tmp_path,
    )
    assert decision.verdict == "reproduced"
    assert decision.source == "cmapss"
    assert tuple(decision.interval or ()) == (6.5, 7.1)
    assert decision.note == "five seeds"


@pytest.mark.parametrize(
    ("value", "stored"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (False, False)]
)
def test_values_json_lacks_survive_as_words(
    use_ledger: UseLedger, tmp_path: Path, value: object, stored: object
) -> None:
    use_ledger(make_row(printed=True) if isinstance(value, bool) else make_row())
    [decision] = read_back(lambda: check("n24.1-mean", value), tmp_path)
    assert decision.measured == stored
    assert type(decision.measured) is type(stored)
    assert decision.verdict == "refuted"


def test_a_badge_shows_both_numbers_and_the_verdict_in_words(use_ledger: UseLedger) -> None:
    use_ledger(make_row())
    html = badge_of(lambda: check("n24.1-mean", 6.815))
    assert words(html) == "printed: 6.82 · ours: 6.815 · ✓ reproduced · n24.1-mean"
    assert 'id="claim-n24.1-mean"' in html
    assert 'href="report.html#claim-n24.1-mean"' in html
    plain = outputs_of(lambda: check("n24.1-mean", 6.815))[0]["data"]["text/plain"]
    assert plain == "n24.1-mean: printed: 6.82 · ours: 6.815 · reproduced"


def test_a_badge_says_when_the_verdict_moved_and_does_not_stop_the_notebook(
    use_ledger: UseLedger,
) -> None:
    use_ledger(make_row())
    told = words(badge_of(lambda: check("n24.1-mean", 7.5)))
    assert (
        told
        == "printed: 6.82 · ours: 7.50 · ✗ refuted · the ledger expects reproduced · n24.1-mean"
    )


def test_a_badge_shows_interval_and_note(use_ledger: UseLedger) -> None:
    use_ledger(make_row(unit="cycles"))
    told = words(badge_of(lambda: check("n24.1-mean", 6.82, interval=(6.5, 7.1), note="FD002")))
    assert "ours: 6.82 cycles [6.50 cycles, 7.10 cycles] · ✓ reproduced · FD002" in told


def test_a_claim_in_words_stands_in_its_badge(use_ledger: UseLedger) -> None:
    use_ledger(make_row(printed=True, statement="0.5 < 0.6 & so on."))
    html = badge_of(lambda: check("n24.1-mean", True))
    assert "printed: 0.5 &lt; 0.6 &amp; so on. · ours: holds" in html


def test_every_verdict_has_its_own_sign() -> None:
    signs = [mark.sign for mark in MARKS.values()]
    assert len(set(signs)) == len(signs) == 7


BY_CONDITION = {"tier": "statistical", "needs": "records", "kind": "ranking", "printed": True}


def test_a_claim_decided_under_conditions_shows_them_as_a_strip(
    use_ledger: UseLedger, tmp_path: Path
) -> None:
    use_ledger(
        make_row(**BY_CONDITION, expected="depends", reason="Plain SGD does.", conditions="FD001.")
    )
    conditions = {"protocol": False, "caps": None, "sgd": True, "no-clip": "partly"}

    def cell() -> None:
        check("n24.1-mean", conditions=conditions)

    html = badge_of(cell)
    assert "± </span>" in html or "±</span>" in html
    assert (
        "✗ the protocol; ✓ SGD, clipped; ✓ and ✗ gradients not clipped; – (open) target in caps"
    ) in html
    assert "the ledger expects" not in html
    (decision,) = read_back(cell, tmp_path)
    assert (decision.verdict, decision.conditions) == ("depends", conditions)


def test_settings_in_words_stand_in_their_order(use_ledger: UseLedger, tmp_path: Path) -> None:
    on_data = BY_CONDITION | {"needs": "cmapss", "kind": "behaviour"}
    use_ledger(make_row(**on_data, expected="depends", reason="Rates.", conditions="FD001."))
    holds = {"SGD at its limit": True, "AdamW at 3 rates": False}

    def cell() -> None:
        check("n24.1-mean", conditions=holds, source="cmapss")

    assert "✓ SGD at its limit; ✗ AdamW at 3 rates" in badge_of(cell)
    (decision,) = read_back(cell, tmp_path)
    assert decision.verdict == "depends"
    with pytest.raises(RulbookError, match="needs C-MAPSS"):
        check("n24.1-mean", conditions=holds)


def test_conditions_are_not_compared_on_simulated_data(
    use_ledger: UseLedger, tmp_path: Path
) -> None:
    use_ledger(make_row(**BY_CONDITION | {"needs": "cmapss", "kind": "behaviour"}))
    conditions = {"SGD at its limit": False}
    [decision] = read_back(
        lambda: check("n24.1-mean", conditions=conditions, source="simulated"), tmp_path
    )
    assert (decision.verdict, decision.recorded) == ("reproduced", True)


def test_a_table_takes_values_and_conditions(use_ledger: UseLedger, tmp_path: Path) -> None:
    use_ledger(make_row(), make_row(id="n24.1-other", **BY_CONDITION))
    conditions = {"protocol": True, "sgd": None}

    def cell() -> None:
        check_all({"n24.1-mean": 6.82, "n24.1-other": conditions})

    plain, by_condition = read_back(cell, tmp_path)
    assert (plain.measured, plain.conditions) == (6.82, None)
    assert (by_condition.measured, by_condition.conditions) == (True, conditions)


def test_a_condition_that_nobody_defined_is_an_error(use_ledger: UseLedger) -> None:
    use_ledger(make_row(**BY_CONDITION))
    with pytest.raises(UsageError, match=r"nonesuch.*book-batch"):
        check("n24.1-mean", conditions={"protocol": True, "nonesuch": False})


@pytest.mark.parametrize("conditions", [{}, {"protocol": None}, {"window-split": True}])
def test_a_claim_that_no_condition_decides_gets_no_verdict(
    use_ledger: UseLedger, conditions: dict[str, bool | None]
) -> None:
    use_ledger(make_row(**BY_CONDITION))
    with pytest.raises(RulbookError, match="let it wait for records"):
        check("n24.1-mean", conditions=conditions)
    use_ledger(make_row(**WAITING | {"printed": True}))
    check("n24.1-mean", conditions=conditions)


def test_figures_and_exact_claims_have_no_conditions(use_ledger: UseLedger) -> None:
    for row in (make_row(), make_row(**BY_CONDITION | {"printed": "6.82"})):
        use_ledger(row)
        with pytest.raises(RulbookError, match="decide it by its value"):
            check("n24.1-mean", conditions={"protocol": True})


def test_several_values_make_one_place(use_ledger: UseLedger, tmp_path: Path) -> None:
    use_ledger(make_row(), make_row(id="n24.1-u-shape", printed=True))

    def cell() -> None:
        check_all({"n24.1-mean": 6.82, "n24.1-u-shape": False})

    decisions = read_back(cell, tmp_path)
    assert [(entry.claim, entry.verdict) for entry in decisions] == [
        ("n24.1-mean", "reproduced"),
        ("n24.1-u-shape", "refuted"),
    ]
    opened, folded = badge_of(cell).split("<details")
    assert 'tr id="claim-n24.1-u-shape"' in opened
    assert 'tr id="claim-n24.1-mean"' in folded
    assert set(glued(cell)) == {
        *("n24.1-mean", "n24.1-mean-printed"),
        *("n24.1-u-shape", "n24.1-u-shape-printed"),
    }


FIGURES = {f"n24.1-t-{row}-{column}": "6.82" for row in "abc" for column in ("rul", "hs")}


def line_of(html: str) -> str:
    found = re.search(r"<(p|summary)[^>]*>(.*?)</\1>", html, re.DOTALL)
    assert found
    return words(found[2])


def use_table(use_ledger: UseLedger) -> None:
    use_ledger(
        *(make_row(id=name, where=f"table of means, row {name[8]}") for name in FIGURES),
        make_row(id="n24.1-u-shape", printed=True, where="table of means, reading"),
    )


def test_what_holds_is_one_closed_line(use_ledger: UseLedger) -> None:
    use_ledger(make_row(), make_row(id="n24.1-u-shape", printed=True))
    html = badge_of(lambda: check_all({"n24.1-mean": 6.82, "n24.1-u-shape": True}))
    assert line_of(html) == "2 claims, table, first row: ✓ 2 reproduced"
    assert html.index("<details") < html.index("<table")
    assert "<details open" not in html


def test_cells_of_a_printed_table_are_that_table_open_where_one_does_not_hold(
    use_ledger: UseLedger,
) -> None:
    use_table(use_ledger)
    values = dict.fromkeys(FIGURES, 6.82)
    held = badge_of(lambda: check_all(values))
    assert line_of(held) == "6 figures, table of means: ✓ 6 reproduced"
    assert held.index("<details") < held.index("<table")
    html = badge_of(lambda: check_all(values | {"n24.1-t-b-hs": 7.0}))
    assert line_of(html) == (
        "6 figures, table of means: ✓ 5 reproduced, ✗ 1 refuted (health loss, b)"
    )
    assert "<details" not in html
    assert re.findall(r'<td id="claim-([^"]+)"', html) == list(FIGURES)
    assert [words(row) for row in re.findall(r"<th[^>]*>(.*?)</th>", html)] == [
        *("RUL loss", "health loss", "a", "b", "c"),
    ]


def test_a_claim_beside_the_table_has_a_row_of_its_own(use_ledger: UseLedger) -> None:
    use_table(use_ledger)
    html = badge_of(lambda: check_all(dict.fromkeys(FIGURES, 6.82) | {"n24.1-u-shape": False}))
    assert line_of(html) == "7 claims, table of means: ✓ 6 reproduced, ✗ 1 refuted"
    opened, folded = html.split("<details")
    assert re.findall(r'id="claim-([^"]+)"', opened) == ["n24.1-u-shape"]
    assert re.findall(r'id="claim-([^"]+)"', folded) == list(FIGURES)


def test_what_cannot_be_decided_is_folded_too(use_ledger: UseLedger) -> None:
    undecidable = {"expected": "undecidable", "missing": "all", "reason": "so"}
    use_ledger(make_row(), make_row(id="n24.1-u-shape", **undecidable))
    html = badge_of(lambda: check_all({"n24.1-mean": 6.82, "n24.1-u-shape": None}))
    assert line_of(html) == "2 figures, table, first row: ✓ 1 reproduced, ? 1 undecidable"
    assert html.index("<details") < html.index("<table")


def test_an_answer_brings_its_note_and_its_conditions(use_ledger: UseLedger) -> None:
    use_ledger(make_row(), make_row(id="n24.1-other", **BY_CONDITION))
    answers = {
        "n24.1-mean": Answer(6.82, "five seeds"),
        "n24.1-other": Answer(conditions={"protocol": True}),
    }
    html = words(badge_of(lambda: check_all(answers)))
    assert "reproduced · five seeds" in html
    assert f"✓ {training_condition('protocol').label}" in html


def test_a_verdict_that_moved_is_never_folded(use_ledger: UseLedger) -> None:
    use_ledger(make_row(expected="refuted", reason="so"))
    html = badge_of(lambda: check_all({"n24.1-mean": 6.82}))
    assert "the ledger expects refuted" in html
    assert "<details" not in html


@pytest.mark.parametrize("mark", MARKS.values())
def test_marks_stand_out_from_the_paper_of_both_themes(mark: Mark) -> None:
    for colour, paper in ((mark.on_light, "#ffffff"), (mark.on_dark, "#14181e")):
        assert contrast(colour, paper) >= 4.5


def test_simulated_data_compares_nothing(use_ledger: UseLedger, tmp_path: Path) -> None:
    use_ledger(make_row(needs="cmapss"))

    def cell() -> None:
        check("n24.1-mean", 99.0, source="simulated")

    [decision] = read_back(cell, tmp_path)
    assert decision.verdict == "reproduced"
    assert decision.recorded
    assert decision.measured is None
    assert "recorded on C-MAPSS" in words(badge_of(cell))
    assert glued(cell)["n24.1-mean"] == "99.0"


def test_simulated_data_needs_no_value(use_ledger: UseLedger) -> None:
    use_ledger(make_row(needs="cmapss"))
    values = glued(lambda: check("n24.1-mean", source="simulated"))
    assert math.isnan(float(values["n24.1-mean"]))


def test_a_claim_on_real_data_asks_where_the_value_came_from(use_ledger: UseLedger) -> None:
    use_ledger(make_row(needs="cmapss"))
    with pytest.raises(RulbookError, match=r"n24\.1-mean needs C-MAPSS: pass source=fleet\.source"):
        check("n24.1-mean", 6.82)


def test_simulated_data_is_compared_where_the_claim_needs_none(
    use_ledger: UseLedger, tmp_path: Path
) -> None:
    use_ledger(make_row())
    [decision] = read_back(lambda: check("n24.1-mean", 9.0, source="simulated"), tmp_path)
    assert decision.verdict == "refuted"


def test_a_measured_claim_needs_a_value(use_ledger: UseLedger) -> None:
    use_ledger(make_row())
    with pytest.raises(RulbookError, match=r"n24\.1-mean needs a value"):
        check("n24.1-mean")


def test_a_claim_that_waits_says_so(use_ledger: UseLedger, tmp_path: Path) -> None:
    use_ledger(make_row(**WAITING))
    assert "… waiting for records" in words(badge_of(lambda: check("n24.1-mean")))
    [decision] = read_back(lambda: check("n24.1-mean"), tmp_path)
    assert decision.verdict is None


def test_a_claim_that_waits_is_decided_once_there_is_a_value(
    use_ledger: UseLedger, tmp_path: Path
) -> None:
    use_ledger(make_row(**WAITING))
    [decision] = read_back(lambda: check("n24.1-mean", 9.0), tmp_path)
    assert decision.verdict == "not_reproduced"


def test_what_the_text_settles_is_shown_with_and_without_a_value(
    use_ledger: UseLedger, tmp_path: Path
) -> None:
    use_ledger(make_row(**CONTRADICTION))
    assert read_back(lambda: check("n24.1-mean"), tmp_path)[0].verdict == "inconsistent"
    [decision] = read_back(lambda: check("n24.1-mean", 6.82), tmp_path)
    assert decision.verdict == "inconsistent"
    assert decision.measured == 6.82


def test_figures_are_glued_as_the_prose_needs_them(use_ledger: UseLedger) -> None:
    use_ledger(make_row(printed="6.650"))
    values = glued(lambda: check("n24.1-mean", np.float64(6.65)))
    assert values == {"n24.1-mean": "6.65", "n24.1-mean-printed": "'6.650'"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((1.5, "1.5"), (7, "7"), (True, "True"), ("a", "'a'")),
        *((np.float64(1.5), "1.5"), (np.int64(5), "5"), (np.True_, "True"), (np.str_("a"), "'a'")),
        *((torch.tensor(2.0), "2.0"), (torch.tensor(5), "5"), (torch.tensor(False), "False")),
    ],
)
def test_glue_stores_plain_values(value: object, text: str) -> None:
    assert glued(lambda: glue("key", value)) == {"key": text}


def test_timings_are_marked() -> None:
    measured = {"time": 1.25}
    timed = notebook_of(lambda: glue_all("c01", measured, are_timings=True))
    assert recorded_values.timings(timed) == {"c01-time"}
    assert recorded_values.timings(notebook_of(lambda: glue_all("c01", measured))) == set()


def test_glue_writes_what_the_builder_of_the_book_reads() -> None:
    myst_nb = pytest.importorskip("myst_nb")
    ours = outputs_of(lambda: glue("key", 1.25))
    theirs = outputs_of(lambda: myst_nb.glue("key", 1.25, display=False))
    assert ours == theirs


def test_the_claims_of_a_section_open_a_chapter(use_ledger: UseLedger, tmp_path: Path) -> None:
    use_ledger(
        make_row(),
        make_row(id="n24.1-other", **CONTRADICTION),
        make_row(id="n4.1-here", section="004", chapter="01-why-multi-task"),
    )
    html = badge_of(lambda: claims_of("002"))
    assert "2 claims: 1 reproduced, 1 inconsistent" in html
    assert html.count("<tr>") == 3
    assert "n4.1-here" not in html
    assert read_back(lambda: claims_of("002"), tmp_path) == []
    assert "1 claim: 1 reproduced" in badge_of(lambda: claims_of("01-why-multi-task"))
