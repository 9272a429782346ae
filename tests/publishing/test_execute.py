import io
import json
import re

import nbformat
import pytest
from rich.console import Console

from rulbook import paths
from rulbook.errors import RulbookError, UsageError
from rulbook.publishing import stamps
from rulbook.publishing.chapters import choose
from rulbook.publishing.execute import Outcome, Parameters, execute, figures_saved

SIMULATED = Parameters(data="simulated", device="cpu", seed=7)


@pytest.fixture
def quiet():
    return Console(file=io.StringIO())


def _printed(chapter):
    cells = nbformat.read(chapter.executed, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


@pytest.mark.slow
def test_parameters_reach_the_chapter_and_widgets_are_kept(built):
    (chapter,) = choose(built, [])
    assert "parameters seen: quick simulated cpu 7" in _printed(chapter)
    notebook = nbformat.read(chapter.executed, as_version=4)
    assert "application/vnd.jupyter.widget-state+json" in notebook.metadata.widgets


@pytest.mark.slow
def test_an_up_to_date_chapter_does_not_run_again(built, quiet):
    (chapter,) = choose(built, [])
    before = chapter.executed.stat().st_mtime_ns
    outcome = execute(built, [chapter], SIMULATED, console=quiet)
    assert outcome == Outcome(executed=(), up_to_date=("01-tiny",))
    assert chapter.executed.stat().st_mtime_ns == before
    assert quiet.file.getvalue() == ""


@pytest.mark.slow
def test_chapters_that_fail_are_named_and_do_not_stop_the_others(layout, write, quiet):
    chapters = [
        write("01-good", "print('done')"),
        write("02-raises", "x = 1", "raise ValueError('two\\nlines')"),
        write("03-hangs", "import time\ntime.sleep(600)"),
        write("04-dies", "import os\nos._exit(1)"),
    ]
    unreadable = write("05-unreadable", "x = 1")
    unreadable.text.write_text("# No notebook at all\n")
    with pytest.raises(RulbookError) as caught:
        execute(layout, [*chapters, unreadable], SIMULATED, jobs=2, cell_seconds=10, console=quiet)
    failures = {re.search(r"0\d-\w+", line)[0]: line for line in str(caught.value).splitlines()}
    assert sorted(failures) == ["02-raises", "03-hangs", "04-dies", "05-unreadable"]
    assert "code cell 3 (`raise ValueError(" in failures["02-raises"]
    assert "ValueError: two lines" in failures["02-raises"]
    assert "code cell 2 (`import time`): it took over 10 seconds" in failures["03-hangs"]
    assert "code cell 2 (`import os`): its process died" in failures["04-dies"]
    assert "no code cell tagged 'parameters'" in failures["05-unreadable"]
    good, *bad = chapters
    assert "done" in _printed(good)
    assert not any(chapter.executed.exists() or chapter.stamp.exists() for chapter in bad)
    assert (layout.unfinished / "02-raises.ipynb").is_file()


@pytest.mark.slow
def test_a_failure_leaves_the_last_good_execution_in_place(layout, write, quiet):
    chapter = write("01-a", "print('good')")
    execute(layout, [chapter], SIMULATED, console=quiet)
    write("01-a", "print('bad')\n1 / 0")
    with pytest.raises(RulbookError, match="ZeroDivisionError"):
        execute(layout, [chapter], SIMULATED, console=quiet)
    assert "good" in _printed(chapter)
    assert "text changed" in quiet.file.getvalue()


@pytest.mark.slow
def test_a_stamp_says_whether_records_were_read(layout, write, quiet):
    reader = write("01-reads", "from rulbook import paths\nprint(list(paths.results().iterdir()))")
    other = write("02-does-not", "from rulbook import paths\npaths.results()")
    execute(layout, [reader, other], SIMULATED, jobs=2, console=quiet)
    assert stamps.RECORDS in stamps.read(reader).inputs
    assert stamps.RECORDS not in stamps.read(other).inputs


@pytest.mark.slow
def test_a_chapter_whose_figure_is_gone_runs_again_if_figures_are_wanted(layout, write, quiet):
    figure = paths.figures() / "99-test-of-the-pipeline.svg"
    chapter = write(
        "99-figure",
        "from rulbook import paths",
        f"paths.write_atomically(paths.figures() / {figure.name!r}, '<svg/>')",
    )
    try:
        execute(layout, [chapter], SIMULATED, console=quiet)
        assert figures_saved(chapter) == [figure]
        figure.unlink()
        assert execute(layout, [chapter], SIMULATED, console=quiet).executed == ()
        again = execute(layout, [chapter], SIMULATED, figures=True, console=quiet)
        assert again.executed == ("99-figure",)
        assert figure.is_file()
    finally:
        figure.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (Parameters(profile="slow"), r"profile 'slow'.*quick, full"),
        (Parameters(data="real"), r"data source 'real'.*auto, cmapss, simulated"),
        (Parameters(device="tpu"), r"device 'tpu'.*auto, cpu, cuda, mps"),
    ],
)
def test_an_unknown_parameter_is_wrong_usage(layout, tiny, quiet, parameters, message):
    with pytest.raises(UsageError, match=message):
        execute(layout, [tiny], parameters, console=quiet)
    assert not layout.build.exists()


def test_real_data_that_is_not_there_is_an_error_before_anything_runs(
    layout, tiny, quiet, no_real_data
):
    with pytest.raises(RulbookError, match="rulbook data fetch"):
        execute(layout, [tiny], Parameters(data="cmapss"), console=quiet)
    assert not layout.build.exists()


def test_an_incomplete_data_folder_is_an_error_that_names_the_file(
    layout, tiny, quiet, no_real_data, tmp_path, monkeypatch
):
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(RulbookError, match=r"has no train_FD001\.txt"):
        execute(layout, [tiny], Parameters(), console=quiet)


@pytest.mark.slow
def test_the_stamp_holds_digests_and_figures_only(built):
    (chapter,) = choose(built, [])
    stamp = json.loads(chapter.stamp.read_text())
    assert set(stamp["inputs"]) == {"text", "package", "parameters", "data", "ledger"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in stamp["inputs"].values())
    assert stamp["figures"] == []
