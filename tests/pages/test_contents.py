"""Which tests go to one worker, and when their turn is."""

import pytest

from .contents import page_of, turn

PAGE = "tests/pages/test_pages.py::test_axe[{}-light-1280]"


@pytest.mark.parametrize("name", ["01-why-multi-task", "api", "api-data", "search"])
def test_a_page_is_told_by_the_brackets_of_its_tests(name):
    assert page_of(PAGE.format(name)) == name


def test_a_test_of_no_page_belongs_to_its_file():
    assert page_of("tests/claims/test_lint.py::test_pages[report]") == ""
    assert page_of("tests/pages/test_controls.py::test_search_starts_from_every_page") == ""


def test_pages_come_last_and_those_with_explorers_first_of_them():
    first = "tests/studies/test_sweep.py::test_status"
    explorers, few = PAGE.format("03-the-500x-imbalance"), PAGE.format("notation")
    assert sorted([few, explorers, first], key=turn) == [first, explorers, few]
