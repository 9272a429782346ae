"""The command line: thin, every command calls one function of the package.

Modules are imported inside the commands, so that ``rulbook --help`` answers at once.
"""

import json
import os
import sys
import tempfile
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from rulbook import __version__
from rulbook.errors import RulbookError

if TYPE_CHECKING:
    from rulbook.publishing.execute import Outcome, Parameters
    from rulbook.publishing.layout import Layout
    from rulbook.studies.sweep import Status

app = typer.Typer(
    help="Execute, check and build the book that audits its multi-task-loss sections.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="The real C-MAPSS files.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Chapters = Annotated[
    list[str] | None, typer.Argument(metavar="[CHAPTER]...", help="Chapters; all by default.")
]
Profile = Annotated[str, typer.Option(help="quick (minutes on two cores) or full.")]
Data = Annotated[str, typer.Option(help="auto, simulated or cmapss.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Jobs = Annotated[int, typer.Option(min=1, help="How many to run at a time.")]

_JOBS = max(1, (os.cpu_count() or 1) // 2)
_INTERRUPTED = 130  # what Typer exits with on Ctrl-C


def main() -> None:
    """Run the command line; every foreseen error becomes one sentence and an exit code."""
    try:
        app()
    except RulbookError as fault:
        _leave(str(fault), fault.exit_code)
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _leave("Interrupted; what was finished is kept.", _INTERRUPTED)
        raise
    except OSError as fault:
        where = f"'{fault.filename}'" if fault.filename else "A file or connection"
        _leave(f"{where} cannot be used: {fault.strerror or fault}; see `rulbook doctor`.", 1)
    except Exception as fault:
        with tempfile.NamedTemporaryFile(
            "w", prefix="rulbook-", suffix=".txt", delete=False
        ) as report:
            report.write(traceback.format_exc())
        _leave(
            f"Something went wrong that should not ({type(fault).__name__}: {fault}); please "
            f"report it with what is in '{report.name}'.",
            1,
        )


def _leave(sentence: str, code: int) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]Error:[/] {escape(sentence)}")
    sys.exit(code)


def _say(line: str) -> None:
    Console(soft_wrap=True, highlight=False).print(line)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def execute(
    chapters: Chapters = None,
    profile: Profile = "quick",
    data: Data = "auto",
    device: Device = "auto",
    jobs: Jobs = _JOBS,
) -> None:
    """Execute the chapters that changed, or whose data, records or package did."""
    from rulbook.publishing.layout import of_checkout

    _say(_summary(_execute(of_checkout(), chapters, _parameters(profile, data, device), jobs)))


@app.command()
def build(
    profile: Profile = "quick",
    data: Data = "auto",
    device: Device = "auto",
    jobs: Jobs = _JOBS,
) -> None:
    """Execute what changed, then build the pages of the book."""
    from rulbook.claims.collect import faults_of
    from rulbook.publishing.layout import of_checkout
    from rulbook.publishing.site import build_site

    layout = of_checkout()
    _say(_summary(_execute(layout, None, _parameters(profile, data, device), jobs)))
    built = build_site(layout)
    _say(f"The pages {'were built' if built else 'are up to date'}. Open this file in a browser:")
    _say(layout.index.as_uri())
    faults = faults_of(layout.executed)
    if faults:
        raise RulbookError("Ledger and chapters do not agree:\n" + "\n".join(faults))


@app.command()
def figures(
    chapters: Chapters = None,
    profile: Profile = "quick",
    data: Data = "auto",
    device: Device = "auto",
    jobs: Jobs = _JOBS,
) -> None:
    """Execute what changed or whose figures are gone; list the figures, as SVG and PNG."""
    from rulbook.claims.collect import claims_table
    from rulbook.publishing import front_page
    from rulbook.publishing.chapters import choose
    from rulbook.publishing.execute import figures_saved
    from rulbook.publishing.layout import of_checkout

    layout = of_checkout()
    outcome = _execute(layout, chapters, _parameters(profile, data, device), jobs, figures=True)
    _say(_summary(outcome))
    saved = [path for chapter in choose(layout, chapters or ()) for path in figures_saved(chapter)]
    if not chapters:
        saved += front_page.save_figure(claims_table(layout.executed))
    for path in saved:
        typer.echo(path)


def _parameters(profile: Any, data: Any, device: Any) -> "Parameters":
    """Return the parameters of a run; their own ``check`` refuses unknown names."""
    from rulbook.publishing.execute import Parameters

    return Parameters(profile=profile, data=data, device=device)


def _execute(
    layout: "Layout",
    names: list[str] | None,
    parameters: "Parameters",
    jobs: int,
    *,
    figures: bool = False,
) -> "Outcome":
    from rulbook.publishing import execute as execution
    from rulbook.publishing.chapters import choose
    from rulbook.publishing.pairing import out_of_step

    chosen = choose(layout, names or ())
    outcome = execution.execute(layout, chosen, parameters, jobs=jobs, figures=figures)
    if stale := out_of_step(layout):
        _say(f"Notebooks that differ from their texts: {', '.join(stale)}; run `rulbook pair`.")
    return outcome


def _summary(outcome: "Outcome") -> str:
    def count(names: tuple[str, ...]) -> str:
        return f"{len(names)} chapter{'' if len(names) == 1 else 's'}"

    return f"{count(outcome.executed)} executed, {count(outcome.up_to_date)} up to date."


@app.command()
def pair(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a notebook is out of step.")
    ] = False,
) -> None:
    """Write the notebook of every chapter from its text."""
    from rulbook.publishing import pairing
    from rulbook.publishing.layout import of_checkout

    layout = of_checkout()
    if not check:
        written = [chapter.name for chapter in pairing.pair(layout)]
        _say(f"Notebooks written: {', '.join(written) or 'none, all were in step'}.")
    elif stale := pairing.out_of_step(layout):
        raise RulbookError(
            f"Notebooks that do not agree with their text: {', '.join(stale)}; run `rulbook pair`."
        )


@app.command()
def sweep(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Its name.")],
    status: Annotated[bool, typer.Option("--status", help="Only count its runs.")] = False,
    engine: Annotated[str, typer.Option(help="loky, dask or ray.")] = "loky",
    scheduler: Annotated[
        str | None, typer.Option(help="Address of the Dask scheduler, tcp://HOST:PORT.")
    ] = None,
    jobs: Jobs = _JOBS,
    device: Device = "cpu",
) -> None:
    """Run what is missing of a study, and nothing else; it can be stopped and resumed."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from rulbook import studies
    from rulbook.publishing.execute import Parameters
    from rulbook.studies import sweep as sweeping

    configs = list(studies.study(study).configs())
    before = sweeping.status(configs)
    _say(_count(study, before))
    if status or not before.missing:
        return
    where: Any = device  # the check refuses unknown names
    Parameters(data="cmapss", device=where).check()
    columns = (study, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(study, total=before.missing)

        def tried(outcome: "sweeping.Attempt") -> None:
            if outcome.failure:
                progress.console.print(f"{outcome.key[:12]}: {escape(outcome.failure)}")
            progress.update(bar, completed=before.missing - sweeping.status(configs).missing)

        chosen: Any = engine  # the sweep refuses unknown names
        sweeping.sweep(
            configs,
            jobs=jobs,
            engine=chosen,
            scheduler=scheduler,
            on_attempt=tried,
            run=partial(sweeping.run_one, device=where),
        )
    after = sweeping.status(configs)
    _say(_count(study, after))
    if after.failed:
        raise RulbookError(
            f"{after.failed} runs failed at every try: the reasons are in "
            f"'{sweeping.failures_folder()}'; delete a note there to try its run again."
        )


def _count(study: str, status: "Status") -> str:
    return (
        f"{study}: {status.done} of {status.total} runs done, {status.failed} failed, "
        f"{status.missing} missing."
    )


@app.command()
def claims(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every claim of the ledger with the verdict that the executed chapters found."""
    from rich.table import Column, Table

    from rulbook import paths
    from rulbook.claims.collect import claims_table
    from rulbook.publishing.layout import Layout

    rows = claims_table(Layout(paths.checkout() or Path.cwd()).executed)
    if as_json:
        typer.echo(json.dumps({"claims": rows}, indent=1))
        return
    table = Table(Column("claim", no_wrap=True), "printed", "measured", "verdict")
    for row in rows:
        cells = (row["id"], row["printed"], row["measured"], row["verdict"])
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in cells))
    Console().print(table)


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks, with what to do beside each problem."""
    from rulbook import paths
    from rulbook.publishing.doctor import examine
    from rulbook.publishing.layout import Layout

    blocked = []
    for finding in examine(Layout(paths.checkout() or Path.cwd())):
        mark = "[yellow]![/]" if finding.way_out else "[green]✓[/]"
        way_out = f" → {escape(finding.way_out)}" if finding.way_out else ""
        _say(f"{mark} {finding.name:<12} {escape(finding.state)}{way_out}")
        if finding.needed:
            blocked.append(finding.name)
    if blocked:
        raise RulbookError(
            f"The book cannot be built before this is put right: {', '.join(blocked)}."
        )


@data_app.command("status")
def data_status() -> None:
    """Say which of the twelve files are here and whether their SHA-256 hold."""
    from rulbook import data, paths

    state = data.status()
    if state.folder is None:
        _say(f"No real data: {paths.DATA_VARIABLE} is not set and the cache is empty.")
        _say("Chapters use the simulated fleet. To fetch the real data: rulbook data fetch")
        return
    _say(f"{escape(str(state.folder))} (named by {state.named_by})")
    for file in state.files:
        _say(f"  {file.name:<16} {escape(file.problem) if file.problem else 'SHA-256 holds'}")
    if not state.complete:
        raise RulbookError(
            "The real data is not complete: see the list above for what to do about each file."
        )


@data_app.command("fetch")
def data_fetch() -> None:
    """Download the twelve files, verified, into the cache."""
    from rulbook.data.fetch import fetch

    _say(f"The twelve files are in {escape(str(fetch()))}.")
