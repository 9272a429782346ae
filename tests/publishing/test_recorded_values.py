"""The values that the prose of chapters quotes, taken from executed notebooks."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from rulbook.errors import RulbookError
from rulbook.publishing import recorded_values
from rulbook.publishing.chapters import chapters

PUBLISHED = {
    "finished": "2026-01-01",
    "seconds": 1.0,
    "parameters": {"profile": "quick", "data": "auto", "device": "auto", "seed": 42},
    "records": False,
    "data": {"FD001": "cmapss"},
    "devices": ["cpu"],
    "versions": {},
}


def glued(name, text, **marks):
    key = "application/papermill.record/text/plain"
    return new_output("display_data", {key: text}, metadata={"scrapbook": {"name": name}} | marks)


@pytest.fixture
def quoting(layout, write):
    """Return a function that writes an executed chapter, which quotes some of its values."""

    def write_chapter(name, outputs, quotes, **run):
        chapter = write(name, "x = 1")
        text = " ".join(f"{{glue:text}}`{quote}`" for quote in quotes)
        chapter.text.write_text(f"{chapter.text.read_text()}\n{text}\n")
        chapter.executed.parent.mkdir(parents=True, exist_ok=True)
        cells = [new_code_cell("x = 1", outputs=outputs)]
        notebook = new_notebook(cells=cells, metadata={"rulbook": PUBLISHED | run})
        nbformat.write(notebook, chapter.executed)
        return chapter

    return write_chapter


@pytest.mark.parametrize(
    ("text", "quote", "shown"),
    [
        ("2.5", "x", "2.5"),
        ("2.5", "x:.2f", "2.50"),
        ("1000", "x:,d", "1,000"),
        ("'NASA'", "x", "NASA"),
        ("nan", "x:.1f", "nan"),
        ("True", "x", "True"),
    ],
)
def test_a_value_is_recorded_as_the_page_shows_it(layout, quoting, text, quote, shown):
    chapter = quoting("01-a", [glued("x", text), glued("unused", "1")], [quote])
    assert recorded_values.unrecorded(chapter, {}) == [quote]
    recorded_values.record(layout, [chapter])
    values = recorded_values.read(layout)
    assert values == {"01-a": {quote: shown}}
    assert recorded_values.unrecorded(chapter, values) == []


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"FD001": "cmapss", "FD002": "simulated"}},
        {"devices": ["cpu", "cuda"]},
        {"parameters": PUBLISHED["parameters"] | {"profile": "full"}},
        {"parameters": PUBLISHED["parameters"] | {"seed": 7}},
    ],
)
def test_only_what_is_computed_as_published_is_recorded(layout, quoting, other):
    recorded_values.record(layout, [quoting("01-a", [glued("x", "1")], ["x"])])
    recorded_values.record(layout, [quoting("01-a", [glued("x", "2")], ["x"], **other)])
    assert recorded_values.read(layout) == {"01-a": {"x": "1"}}


def test_other_chapters_keep_their_values_and_removed_ones_lose_them(layout, quoting):
    first = quoting("01-a", [glued("x", "1")], ["x"])
    recorded_values.record(layout, [first, quoting("02-b", [glued("y", "2")], ["y"])])
    second = quoting("02-b", [glued("y", "3")], ["y"])
    recorded_values.record(layout, [second])
    assert recorded_values.read(layout) == {"01-a": {"x": "1"}, "02-b": {"y": "3"}}
    first.text.unlink()
    assert [chapter.name for chapter in chapters(layout)] == ["02-b"]
    recorded_values.record(layout, [second])
    assert recorded_values.read(layout) == {"02-b": {"y": "3"}}


@pytest.mark.parametrize("content", ["{", "[]", '{"01-a": 1}', '{"01-a": {"x": 1}}'])
def test_a_file_that_holds_no_values_is_one_sentence(layout, content):
    recorded_values.file_of(layout).write_text(content)
    with pytest.raises(RulbookError, match="does not hold the values of chapters") as fault:
        recorded_values.read(layout)
    assert "\n" not in str(fault.value)


def test_the_file_is_written_only_where_a_value_changed(layout, quoting):
    chapter = quoting("01-a", [glued("x", "1")], ["x"])
    recorded_values.record(layout, [chapter])
    file = recorded_values.file_of(layout)
    file.write_text(json.dumps(json.loads(file.read_text())))  # other spaces
    written = file.read_text()
    recorded_values.record(layout, [chapter])
    assert file.read_text() == written


def test_timings_stay_as_they_were_first_recorded(layout, quoting):
    for time, value in (("19", "2"), ("31", "3")):
        outputs = [glued("time", time, timing=True), glued("x", value)]
        recorded_values.record(layout, [quoting("01-a", outputs, ["time:.1f", "x"])])
    assert recorded_values.read(layout) == {"01-a": {"time:.1f": "19.0", "x": "3"}}
