"""Sweeps on a Dask scheduler and workers that are real processes, some of which are killed."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rulbook
from rulbook.errors import RulbookError, UsageError
from rulbook.studies import engines
from rulbook.studies.sweep import status, sweep

from .sweeping import Cluster, at_most, configs, fake_run

pytestmark = pytest.mark.usefixtures("results")

SECONDS = 240.0
"""After which a test of a cluster has failed; on a free machine each takes a few."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Start a scheduler; the test adds the workers."""
    pytest.importorskip("distributed")
    with at_most(SECONDS):
        cluster = Cluster(tmp_path)
        try:
            yield cluster
        finally:
            cluster.end()


def on(cluster: Cluster, number: int, action: str, **choices: object) -> None:
    run = fake_run(action)
    sweep(configs(number), engine="dask", scheduler=cluster.address, run=run, **choices)


def lines(note: Path) -> list[list[str]]:
    return [line.split() for line in note.read_text().splitlines()]


@pytest.mark.cluster
def test_a_run_that_always_kills_the_only_worker_fails_alone_and_none_runs_in_the_driver(
    cluster, tmp_path
):
    cluster.add_worker()
    note = tmp_path / "note"
    on(
        cluster,
        4,
        f"""
        with open({str(note)!r}, "a") as file:
            print(os.getpid(), config.seed, file=file)
        if config.seed == 1:
            os.kill(os.getpid(), 9)
        """,
    )
    counted = status(configs(4))
    assert (counted.done, counted.failed, counted.missing) == (3, 1, 0)
    assert {seed for _, seed in lines(note)} == {"0", "1", "2", "3"}
    assert str(os.getpid()) not in {process for process, _ in lines(note)}


@pytest.mark.cluster
def test_a_worker_killed_in_the_middle_costs_no_run(cluster, tmp_path):
    workers = [cluster.add_worker("--no-nanny") for _ in range(2)]
    note = tmp_path / "note"
    victim = workers[0].pid
    done = []

    def kill_the_first(attempt):
        done.append(attempt)
        if len(done) == 3:
            os.kill(victim, signal.SIGKILL)

    on(
        cluster,
        12,
        f"""
        with open({str(note)!r}, "a") as file:
            print(os.getpid(), config.seed, file=file)
        time.sleep(0.5)
        """,
        on_attempt=kill_the_first,
    )
    assert workers[0].wait() == -signal.SIGKILL
    assert status(configs(12)).done == 12
    assert workers[1].pid in {int(process) for process, _ in lines(note)}


@pytest.mark.cluster
def test_a_worker_without_the_data_is_named_before_anything_runs(cluster, tmp_path):
    cluster.add_worker("--no-nanny", RULBOOK_DATA=str(tmp_path / "nowhere"))
    tried = []
    with pytest.raises(RulbookError, match=r"On the worker tcp://127.*nowhere"):
        sweep(configs(3), engine="dask", scheduler=cluster.address, on_attempt=tried.append)
    assert not tried
    assert status(configs(3)).missing == 3


@pytest.mark.cluster
def test_a_worker_with_another_version_of_the_package_is_named_before_anything_runs(
    cluster, tmp_path
):
    other = tmp_path / "other" / "rulbook"
    shutil.copytree(Path(rulbook.__file__).parent, other)
    (other / "__init__.py").write_text('"""Another one."""\n__version__ = "0.0.1"\n')
    cluster.add_worker("--no-nanny", PYTHONPATH=str(other.parent))
    with pytest.raises(RulbookError, match=r"tcp://127.* another version of rulbook"):
        on(cluster, 3, "raise AssertionError('it ran')")
    assert status(configs(3)).missing == 3


@pytest.mark.cluster
def test_a_worker_without_the_package_is_named_before_anything_runs(cluster, tmp_path):
    broken = tmp_path / "broken" / "rulbook"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no rulbook here')\n")
    cluster.add_worker("--no-nanny", PYTHONPATH=str(broken.parent))
    with pytest.raises(RulbookError, match=r"tcp://127.* another version of rulbook"):
        on(cluster, 1, "raise AssertionError('it ran')")


@pytest.mark.cluster
def test_when_the_scheduler_dies_a_sentence_says_so_and_the_sweep_resumes(cluster):
    cluster.add_worker("--no-nanny")
    done = []

    def kill_the_scheduler(attempt):
        done.append(attempt)
        if len(done) == 3:
            cluster.scheduler.kill()

    with pytest.raises(RulbookError, match=r"scheduler at tcp://127.* has gone"):
        on(cluster, 8, "time.sleep(0.2)", on_attempt=kill_the_scheduler)
    counted = status(configs(8))
    assert 3 <= counted.done < 8
    assert counted.failed == 0
    sweep(configs(8), jobs=1, run=fake_run())
    assert status(configs(8)).done == 8


@pytest.mark.cluster
def test_when_the_last_worker_is_gone_for_good_a_sentence_says_so(cluster, monkeypatch):
    monkeypatch.setattr(engines, "_WAIT_FOR_A_WORKER", 1.0)
    cluster.add_worker("--no-nanny")
    with pytest.raises(RulbookError, match="lost its last worker"):
        on(cluster, 2, "if config.seed == 1: os.kill(os.getpid(), 9)")
    counted = status(configs(2))
    assert (counted.done, counted.missing) == (1, 1)


@pytest.mark.cluster
def test_a_scheduler_without_workers_says_how_to_start_one(cluster, monkeypatch):
    monkeypatch.setattr(engines, "_WAIT_FOR_THE_FIRST", 1.0)
    with pytest.raises(RulbookError, match="dask worker tcp://127"):
        on(cluster, 1, "pass")


@pytest.mark.cluster
def test_a_scheduler_that_is_not_there_is_named():
    with at_most(SECONDS), pytest.raises(RulbookError, match=r"tcp://127\.0\.0\.1:9"):
        sweep(configs(1), engine="dask", scheduler="tcp://127.0.0.1:9", run=fake_run())


def test_an_engine_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RulbookError, match=r"rulbook\[dask\]"):
        sweep(configs(1), engine="dask", run=fake_run())


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(UsageError, match="loky, dask"):
        sweep(configs(1), engine="threads", run=fake_run())


def test_dask_without_scheduler_says_what_it_needs():
    with pytest.raises(UsageError, match="--scheduler"):
        sweep(configs(1), engine="dask", run=fake_run())
