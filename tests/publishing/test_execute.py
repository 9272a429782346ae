import ast
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from rich.console import Console

import rulbook
from rulbook import paths
from rulbook.errors import RulbookError, UsageError
from rulbook.publishing import conditions, kernels, stamps
from rulbook.publishing.chapters import choose
from rulbook.publishing.execute import Execution, execute, figures_saved
from rulbook.publishing.parameters import ChapterParameters

from ..studies.sweeping import wait_until
from .conftest import FRONT_MATTER

SIMULATED = ChapterParameters(data="simulated", device="cpu", seed=7)


@pytest.fixture
def quiet():
    return Console(file=io.StringIO())


def _printed(chapter):
    cells = nbformat.read(chapter.executed, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


@pytest.mark.slow
def test_parameters_reach_the_chapter_and_widgets_are_kept(built):
    (chapter,) = choose(built, ["01-tiny"])
    assert "parameters seen: quick simulated cpu 7" in _printed(chapter)
    notebook = nbformat.read(chapter.executed, as_version=4)
    assert "application/vnd.jupyter.widget-state+json" in notebook.metadata.widgets


@pytest.mark.slow
def test_an_up_to_date_chapter_does_not_run_again(built, quiet):
    (chapter,) = choose(built, ["01-tiny"])
    before = chapter.executed.stat().st_mtime_ns
    outcome = execute(built, [chapter], SIMULATED, console=quiet)
    assert outcome == Execution(executed=(), up_to_date=("01-tiny",))
    assert chapter.executed.stat().st_mtime_ns == before
    assert quiet.file.getvalue() == ""


@pytest.mark.slow
def test_chapters_that_fail_are_named_and_do_not_stop_the_others(layout, write, quiet):
    chapters = [
        write("01-good", "print('done')"),
        write("02-raises", "x = 1", "raise ValueError('two\\nlines')"),
        write("06-leaves", "import sys", "sys.exit(0)", "print('after')"),
        write("03-hangs", "import time\ntime.sleep(600)"),
        write("04-dies", "import os\nos._exit(1)"),
    ]
    unreadable = write("05-unreadable", "x = 1")
    unreadable.text.write_text("# No notebook at all\n")
    with pytest.raises(RulbookError) as caught:
        execute(layout, [*chapters, unreadable], SIMULATED, jobs=2, cell_seconds=10, console=quiet)
    failures = {re.search(r"0\d-\w+", line)[0]: line for line in str(caught.value).splitlines()}
    assert sorted(failures) == ["02-raises", "03-hangs", "04-dies", "05-unreadable", "06-leaves"]
    assert "code cell 3 (`sys.exit(0)`): it ended the process" in failures["06-leaves"]
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
    assert "code changed" in quiet.file.getvalue()


def _processes_of(root):
    """Return the numbers of the processes that work in a folder, this one aside."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").resolve() == root and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


@pytest.mark.slow
def test_a_text_edited_while_its_chapter_executes_is_executed_again(layout, write, quiet):
    chapter = write(
        "01-a",
        f"from pathlib import Path\ntext = Path({str(layout.book / '01-a.md')!r})",
        "text.write_text(text.read_text().replace('print(1)', 'print(2)'))",
        "print(1)",
    )
    execute(layout, [chapter], SIMULATED, console=quiet)
    assert _printed(chapter) == "1\n"
    assert execute(layout, [chapter], SIMULATED, console=quiet).executed == ("01-a",)
    assert _printed(chapter) == "2\n"


@pytest.mark.slow
def test_the_kernel_is_this_python_whatever_kernels_and_profiles_there_are(
    layout, write, quiet, tmp_path, monkeypatch
):
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    spec = {"argv": ["/nowhere/python", "{connection_file}"], "display_name": "x"}
    (other / "kernel.json").write_text(json.dumps(spec | {"language": "python"}))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("print('FROM A PROFILE')\nprofile_ran = True")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup / "00.py"))
    cell = (
        "import sys, rulbook\nprint(sys.executable, rulbook.__file__, 'profile_ran' in globals())"
    )
    chapter = write("01-a", cell)
    execute(layout, [chapter], SIMULATED, console=quiet)
    assert _printed(chapter).split() == [sys.executable, rulbook.__file__, "False"]
    found = conditions.read(chapter)
    assert found.versions["rulbook"] == rulbook.__version__


@pytest.mark.slow
def test_a_matplotlibrc_of_the_users_is_not_that_of_a_chapter(
    layout, write, quiet, tmp_path, monkeypatch
):
    settings = tmp_path / "matplotlibrc"
    settings.write_text("text.usetex: True\naxes.facecolor: black\n")
    monkeypatch.setenv("MATPLOTLIBRC", str(settings))
    cell = "import matplotlib as m\nprint(*map(m.rcParams.get, ('text.usetex', 'axes.facecolor')))"
    chapter = write("01-a", cell)
    execute(layout, [chapter], SIMULATED, console=quiet)
    assert _printed(chapter).split() == ["False", "white"]


@pytest.mark.slow
@pytest.mark.parametrize("head", ["", FRONT_MATTER.replace("language: python", "language: scala")])
def test_parameters_are_python_whatever_the_text_says_of_its_kernel(layout, write, quiet, head):
    chapter = write("01-a", "print(data, device, seed)")
    chapter.text.write_text(head + chapter.text.read_text().removeprefix(FRONT_MATTER))
    execute(layout, [chapter], SIMULATED, console=quiet)
    assert _printed(chapter).split() == ["simulated", "cpu", "7"]


@pytest.mark.slow
def test_what_a_cell_puts_out_is_cut_at_a_bound_with_a_note(layout, write, quiet):
    much = kernels.OUTPUT_CHARACTERS + 1
    chapter = write(
        "01-a",
        "for _ in range(60):\n    print('x' * 99_999)",
        "print('the next cell')",
        f"'y' * {much}",
        f"from IPython.display import HTML, display\nprint('z')\ndisplay(HTML('y' * {much}))\n"
        "for _ in range(3):\n    display(HTML('y'))",
        "display(HTML('kept'))",
    )
    failing = write("02-b", f"raise ValueError('y' * {much})")
    with pytest.raises(RulbookError, match=r"02-b failed in code cell 2 .*ValueError: yyy"):
        execute(layout, [chapter, failing], SIMULATED, console=quiet)
    printed = _printed(chapter)
    assert printed.count("x") == pytest.approx(kernels.OUTPUT_CHARACTERS, rel=0.001)
    assert printed.count("cut here") == 3
    assert "the next cell\n" in printed
    assert "z\n" in printed
    whole = chapter.executed.read_text(encoding="utf-8")
    assert "yy" not in re.sub(r"'y' \* ", "", whole)
    assert "kept" in whole
    unfinished = layout.unfinished / failing.executed.name
    assert unfinished.stat().st_size < 2 * kernels.OUTPUT_CHARACTERS
    assert "cut here" in unfinished.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_chapter_that_meets_a_full_or_forbidden_place_is_named_and_the_others_run(
    layout, write, quiet
):
    chapters = [write("01-a", "x = 1"), write("02-b", "x = 2")]
    (layout.unfinished / "01-a.ipynb").mkdir(parents=True)
    with pytest.raises(RulbookError, match=r"Chapter 01-a .*cannot be used") as caught:
        execute(layout, chapters, SIMULATED, console=quiet)
    assert "02-b" not in str(caught.value)
    assert chapters[1].executed.is_file()


@pytest.mark.slow
def test_an_interrupted_run_ends_at_once_and_leaves_no_process(layout, write, tmp_path):
    started = tmp_path / "started"
    write("01-a", f"open({str(started)!r}, 'w').close()", "import time\ntime.sleep(300)")
    program = (
        "import signal\nfrom pathlib import Path\n"
        "from rulbook.publishing.chapters import choose\n"
        "from rulbook.publishing.execute import execute\n"
        "from rulbook.publishing.parameters import ChapterParameters\n"
        "from rulbook.publishing.layout import Layout\n"
        "if __name__ == '__main__':\n"
        # Tests that run in the background of a shell were told to ignore it.
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"    layout = Layout(Path({str(layout.root)!r}))\n"
        "    parameters = ChapterParameters(data='simulated', device='cpu')\n"
        "    execute(layout, choose(layout, []), parameters)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(program)
    with subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL) as run:
        wait_until(started.is_file, 120)
        run.send_signal(signal.SIGINT)
        run.wait(timeout=20)
    wait_until(lambda: not _processes_of(layout.root), 20)
    assert not (layout.executed / "01-a.ipynb").exists()


@pytest.mark.slow
def test_a_second_build_of_a_checkout_waits_for_the_first(layout, tmp_path):
    """Two processes: the order in which they hold the lock is written down by each."""
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom rich.console import Console\n"
        "from rulbook.publishing.layout import Layout\n"
        "from rulbook.publishing.lock import building\n"
        "name, root, log = sys.argv[1:]\n"
        "layout, console = Layout(Path(root)), Console(stderr=True, soft_wrap=True)\n"
        "with building(layout, console), building(layout, console), open(log, 'a') as lines:\n"
        "    print(name, 'begins', file=lines, flush=True)\n    time.sleep(2)\n"
        "    print(name, 'ends', file=lines, flush=True)\n"
    )
    log = tmp_path / "log"

    def start(name):
        command = [sys.executable, "-c", program, name, layout.root, log]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    with start("first") as first:
        wait_until(log.is_file, 60)
        with start("second") as second:
            said = second.communicate(timeout=60)[1]
    assert first.returncode == second.returncode == 0
    assert said == f"Another build runs here (process {first.pid}): waiting for it to end.\n"
    assert log.read_text().split("\n")[:-1] == [
        *("first begins", "first ends", "second begins", "second ends"),
    ]


@pytest.mark.slow
def test_a_stamp_says_whether_records_were_read(layout, write, quiet):
    reader = write("01-reads", "from rulbook import paths\nprint(list(paths.results().iterdir()))")
    other = write("02-does-not", "from rulbook import paths\npaths.ledger()")
    execute(layout, [reader, other], SIMULATED, jobs=2, console=quiet)
    assert stamps.RECORDS in stamps.read(reader).inputs
    assert stamps.RECORDS not in stamps.read(other).inputs


@pytest.mark.slow
def test_a_chapter_whose_figure_is_gone_runs_again_if_figures_are_wanted(layout, write, quiet):
    figure = layout.figures / "99-test-of-the-pipeline.svg"
    chapter = write(
        "99-figure",
        "from rulbook import paths",
        f"paths.write_atomically(paths.figures() / {figure.name!r}, '<svg/>')",
    )
    execute(layout, [chapter], SIMULATED, console=quiet)
    assert figures_saved(layout, chapter) == [figure]
    figure.unlink()
    assert execute(layout, [chapter], SIMULATED, console=quiet).executed == ()
    again = execute(layout, [chapter], SIMULATED, figures=True, console=quiet)
    assert again.executed == ("99-figure",)
    assert figure.is_file()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (ChapterParameters(profile="slow"), r"profile 'slow'.*quick, full"),
        (ChapterParameters(data="real"), r"data source 'real'.*auto, simulated, cmapss"),
        (ChapterParameters(device="tpu"), r"device 'tpu'.*auto, cpu, cuda, mps"),
        (ChapterParameters(profile=["quick"]), r"profile '\['quick'\]'"),
        (ChapterParameters(seed=-1), r"seed '-1'; give a whole number from 0"),
        (ChapterParameters(seed=2**31), r"seed '2147483648'.*to 2147483647"),
        (ChapterParameters(seed=4.5), r"seed '4\.5'"),
        (ChapterParameters(seed="42"), r"seed '42'"),
        (ChapterParameters(seed=True), r"seed 'True'"),
        (ChapterParameters(seed=float("nan")), r"seed 'nan'"),
    ],
)
def test_an_unknown_parameter_is_wrong_usage(layout, tiny, quiet, parameters, message):
    with pytest.raises(UsageError, match=message):
        execute(layout, [tiny], parameters, console=quiet)
    assert not layout.build.exists()


NOTEBOOKS = paths.files_in(Path(__file__).parents[2] / "notebooks", "*.ipynb")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_chapter_checks_its_parameters_before_it_uses_them(notebook):
    parameters, imports, *_ = (
        cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"
    )
    assert "parameters" in parameters.metadata.tags
    first, *_ = (
        node
        for node in ast.parse(imports.source).body
        if not isinstance(node, ast.Import | ast.ImportFrom)
    )
    assert ast.unparse(first) == "check_parameters(profile, data, device, seed)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameter", "value", "sentence"),
    [
        ("profile", "slow", "Unknown profile 'slow'; choose one of: quick, full."),
        ("seed", "many", "Unknown seed 'many'; give a whole number from 0 to 2147483647."),
    ],
)
def test_papermill_itself_gets_one_sentence_on_a_wrong_parameter(
    tmp_path, parameter, value, sentence
):
    executed = tmp_path / "executed.ipynb"
    chapter = next(path for path in NOTEBOOKS if path.stem == "08-what-the-protocol-does")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", chapter, executed, "-p", parameter, value],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert done.stderr.rstrip().endswith(f"UsageError: {sentence}")
    (error,) = (
        output
        for cell in nbformat.read(executed, as_version=4).cells
        for output in cell.get("outputs", ())
        if output.output_type == "error"
    )
    assert error.traceback == [f"UsageError: {sentence}"]


def test_real_data_that_is_not_there_is_an_error_before_anything_runs(
    layout, tiny, quiet, no_real_data
):
    with pytest.raises(RulbookError, match="rulbook data fetch"):
        execute(layout, [tiny], ChapterParameters(data="cmapss"), console=quiet)
    assert not layout.build.exists()


def test_an_incomplete_data_folder_is_an_error_that_names_the_file(
    layout, tiny, quiet, no_real_data, tmp_path, monkeypatch
):
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(RulbookError, match=r"has no train_FD001\.txt"):
        execute(layout, [tiny], ChapterParameters(), console=quiet)


@pytest.mark.slow
def test_the_stamp_holds_digests_and_figures_only(built):
    (chapter,) = choose(built, ["01-tiny"])
    stamp = json.loads(chapter.stamp.read_text())
    inputs = {"code", "package", "parameters", "data", "ledger", "libraries"}
    assert set(stamp["inputs"]) == inputs
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in stamp["inputs"].values())
    assert stamp["figures"] == []
