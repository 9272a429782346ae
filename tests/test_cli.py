"""What the command line adds: sentences and exit codes. The work itself is tested elsewhere."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rulbook import __version__, cli, paths
from rulbook.claims.ledger import read_ledger
from rulbook.errors import RulbookError, UsageError
from rulbook.publishing import layout as layouts
from rulbook.publishing.layout import Layout, of_checkout

from .publishing.conftest import FRONT_MATTER, PARAMETERS_CELL


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line as ``rulbook`` does; return exit code, standard output and error."""

    def run_command(*arguments, columns="500"):
        monkeypatch.setattr(sys, "argv", ["rulbook", *arguments])
        monkeypatch.setenv("COLUMNS", columns)
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        else:
            code = 0
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return code, captured.out, captured.err

    return run_command


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Let commands work on an empty checkout with one page of text and no chapter."""
    layout = Layout(tmp_path / "checkout")
    layout.book.mkdir(parents=True)
    shutil.copy2(Path(__file__).parents[1] / "_config.yml", layout.root)
    monkeypatch.setattr(layouts, "of_checkout", lambda: layout)
    return layout


def test_the_program_is_installed_and_answers_without_importing_pytorch():
    code = "import sys, rulbook.cli; sys.exit('torch' in sys.modules or 'papermill' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version(run):
    assert run("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "command",
    [
        "execute",
        "build",
        "figures",
        "slides",
        "print",
        "pair",
        "sweep",
        "records",
        "claims",
        "doctor",
        "data status",
        "data fetch",
    ],
)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert result.exit_code == 0
    usage, *explanation = filter(str.strip, result.output.splitlines())
    assert command in usage
    assert explanation[0].strip()[0].isupper()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "nonsense"),
        (["execute", "--jobs", "0"], "--jobs"),
        (["execute", "--jobs", "many"], "--jobs"),
        (["sweep"], "STUDY"),
        (["execute", "99-none"], "Unknown chapter '99-none'"),
        (["execute", "--profile", "slow"], "'slow' is not one of 'quick', 'full'"),
        (["execute", "--data", "real"], "'real' is not one of 'auto', 'simulated', 'cmapss'"),
        (["execute", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda', 'mps'"),
        (["pair", "--overwrite", "99-none"], "Unknown chapter '99-none'"),
        (["pair", "--check", "--to-text", "01-why-multi-task"], "--check writes nothing"),
        (["pair", "--check", "--overwrite", "01-why-multi-task"], "--check writes nothing"),
        (["sweep", "core-a", "--status", "--scheduler", "tcp://x:1"], "--scheduler is Dask's"),
        (["sweep", "core-a", "--status", "--results", ""], "--results has no name: name a folder"),
        (["records", "--results", ""], "--results has no name: name a folder"),
        (["slides", "--no-such"], "--no-such"),
        (["slides", "--jobs", "0"], "--jobs"),
        (["print", "--no-such"], "--no-such"),
        (["sweep", "nothing", "--status"], "Unknown study 'nothing'"),
    ],
)
def test_wrong_usage_is_named_and_ends_with_2(run, arguments, said):
    code, out, err = run(*arguments)
    assert code == 2
    assert said in err
    assert out == ""


TAKE_ANY_VALUE = (
    ("execute", "--profile"),
    ("execute", "--data"),
    ("execute", "--device"),
    ("execute", "--jobs"),
    ("execute",),
    ("figures",),
    ("slides",),
    ("slides", "--jobs"),
    ("print",),
    ("pair", "--to-text"),
    ("pair", "--overwrite"),
    ("sweep", "--status"),
    ("sweep", "--status", "--set"),
    ("sweep", "paper-size", "--status", "--set"),
    ("records", "--study"),
    ("records", "--code"),
    ("claims",),
    ("doctor", "--dependencies"),
    ("data",),
    (),
)
VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0"), max_size=12),
    st.sampled_from(
        ("--", "-", "--help=", "-1", "1e9", "[red]", "[/]", "../..", "~", "x.py", ".py", "seed=1,2")
    ),
    st.builds(
        "{}={}".format,
        st.sampled_from(("seed", "lr", "weighting", "subset", "max_epochs", "", "no_such")),
        st.text(st.characters(exclude_characters="\0"), max_size=12),
    ),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.sampled_from(TAKE_ANY_VALUE), value=VALUES)
def test_whatever_an_option_is_given_the_answer_is_one_sentence(
    checkout, monkeypatch, no_real_data, command, value
):
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr("rulbook.publishing.web_assets.provide_slides", _make_folder)
    monkeypatch.setattr(sys, "argv", ["rulbook", *command, value])
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        code = None
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    assert code in {None, 0, 1, 2}
    written.flush()
    said = written.buffer.getvalue().decode("utf-8")
    assert "went wrong" not in said, said
    assert "Traceback" not in said, said


def test_a_device_that_is_not_there_ends_with_1(run, checkout, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = run("execute", "--device", "cuda")
    assert code == 1
    assert err == (
        "Error: PyTorch finds no cuda device on this machine: choose --device auto or --device "
        "cpu.\n"
    )


def test_a_data_folder_that_is_not_there_ends_with_1(run, checkout, monkeypatch, tmp_path):
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path / "nowhere"))
    for command in (["data", "status"], ["execute"], ["build"]):
        code, _, err = run(*command)
        assert code == 1
        assert "nowhere', which is not a folder" in err


def test_data_status_without_data_says_how_to_get_it(run, no_real_data):
    code, out, err = run("data", "status")
    assert (code, err) == (0, "")
    assert "No real data" in out
    assert "rulbook data fetch" in out


def test_data_status_with_missing_files_ends_with_1(run, monkeypatch, tmp_path):
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
    code, out, err = run("data", "status")
    assert code == 1
    assert out.count("has no") == 12
    assert err.count("\n") == 1


def test_data_status_with_real_data(run, real_data):
    code, out, _ = run("data", "status")
    assert code == 0
    assert out.count("SHA-256 holds") == 12


def test_a_build_folder_that_cannot_be_written_is_one_sentence(run, checkout, no_real_data):
    (checkout.book / "01-a.md").write_text(
        "---\nkernelspec: {name: python3, display_name: Python 3}\n---\n\n"
        "```{code-cell}\n:tags: [parameters]\nseed = 1\n```\n"
    )
    checkout.build.write_text("a file where a folder should be")
    code, _, err = run("execute")
    assert code == 1
    assert f"'{checkout.build}" in err
    assert "cannot be used" in err


def test_a_full_disk_is_one_sentence(run, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device", "/somewhere/file")

    monkeypatch.setattr("rulbook.data.fetch.fetch", full)
    assert run("data", "fetch") == (
        1,
        "",
        "Error: '/somewhere/file' cannot be used (No space left on device): put that right and run "
        "this again.\n",
    )


def test_a_move_that_fails_names_both_places(run, monkeypatch):
    def blocked(**_):
        raise OSError(21, "Is a directory", "/from/file", None, "/to/file")

    monkeypatch.setattr("rulbook.data.fetch.fetch", blocked)
    assert "'/from/file' or '/to/file' cannot be used (Is a dir" in run("data", "fetch")[2]


def test_an_unforeseen_error_is_one_sentence_and_a_report(run, monkeypatch, tmp_path):
    def broken(**_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("rulbook.data.fetch.fetch", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, _, err = run("data", "fetch")
    assert code == 1
    assert "ZeroDivisionError: a bug" in err
    (report,) = tmp_path.glob("rulbook-*.txt")
    assert str(report) in err
    assert "Traceback" in report.read_text()


def test_an_interruption_is_one_sentence(run, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rulbook.data.fetch.fetch", interrupted)
    code, _, err = run("data", "fetch")
    assert code == 130
    assert err.count("\n") == 1


def test_square_brackets_in_an_error_are_shown_as_they_are(run, monkeypatch):
    def failing(**_):
        raise RulbookError("Install rulbook[book], then [red]again[/red].")

    monkeypatch.setattr("rulbook.data.fetch.fetch", failing)
    _, _, err = run("data", "fetch")
    assert "Install rulbook[book], then [red]again[/red]." in err


def test_claims_as_json_have_the_promised_keys(run):
    code, out, _ = run("claims", "--json")
    assert code == 0
    (rows,) = json.loads(out).values()
    keys = {"id", "section", "tier", "statement", "printed", "measured", "verdict", "expected"}
    assert rows
    assert all(set(row) == keys | {"conditions", "finding", "trivia"} for row in rows)


def test_a_piped_table_of_claims_is_whole_whatever_the_width_of_the_terminal(run, monkeypatch):
    _, as_json, _ = run("claims", "--json")
    rows = json.loads(as_json)["claims"]
    code, table, _ = run("claims", columns="40")
    assert code == 0
    assert "…" not in table
    lines = [line for line in table.splitlines() if "-" in line]
    for row in rows:
        cells = [str(row[name]) for name in ("id", "printed", "measured", "verdict") if row[name]]
        assert any(all(cell in line for cell in cells) for line in lines), row


def test_a_terminal_too_narrow_for_the_table_of_claims_gets_all_of_it_in_lines(run, monkeypatch):
    _, as_json, _ = run("claims", "--json")
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    code, said, _ = run("claims", columns="40")
    assert code == 0
    for row in json.loads(as_json)["claims"]:
        cells = ["–" if row[name] is None else row[name] for name in ("printed", "measured")]
        verdict = row["verdict"] or "–"
        told = f"  printed {cells[0]}, measured {cells[1]}, verdict {verdict}\n"
        assert f"{row['id']}\n{told}" in said


def test_doctor_lists_the_dependencies_whole_and_names_the_unmaintained(run, tmp_path, monkeypatch):
    (tmp_path / "dependencies.csv").write_text(
        "package,version,licence,named,last_release,released,looked_up\n"
        "asleep,1.0,MIT,False,2.0,2020-01-31,2026-11-29\n"
        "awake,3.0,A [red]licence[/red] and another one,True,3.0,2026-10-01,2026-11-29\n"
    )
    monkeypatch.setattr(layouts, "of_checkout", lambda: Layout(tmp_path))
    code, out, _ = run("doctor", "--dependencies", columns="40")
    assert code == 0
    row = next(line for line in out.splitlines() if "awake" in line)
    for cell in ("3.0", "A [red]licence[/red] and another one", "2026-10-01"):
        assert cell in row
    assert "No release for 730 days on 2026-11-29, named by this project: none.\n" in out
    assert "No release for 730 days on 2026-11-29, brought by other packages: asleep.\n" in out
    assert "Kept at an older line: asleep.\n" in out


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "command", [["claims"], ["doctor"], ["doctor", "--dependencies"], ["execute", "99-…"]], ids=str
)
def test_every_list_can_be_written_in_any_encoding(command, encoding, tmp_path, monkeypatch):
    monkeypatch.setenv("RULBOOK_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["rulbook", *command])
    written = [io.BytesIO(), io.BytesIO()]
    for name, bytes_written in zip(("stdout", "stderr"), written, strict=True):
        stream = io.TextIOWrapper(bytes_written, encoding, write_through=True)
        monkeypatch.setattr(sys, name, stream)
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    assert code in {0, 1, 2}
    said = "".join(bytes_written.getvalue().decode(encoding) for bytes_written in written)
    assert said
    assert "went wrong" not in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_process_writes_in_the_encoding_that_it_is_told(tmp_path):
    told = os.environ | {"PYTHONIOENCODING": "ascii", "RULBOOK_DATA": str(tmp_path / "…")}
    result = _rulbook("execute", "99-…", env=told)
    said = (result.stdout + result.stderr).decode("ascii")
    assert result.returncode in {1, 2}
    assert "..." in said
    assert "went wrong" not in said
    assert "Traceback" not in said


def _rulbook(*arguments, **options):
    command = [sys.executable, "-m", "rulbook", *arguments]
    return subprocess.run(command, capture_output=True, check=False, **options)


@pytest.mark.parametrize(
    ("redirected", "arguments", "code", "said"),
    [
        (">&-", ("claims",), 1, "standard output is closed"),
        (">&-", ("--help",), 1, "standard output is closed"),
        (">&- 2>&-", ("records",), 1, ""),
        (">/dev/full", ("claims", "--json"), 1, "No space left"),
        ("2>/dev/full", ("sweep", "nope"), 2, ""),
    ],
)
def test_output_that_is_lost_ends_with_an_error(redirected, arguments, code, said):
    command = [sys.executable, "-m", "rulbook", *arguments]
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", *command]
    result = subprocess.run(shell, capture_output=True, check=False)
    assert result.returncode == code
    assert said in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()


def test_the_package_runs_as_a_module_and_names_itself():
    result = _rulbook("--help")
    assert result.returncode == 0
    assert b"Usage: rulbook" in result.stdout


def test_a_command_in_another_checkout_is_refused_and_names_both(tmp_path):
    other = tmp_path / "other"
    (other / "book").mkdir(parents=True)
    (other / "src" / "rulbook").mkdir(parents=True)
    (other / "book" / "claims.yml").write_text("claims: []\n")
    for folder in (other, other / "book"):
        result = _rulbook("pair", "--check", cwd=folder)
        assert result.returncode == 2
        assert str(other) in result.stderr.decode()
        assert str(paths.checkout()) in result.stderr.decode()
    assert _rulbook("--version", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("asked", [paths.ledger, paths.results, paths.own_results, of_checkout])
def test_what_is_of_this_checkout_is_not_used_in_another(monkeypatch, tmp_path, asked):
    """JupyterLab, papermill and Python run without the command `rulbook`."""
    monkeypatch.delenv(paths.RESULTS_VARIABLE, raising=False)
    for folder in ("book", "src/rulbook", "notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book" / "claims.yml").write_text("claims: []\n")
    monkeypatch.chdir(tmp_path / "notebooks")
    with pytest.raises(UsageError, match=str(tmp_path)):
        asked()


def test_a_folder_for_records_that_was_named_is_used_in_any_checkout(monkeypatch, tmp_path):
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path / "mine"))
    for folder in ("book", "src/rulbook"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book" / "claims.yml").write_text("claims: []\n")
    monkeypatch.chdir(tmp_path)
    assert paths.own_results() == tmp_path / "mine"


def test_an_installed_package_leaves_the_executions_of_a_checkout_alone(run, monkeypatch, tmp_path):
    """They belong to another ledger."""
    executed = Layout(tmp_path).executed
    executed.mkdir(parents=True)
    (executed / "01-why-multi-task.ipynb").write_text("no notebook")
    monkeypatch.chdir(tmp_path)
    ledger = paths.ledger()
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setattr(paths, "ledger", lambda: ledger)
    code, out, _ = run("claims", "--json")
    assert code == 0
    assert len(json.loads(out)["claims"]) == len(read_ledger())


def test_a_relative_data_folder_means_the_same_everywhere(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(paths.DATA_VARIABLE, "here")
    _, _, err = run("data", "status")
    assert str(tmp_path / "here") in err
    assert os.environ[paths.DATA_VARIABLE] == str(tmp_path / "here")


def test_a_relative_folder_of_records_means_the_same_everywhere(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(paths.RESULTS_VARIABLE, "mine")
    run("data", "status")
    monkeypatch.chdir(tmp_path.parent)  # as a chapter, which runs in the root of the checkout
    assert paths.own_results() == tmp_path / "mine"


def test_an_unforeseen_error_with_no_room_for_a_report_shows_it(monkeypatch, capsys, tmp_path):
    def broken(**_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("rulbook.data.fetch.fetch", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "argv", ["rulbook", "data", "fetch"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "(ZeroDivisionError: a bug); please report it with this:\nTraceback" in said
    assert "raise ZeroDivisionError" in said


def test_pair_check_names_what_is_out_of_step(run, checkout):
    (checkout.book / "01-a.md").write_text("# A\n")
    code, _, err = run("pair", "--check")
    assert code == 1
    assert "01-a; run `rulbook pair`" in err
    assert not checkout.notebooks.exists()


def test_a_build_ends_with_1_where_ledger_and_chapters_do_not_agree(
    run, checkout, monkeypatch, no_real_data
):
    from rulbook.publishing import execute, site

    faults = []
    outcome = execute.Execution(executed=("01-a",), up_to_date=())
    monkeypatch.setattr(execute, "execute", lambda *_, **__: outcome)
    monkeypatch.setattr(site, "build_site", lambda _: True)
    monkeypatch.setattr(site, "claim_faults", lambda _: faults)
    said = (
        "1 chapter executed, 0 chapters up to date.\n"
        f"The pages were built. Open this file in a browser:\n{checkout.index.as_uri()}\n"
    )
    assert run("build") == (0, said, "")
    faults += ["row-1 is refuted.", "row-2 was not checked."]
    told = "Error: Ledger and chapters do not agree:\nrow-1 is refuted.\nrow-2 was not checked.\n"
    assert run("build") == (1, said, told)


def test_figures_lists_those_of_the_chapters_and_of_the_front_page(
    run, checkout, monkeypatch, no_real_data, tmp_path
):
    from rulbook.publishing import execute

    (checkout.book / "01-a.md").write_text("# A\n")
    of_chapter = tmp_path / "01-a.svg"
    outcome = execute.Execution(executed=(), up_to_date=("01-a",))
    monkeypatch.setattr(execute, "execute", lambda *_, **__: outcome)
    monkeypatch.setattr(execute, "figures_saved", lambda *_: [of_chapter])
    _, out, _ = run("figures")
    front = [checkout.figures / f"index-verdicts{suffix}" for suffix in (".png", ".svg")]
    assert out.splitlines()[-3:] == [str(path) for path in (of_chapter, *front)]
    assert all(path.is_file() for path in front)
    _, out, _ = run("figures", "01-a")
    assert out.splitlines()[-1] == str(of_chapter)


def test_slides_are_written_for_the_chapters_that_are_named_and_listed(run, checkout, monkeypatch):
    from rulbook.publishing import execute, web_assets

    for name in ("01-a", "02-b"):
        text = f"{FRONT_MATTER}# Chapter {name}\n\n{PARAMETERS_CELL}"
        (checkout.book / f"{name}.md").write_text(text)
        _write_executed(checkout, name, f"# Chapter {name}")
    asked = []

    def note(_layout, chapters, *_, **options):
        asked.append(([chapter.name for chapter in chapters], options["jobs"]))
        return execute.Execution(executed=(), up_to_date=())

    monkeypatch.setattr(execute, "execute", note)
    monkeypatch.setattr(web_assets, "provide_slides", _make_folder)
    code, out, _ = run("slides", "02-b", "--jobs", "3")
    assert code == 0
    assert out.splitlines()[-1] == str(checkout.slides / "02-b.html")
    assert "Chapter 02-b" in (checkout.slides / "02-b.html").read_text()
    assert not (checkout.slides / "01-a.html").exists()
    _, out, _ = run("slides")
    pages = [str(checkout.slides / f"{name}.html") for name in ("01-a", "02-b")]
    assert out.splitlines()[-2:] == pages
    assert asked == [(["02-b"], 3), (["01-a", "02-b"], asked[1][1])]


def test_slides_that_npm_does_not_bring_are_one_sentence_and_none_is_written(
    run, checkout, monkeypatch
):
    from rulbook.publishing import execute, web_assets

    def unreachable(*_):
        raise RulbookError("npm is not reachable.")

    (checkout.book / "01-a.md").write_text("# A\n")
    _write_executed(checkout, "01-a", "# A")
    outcome = execute.Execution(executed=(), up_to_date=("01-a",))
    monkeypatch.setattr(execute, "execute", lambda *_, **__: outcome)
    monkeypatch.setattr(web_assets, "_download", unreachable)
    code, _, err = run("slides")
    assert (code, err) == (1, "Error: npm is not reachable.\n")
    assert not [path for path in checkout.slides.rglob("*") if path.is_file()]


def _make_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)


def _write_executed(checkout, name, text):
    checkout.executed.mkdir(parents=True, exist_ok=True)
    cell = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": text}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (checkout.executed / f"{name}.ipynb").write_text(json.dumps(notebook))


@pytest.mark.parametrize("command", ["figures", "slides", "print"])
def test_what_reads_the_output_of_a_build_keeps_other_builds_out(
    run, checkout, monkeypatch, no_real_data, command
):
    from rulbook.publishing import execute, front_page, print_edition, slides

    seen = []

    def note(*_):
        seen.append(_is_being_built(checkout))
        return []

    outcome = execute.Execution(executed=(), up_to_date=())
    monkeypatch.setattr(execute, "execute", lambda *_, **__: outcome)
    monkeypatch.setattr(front_page, "save_figure", note)
    monkeypatch.setattr(slides, "write_slides", note)
    monkeypatch.setattr(print_edition, "print_chapters", note)
    assert run(command)[0] == 0
    assert seen == [True]
    assert not _is_being_built(checkout)


def _is_being_built(checkout):
    try:
        with FileLock(checkout.build / "lock", timeout=0):
            return False
    except Timeout:
        return True


@pytest.fixture
def printing_browser(tmp_path, monkeypatch):
    """Let a small program print, which writes the address of the page where the PDF should be."""
    program = tmp_path / "browser"
    program.write_text(
        "#!/bin/sh\n"
        'for argument; do case "$argument" in --print-to-pdf=*) pdf="${argument#*=}";; esac; done\n'
        'echo "$argument" > "$pdf"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("RULBOOK_BROWSER", str(program))


@pytest.mark.usefixtures("printing_browser")
def test_the_chapters_that_are_named_are_printed_and_listed(run, checkout):
    checkout.html.mkdir(parents=True)
    pages = {name: checkout.html / f"{name}.html" for name in ("01-a", "02-b")}
    for name, page in pages.items():
        (checkout.book / f"{name}.md").write_text(f"# {name}\n")
        page.write_text("<p>Words.")
    pdfs = {name: checkout.printed / f"{name}.pdf" for name in pages}
    assert run("print", "02-b") == (0, f"{pdfs['02-b']}\n", "")
    assert [pdf.is_file() for pdf in pdfs.values()] == [False, True]
    assert run("print") == (0, f"{pdfs['01-a']}\n{pdfs['02-b']}\n", "")
    for name, pdf in pdfs.items():
        assert pdf.read_text() == f"{pages[name].as_uri()}\n"


@pytest.mark.usefixtures("printing_browser")
def test_pages_that_are_not_there_are_one_sentence_and_none_is_printed(run, checkout):
    for name in ("01-a", "02-b"):
        (checkout.book / f"{name}.md").write_text(f"# {name}\n")
    checkout.html.mkdir(parents=True)
    (checkout.html / "01-a.html").write_text("<p>Words.")
    said = "Error: The page of 02-b was not built: run `rulbook build`.\n"
    assert run("print") == (1, "", said)
    assert not checkout.printed.exists()


def test_printing_without_a_browser_is_one_sentence(run, checkout, monkeypatch):
    monkeypatch.setenv("RULBOOK_BROWSER", "no-such-browser")
    code, out, err = run("print")
    assert (code, out) == (1, "")
    assert "install chromium" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["slides", "print"])
def test_an_unknown_chapter_is_one_sentence_of_the_process_too(command):
    result = _rulbook(command, "99-none", env=os.environ | {"COLUMNS": "500"})
    assert (result.returncode, result.stdout) == (2, b"")
    error = result.stderr.decode()
    assert "Unknown chapter '99-none'" in error
    assert error.count("\n") == 1


def test_executing_mentions_what_is_out_of_step(run, checkout, monkeypatch, no_real_data):
    from rulbook.publishing import execute

    outcome = execute.Execution(executed=("01-a",), up_to_date=("02-b", "03-c"))
    monkeypatch.setattr(execute, "execute", lambda *_, **__: outcome)
    checkout.notebooks.mkdir()
    code, out, _ = run("execute")
    assert (code, out) == (0, "1 chapter executed, 2 chapters up to date.\n")
    (checkout.book / "01-a.md").write_text("# A\n")
    (checkout.notebooks / "01-a.ipynb").write_text("{")
    code, out, _ = run("execute")
    assert code == 0
    assert "`rulbook pair --to-text 01-a` takes them into the text" in out
    assert "`rulbook pair --overwrite 01-a` drops them" in out


def test_pair_names_notebooks_without_a_text_and_keeps_them(run, checkout):
    checkout.notebooks.mkdir()
    own = checkout.notebooks / "my-experiment.ipynb"
    own.write_text("{}")
    for command in (["pair"], ["pair", "--check"]):
        code, out, _ = run(*command)
        assert code == 0
        assert "without a text, left alone: my-experiment." in out
    assert own.read_text() == "{}"


def test_sweep_status_counts_and_runs_nothing(run, monkeypatch):
    from rulbook.studies import sweep

    monkeypatch.setattr(sweep, "sweep", lambda *_, **__: pytest.fail("a run was started"))
    monkeypatch.setattr(sweep, "status", lambda _: sweep.Status(1, 2, 3))
    said = "core-a: 1 of 6 runs done, 2 failed, 3 missing.\n"
    assert run("sweep", "core-a", "--status") == (0, said, "")
    assert run("sweep", "core-a", "--status", "--retry-failed") == (0, said, "")


@pytest.mark.parametrize("missing", [0, 3])
def test_runs_that_failed_end_a_sweep_with_1_and_are_tried_again_when_asked_for(
    run, monkeypatch, missing
):
    from rulbook.studies import sweep

    found = [sweep.Status(1, 2, missing)]

    def train(_, *, retry_failed, **__):
        failed = 0 if retry_failed else found[-1].failed
        found.append(sweep.Status(found[-1].total - failed, failed, 0))

    monkeypatch.setattr(sweep, "status", lambda _: found[-1])
    monkeypatch.setattr(sweep, "sweep", train)
    code, out, err = run("sweep", "core-a")
    assert code == 1
    assert len(found) == 1 + (missing > 0)
    assert f"core-a: {1 + missing} of {3 + missing} runs done, 2 failed, 0 missing.\n" in out
    assert err.endswith(
        f"Error: 2 runs failed at every try: the reasons are in '{sweep.failures_folder()}'; "
        "try them again with --retry-failed.\n"
    )
    code, out, _ = run("sweep", "core-a", "--retry-failed")
    assert code == 0
    assert f"core-a: {3 + missing} of {3 + missing} runs done, 0 failed, 0 missing.\n" in out


def test_sweep_goes_on_with_the_runs_that_a_study_knows_by_its_records(run, monkeypatch):
    from rulbook import studies
    from rulbook.studies import own_study, sweep

    done = []
    plan = [studies.base_config("FD001", seed) for seed in (1, 2, 3)]
    growing = studies.Study("growing", "", lambda: iter(plan[: len(done) + 1]))

    def count(configs):
        missing = len([c for c in configs if c not in done])
        return sweep.Status(len(done), 0, missing)

    def train(configs, **_):
        done.extend(c for c in configs if c not in done)

    monkeypatch.setattr(own_study, "study", lambda _: growing)
    monkeypatch.setattr(sweep, "status", count)
    monkeypatch.setattr(sweep, "sweep", train)
    code, out, _ = run("sweep", "growing")
    assert code == 0
    assert done == plan
    assert "growing: 3 of 3 runs done" in out


def test_sweep_without_real_data_says_how_to_get_it(run, no_real_data, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    code, _, err = run("sweep", "core-a")
    assert code == 1
    assert "rulbook data fetch" in err


def test_sweep_on_a_device_that_is_not_there_starts_no_run(run, monkeypatch, tmp_path):
    import torch

    from rulbook.studies import sweep

    monkeypatch.setattr(sweep, "try_run", lambda *_: pytest.fail("a run was started"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = run("sweep", "paper-size", "--device", "cuda")
    assert code == 1
    assert "--device cpu" in err


def test_records_are_listed_and_written_as_a_table(run, tmp_path):
    code, out, _ = run("records", "--study", "amnl-weights")
    head, *rows = out.splitlines()
    assert (code, head.split(",")[:3]) == (0, ["file", "studies", "subset"])
    code, out, _ = run("records", "--study", "amnl-weights", "--csv", str(tmp_path / "runs.csv"))
    assert code == 0
    assert f"{len(rows)} rows of" in out
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == len(rows) + 1
    code, out, _ = run(
        "records", "--study", "amnl-weights", "--epochs", "--csv", str(tmp_path / "epochs.csv")
    )
    assert code == 0
    assert len((tmp_path / "epochs.csv").read_text().splitlines()) > len(rows) + 1


def test_a_home_that_no_shell_expanded_is_a_home(run, monkeypatch, tmp_path):
    """No shell expands the ``~`` of ``--csv=~/runs.csv``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("records", "--study", "amnl-weights", "--csv=~/runs.csv")
    assert code == 0
    assert str(tmp_path / "runs.csv") in out.replace("\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def test_doctor_ends_with_1_only_for_what_is_in_the_way(run, checkout, monkeypatch, no_real_data):
    from rulbook.publishing import doctor

    findings = [doctor.Observation("data", "simulated fleet", "fetch it")]
    monkeypatch.setattr(doctor, "examine", lambda _: findings)
    code, out, _ = run("doctor")
    assert code == 0
    assert "! data         simulated fleet → fetch it" in out
    findings.append(doctor.Observation("npm", "missing", "install it", needed=True))
    code, _, err = run("doctor")
    assert code == 1
    assert "npm" in err


@pytest.mark.parametrize(
    ("absent", "arguments"),
    [("typer", ["--help"]), ("rich", ["doctor"]), ("jupytext", ["pair", "--check"])],
)
def test_without_an_extra_one_sentence_says_what_to_install(absent, arguments):
    """As from ``pip install rulbook`` alone, which brings the script and not what it imports."""
    code = (
        f"import sys\nsys.modules[{absent!r}] = None\nsys.argv = ['rulbook', *{arguments}]\n"
        "from rulbook.__main__ import main\nmain()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=paths.checkout(),
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    (sentence,) = ran.stderr.splitlines()
    assert sentence.startswith(f"Error: This command needs the package '{absent}'")
    assert "rulbook[studies]" in sentence
