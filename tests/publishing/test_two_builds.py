"""What a page says does not hang on how it was built: chapters of the book executed twice."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pytest

from rulbook.claims.collect import collect
from rulbook.publishing.layout import Layout
from rulbook.publishing.recorded_values import glued, timings

pytestmark = pytest.mark.two_builds

BOOK = Path(__file__).parents[2] / "book"

TIMED = "01-why-multi-task"
CHAPTERS = (TIMED, "02-combining-losses")

EXECUTE = """
import sys
from pathlib import Path

from rulbook.publishing.chapters import choose
from rulbook.publishing.execute import execute
from rulbook.publishing.parameters import ChapterParameters
from rulbook.publishing.layout import Layout

root, profile, jobs, *names = sys.argv[1:]
layout = Layout(Path(root))
chapters = [chapter for name in names for chapter in choose(layout, [name])]
execute(
    layout, chapters, ChapterParameters(profile, data="simulated", device="cpu"), jobs=int(jobs)
)
"""

HERE = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
ELSEWHERE = {
    "LC_ALL": "POSIX",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "cp1252",
    "TZ": "Asia/Kolkata",
    "PYTHONHASHSEED": "12345",
}


def _build(
    root: Path,
    names: Sequence[str],
    *,
    profile: str = "quick",
    jobs: int = 1,
    surroundings: Mapping[str, str] = HERE,
) -> Layout:
    """Execute chapters in the order of ``names`` in a checkout of their own."""
    layout = Layout(root)
    layout.book.mkdir(parents=True)
    for name in names:
        shutil.copy2(BOOK / f"{name}.md", layout.book)
    subprocess.run(
        [sys.executable, "-c", EXECUTE, root, profile, str(jobs), *names],
        env=os.environ | surroundings,
        check=True,
    )
    return layout


def _executed(layout: Layout) -> dict[str, nbformat.NotebookNode]:
    """Return the executed notebook of every chapter by its name."""
    return {path.stem: nbformat.read(path, 4) for path in layout.executed.glob("*.ipynb")}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The chapters, one after the other in the order of the book."""
    return _build(tmp_path_factory.mktemp("quick"), CHAPTERS)


def test_order_jobs_locale_encoding_and_zone_change_no_glued_value_and_no_verdict(
    quick: Layout, tmp_path: Path
) -> None:
    other = _build(tmp_path / "other", CHAPTERS[::-1], jobs=2, surroundings=ELSEWHERE)
    first, second = _executed(quick), _executed(other)
    assert first.keys() == second.keys() == set(CHAPTERS)
    for name, notebook in first.items():
        values, others = glued(notebook), glued(second[name])
        assert values.keys() == others.keys()
        different = {value for value in values if values[value] != others[value]}
        assert different <= timings(notebook) < values.keys(), name
    assert timings(first[TIMED])
    assert _verdicts(quick) == _verdicts(other)


def test_quick_and_full_profile_give_equal_verdicts(quick: Layout, tmp_path: Path) -> None:
    full = _build(tmp_path / "full", CHAPTERS, profile="full")
    assert _verdicts(quick)
    assert _verdicts(quick) == _verdicts(full)


def _verdicts(layout: Layout) -> dict[str, str]:
    """Return what was found for every claim that the executed chapters decide."""
    return {entry.decision.claim: str(entry.decision.verdict) for entry in collect(layout.executed)}
