"""The join of ledger and executed notebooks, in both directions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulbook.claims import Claim
from rulbook.claims.collect import METADATA_KEY, Decided, claims_table, collect, faults, faults_of
from rulbook.claims.decision import Decision
from rulbook.errors import RulbookError

from ..ledger_rows import WAITING, make_row

CHAPTER = "06-equal-weights"
UNDECIDABLE = {"expected": "undecidable", "reason": "so", "missing": "that"}


def decided(claim: str, verdict: str | None = "reproduced", chapter: str = CHAPTER) -> Decided:
    return Decided(chapter, Decision(claim, verdict, measured=6.82, shown="6.82"))


def ledger_of(*rows: dict[str, Any]) -> dict[str, Claim]:
    claims = map(Claim.model_validate, rows)
    return {claim.id: claim for claim in claims}


def write_notebook(folder: Path, chapter: str, *decisions: Any) -> None:
    outputs = [
        {"output_type": "stream", "text": "words"},
        {"output_type": "display_data", "data": {}, "metadata": {METADATA_KEY: list(decisions)}},
    ]
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]
    (folder / f"{chapter}.ipynb").write_text(json.dumps({"cells": cells}), "utf-8")


def test_a_ledger_that_meets_its_notebooks_has_no_fault() -> None:
    ledger = ledger_of(make_row(), make_row(id="n24.1-open", **WAITING))
    assert faults([decided("n24.1-mean")], [CHAPTER], ledger) == []
    assert faults([decided("n24.1-mean"), decided("n24.1-open", None)], [CHAPTER], ledger) == []


def test_a_value_without_a_row_is_named() -> None:
    [fault] = faults(
        [decided("n24.1-mean"), decided("n24.1-new")], [CHAPTER], ledger_of(make_row())
    )
    assert fault == f"n24.1-new: checked in {CHAPTER}, but the ledger has no such claim."


def test_a_row_without_a_value_is_named() -> None:
    [fault] = faults([], [CHAPTER], ledger_of(make_row()))
    assert fault == f"n24.1-mean: chapter {CHAPTER} shows no value for it."


@pytest.mark.parametrize("row", [UNDECIDABLE, WAITING])
def test_a_row_that_needs_no_value_may_stand_alone(row: dict[str, Any]) -> None:
    assert faults([], [CHAPTER], ledger_of(make_row(**row))) == []


def test_rows_of_chapters_that_did_not_run_are_left_alone() -> None:
    assert faults([], ["01-why-multi-task"], ledger_of(make_row())) == []


def test_a_moved_verdict_is_named_with_both_numbers() -> None:
    [fault] = faults([decided("n24.1-mean", "refuted")], [CHAPTER], ledger_of(make_row()))
    assert fault.startswith("n24.1-mean: the ledger expects reproduced, the source printed 6.82, ")
    assert fault.endswith(f"{CHAPTER} measured 6.82 and found refuted.")


def test_a_value_for_a_claim_that_waits_moves_its_verdict() -> None:
    [fault] = faults([decided("n24.1-mean")], [CHAPTER], ledger_of(make_row(**WAITING)))
    assert "the ledger expects no verdict yet" in fault


def test_a_claim_is_decided_once() -> None:
    twice = [decided("n24.1-mean"), decided("n24.1-mean")]
    [fault] = faults(twice, [CHAPTER], ledger_of(make_row()))
    assert fault == f"n24.1-mean: checked in {CHAPTER} and again in {CHAPTER}."


def test_a_claim_is_decided_where_its_row_says() -> None:
    elsewhere = [decided("n24.1-mean", chapter="07-ablation-tables")]
    [fault] = faults(elsewhere, [CHAPTER], ledger_of(make_row()))
    assert fault == f"n24.1-mean: checked in 07-ablation-tables; its row names {CHAPTER}."


def test_notebooks_are_read_in_the_order_of_their_chapters(tmp_path: Path) -> None:
    write_notebook(tmp_path, CHAPTER, {"claim": "b", "verdict": None})
    write_notebook(tmp_path, "01-why-multi-task", {"claim": "a", "verdict": "reproduced"})
    assert [(entry.chapter, entry.decision.claim) for entry in collect(tmp_path)] == [
        ("01-why-multi-task", "a"),
        (CHAPTER, "b"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"cells": 3}',
        "{}",
        json.dumps({"cells": [{"outputs": [{"metadata": {METADATA_KEY: [1]}}]}]}),
        '{"cells": [1]}',
        json.dumps({"cells": [{"outputs": [{"metadata": None}]}]}),
        json.dumps(
            {
                "cells": [
                    {
                        "outputs": [
                            {"metadata": {METADATA_KEY: [{"claim": "a", "verdict": "reprodooced"}]}}
                        ]
                    }
                ]
            }
        ),
    ],
)
def test_a_broken_notebook_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "06-equal-weights.ipynb").write_text(content, "utf-8")
    with pytest.raises(RulbookError, match=r"06-equal-weights\.ipynb cannot be read .*again\.$"):
        collect(tmp_path)


def test_the_table_has_every_claim_with_its_verdict(
    use_ledger: Callable[..., Any], tmp_path: Path
) -> None:
    use_ledger(
        make_row(),
        make_row(id="n24.1-unseen"),
        make_row(id="n24.1-unclear", **UNDECIDABLE),
        make_row(id="n24.1-open", **WAITING),
    )
    write_notebook(
        tmp_path, CHAPTER, {"claim": "n24.1-mean", "verdict": "refuted", "measured": 7.0}
    )
    table = {row["id"]: row for row in claims_table(tmp_path)}
    assert table["n24.1-mean"] == {
        "id": "n24.1-mean",
        "section": "002",
        "tier": "exact",
        "statement": "The mean of 6.33 and 7.30 is 6.82.",
        "printed": "6.82",
        "measured": 7.0,
        "verdict": "refuted",
        "expected": "reproduced",
        "finding": "n24.1-mean",
        "trivia": False,
        "conditions": {},
    }
    assert {name: row["verdict"] for name, row in table.items()} == {
        "n24.1-mean": "refuted",
        "n24.1-unseen": None,
        "n24.1-unclear": "undecidable",
        "n24.1-open": None,
    }
    json.dumps(list(table.values()), allow_nan=False)


def test_a_folder_is_joined_with_the_ledger(use_ledger: Callable[..., Any], tmp_path: Path) -> None:
    use_ledger(make_row(), make_row(id="n24.1-far", chapter="07-ablation-tables"))
    assert faults_of(tmp_path) == []
    write_notebook(tmp_path, CHAPTER)
    assert len(faults_of(tmp_path)) == 1
    write_notebook(tmp_path, CHAPTER, {"claim": "n24.1-mean", "verdict": "reproduced"})
    assert faults_of(tmp_path) == []
