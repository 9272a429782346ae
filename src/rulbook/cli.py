"""The command line: commands take options, let the package do the work, and say what came of it.

Modules are imported inside the commands, so that ``rulbook --help`` answers at once.
"""

import codecs
import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rulbook import __version__, options, paths
from rulbook.errors import RulbookError, UsageError, place_of

if TYPE_CHECKING:
    from rulbook.claims.collect import ClaimRow
    from rulbook.publishing.execute import Execution
    from rulbook.publishing.layout import Layout
    from rulbook.publishing.parameters import ChapterParameters
    from rulbook.studies.catalogue import Study
    from rulbook.studies.sweep import Status
    from rulbook.training.config import RunConfig
    from rulbook.training.workers import Attempt

app = typer.Typer(
    help="Execute, check and build the companion that audits five sections of a textbook.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="The real C-MAPSS files.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Chapters = Annotated[
    list[str] | None, typer.Argument(metavar="[CHAPTER]...", help="Chapters; all by default.")
]
Profile = Annotated[
    options.Profile, typer.Option(help="How much is computed: minutes on two cores, or more.")
]
Data = Annotated[options.RequestedSource, typer.Option(help="The data that chapters load.")]
Device = Annotated[options.RequestedDevice, typer.Option(help="Where to compute.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUES",
        help="Change a choice of the study's runs; several values have commas between. Without a "
        "study, of the protocol on FD001.",
    ),
]
Results = Annotated[
    # As text: the path of an empty name is the working folder.
    str | None,
    typer.Option(metavar="PATH", help="Folder of your own records, in place of RULBOOK_RESULTS."),
]
Jobs = Annotated[int, typer.Option(min=1, help="How many to run at a time.")]

_JOBS = max(1, (os.cpu_count() or 1) // 2)
_INTERRUPTED = 130  # what Typer exits with on Ctrl-C
_ENOUGH_COLUMNS = 10_000
_PLAIN_LETTERS = {
    **{"✓": "ok", "→": "->", "…": "...", "×": "x", "–": "-", "−": "-", "≠": "/=", "°": " deg"},
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
}


def main() -> None:
    """Run the command line; every foreseen error becomes one sentence and an exit code."""
    _write_on_any_encoding()
    try:
        _refuse_closed_output()
        app(prog_name="rulbook")
    except RulbookError as fault:
        _leave(str(fault), fault.exit_code)
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _leave("Interrupted; what was finished is kept.", _INTERRUPTED)
        raise
    except BrokenPipeError:
        # Whoever read the output has enough, as `head` has; Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as fault:
        _leave(
            f"{place_of(fault)} cannot be used ({fault.strerror or fault}): put that right and run "
            "this again.",
            1,
        )
    except Exception as fault:
        if isinstance(fault, ModuleNotFoundError) and "rulbook" not in str(fault.name):
            raise  # an extra is not installed; `rulbook.__main__` says which
        _leave(
            f"Something went wrong that should not ({type(fault).__name__}: {fault}); please "
            f"report it with {_report(traceback.format_exc())}.",
            1,
        )


def _refuse_closed_output() -> None:
    """Raise ``RulbookError`` where all that a command says would be lost, and it would end well."""
    if sys.stdout is None:
        raise RulbookError(
            "The standard output is closed: leave it open, or send it to /dev/null if what this "
            "command says is not wanted."
        )


def _report(text: str) -> str:
    """Write a report to a file and return where it is; the report itself if there is no room."""
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="rulbook-",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as report:
            report.write(text)
    except OSError:
        return f"this:\n{text}"
    return f"what is in '{report.name}'"


def _write_on_any_encoding() -> None:
    """Let output write signs that its encoding lacks in plain letters, instead of failing."""
    codecs.register_error("plain_letters", _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain_letters")


def _in_plain_letters(fault: UnicodeError) -> tuple[str, int]:
    assert isinstance(fault, UnicodeEncodeError)
    signs = fault.object[fault.start : fault.end]
    return "".join(_PLAIN_LETTERS.get(sign, "?") for sign in signs), fault.end


def _leave(sentence: str, code: int) -> None:
    with suppress(OSError):  # the exit code says it too
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
    paths.make_relative_paths_absolute()
    paths.refuse_other_checkout()


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
    """Execute what changed, then build the pages."""
    from rulbook.publishing.layout import of_checkout
    from rulbook.publishing.lock import building
    from rulbook.publishing.site import build_site, claim_faults

    layout = of_checkout()
    parameters = _parameters(profile, data, device)
    with building(layout, Console(stderr=True)):
        _say(_summary(_execute(layout, None, parameters, jobs)))
        built = build_site(layout)
    _say(f"The pages {'were built' if built else 'are up to date'}. Open this file in a browser:")
    _say(layout.index.as_uri())
    faults = claim_faults(layout)
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
    from rulbook.publishing.chapters import choose
    from rulbook.publishing.execute import figures_saved
    from rulbook.publishing.layout import of_checkout
    from rulbook.publishing.lock import building

    layout = of_checkout()
    chosen = choose(layout, chapters or ())
    parameters = _parameters(profile, data, device)
    with building(layout, Console(stderr=True)):
        _say(_summary(_execute(layout, chapters, parameters, jobs, figures=True)))
        saved = [path for chapter in chosen for path in figures_saved(layout, chapter)]
        if not chapters:
            from rulbook.claims.collect import claims_table
            from rulbook.publishing import front_page

            saved += front_page.save_figure(claims_table(layout.executed), layout.figures)
    for path in saved:
        typer.echo(path)


@app.command()
def slides(chapters: Chapters = None, jobs: Jobs = _JOBS) -> None:
    """Execute what changed, then write slides: each chapter's findings, and its figures."""
    from rulbook.publishing.chapters import choose
    from rulbook.publishing.layout import of_checkout
    from rulbook.publishing.lock import building

    layout = of_checkout()
    chosen = choose(layout, chapters or ())
    from rulbook.publishing.slides import write_slides  # a wrong name does not wait for it

    with building(layout, Console(stderr=True)):
        _execute(layout, chapters, _parameters("quick", "auto", "auto"), jobs)
        pages = write_slides(layout, chosen)
    for page in pages:
        typer.echo(page)


@app.command("print")
def print_edition(chapters: Chapters = None) -> None:
    """Print the built pages of chapters to PDF, without solutions."""
    from rulbook.publishing.chapters import choose
    from rulbook.publishing.layout import of_checkout
    from rulbook.publishing.lock import building

    layout = of_checkout()
    chosen = choose(layout, chapters or ())
    from rulbook.publishing.print_edition import print_chapters  # as in `slides`

    with building(layout, Console(stderr=True)):
        for pdf in print_chapters(layout, chosen):
            typer.echo(pdf)


def _parameters(
    profile: options.Profile, data: options.RequestedSource, device: options.RequestedDevice
) -> "ChapterParameters":
    """Return the parameters of a run, refused before anything is made of them."""
    from rulbook.publishing.parameters import ChapterParameters

    parameters = ChapterParameters(profile=profile, data=data, device=device)
    parameters.check()
    return parameters


def _execute(
    layout: "Layout",
    names: list[str] | None,
    parameters: "ChapterParameters",
    jobs: int,
    *,
    figures: bool = False,
) -> "Execution":
    from rulbook.publishing import execute as execution
    from rulbook.publishing.chapters import choose

    chosen = choose(layout, names or ())
    outcome = execution.execute(layout, chosen, parameters, jobs=jobs, figures=figures)
    _mention_pairs(layout)
    return outcome


def _mention_pairs(layout: "Layout") -> None:
    """Say which notebooks and texts do not agree, and what can be done about each."""
    from rulbook.publishing.pairs import pairs_now, what_to_do

    for sentence in what_to_do(pairs_now(layout)):
        _say(escape(sentence))


def _summary(outcome: "Execution") -> str:
    def count(names: tuple[str, ...]) -> str:
        return f"{len(names)} chapter{'' if len(names) == 1 else 's'}"

    return f"{count(outcome.executed)} executed, {count(outcome.up_to_date)} up to date."


@app.command()
def pair(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a notebook is out of step.")
    ] = False,
    to_text: Annotated[
        list[str] | None,
        typer.Option(metavar="CHAPTER", help="Take what was edited in its notebook into its text."),
    ] = None,
    overwrite: Annotated[
        list[str] | None,
        typer.Option(metavar="CHAPTER", help="Drop what was edited in its notebook."),
    ] = None,
) -> None:
    """Write the notebook of every chapter from its text."""
    from rulbook.publishing import pairing
    from rulbook.publishing.chapters import choose
    from rulbook.publishing.layout import of_checkout
    from rulbook.publishing.pairs import what_to_do

    if check and (to_text or overwrite):
        raise UsageError("--check writes nothing: leave it out, or --to-text and --overwrite.")
    layout = of_checkout()
    choose(layout, overwrite or ())
    for chapter in choose(layout, to_text) if to_text else ():
        pairing.to_text(layout, chapter)
        _say(f"Text written: {chapter.name}.")
    pairs = pairing.compare(layout)
    if pairs.without_text:
        _say(f"Notebooks without a text, left alone: {', '.join(pairs.without_text)}.")
    if not check:
        written = [chapter.name for chapter in pairing.pair(layout, overwrite or ())]
        _say(f"Notebooks written: {', '.join(written) or 'none, all were in step'}.")
        return
    if sentences := what_to_do(pairs):
        raise RulbookError("\n".join(sentences))


@app.command()
def sweep(
    study: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", help="Its name, or a Python file of your own."),
    ] = None,
    settings: Settings = None,
    status: Annotated[bool, typer.Option("--status", help="Only count its runs.")] = False,
    results: Results = None,
    engine: Annotated[options.EngineName, typer.Option(help="What computes the runs.")] = "loky",
    scheduler: Annotated[
        str | None, typer.Option(help="Address of the Dask scheduler, tcp://HOST:PORT.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also run what failed at every try.")
    ] = False,
    jobs: Jobs = _JOBS,
    device: Device = "cpu",
) -> None:
    """Run what is missing of a study, and nothing else; it can be stopped and resumed."""
    from rulbook.studies import sweep as sweeping
    from rulbook.studies.own_study import chosen_study

    if scheduler is not None and engine != "dask":
        raise UsageError("--scheduler is Dask's: add --engine dask, or leave it out.")
    _keep_records_in(results)
    chosen, code = chosen_study(study, settings or ())
    configs = list(chosen.configs())
    before = sweeping.status(configs)
    _say(_count(chosen.name, before))
    if status:
        return
    if code or settings:
        paths.refuse_results_of_the_book()
    if not before.missing and not (retry_failed and before.failed):
        _refuse_failed(before)
        return
    run = partial(
        sweeping.sweep, jobs=jobs, engine=engine, scheduler=scheduler, code=code, device=device
    )
    after = _run_missing(chosen, configs, before, run, retry_failed=retry_failed)
    _say(_count(chosen.name, after))
    _refuse_failed(after)


def _run_missing(
    study: "Study",
    configs: list["RunConfig"],
    before: "Status",
    run: Callable[..., None],
    *,
    retry_failed: bool,
) -> "Status":
    """Run what is missing of a study under a progress bar, and return how far it is then.

    Some studies know their next runs by the records of the ones before: they are run too.

    Args:
        study: the study.
        configs: its runs as far as they are known.
        before: how far they are.
        run: runs the configurations that it is given; ``sweep`` with all but these chosen.
        retry_failed: also run what failed at every try, once.

    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from rulbook.studies.sweep import status

    columns = (study.name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(study.name, total=before.missing)

        def tried(outcome: "Attempt") -> None:
            if outcome.failure:
                progress.console.print(f"{outcome.key[:12]}: {escape(outcome.failure)}")
            now = status(configs)
            progress.update(bar, total=now.total - before.done, completed=now.done - before.done)

        while True:
            run(configs, retry_failed=retry_failed, on_attempt=tried)
            retry_failed = False
            configs = list(study.configs())
            if not (now := status(configs)).missing:
                return now


def _keep_records_in(results: str | None) -> None:
    """Let one's own records be written to and read from ``results``, if it is given.

    Raises:
        UsageError: it is an empty name, as of a variable that is not set, or that of a file.

    """
    if results == "":
        raise UsageError("--results has no name: name a folder, or leave it out.")
    if results is not None:
        folder = paths.expanded(results)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"'{results}' is no folder: name one with --results.")
        os.environ[paths.RESULTS_VARIABLE] = str(folder.absolute())


def _refuse_failed(after: "Status") -> None:
    from rulbook.studies.sweep import failures_folder

    if after.failed:
        raise RulbookError(
            f"{after.failed} runs failed at every try: the reasons are in '{failures_folder()}'; "
            f"try them again with --retry-failed."
        )


def _count(study: str, status: "Status") -> str:
    return (
        f"{study}: {status.done} of {status.total} runs done, {status.failed} failed, "
        f"{status.missing} missing."
    )


@app.command()
def records(
    study: Annotated[
        str | None, typer.Option(help="Only the runs of this study, or of a file of your own.")
    ] = None,
    settings: Settings = None,
    code: Annotated[
        list[Path] | None,
        typer.Option(help="A file of yours that adds methods or networks to know; repeatable."),
    ] = None,
    epochs: Annotated[
        bool, typer.Option("--epochs", help="One row an epoch in place of one a run.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write it to this Parquet file.")] = None,
    results: Results = None,
) -> None:
    """List which run each record holds, or write choices and measurements as a table."""
    from rulbook.studies import archive
    from rulbook.studies.evidence import evidence_of
    from rulbook.studies.own_study import chosen_study
    from rulbook.training.own_code import OwnCode

    if results is not None and not paths.expanded(results).exists():
        raise UsageError(f"There is no folder '{results}': name that of your records.")
    _keep_records_in(results)
    for file in code or ():
        OwnCode.read(paths.expanded(file)).load()
    chosen = chosen_study(study, settings or ())[0] if study or settings else None
    read = evidence_of(chosen).records if chosen else archive.all_records()
    if csv is None and parquet is None:
        table = archive.epochs_table(read) if epochs else archive.index_of(read)
        typer.echo(table.to_csv(index=False), nl=False)
        return
    table = archive.epochs_table(read) if epochs else archive.whole_table(read)
    for named, write in ((csv, archive.write_csv), (parquet, archive.write_parquet)):
        if named is not None:
            file = paths.expanded(named)  # no shell does it after an equals sign
            write(table, file)
            _say(f"{len(table)} rows of {table.shape[1]} columns are in {escape(str(file))}.")


@app.command()
def claims(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every claim of the ledger with the verdict that the executed chapters found."""
    from rulbook.claims.collect import claims_table
    from rulbook.publishing.layout import Layout

    # An installed package has no chapters: those of a checkout would meet another ledger.
    root = paths.checkout()
    rows = claims_table(Layout(root).executed if root else None)
    if as_json:
        typer.echo(json.dumps({"claims": rows}, indent=1))
        return
    _print_table(
        ("claim", "printed", "measured", "verdict"),
        [_in_words(row) for row in rows],
    )


def _print_table(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print a table whole: two lines a row on a terminal too narrow for it."""
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(escape, row))
    needed = console.measure(table, options=console.options.update(width=_ENOUGH_COLUMNS)).maximum
    if console.is_terminal and needed > console.width:
        # A table would lose what it has no room for.
        for first, *others in rows:
            told = ", ".join(
                f"{name} {cell}" for name, cell in zip(columns[1:], others, strict=True)
            )
            _say(escape(f"{first}\n  {told}"))
        return
    console.width = needed
    console.print(table)


def _in_words(row: "ClaimRow") -> list[str]:
    cells = (row["id"], row["printed"], row["measured"], row["verdict"])
    return ["–" if cell is None else str(cell) for cell in cells]


@app.command()
def doctor(
    dependencies: Annotated[
        bool,
        typer.Option("--dependencies", help="List the packages that the project stands on."),
    ] = False,
) -> None:
    """Say what this machine has and lacks, with what to do beside each problem."""
    from rulbook.publishing.doctor import examine
    from rulbook.publishing.layout import Layout, of_checkout

    if dependencies:
        _list_dependencies(of_checkout())
        return
    blocked = []
    for finding in examine(Layout(paths.checkout() or Path.cwd())):
        mark = "[yellow]![/]" if finding.remedy else "[green]✓[/]"
        remedy = f" → {escape(finding.remedy)}" if finding.remedy else ""
        _say(f"{mark} {finding.name:<12} {escape(finding.state)}{remedy}")
        if finding.needed:
            blocked.append(finding.name)
    if blocked:
        raise RulbookError(
            f"The pages cannot be built before this is put right: {', '.join(blocked)}."
        )


def _list_dependencies(layout: "Layout") -> None:
    from rulbook.publishing.dependencies import read, shortcomings

    known = read(layout)
    _print_table(
        ("package", "version", "licence", "last release", "of"),
        [
            [row.package, row.version, row.licence, row.last_release, str(row.released)]
            for row in known
        ],
    )
    for shortcoming, rows in shortcomings(known).items():
        _say(escape(f"{shortcoming}: {', '.join(row.package for row in rows) or 'none'}."))


@data_app.command("status")
def data_status() -> None:
    """Say which of the twelve files are here and whether their SHA-256 hold."""
    from rulbook import data

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
