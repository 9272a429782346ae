"""The ways through the chapters that lecturers are offered."""

import re

import pytest

from rulbook.publishing.chapters import choose
from rulbook.publishing.layout import of_checkout
from rulbook.publishing.reading_paths import (
    MINUTES_AN_EXERCISE,
    READING_PATHS,
    as_table,
    minutes_of,
)

CHAPTERS = choose(of_checkout(), [])
BY_NUMBER = {chapter.number: chapter for chapter in CHAPTERS}


def test_there_are_paths_of_one_three_and_six_hours():
    assert [path.hours for path in READING_PATHS.values()] == [1, 3, 6]


@pytest.mark.parametrize("name", READING_PATHS)
def test_a_path_fits_its_hours_and_leaves_room_for_explorers(name):
    path = READING_PATHS[name]
    total = sum(minutes_of(BY_NUMBER[number], n) for number, n in path.exercises.items())
    assert 0.6 * 60 * path.hours <= total <= 0.95 * 60 * path.hours


@pytest.mark.parametrize("name", READING_PATHS)
def test_no_path_asks_for_exercises_that_are_not_there(name):
    for number, wanted in READING_PATHS[name].exercises.items():
        text = BY_NUMBER[number].text.read_text(encoding="utf-8")
        assert wanted <= len(re.findall(r"^:{3,}\{exercise\}", text, re.MULTILINE))


@pytest.mark.parametrize("name", READING_PATHS)
def test_the_table_says_the_minutes_of_each_chapter_and_their_sum(name):
    *rows, total = as_table(READING_PATHS[name], CHAPTERS).splitlines()[2:]
    minutes = [int(row.split("|")[-2]) for row in rows]
    assert f"**{sum(minutes)}**" in total
    for row, (number, wanted) in zip(rows, READING_PATHS[name].exercises.items(), strict=True):
        assert f"{{doc}}`{BY_NUMBER[number].name}`" in row
        asked = re.search(r"first (?:(\d+) )?exercise", row)
        assert (int(asked[1] or 1) if asked else 0) == wanted
    assert minutes == [
        minutes_of(BY_NUMBER[number], 0) + MINUTES_AN_EXERCISE * wanted
        for number, wanted in READING_PATHS[name].exercises.items()
    ]
