"""The schema of the ledger: what a row may say, and what each fault is answered with."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulbook.claims.ledger import (
    CHAPTERS,
    SECTIONS,
    Claim,
    Verdict,
    _claim,
    as_number,
    claims_in,
    find,
    read_ledger,
)
from rulbook.errors import RulbookError, UsageError

from ..ledger_rows import WAITING, make_row

_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.from_regex(r"[~+-]?\d{0,3}[.,]?\d{0,3}(e-?\d{1,5})?", fullmatch=True)
    | st.sampled_from([*Verdict, "records", "literature", "inf", "nan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
"""What YAML can put into a field."""

FAULTY_ROWS = {
    "unknown field": (
        {"colour": "red"},
        "colour: unknown field; choose from: id, section",
    ),
    "unknown verdict": ({"expected": "true"}, "unknown verdict 'true'; choose one of: reproduced"),
    "no verdict": ({"expected": None}, "either a verdict or 'waiting'"),
    "verdict and waiting": ({**WAITING, "expected": "reproduced"}, "not both"),
    "waiting without records": ({**WAITING, "needs": "none"}, "has 'needs: records'"),
    "missing statement": ({"statement": ...}, "statement: field required"),
    "empty statement": ({"statement": " "}, "statement: string should have at least 1 character"),
    "unquoted figure": ({"printed": 6.8}, "quote the printed figure, '6.8'"),
    "foreign id": ({"id": "n4.1-mean"}, "an id of section 002 begins with 'n24.1-'"),
    "malformed id": ({"id": "n24.1-Mean"}, "id: string should match pattern"),
    "unknown section": ({"section": "005"}, "section: input should be '000'"),
    "unknown chapter": ({"chapter": "09-more"}, "unknown chapter '09-more'; choose one of: 01-"),
    "unknown kind": ({"kind": "guess"}, "kind: input should be 'identity'"),
    "refuted experiment": (
        {"tier": "statistical", "expected": "refuted", "reason": "so"},
        "only exact claims are refuted",
    ),
    "identity not reproduced": (
        {"expected": "not_reproduced", "reason": "so", "conditions": "so"},
        "only statistical claims are not_reproduced",
    ),
    "identity that depends": (
        {"expected": "depends", "reason": "so", "conditions": "so"},
        "only statistical claims depend",
    ),
    "dependence without conditions": (
        {"tier": "statistical", "expected": "depends", "reason": "so"},
        "a claim that is depends states its 'conditions'",
    ),
    "experiment without conditions": (
        {"tier": "statistical", "expected": "not_reproduced", "reason": "so"},
        "states its 'conditions'",
    ),
    "no reason": ({"expected": "refuted"}, "a claim that is refuted gives its 'reason'"),
    "no other place": ({"expected": "inconsistent", "reason": "so"}, "names the 'other' place"),
    "other place for nothing": (
        {"other": {"where": "here", "statement": "that"}},
        "names the 'other' place",
    ),
    "nothing missing": ({"expected": "undecidable", "reason": "so"}, "says what is 'missing'"),
    "literature uncited": ({"kind": "literature"}, "cites its 'reference'"),
    "citation for nothing": ({"reference": "kendall2018"}, "cites its 'reference'"),
    "nothing printed": ({"printed": ...}, "has a 'printed' figure or truth value"),
    "approximate figure": ({"printed": "~7"}, "needs an explicit 'tolerance'"),
    "approximate figure after a space": ({"printed": " ~7"}, "needs an explicit 'tolerance'"),
    "nothing in quotes": ({"printed": ""}, "printed: it is blank: write it out"),
    "a per cent": ({"printed": "~50 %"}, "write the number alone, '~50', and '%' as the 'unit'"),
    "a per cent elsewhere": (
        {
            **{"expected": "inconsistent", "reason": "so"},
            "other": {"where": "there", "statement": "That.", "printed": "−50%"},
        },
        "other.printed: write the number alone, '−50', and '%' as the 'unit'",
    ),
    "tolerance unexplained": ({"tolerance": "0.1"}, "'tolerance_reason' come together"),
    "tolerance on words": (
        {"printed": True, "tolerance": "1", "tolerance_reason": "so"},
        "belong to a printed number",
    ),
    "tolerance and inputs": (
        {"tolerance": "1", "tolerance_reason": "so", "inputs": ["1"]},
        "not both",
    ),
    **{
        f"tolerance {tolerance}": (
            {"tolerance": tolerance, "tolerance_reason": "so"},
            message,
        )
        for tolerance, message in {
            "-0.1": "'tolerance' is not negative",
            "Infinity": "are finite numbers",
            "nan": "are finite numbers",
            "0,5": "are finite numbers, with a point before decimals",
            "1_000": "are finite numbers",
            "1e9999": "are finite numbers",
            "": "are finite numbers",
            " ": "are finite numbers",
            "~0.5": "are exact, without '~'",
            "~-0.5": "are exact, without '~'",
            "6.83": "allow as much as the printed figure at most",
            "1e999": "allow as much as the printed figure at most",
        }.items()
    },
    "an input of any size": ({"inputs": ["1e999"]}, "allow as much as the printed figure at most"),
    "an input of another size": (
        {"inputs": ["6.33", "1e2"]},
        "allow as much as the printed figure at most",
    ),
    "a figure of no precision": ({"printed": "0e9"}, "allow as much as the printed figure at most"),
    "an approximate input": ({"inputs": ["~7"]}, "are exact, without '~'"),
    **{
        f"blank {field}": ({field: " \t"}, f"{field}: it is blank: write it out")
        for field in (
            *("printed", "unit", "tolerance_reason"),
            *("reason", "conditions", "missing"),
        )
    },
    "infinite input": ({"inputs": ["inf"]}, "are finite numbers"),
    "tolerance in words": ({"tolerance": "some", "tolerance_reason": "so"}, "are finite numbers"),
}


@pytest.mark.parametrize(("changes", "message"), FAULTY_ROWS.values(), ids=FAULTY_ROWS.keys())
def test_a_faulty_row_is_one_sentence_that_names_it(
    write_ledger: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    row = make_row(**changes)
    path = write_ledger(row)
    with pytest.raises(RulbookError) as raised:
        read_ledger(path)
    told = str(raised.value)
    assert message in told
    assert told.startswith(f"Claim {row['id']} in {path}: ")
    assert "\n" not in told


def test_a_row_without_an_id_is_named_by_its_place(write_ledger: Callable[..., Path]) -> None:
    with pytest.raises(RulbookError, match=r"Claim number 2 .*id: field required"):
        read_ledger(write_ledger(make_row(), make_row(id=...)))


def test_two_rows_with_one_id_are_refused(write_ledger: Callable[..., Path]) -> None:
    with pytest.raises(RulbookError, match=r"two rows with the id 'n24\.1-mean'"):
        read_ledger(write_ledger(make_row(), make_row(printed="7.33")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("claims:\n- {id: a, id: b}", "the field 'id' is given twice"),
        ("a: &a {x: 1}\nclaims:\n- {<<: *a}", "'<<' is not taken here; write the fields out"),
        ("claims:\n- {? [a] : 1}", "is not valid YAML"),
        ("claims: [", "is not valid YAML"),
        ("rows: []", "holds one list named 'claims'"),
        ("", "holds one list named 'claims'"),
        ("claims: 5", "holds one list named 'claims'"),
        ("claims: {a: b}", "holds one list named 'claims'"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "claims.yml"
    path.write_text(content, "utf-8")
    with pytest.raises(RulbookError, match=message):
        read_ledger(path)


def test_aliases_of_aliases_are_refused_before_they_are_written_out(tmp_path: Path) -> None:
    lists = ["&l0 [x, x]", *(f"&l{depth} [*l{depth - 1}, *l{depth - 1}]" for depth in range(1, 40))]
    path = tmp_path / "claims.yml"
    path.write_text(f"claims:\n- {{inputs: [{', '.join(lists)}], id: *l39}}", "utf-8")
    with pytest.raises(RulbookError, match=r"Claim number 1 in .*id: input should be") as raised:
        read_ledger(path)
    assert len(str(raised.value)) < 300


def test_a_file_that_is_not_utf_8_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "claims.yml"
    path.write_bytes("claims: [] # é".encode("latin-1"))
    with pytest.raises(RulbookError, match="is not UTF-8 at byte 13"):
        read_ledger(path)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.booleans())
def test_a_figure_is_read_as_the_number_it_prints(number: Decimal, separated: bool) -> None:
    text = f"{number:,}" if separated else str(number)
    if "E" not in text or len(text.split("E")[1]) <= 4:
        assert as_number(text) == number
    assert as_number(f"~{text}") == as_number(text)


@pytest.mark.parametrize(
    "text",
    [
        *("0,5", "0,005", "0,500", "-00,500.25", "007,000"),
        *("12,34", "1,0000", ",5", "1,,000", "1_000", "", "~", "e5"),
    ],
)
def test_what_could_be_read_as_another_number_is_text(text: str) -> None:
    assert as_number(text) is None


def test_the_minus_sign_of_print_is_one(make_claim: Callable[..., Any]) -> None:
    assert make_claim(printed=" −5 ").printed_number == Decimal(-5)
    assert make_claim(printed="1e−5").allowance() == Decimal("5e-6")
    assert as_number("5−3") is None


@given(st.dictionaries(st.sampled_from(sorted(Claim.model_fields)), _ANYTHING))
def test_whatever_a_row_holds_it_is_a_claim_or_one_sentence(changes: dict[str, Any]) -> None:
    try:
        claim = _claim(make_row() | changes, 1, Path("claims.yml"))
    except RulbookError as fault:
        told = str(fault)
    else:
        told = "Claim "
        assert claim.printed_number is None or claim.allowance() >= 0
    assert told.startswith("Claim ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulbookError, match=r"none\.yml' cannot be read: No such file"):
        read_ledger(tmp_path / "none.yml")


@pytest.mark.parametrize(
    ("row", "allowance"),
    [
        ({"printed": "6.82"}, "0.005"),
        ({"printed": "711"}, "0.5"),
        ({"printed": "8e-6"}, "5e-7"),
        ({"printed": "6.82", "inputs": ["6.33", "7.30"]}, "0.015"),
        ({"printed": "4,120"}, "0.5"),
        ({"printed": "6.82", "tolerance": "0.2", "tolerance_reason": "so"}, "0.2"),
        ({"printed": "4,120", "tolerance": "1,000", "tolerance_reason": "so"}, "1000"),
        ({"printed": "2e9", "tolerance": "1e9", "tolerance_reason": "so"}, "1e9"),
        ({"printed": "6.82", "tolerance": "6.82", "tolerance_reason": "so"}, "6.82"),
        ({"printed": "0.02", "tolerance": "1", "tolerance_reason": "so"}, "1"),
        ({"printed": "1e6"}, "5e5"),
        ({"printed": "0"}, "0.5"),
        ({"printed": "nan"}, "0"),
    ],
)
def test_the_allowance_is_half_a_unit_of_each_printed_figure(
    make_claim: Callable[..., Any], row: dict[str, Any], allowance: str
) -> None:
    assert make_claim(**row).allowance() == Decimal(allowance)


def test_an_unknown_claim_is_answered_with_near_ones(use_ledger: Callable[..., Any]) -> None:
    use_ledger(make_row(), make_row(id="n24.1-u-shape"))
    with pytest.raises(UsageError, match=r"'n24\.1-meen'; choose one of: n24\.1-mean"):
        find("n24.1-meen")


def test_rows_are_found_by_section_and_by_chapter(use_ledger: Callable[..., Any]) -> None:
    use_ledger(make_row(), make_row(id="n24.1-error", chapter="07-ablation-tables"))
    assert [claim.id for claim in claims_in("002")] == ["n24.1-mean", "n24.1-error"]
    assert [claim.id for claim in claims_in("07-ablation-tables")] == ["n24.1-error"]
    with pytest.raises(UsageError, match="Unknown section or chapter '24'"):
        claims_in("24")


def test_a_ledger_that_waits_or_is_settled_needs_no_value(make_claim: Callable[..., Any]) -> None:
    undecidable = {"expected": "undecidable", "reason": "so", "missing": "that"}
    settled = {"kind": "literature", "reference": "kendall2018"}
    assert make_claim().needs_value
    assert not make_claim(**WAITING).needs_value
    assert not make_claim(**undecidable).needs_value
    assert not make_claim(**settled).needs_value


def test_names_are_those_of_the_book() -> None:
    assert len(SECTIONS) == 5
    assert len({section.prefix for section in SECTIONS.values()}) == 5
    assert list(CHAPTERS) == sorted(CHAPTERS)
    assert [verdict.words for verdict in Verdict][2] == "not reproduced"


def test_a_ledger_that_was_edited_is_read_again(write_ledger):
    path = write_ledger(make_row())
    before = next(iter(read_ledger(path).values()))
    assert read_ledger(str(path)) == read_ledger(path)
    path.write_text(path.read_text().replace(before.statement, "Something else entirely."))
    assert next(iter(read_ledger(path).values())).statement == "Something else entirely."
