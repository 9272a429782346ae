"""What the command line adds: sentences and exit codes. The work itself is tested elsewhere."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rulbook import __version__, cli, paths
from rulbook.errors import RulbookError
from rulbook.publishing import layout as layouts
from rulbook.publishing.layout import Layout


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line as ``rulbook`` does; return exit code, standard output and error."""

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["rulbook", *arguments])
        monkeypatch.setenv("COLUMNS", "500")
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
        "pair",
        "sweep",
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
        (["execute", "--profile", "slow"], "Unknown profile 'slow'"),
        (["execute", "--data", "real"], "Unknown data source 'real'"),
        (["execute", "--device", "tpu"], "Unknown device 'tpu'"),
        (["sweep", "nothing", "--status"], "Unknown study 'nothing'"),
    ],
)
def test_wrong_usage_is_named_and_ends_with_2(run, arguments, said):
    code, out, err = run(*arguments)
    assert code == 2
    assert said in err
    assert out == ""


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
        "Error: '/somewhere/file' cannot be used: No space left on device; see `rulbook doctor`.\n",
    )


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
    assert all(set(row) == keys | {"conditions"} for row in rows)


def test_claims_as_table_lists_every_claim_in_a_narrow_terminal(run, monkeypatch):
    _, as_json, _ = run("claims", "--json")
    monkeypatch.setattr("rich.console.Console.width", 80)
    code, table, _ = run("claims")
    assert code == 0
    assert all(row["id"] in table for row in json.loads(as_json)["claims"])


def test_pair_check_names_what_is_out_of_step(run, checkout):
    (checkout.book / "01-a.md").write_text("# A\n")
    code, _, err = run("pair", "--check")
    assert code == 1
    assert "01-a; run `rulbook pair`" in err
    assert not checkout.notebooks.exists()


def test_figures_lists_those_of_the_chapters_and_of_the_front_page(
    run, checkout, monkeypatch, no_real_data, tmp_path
):
    from rulbook.publishing import execute

    (checkout.book / "01-a.md").write_text("# A\n")
    of_chapter = tmp_path / "01-a.svg"
    outcome = execute.Outcome(executed=(), up_to_date=("01-a",))
    monkeypatch.setattr(execute, "execute", lambda *_, **__: outcome)
    monkeypatch.setattr(execute, "figures_saved", lambda _: [of_chapter])
    monkeypatch.setattr(paths, "figures", lambda: tmp_path)
    _, out, _ = run("figures")
    front = [tmp_path / f"index-verdicts{suffix}" for suffix in (".png", ".svg")]
    assert out.splitlines()[-3:] == [str(path) for path in (of_chapter, *front)]
    assert all(path.is_file() for path in front)
    _, out, _ = run("figures", "01-a")
    assert out.splitlines()[-1] == str(of_chapter)


def test_executing_mentions_what_is_out_of_step(run, checkout, monkeypatch, no_real_data):
    from rulbook.publishing import execute

    outcome = execute.Outcome(executed=("01-a",), up_to_date=("02-b", "03-c"))
    monkeypatch.setattr(execute, "execute", lambda *_, **__: outcome)
    checkout.notebooks.mkdir()
    code, out, _ = run("execute")
    assert (code, out) == (0, "1 chapter executed, 2 chapters up to date.\n")
    (checkout.notebooks / "09-gone.ipynb").write_text("{}")
    code, out, _ = run("execute")
    assert code == 0
    assert "09-gone; run `rulbook pair`" in out


def test_sweep_status_counts_and_runs_nothing(run, monkeypatch):
    from rulbook.studies import sweep

    monkeypatch.setattr(sweep, "sweep", lambda *_, **__: pytest.fail("a run was started"))
    code, out, _ = run("sweep", "core-a", "--status")
    assert code == 0
    assert "core-a: " in out
    assert "missing" in out


def test_sweep_without_real_data_says_how_to_get_it(run, no_real_data, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    code, _, err = run("sweep", "core-a")
    assert code == 1
    assert "rulbook data fetch" in err


def test_sweep_on_a_device_that_is_not_there_starts_no_run(run, monkeypatch, tmp_path):
    import torch

    from rulbook.studies import sweep

    monkeypatch.setattr(sweep, "sweep", lambda *_, **__: pytest.fail("a run was started"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = run("sweep", "paper-size", "--device", "cuda")
    assert code == 1
    assert "--device cpu" in err


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
