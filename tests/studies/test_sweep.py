import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

from rulbook import paths
from rulbook.errors import RulbookError, UsageError
from rulbook.studies.catalogue import base_config
from rulbook.studies.sweep import MAX_TRIES, failures_folder, runs_folder, status, sweep
from rulbook.training import RunRecord


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """Let every record of these tests land in a folder of their own."""
    folder = tmp_path / "results"
    monkeypatch.setattr(paths, "results", lambda: folder)
    return folder


def configs(number):
    return [base_config("FD001", seed) for seed in range(number)]


def fake_run(action="pass"):
    """Return a run that takes no time; ``action`` is what it does first, as Python source.

    A closure, so that worker processes get it by value.
    """

    def run(config):
        exec(textwrap.dedent(action), {"config": config, "os": __import__("os")})
        return RunRecord(
            config=config,
            status="completed",
            wall_seconds=0.0,
            device="cpu",
            versions={},
            source_digest="",
        )

    return run


def test_a_sweep_runs_what_is_missing_and_nothing_else():
    first, rest = configs(4)[:2], configs(4)
    done = []
    sweep(first, jobs=1, run=fake_run(), on_attempt=lambda outcome: done.append(outcome.key))
    sweep(rest, jobs=1, run=fake_run(), on_attempt=lambda outcome: done.append(outcome.key))
    assert sorted(done) == sorted(config.key() for config in rest)
    found = status(rest)
    assert (found.done, found.failed, found.missing, found.total) == (4, 0, 0, 4)


def test_a_run_that_always_fails_is_recorded_after_three_tries_and_not_tried_again():
    tried = []
    broken = fake_run("if config.seed == 1: raise ValueError('no such luck')")
    sweep(configs(3), jobs=1, run=broken, on_attempt=lambda outcome: tried.append(outcome.key))
    found = status(configs(3))
    assert (found.done, found.failed, found.missing) == (2, 1, 0)
    assert tried.count(configs(3)[1].key()) == MAX_TRIES
    note = json.loads(next(failures_folder().iterdir()).read_text())
    assert "no such luck" in note["reason"]
    assert note["config"]["seed"] == 1
    sweep(configs(3), jobs=1, run=broken, on_attempt=lambda outcome: tried.append(outcome.key))
    assert tried.count(configs(3)[1].key()) == MAX_TRIES


@pytest.mark.slow
def test_a_killed_worker_loses_at_most_the_runs_in_flight(tmp_path):
    marker = tmp_path / "killed"
    kill_once = f"""
        if config.seed == 2 and not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, "w").close()
            os._exit(137)
    """
    sweep(configs(6), jobs=2, run=fake_run(kill_once))
    assert status(configs(6)).done == 6


@pytest.mark.slow
def test_workers_start_with_the_memory_settings_that_are_not_set_already(tmp_path, monkeypatch):
    mmap, trim = "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"
    monkeypatch.setenv(mmap, "")  # so that what the sweep sets is taken back afterwards
    monkeypatch.delenv(mmap)
    monkeypatch.setenv(trim, "12345")
    seen = tmp_path / "seen"
    note = f"""
        with open({str(seen)!r}, "a") as file:
            print(os.environ[{mmap!r}], os.environ[{trim!r}], file=file)
    """
    get_reusable_executor().shutdown(kill_workers=True)
    sweep(configs(2), jobs=2, run=fake_run(note))
    get_reusable_executor().shutdown(kill_workers=True)
    assert set(seen.read_text().split()) == {str(2**25), "12345"}


@pytest.mark.slow
def test_a_run_that_always_kills_its_worker_fails_alone():
    sweep(configs(5), jobs=2, run=fake_run("if config.seed == 2: os._exit(137)"))
    found = status(configs(5))
    assert (found.done, found.failed) == (4, 1)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_parent_leaves_whole_records_and_the_rest_to_do(results, ending):
    """Stop a sweep in another process in the middle, then finish it here."""
    program = f"""
        import time
        from pathlib import Path
        from rulbook import paths
        from rulbook.studies.catalogue import base_config
        from rulbook.studies.sweep import sweep
        from rulbook.training import RunRecord
        paths.results = lambda: Path({str(results)!r})
        def run(config):
            time.sleep(0.2)
            return RunRecord(config=config, status="completed", wall_seconds=0.0, device="cpu",
                             versions={{}}, source_digest="")
        sweep([base_config("FD001", seed) for seed in range(30)], jobs=1, run=run,
              on_attempt=lambda outcome: print("done", flush=True))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        for _ in range(3):
            assert process.stdout.readline() == "done\n"
        process.send_signal(ending)
    found = status(configs(30))
    assert 3 <= found.done < 30
    assert [path.suffix for path in runs_folder().iterdir()].count(".json") == found.done
    sweep(configs(30), jobs=1, run=fake_run())
    assert status(configs(30)).done == 30


@pytest.mark.slow
def test_dask_survives_a_killed_worker_process(tmp_path):
    distributed = pytest.importorskip("distributed")
    marker = tmp_path / "killed"
    kill_once = f"""
        if config.seed == 3 and not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, "w").close()
            os.kill(os.getpid(), 9)
    """
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        sweep(
            configs(8),
            engine="dask",
            scheduler=cluster.scheduler_address,
            run=fake_run(kill_once),
        )
    assert marker.exists()
    assert status(configs(8)).done == 8


def test_an_engine_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RulbookError, match=r"rulbook\[ray\]"):
        sweep(configs(1), engine="ray", run=fake_run())


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(UsageError, match="loky, dask, ray"):
        sweep(configs(1), engine="threads", run=fake_run())


def test_dask_without_scheduler_says_what_it_needs():
    with pytest.raises(UsageError, match="--scheduler"):
        sweep(configs(1), engine="dask", run=fake_run())


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_named():
    with pytest.raises(RulbookError, match=r"tcp://127\.0\.0\.1:9"):
        sweep(configs(1), engine="dask", scheduler="tcp://127.0.0.1:9", run=fake_run())


def test_records_are_where_the_package_says():
    assert Path(os.path.commonpath([runs_folder(), failures_folder()])) == paths.results()
