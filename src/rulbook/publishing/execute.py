"""Execute chapters with papermill, only those that need it, several at a time."""

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rulbook import paths, reads
from rulbook.errors import RulbookError, place_of
from rulbook.publishing import recorded_values, stamps
from rulbook.publishing.chapters import Chapter, forget_removed
from rulbook.publishing.layout import Layout
from rulbook.publishing.lock import building
from rulbook.publishing.parameters import ChapterParameters
from rulbook.side_files import read_text

if TYPE_CHECKING:
    # These take long to import; what is up to date is not to wait for them.
    from nbformat import NotebookNode


CELL_SECONDS = 1800
"""How long one cell may take; the slowest cell of the full profile takes a fraction of it."""

INJECTED_TAG = "injected-parameters"
"""Papermill's tag for the cell with which it replaces the values of the ``parameters`` cell."""

_SENTENCE_CHARACTERS = 300


@dataclass(frozen=True)
class Execution:
    """What became of the chapters that were asked for.

    Attributes:
        executed: names of the chapters that ran.
        up_to_date: names of the chapters that did not have to.
    """

    executed: tuple[str, ...]
    up_to_date: tuple[str, ...]


def execute(
    layout: Layout,
    chapters: Sequence[Chapter],
    parameters: ChapterParameters,
    *,
    jobs: int = 1,
    figures: bool = False,
    cell_seconds: int = CELL_SECONDS,
    console: Console | None = None,
) -> Execution:
    """Execute the chapters whose inputs changed since they last ran.

    A chapter that fails does not stop the others, and leaves its last good execution in place.
    Another build of the same checkout is waited for.

    Args:
        layout: the checkout.
        chapters: the chapters that are wanted.
        parameters: the values of their ``parameters`` cell.
        jobs: how many chapters run at a time.
        figures: whether a chapter also runs again if a figure that it saved is gone.
        cell_seconds: how long one cell may take.
        console: where progress is shown; standard error by default.

    Raises:
        RulbookError: a chapter failed; one sentence for each names the chapter, its cell and the
            exception. Or the data that is asked for is not complete.
    """
    console = console or Console(stderr=True)
    parameters.check()
    with building(layout, console):
        return _execute(layout, chapters, parameters, jobs, figures, cell_seconds, console)


def _execute(
    layout: Layout,
    chapters: Sequence[Chapter],
    parameters: ChapterParameters,
    jobs: int,
    figures: bool,
    cell_seconds: int,
    console: Console,
) -> Execution:
    forget_removed(layout)
    inputs = stamps.Inputs.now(asdict(parameters), parameters.data)
    reasons = {chapter: stamps.changes(chapter, inputs) for chapter in chapters}
    if figures:
        for chapter in chapters:
            reasons[chapter] += _figures_gone(layout, chapter)
    stale = [chapter for chapter in chapters if reasons[chapter]]
    for chapter in stale:
        console.print(f"{chapter.name}: executing ({escape(', '.join(reasons[chapter]))})")
    task = _Task(layout, inputs, parameters, cell_seconds)
    failures = _run_all(stale, task, jobs, console) if stale else []
    _record_values(layout, chapters, inputs, ran=stale)
    if failures:
        raise RulbookError("\n".join(failures))
    return Execution(
        executed=tuple(chapter.name for chapter in stale),
        up_to_date=tuple(chapter.name for chapter in chapters if not reasons[chapter]),
    )


def _record_values(
    layout: Layout, chapters: Sequence[Chapter], inputs: stamps.Inputs, *, ran: Sequence[Chapter]
) -> None:
    """Record what the texts quote of the chapters that ran, or quote for the first time."""
    values = recorded_values.read(layout)
    quoting = [
        chapter
        for chapter in chapters
        if chapter in ran or recorded_values.unrecorded(chapter, values)
    ]
    current = [chapter for chapter in quoting if not stamps.changes(chapter, inputs)]
    if current:
        recorded_values.record(layout, current)


@dataclass(frozen=True)
class _Task:
    """What a worker needs to know beside the chapter; it crosses a process boundary."""

    layout: Layout
    inputs: stamps.Inputs
    parameters: ChapterParameters
    cell_seconds: int


@dataclass(frozen=True)
class _CellStarts:
    chapter: str
    position: int
    cells: int


class _Worker:
    """What the process that executes chapters holds: the queue that its parent listens to."""

    events: SimpleQueue[_CellStarts]


def _run_all(chapters: Sequence[Chapter], task: _Task, jobs: int, console: Console) -> list[str]:
    """Run every chapter, ``jobs`` at a time; return one sentence for each that failed."""
    context = multiprocessing.get_context("spawn")
    events: SimpleQueue[_CellStarts] = context.SimpleQueue()
    interrupted = context.Event()
    failures: list[str] = []
    with (
        _progress(console) as progress,
        ProcessPoolExecutor(jobs, context, _start_worker, (events, interrupted, jobs)) as pool,
    ):
        running = {pool.submit(_run, chapter, task): chapter for chapter in chapters}
        bars = {chapter.name: progress.add_task(chapter.name, total=None) for chapter in chapters}
        try:
            while running:
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                while not events.empty():
                    event = events.get()
                    progress.update(
                        bars[event.chapter], completed=event.position, total=event.cells
                    )
                for future in done:
                    chapter = running.pop(future)
                    progress.remove_task(bars[chapter.name])
                    failure = _failure(future, chapter)
                    if failure:
                        failures.append(failure)
                    end = "failed" if failure else f"done in {future.result():.0f} s"
                    console.print(f"{chapter.name}: {end}")
        except KeyboardInterrupt:
            interrupted.set()  # whoever waits for a cell to end would wait for minutes
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failures


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("cell {task.completed} of {task.total}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _failure(future: Future[float], chapter: Chapter) -> str:
    """Return the sentence on why a chapter failed, or nothing if it did not."""
    try:
        future.result()
    except RulbookError as fault:
        return str(fault)
    except BrokenProcessPool:
        return (
            f"Chapter {chapter.name} was cut off because a process that executes chapters was "
            "killed, often for want of memory: run it again, with --jobs 1."
        )
    except OSError as fault:
        return (
            f"Chapter {chapter.name} could not be executed. {place_of(fault)} cannot be used "
            f"({fault.strerror or fault}): put that right and run it again."
        )
    except Exception as fault:
        # Whatever it is, it is this chapter's, and the others go on.
        return (
            f"Chapter {chapter.name} could not be executed ({type(fault).__name__}: "
            f"{_shortened(str(fault))}); please report it."
        )
    return ""


def _start_worker(events: SimpleQueue[_CellStarts], interrupted: Event, jobs: int) -> None:
    _Worker.events = events
    for target, arguments in ((_end_with_parent, ()), (_end_if, (interrupted,))):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # no debugger will attach
    os.environ.pop("PYTHONSTARTUP", None)  # IPython would run it in every chapter


def _end_if(interrupted: Event) -> None:
    """End this process, and so the kernel that it started, as soon as the run is interrupted."""
    interrupted.wait()
    os._exit(1)


def _end_with_parent() -> None:
    """End this process, and so the kernel that it started, as soon as its parent is gone."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _run(chapter: Chapter, task: _Task) -> float:
    """Execute one chapter and, if it succeeds, put it and its stamp in their places.

    Returns:
        How many seconds it took.

    Raises:
        RulbookError: it failed; the sentence names the cell and the exception.
    """
    import nbformat

    from rulbook.publishing import conditions
    from rulbook.publishing.pairing import to_notebook

    # The stamp is that of what is executed, whatever becomes of the text in the meantime.
    text = read_text(chapter.text)
    notebook = to_notebook(chapter, text)
    code = stamps.Code.of(notebook)
    made_of = task.inputs.of(code, reads_records=True)
    unfinished = task.layout.unfinished / chapter.executed.name
    note = unfinished.with_suffix(".reads")
    note.unlink(missing_ok=True)
    os.environ[reads.NOTE_VARIABLE] = str(note)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    executed = _papermill(notebook, unfinished, chapter, task)
    read = reads.read_note(note)
    note.unlink(missing_ok=True)
    conditions.write(
        executed, conditions.Conditions.of_run(executed, asdict(task.parameters), read)
    )
    nbformat.write(executed, unfinished)
    stamp = stamps.Stamp(
        inputs={
            name: digest
            for name, digest in made_of.items()
            if read.records or name != stamps.RECORDS
        },
        figures=[
            path.name
            for path in _figures_of(task.layout, chapter)
            if path.stat().st_mtime >= started
        ],
        text=stamps.text_digest(text),
        imports=code.imports,
        executed=stamps.file_digest(unfinished),
    )
    chapter.stamp.unlink(missing_ok=True)
    chapter.executed.parent.mkdir(parents=True, exist_ok=True)
    unfinished.replace(chapter.executed)
    stamps.write(chapter, stamp)
    return time.time() - started


def _papermill(
    notebook: "NotebookNode", unfinished: Path, chapter: Chapter, task: _Task
) -> "NotebookNode":
    """Return a notebook after papermill has executed it in a kernel of its own."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from rulbook.publishing import kernel_note
    from rulbook.publishing.kernels import LookingKernelManager

    place = _Place(chapter.name)

    def cell_starts(cell: "NotebookNode", cell_index: int) -> None:
        place.enter(cell)
        _Worker.events.put(_CellStarts(chapter.name, cell_index, len(notebook.cells) + 1))

    # A profile and a matplotlibrc of the user's own set things that no reader has.
    with tempfile.TemporaryDirectory(prefix="rulbook-ipython-") as profile:
        os.environ["IPYTHONDIR"] = profile
        os.environ["MATPLOTLIBRC"] = os.devnull
        try:
            executed: NotebookNode = papermill.execute_notebook(
                notebook,
                unfinished,
                parameters=asdict(task.parameters),
                kernel_name="python3",
                language="python",  # whatever another tool wrote into the text
                kernel_manager_class=LookingKernelManager,
                progress_bar=False,
                cwd=task.layout.root,
                execution_timeout=task.cell_seconds,
                extra_arguments=[f"--ext={kernel_note.__name__}", "--log-level=CRITICAL"],
                on_cell_start=cell_starts,
            )
        except PapermillExecutionError as fault:
            raise place.failed(f"{fault.ename}: {fault.evalue}", unfinished) from fault
        except CellTimeoutError as fault:
            raise place.failed(f"it took over {task.cell_seconds} seconds", unfinished) from fault
        except DeadKernelError as fault:
            raise place.failed("its process died, often for want of memory", unfinished) from fault
        except RuntimeError as fault:
            # What Jupyter raises where the process does not even start.
            raise RulbookError(
                f"Chapter {chapter.name} has no process to run in ({_shortened(str(fault))}): "
                "`rulbook doctor` says what is missing here."
            ) from fault
    if _was_left(executed):
        # papermill takes sys.exit(0) for an end that was wanted, whatever stands behind it.
        raise place.failed("it ended the process (SystemExit)", unfinished)
    return executed


def _was_left(executed: "NotebookNode") -> bool:
    """Return whether a cell of an executed notebook ended the execution before the last one."""
    return any(
        output.output_type == "error" and output.ename == "SystemExit"
        for cell in executed.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def figures_saved(layout: Layout, chapter: Chapter) -> list[Path]:
    """Return the figures that a chapter saved when it was last executed."""
    stamp = stamps.read(chapter)
    return [layout.figures / name for name in stamp.figures] if stamp else []


def _figures_gone(layout: Layout, chapter: Chapter) -> list[str]:
    saved = figures_saved(layout, chapter)
    return [f"{path.name} is gone" for path in saved if not path.is_file()]


def _figures_of(layout: Layout, chapter: Chapter) -> list[Path]:
    return paths.files_in(layout.figures, f"{chapter.number}-*")


class _Place:
    """The code cell that a chapter is in, as its author counts: what papermill adds is left out."""

    def __init__(self, chapter: str) -> None:
        self._chapter = chapter
        self._number = 0
        self._first_line = ""

    def enter(self, cell: "NotebookNode") -> None:
        """Move on to ``cell``."""
        if cell.cell_type == "code" and INJECTED_TAG not in cell.metadata.get("tags", ()):
            self._number += 1
            self._first_line = next(iter(cell.source.splitlines()), "")

    def failed(self, what: str, unfinished: Path) -> RulbookError:
        """Return the sentence on what happened in the current cell."""
        return RulbookError(
            f"Chapter {self._chapter} failed in code cell {self._number} (`{self._first_line}`): "
            f"{_shortened(what)}; the notebook as far as it came is '{unfinished}'."
        )


def _shortened(what: str) -> str:
    """Return what happened on one line of bounded length."""
    line = " ".join(what.split())
    return line if len(line) <= _SENTENCE_CHARACTERS else line[:_SENTENCE_CHARACTERS] + " …"
