"""The words by which the report and the search find claims: what is alike is found alike."""

import json

import pytest

from rulbook.display.markup import asset

from .conftest import needs_node, value_in_node

pytestmark = needs_node


def found(query: str, texts: list[str]) -> list[str]:
    """Return the texts that have all words of a query."""
    expression = (
        f"{json.dumps(texts)}.filter((t) => hasAllWords(searchable(t), {json.dumps(query)}))"
    )
    return list(value_in_node(asset("find_words.js"), expression))


@pytest.mark.parametrize(
    "alike",
    [
        ["4,120 batches", "4120 batches"],
        ["-0.5", "\N{MINUS SIGN}0.5"],
        ["500x", "500\N{MULTIPLICATION SIGN}", "500X"],
        ["5 \N{MICRO SIGN}s", "5 \N{GREEK SMALL LETTER MU}s", "5 \N{GREEK CAPITAL LETTER MU}s"],
        ["a mu", "a \N{MICRO SIGN}", "a \N{GREEK SMALL LETTER MU}"],
    ],
    ids=ascii,
)
def test_each_of_two_ways_to_write_a_thing_finds_the_other(alike: list[str]) -> None:
    for query in alike:
        assert found(query, alike) == alike


def test_half_a_figure_is_found_while_it_is_typed() -> None:
    for query in ("1,937,482", "1,937,48", "1,937,", "1,937", "1,9", "1937482", "19374"):
        assert found(query, ["1,937,482"]) == ["1,937,482"]


def test_a_list_of_figures_is_no_figure() -> None:
    seeds = ["42,123,456,789,1024"]
    assert found("42,123,456,789,1024", seeds) == seeds
    assert found("42123", seeds) == []
